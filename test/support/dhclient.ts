// Another real DHCP guest: ISC dhclient, which keeps its lease in a file and asks for it again after a reboot.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nic } from './netns.js';
import { WatchedProcess } from './processes.js';

const CONFIG = `request subnet-mask, routers, domain-name-servers, host-name, tftp-server-name;
send dhcp-client-identifier = hardware;
timeout 5;
reboot 3;
`;

const SCRIPT = `#!/bin/sh
case "$reason" in
  PREINIT) ip link set "$interface" up ;;
  BOUND | REBOOT | RENEW | REBIND) ip address replace "$new_ip_address/32" dev "$interface" ;;
esac
`;

/** Lines of dhclient after which it has its address. */
const BOUND = 'bound to ';

/** A machine with dhclient; what it remembers is in its directory. */
export class DhclientGuest {
  readonly #nic: Nic;
  readonly #directory: string;
  #process: WatchedProcess | undefined;

  constructor(nic: Nic, directory: string) {
    this.#nic = nic;
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    writeFileSync(this.#file('config'), CONFIG);
    writeFileSync(this.#file('script'), SCRIPT);
    chmodSync(this.#file('script'), 0o755);
  }

  /** The lease file, with the options it was given. */
  get leases(): string {
    return readFileSync(this.#file('leases'), 'utf8');
  }

  /** Starts dhclient and waits until it has an address; the messages it sent and got meanwhile, and the address. */
  async boot(): Promise<{ readonly address: string; readonly messages: readonly string[] }> {
    await this.powerOff();
    const files = ['-cf', 'config', '-sf', 'script', '-lf', 'leases', '-pf', 'pid'];
    const args = files.map((text) => (text.startsWith('-') ? text : this.#file(text)));
    const process = new WatchedProcess('dhclient', ['-d', '-v', '-4', '-1', ...args, this.#nic.name], {
      namespace: this.#nic.namespace,
    });
    this.#process = process;
    const { text } = await process.waitForLine(BOUND);
    const messages = process.lines.flatMap((line) => /^DHCP[A-Z]+/.exec(line.text)?.[0] ?? []);
    return { address: text.slice(text.indexOf(BOUND) + BOUND.length).split(' ')[0] ?? '', messages };
  }

  /** As by pulling the plug: the lease file stays. */
  async powerOff(): Promise<void> {
    await this.#process?.kill();
    await this.#nic.namespace.ip(`address flush dev ${this.#nic.name}`);
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}
