// The clock that authority is measured on. It counts suspend: a laptop or a paused machine that wakes up must find its
// authority lapsed, which CLOCK_MONOTONIC (Node's own) would not show.

import { C, libc } from './libc.js';

const timespec = new BigInt64Array(2);

/** Milliseconds since the boot of this machine, suspend included. Never goes back. */
export function boottimeNow(): number {
  if (libc.clockGettime(C.CLOCK_BOOTTIME, timespec) !== 0) throw new Error('agent: this kernel has no CLOCK_BOOTTIME');
  return Number(timespec[0]) * 1_000 + Number(timespec[1]) / 1_000_000;
}
