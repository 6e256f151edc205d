// The network on which servers, hosts and MongoDB meet, apart from those of the guests, so that it can be cut.
//
//   A1. A cut is made on one machine and drops what passes: nobody is told, and nothing is refused.
//   A2. MongoDB listens on loopback where the tests run (replica-set.ts), and its members go by those names. A machine that
//       asks a port of them on its own loopback reaches it there, by this network: so the way to the store is cut with it.

import type { Bridge, Lab, Namespace } from './netns.js';

/** What of the messages of a machine a cut drops. */
export type Direction = 'in' | 'out' | 'both';

const CARD = 'mgmt0';
const BRIDGE = 'mgmt';
// One in each lab at a time, and labs are one after another: files of these tests do not run side by side.
const HERE = 'mgmt-here';
const OURS = '10.254.0.1';

/** Where members of a replica set listen (replica-set.ts). */
export const STORE_PORTS = { first: 20_000, last: 31_999 };
const STORE_RANGE = `${STORE_PORTS.first}-${STORE_PORTS.last}`;

/** See the top of the file. */
export class Management implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #bridge: Bridge;
  readonly #here: Namespace;
  readonly #hasStore: boolean;
  #machines = 1;

  private constructor(lab: Lab, bridge: Bridge, here: Namespace, hasStore: boolean) {
    this.#lab = lab;
    this.#bridge = bridge;
    this.#here = here;
    this.#hasStore = hasStore;
  }

  /** The management network of a lab; `hasStore`: whether machines reach MongoDB by it (A2). */
  static async start(lab: Lab, hasStore: boolean): Promise<Management> {
    const [bridge, here] = [await lab.wire(BRIDGE), await lab.here()];
    await lab.plug(bridge, here, HERE);
    await here.addAddress(HERE, `${OURS}/24`);
    if (!hasStore) return new Management(lab, bridge, here, hasStore);
    await leadToLoopback(here, HERE);
    await here.nft(
      `table ip ${BRIDGE} {`,
      '  chain arriving {',
      '    type nat hook prerouting priority -100',
      `    iifname "${HERE}" tcp dport ${STORE_RANGE} dnat to 127.0.0.1`,
      '  }',
      '}',
    );
    return new Management(lab, bridge, here, hasStore);
  }

  /** Plugs a namespace in. */
  async plug(namespace: Namespace): Promise<Machine> {
    const address = `10.254.0.${++this.#machines}`;
    await this.#lab.plug(this.#bridge, namespace, CARD);
    await namespace.addAddress(CARD, `${address}/24`);
    if (!this.#hasStore) return new Machine(namespace, address);
    await leadToLoopback(namespace, CARD);
    await namespace.nft(
      `table ip ${BRIDGE} {`,
      '  chain asking {',
      '    type nat hook output priority -100',
      `    ip daddr 127.0.0.1 tcp dport ${STORE_RANGE} dnat to ${OURS}`,
      '  }',
      '  chain leaving {',
      '    type nat hook postrouting priority 100',
      `    oifname "${CARD}" masquerade`,
      '  }',
      '}',
    );
    return new Machine(namespace, address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The rest goes with the lab.
    if (this.#hasStore) await this.#here.nft(`delete table ip ${BRIDGE}`);
    await this.#here.ip(`link delete ${HERE}`);
  }
}

/** A machine on it. */
export class Machine {
  readonly namespace: Namespace;
  readonly address: string;

  constructor(namespace: Namespace, address: string) {
    this.namespace = namespace;
    this.address = address;
  }

  /** Drops what it hears, what it says, or both; `store`: only to and from MongoDB. Instead of an earlier cut. */
  async cut(direction: Direction, only?: 'store'): Promise<void> {
    const [from, to] = only ? [`ip saddr ${OURS} `, `ip daddr ${OURS} `] : ['', ''];
    const drops = (hook: 'in' | 'out', rule: string) => (direction === hook || direction === 'both' ? [rule] : []);
    await this.heal();
    await this.namespace.nft(
      'table ip cut {',
      '  chain heard {',
      '    type filter hook input priority 0',
      ...drops('in', `iifname "${CARD}" ${from}drop`),
      '  }',
      '  chain said {',
      // Not at `output`: there, what is led from loopback to MongoDB still seems to stay on loopback.
      '    type filter hook postrouting priority 0',
      ...drops('out', `oifname "${CARD}" ${to}drop`),
      '  }',
      '}',
    );
  }

  /** Mends it. */
  async heal(): Promise<void> {
    await this.namespace.nft('table ip cut', 'delete table ip cut');
  }
}

/** Lets packets between this interface and loopback pass. */
async function leadToLoopback(namespace: Namespace, name: string): Promise<void> {
  await namespace.run('sh', ['-c', `echo 1 > /proc/sys/net/ipv4/conf/${name}/route_localnet`]);
}
