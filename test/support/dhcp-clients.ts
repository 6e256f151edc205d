// Real DHCP clients as guests that can be brought into every state, all handled alike. What they say is seen on the wire
// (see wiretap.ts); here is what they believe: their address, and what they were told.
//
// A client reaches its server, a link-local address, by a route: else every renewal is lost until it asks by broadcast.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import type { Nic } from './netns.js';
import { WatchedProcess } from './processes.js';
import { hasTool } from './tools.js';
import { startUdhcpc, type Guest as UdhcpcGuest } from './udhcpc.js';

/** What differs between clients by their design. */
export interface ClientKind {
  readonly name: 'udhcpc' | 'dhclient' | 'dhcpcd';
  /** Whether it asks for a remembered address by INIT-REBOOT; otherwise it only wishes for it in its DISCOVER. */
  readonly reboots: boolean;
  /** Whether it hears broadcasts while it renews; otherwise a broadcast NAK reaches it only once it rebinds. */
  readonly hearsBroadcastsRenewing: boolean;
  readonly isHere: () => Promise<boolean>;
  /** A machine with it. What it remembers is in the directory. */
  readonly install: (nic: Nic, directory: string) => Promise<ClientMachine>;
}

/** How a machine is started. */
export interface BootOptions {
  /** Looks whether somebody has the address, and declines it then. */
  readonly probes?: boolean;
}

/** A machine with a DHCP client. */
export interface ClientMachine extends AsyncDisposable {
  readonly nic: Nic;
  /** Starts the client, with what it remembers. */
  boot(options?: BootOptions): Promise<void>;
  /** As by pulling the plug: only what it remembers stays. */
  powerOff(): Promise<void>;
  /** Makes it remember another address than it has had; it must be off. */
  remember(address: string): void;
  /** Whether it would remember its address now. */
  remembers(address: string): boolean;
  /** Makes it ask its server again, now or soon. */
  renew(): void;
  /** Makes it ask all servers, now, or soon when its own one does not answer. */
  rebind(): void;
  /** Makes it give its address back and ask no more. */
  release(): Promise<void>;
  /** The DNS servers it was told last. */
  dnsServers(): string | undefined;
}

/** The clients. */
export const CLIENTS: readonly ClientKind[] = [
  {
    name: 'udhcpc',
    reboots: false,
    hearsBroadcastsRenewing: true,
    isHere: async () => true,
    install: async (nic, directory) => new UdhcpcMachine(nic, directory),
  },
  {
    name: 'dhclient',
    reboots: true,
    hearsBroadcastsRenewing: true,
    isHere: () => hasTool('dhclient'),
    install: async (nic, directory) => new DhclientMachine(nic, directory),
  },
  {
    name: 'dhcpcd',
    reboots: true,
    hearsBroadcastsRenewing: false,
    isHere: () => hasTool('dhcpcd'),
    install: async (nic, directory) => new DhcpcdMachine(nic, directory),
  },
];

const MARK = '@dns';

abstract class Machine implements ClientMachine {
  readonly nic: Nic;
  readonly #directory: string;
  #process: WatchedProcess | undefined;

