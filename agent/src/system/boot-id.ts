// Which boot of this machine it is.

import { readFileSync } from 'node:fs';

/** The kernel's boot id: another one after every reboot. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
