// A third real DHCP guest: dhcpcd, which most small systems have. It keeps its lease, configures its interface itself.
//
// Where it keeps leases and sockets is compiled in: a mount of its own, which ends with it, puts the guest's directory there.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nic } from './netns.js';
import { type OutputLine, WatchedProcess } from './processes.js';

const CONFIG = `ipv4only
nodelay
noarp
option domain_name_servers, domain_name, host_name, interface_mtu
`;

const MARK = '@guest';

const SCRIPT = `#!/bin/sh
echo "${MARK} $reason $new_ip_address $new_domain_name_servers"
`;

const START = `mount --bind "$0" /var/lib/dhcpcd
mkdir -p /run/dhcpcd
mount -t tmpfs dhcpcd /run/dhcpcd
exec dhcpcd "$@"`;

/** What happened to a guest: dhcpcd's own word for it, as `BOUND`, and what it has since. */
export interface DhcpcdEvent {
  readonly reason: string;
  /** Empty when it has none. */
  readonly address: string;
  readonly dns: readonly string[];
}

/** Reasons after which it has its address. */
const HAS_ADDRESS = ['BOUND', 'REBOOT'];

/** A machine with dhcpcd; what it remembers is in its directory. */
export class DhcpcdGuest {
  readonly #nic: Nic;
  readonly #directory: string;
  #process: WatchedProcess | undefined;

  constructor(nic: Nic, directory: string) {
    this.#nic = nic;
    this.#directory = directory;
    mkdirSync(this.#file('state'), { recursive: true });
    writeFileSync(this.#file('config'), CONFIG);
    writeFileSync(this.#file('script'), SCRIPT);
    chmodSync(this.#file('script'), 0o755);
  }

  /** Starts dhcpcd and waits until it has an address. */
  async boot(): Promise<DhcpcdEvent> {
    if (this.#process) throw new Error('dhcpcd is running');
    const all = ['-B', '-d', '-4', '-f', this.#file('config'), '-c', this.#file('script'), this.#nic.name];
    this.#process = new WatchedProcess('sh', ['-e', '-c', START, this.#file('state'), ...all], {
      namespace: this.#nic.namespace,
    });
    return this.next(HAS_ADDRESS, 0);
  }

  /** The process. */
  get process(): WatchedProcess {
    if (!this.#process) throw new Error('dhcpcd was not started');
    return this.#process;
  }

  /** The next event of one of these reasons, from line `from` of its output on. */
  async next(reasons: readonly string[], from: number): Promise<DhcpcdEvent> {
    const line = await this.process.waitForLine((each) => reasons.includes(eventOf(each)?.reason ?? ''), from);
    return eventOf(line) as DhcpcdEvent;
  }

  /** As by pulling the plug: its lease stays. */
  async powerOff(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
    await this.#nic.namespace.ip(`address flush dev ${this.#nic.name}`);
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}

function eventOf(line: OutputLine): DhcpcdEvent | undefined {
  const [mark, reason = '', address = '', ...dns] = line.text.split(' ');
  return mark === MARK ? { reason, address, dns: dns.filter((each) => each !== '') } : undefined;
}