  constructor(nic: Nic, directory: string) {
    this.nic = nic;
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  abstract boot(options?: BootOptions): Promise<void>;
  abstract remember(address: string): void;
  abstract remembers(address: string): boolean;
  abstract renew(): void;
  abstract rebind(): void;
  abstract release(): Promise<void>;

  dnsServers(): string | undefined {
    const line = this.process.lines.findLast(({ text }) => text.startsWith(MARK));
    return line?.text.slice(MARK.length).trim();
  }

  async powerOff(): Promise<void> {
    await this.#process?.kill();
    await this.nic.namespace.ip(`address flush dev ${this.nic.name}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.powerOff();
  }

  protected get process(): WatchedProcess {
    if (!this.#process) throw new Error('The guest was not started');
    return this.#process;
  }

  protected start(command: string, args: readonly string[]): void {
    this.watch(new WatchedProcess(command, args, { namespace: this.nic.namespace }));
  }

  protected watch(process: WatchedProcess): void {
    this.#process = process;
  }

  /** A file in the machine's directory. */
  protected path(name: string): string {
    return join(this.#directory, name);
  }

  protected write(name: string, content: string): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  protected script(content: string): string {
    const path = this.write('script', `#!/bin/sh\n${content}`);
    chmodSync(path, 0o755);
    return path;
  }
}

/** busybox's udhcpc: it has no INIT-REBOOT. */
class UdhcpcMachine extends Machine {
  #remembered: readonly string[] = [];
  #client: UdhcpcGuest | undefined;

  async boot({ probes = false }: BootOptions = {}): Promise<void> {
    const args = [...this.#remembered, ...(probes ? ['-a'] : [])];
    this.#client = await startUdhcpc(this.nic, { args, reachesServer: true });
    this.watch(this.#client.process);
  }

  override async powerOff(): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]();
    await super.powerOff();
  }

  override dnsServers(): string | undefined {
    return this.#client?.events().findLast(({ lease }) => lease)?.lease?.dns;
  }

  remember(address: string): void {
    this.#remembered = ['-r', address];
  }

  /** Somebody else remembers for it. */
  remembers(): boolean {
    return true;
  }

  renew(): void {
    this.process.signal('SIGUSR1');
  }

  /** It rebinds when a renewal was not answered for 3 s. */
  rebind(): void {
    this.process.signal('SIGUSR1');
  }

  async release(): Promise<void> {
    this.process.signal('SIGUSR2');
  }
}

// It cannot be told to renew, so it renews every second, and rebinds when that was not answered for three.
const DHCLIENT_CONFIG = `request subnet-mask, domain-name-servers, host-name, tftp-server-name;
send dhcp-client-identifier = hardware;
supersede dhcp-renewal-time 1;
supersede dhcp-rebinding-time 4;
initial-interval 3;
backoff-cutoff 3;
timeout 30;
reboot 3;
retry 1;
`;

// A client that is told by its script that it did not work out declines.
const DHCLIENT_SCRIPT = `case "$reason" in
  PREINIT) ip link set "$interface" up ;;
  BOUND | REBOOT | RENEW | REBIND)
    if [ -n "$GUEST_PROBES" ] && busybox arping -q -D -c 1 -w 1 -I "$interface" "$new_ip_address"; then :
    elif [ -n "$GUEST_PROBES" ]; then exit 1
    fi
    ip address replace "$new_ip_address/24" dev "$interface"
    ip route replace 169.254.0.0/16 dev "$interface"
    printf '${MARK} %s\\n' "$new_domain_name_servers" ;;
  EXPIRE | FAIL | STOP | RELEASE) ip address flush dev "$interface" ;;
esac
exit 0
`;

/** ISC dhclient. */
export class DhclientMachine extends Machine {
  /** The lease file, with the options it was given; empty: it was given none. */
  get leases(): string {
    const path = this.path('leases');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  async boot({ probes = false }: BootOptions = {}): Promise<void> {
    const script = this.script(DHCLIENT_SCRIPT);
    this.write('config', DHCLIENT_CONFIG);
    this.start('dhclient', [
      '-d',
      '-v',
      '-4',
      ...this.#files(script),
      ...(probes ? ['-e', 'GUEST_PROBES=1'] : []),
      this.nic.name,
    ]);
  }

  remember(address: string): void {
    this.write('leases', this.leases.replaceAll(/fixed-address [\d.]+/g, `fixed-address ${address}`));
  }

  /** It has its address before it writes it down. */
  remembers(address: string): boolean {
    return writtenLeases(this.leases).includes(address);
  }

  renew(): void {}

  rebind(): void {}

  /** Another one does so, which knows the lease from the file only. */
  async release(): Promise<void> {
    await eventually('its lease is written', async () => writtenLeases(this.leases).length > 0);
    await this.process.kill();
    await this.nic.namespace.run('dhclient', ['-r', '-4', ...this.#files(this.path('script')), this.nic.name]);
  }

  #files(script: string): readonly string[] {
    const files = { '-cf': this.path('config'), '-lf': this.path('leases'), '-pf': this.path('pid') };
    return [...Object.entries(files).flat(), '-sf', script];
  }
}

/** The addresses of a lease file, of entries that are written to their end. */
function writtenLeases(leases: string): readonly string[] {
  return [...leases.matchAll(/fixed-address ([\d.]+);[^}]*\}/g)].map(([, address = '']) => address);
}

const DHCPCD_CONFIG = `option domain_name_servers
noipv6
noipv4ll
nodelay
`;

const DHCPCD_SCRIPT = `case "$reason" in
  BOUND | REBOOT | RENEW | REBIND | INFORM)
    ip route replace 169.254.0.0/16 dev "$interface"
    printf '${MARK} %s\\n' "$new_domain_name_servers" ;;
esac
`;

// Its places are built in, so it gets them in a mount namespace of its own. Without its user it does not split into
// several processes, which kill -9 of one of them would leave behind.
const DHCPCD_START = `set -e
cd "$1"; shift
mkdir -p db /run/dhcpcd
mount -t tmpfs tmpfs /run/dhcpcd
mount --bind db /var/lib/dhcpcd
grep -v dhcpcd /etc/passwd >passwd
mount --bind passwd /etc/passwd
exec dhcpcd "$@"
`;

const LEASE_YIADDR = 16;

/** Roy Marples' dhcpcd. */
export class DhcpcdMachine extends Machine {
  async boot({ probes = false }: BootOptions = {}): Promise<void> {
    this.#start(probes ? [] : ['--noarp']);
  }

  /** Tells that it has an address, and asks for the rest. */
  async inform(cidr: string): Promise<void> {
    await this.nic.namespace.addAddress(this.nic.name, cidr);
    this.#start(['--noarp', '--inform', cidr]);
  }

  remember(address: string): void {
    const path = this.path(`db/${this.nic.name}.lease`);
    if (!existsSync(path)) throw new Error('It remembers nothing');
    const lease = readFileSync(path);
    for (const [i, byte] of address.split('.').entries()) lease[LEASE_YIADDR + i] = Number(byte);
    writeFileSync(path, lease);
  }

  remembers(): boolean {
    return existsSync(this.path(`db/${this.nic.name}.lease`));
  }

  renew(): void {
    this.process.signal('SIGUSR1');
  }

  rebind(): void {
    this.process.signal('SIGHUP');
  }

  async release(): Promise<void> {
    this.process.signal('SIGALRM');
  }

  #start(args: readonly string[]): void {
    const files = ['-f', this.write('config', DHCPCD_CONFIG), '-c', this.script(DHCPCD_SCRIPT)];
    const start = this.write('start', DHCPCD_START);
    const all = [start, this.path('.'), '-4', '-B', '-d', ...files, ...args, this.nic.name];
    this.start('sh', all);
  }
}
