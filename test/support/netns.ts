// Hosts, guests and the wires between them, as network namespaces. Only inside a sandbox (see sandbox.ts), so whatever
// is made here vanishes with it.
//
// IPv6 is off in every namespace: no router solicitations in captures, no waiting for duplicate address detection.

import { type Outcome, run, runOrThrow } from './run.js';
import { SANDBOX_VARIABLE } from './sandbox.js';

// A kernel without IPv6 has no such settings, and that is as good.
const IPV6_OFF = 'for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e "$f" ] || echo 1 > "$f"; done';

/** A bridge that things can be plugged into: a wire between hosts, or a host's own bridge. */
export interface Bridge {
  readonly namespace: Namespace;
  readonly name: string;
}

/** A guest's network card, with the namespace to run its DHCP client in. */
export interface Nic {
  readonly namespace: Namespace;
  readonly name: string;
  readonly mac: string;
}

/** One network namespace. */
export class Namespace {
  /** As `ip netns` knows it. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs lines of `ip` in here, as one batch: all or, from the first bad one on, none. */
  async ip(...lines: readonly string[]): Promise<void> {
    await runOrThrow('ip', ['-n', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Runs a command in here to its end. */
  run(command: string, args: readonly string[] = []): Promise<Outcome> {
    return run('ip', ['netns', 'exec', this.name, command, ...args]);
  }

  /** Runs a script of nft in here: all of it or nothing. */
  async nft(...lines: readonly string[]): Promise<void> {
    const inside = ['netns', 'exec', this.name, 'nft', '-f', '-'];
    await runOrThrow('ip', inside, { input: `${lines.join('\n')}\n` });
  }

  /** Pulls the plug of an interface. */
  linkDown(name: string): Promise<void> {
    return this.ip(`link set ${name} down`);
  }

  /** Puts the plug back. */
  linkUp(name: string): Promise<void> {
    return this.ip(`link set ${name} up`);
  }

  /** Gives an interface an address such as `10.0.0.1/24`. */
  addAddress(name: string, cidr: string): Promise<void> {
    return this.ip(`address add ${cidr} dev ${name}`);
  }
}

/** A set of namespaces, removed together. Labs do not see each other. */
export class Lab implements AsyncDisposable {
  static #labs = 0;
  readonly #prefix = `l${process.pid}x${Lab.#labs++}`;
  readonly #namespaces: Namespace[] = [];
  #switch: Promise<Namespace> | undefined;
  #cables = 0;

  constructor() {
    if (process.env[SANDBOX_VARIABLE] !== '1') {
      throw new Error('Network namespaces are made only in the sandbox: run this by `npm test -- FILE`');
    }
  }

  /** A new namespace with loopback up. `name` is for people; namespaces of other labs may have the same. */
  async namespace(name: string): Promise<Namespace> {
    const namespace = new Namespace(`${this.#prefix}-${name}`);
    await runOrThrow('ip', ['netns', 'add', namespace.name]);
    this.#namespaces.push(namespace);
    await namespace.run('sh', ['-c', IPV6_OFF]);
    await namespace.ip('link set lo up');
    return namespace;
  }

  /** Where we run ourselves, to plug it into a bridge, too. What is made in it outlives the lab. */
  async here(): Promise<Namespace> {
    const namespace = new Namespace(`${this.#prefix}-here`);
    await runOrThrow('ip', ['netns', 'attach', namespace.name, String(process.pid)]);
    this.#namespaces.push(namespace);
    return namespace;
  }

  /** A wire that hosts can be plugged into: a bridge in the lab's switch. At most 15 characters. */
  async wire(name: string): Promise<Bridge> {
    this.#switch ??= this.namespace('switch');
    return this.bridge(await this.#switch, name);
  }

  /** A bridge inside a namespace, forwarding at once. With `uplink`, plugged into that wire by a port `<name>-up`. */
  async bridge(namespace: Namespace, name: string, uplink?: Bridge): Promise<Bridge> {
    // forward_delay 0, no snooping: a fresh port must not swallow the first DISCOVER.
    await namespace.ip(
      `link add ${name} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
      `link set ${name} up`,
    );
    if (uplink) {
      const port = uplinkOf(name);
      await this.plug(uplink, namespace, port);
      await namespace.ip(`link set ${port} master ${name}`);
    }
    return { namespace, name };
  }

  /** Plugs an interface of a namespace into a bridge by a veth pair, both ends up. */
  async plug(bridge: Bridge, namespace: Namespace, name: string, mac?: string): Promise<void> {
    const port = `c${this.#cables++}`;
    const address = mac === undefined ? '' : `address ${mac} `;
    await bridge.namespace.ip(
      `link add ${port} type veth peer name ${name} ${address}netns ${namespace.name}`,
      `link set ${port} master ${bridge.name} up`,
    );
    await namespace.linkUp(name);
  }

  /** A guest with a namespace of its own, plugged into a bridge. */
  async guest(bridge: Bridge, name: string, mac: string): Promise<Nic> {
    const namespace = await this.namespace(name);
    await this.plug(bridge, namespace, 'eth0', mac);
    return { namespace, name: 'eth0', mac };
  }

  /** Many guests in one namespace, as macvlans on one cable. They are cheap, but share a routing table. */
  async guests(bridge: Bridge, name: string, macs: readonly string[]): Promise<readonly Nic[]> {
    const namespace = await this.namespace(name);
    await this.plug(bridge, namespace, 'eth0');
    const nics = macs.map((mac, index) => ({ namespace, name: `vm${index}`, mac }));
    await namespace.ip(
      ...nics.flatMap((nic) => [
        `link add ${nic.name} link eth0 address ${nic.mac} type macvlan mode bridge`,
        `link set ${nic.name} up`,
      ]),
    );
    return nics;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const namespace of this.#namespaces.splice(0)) await runOrThrow('ip', ['netns', 'delete', namespace.name]);
  }
}

/** The interface by which a host's bridge hangs on its wire: take it down to cut the host off that network. */
export function uplinkOf(bridgeName: string): string {
  return `${bridgeName}-up`;
}
