// A real DHCP guest: busybox's udhcpc, and what it got, as values.
//
// `runUdhcpc` asks once. `startUdhcpc` stays, sets the address on its interface as a guest would, renews when told and
// reports what happens: without an address of its own a client cannot renew by unicast.

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nic } from './netns.js';
import { type OutputLine, WatchedProcess } from './processes.js';
import { temporaryDirectory } from './sandbox.js';
import { findUdhcpc } from './udhcpc-binary.js';

/** What a guest was given. Values are as udhcpc prints them, lists separated by blanks; absent: not given. */
export interface GuestLease {
  readonly ip: string;
  /** Prefix length. */
  readonly mask: string | undefined;
  readonly router: string | undefined;
  readonly dns: string | undefined;
  readonly ntpsrv: string | undefined;
  /** Seconds. */
  readonly lease: string | undefined;
  readonly hostname: string | undefined;
  readonly domain: string | undefined;
  readonly search: string | undefined;
  readonly mtu: string | undefined;
  /** Destination and next hop, alternating. */
  readonly staticroutes: string | undefined;
  readonly serverid: string | undefined;
}

/** What happened to a guest. `deconfig`: it has no address (any more). */
export interface GuestEvent {
  readonly kind: 'deconfig' | 'bound' | 'renew' | 'nak' | 'leasefail';
  /** With `bound` and `renew`. */
  readonly lease: GuestLease | undefined;
}

/** How to ask. */
export interface UdhcpcOptions {
  /** DISCOVERs before it gives up, a second apart; 3. */
  readonly tries?: number;
  /** More arguments, such as `-r 10.0.0.7`. */
  readonly args?: readonly string[];
  /** Whether it has a route to its server, a link-local address, so that no renewal is lost. */
  readonly reachesServer?: boolean;
}

const FIELDS = 'ip mask router dns ntpsrv lease hostname domain search mtu staticroutes serverid'.split(' ');
const REQUESTED = ['ntpsrv', 'mtu', 'staticroutes', 'hostname', 'domain', 'search'].flatMap((name) => ['-O', name]);
const MARK = '@guest';

// One line an event: a reader sees all of it or nothing. Routes with next hop 0.0.0.0 are on-link (RFC 3442).
const SCRIPT = `#!/bin/sh
if [ -n "$GUEST_CONFIGURES" ]; then
  case "$1" in
    deconfig) ip address flush dev "$interface"; ip link set "$interface" up ;;
    bound | renew)
      ip address replace "$ip/$mask" dev "$interface"
      if [ -n "$staticroutes" ]; then
        set -- "$1" $staticroutes
        event=$1; shift
        while [ $# -ge 2 ]; do
          if [ "$2" = 0.0.0.0 ]; then ip route replace "$1" dev "$interface"
          else ip route replace "$1" via "$2" dev "$interface" onlink; fi
          shift 2
        done
        set -- "$event"
      elif [ -n "$router" ]; then ip route replace default via "\${router%% *}" dev "$interface" onlink
      fi
      [ -z "$GUEST_REACHES_SERVER" ] || ip route replace 169.254.0.0/16 dev "$interface" ;;
  esac
fi
line="${MARK}	$1"
for name in ${FIELDS.join(' ')}; do
  eval "value=\\\${$name-}"
  [ -z "$value" ] || line="$line	$name=$value"
done
printf '%s\\n' "$line"
`;

/** Asks for an address once, setting nothing; `undefined` when nobody answers. */
export async function runUdhcpc(nic: Nic, options: UdhcpcOptions = {}): Promise<GuestLease | undefined> {
  await using client = await startClient(nic, ['-q', '-n', ...timing(options)], {});
  await client.process.exited;
  return client.events().find((event) => event.kind === 'bound')?.lease;
}

/** A guest that holds its lease until disposed of. It tries for ever. */
export async function startUdhcpc(nic: Nic, options: UdhcpcOptions = {}): Promise<Guest> {
  const reaches = options.reachesServer ? { GUEST_REACHES_SERVER: '1' } : {};
  return startClient(nic, timing(options), { GUEST_CONFIGURES: '1', ...reaches });
}

function timing({ tries = 3, args = [] }: UdhcpcOptions): readonly string[] {
  return ['-t', String(tries), '-T', '1', '-A', '1', ...args];
}

async function startClient(nic: Nic, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Guest> {
  const binary = await findUdhcpc();
  if (!binary.ok) throw new Error(binary.problem);
  const directory = temporaryDirectory('udhcpc-');
  const script = join(directory.path, 'script');
  writeFileSync(script, SCRIPT);
  chmodSync(script, 0o755);
  const [command, ...applet] = binary.command;
  const all = [...applet, '-i', nic.name, '-f', '-s', script, ...REQUESTED, ...args];
  return new Guest(new WatchedProcess(command, all, { namespace: nic.namespace, env }), directory);
}

/** A running udhcpc. */
export class Guest implements AsyncDisposable {
  readonly process: WatchedProcess;
  readonly #directory: Disposable;

  constructor(process: WatchedProcess, directory: Disposable) {
    this.process = process;
    this.#directory = directory;
  }

  /** What happened so far. */
  events(): readonly GuestEvent[] {
    return this.process.lines.flatMap((line) => eventOf(line) ?? []);
  }

  /** The next event of one of these kinds, from line `from` of its output on (0: from its start). */
  async waitFor(kinds: readonly GuestEvent['kind'][], from = 0): Promise<GuestEvent> {
    const line = await this.process.waitForLine((candidate) => kinds.includes(eventOf(candidate)?.kind as never), from);
    return eventOf(line) as GuestEvent;
  }

  /** The lease it got first. */
  async bound(): Promise<GuestLease> {
    return (await this.waitFor(['bound'])).lease as GuestLease;
  }

  /** Renews now by unicast to its server (SIGUSR1); what came of it. */
  async renew(): Promise<GuestEvent> {
    const from = this.process.lines.length;
    this.process.signal('SIGUSR1');
    return this.waitFor(['renew', 'bound', 'nak', 'deconfig'], from);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
    this.#directory[Symbol.dispose]();
  }
}

function eventOf(line: OutputLine): GuestEvent | undefined {
  const [mark, kind, ...pairs] = line.text.split('\t');
  if (mark !== MARK) return undefined;
  const values = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  const lease = Object.fromEntries(FIELDS.map((name) => [name, values[name]])) as unknown as GuestLease;
  return { kind: kind as GuestEvent['kind'], lease: kind === 'bound' || kind === 'renew' ? lease : undefined };
}
