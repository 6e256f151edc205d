// Whether a newly chosen address is used by a machine without a reservation (`probe_before_use`).
//
//   P1. Asking is a courtesy to machines that should not be there: where nobody can be asked the address is reserved all
//       the same. What makes an address one MAC's is the store.
//   P2. What was found in use is passed over for ten minutes, and asked for again afterwards.
//   P3. A machine that answers for one address after another is not believed: it would keep everybody from being reserved.

import { type Cidr, cidrContains, formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import type { NetworkId } from '../domain/ids.js';
import type { Probed } from '../ports/dhcp-provider.js';
import type { Context } from './context.js';

const AVOIDED_FOR_MS = 600_000;
// A machine with more addresses than these answers for others, or means harm.
const MAX_OF_ONE_MAC = 16;
const MAX_AVOIDED = 10_000;

interface Avoided {
  readonly networkId: NetworkId;
  readonly address: Ipv4;
  readonly usedBy: Mac;
  readonly untilMs: number;
}

/** See the top of the file. */
export class Probing {
  readonly #context: Pick<Context, 'hosts' | 'clock' | 'log' | 'metrics'>;
  /** By network and address; in the order in which they end. */
  readonly #avoided = new Map<string, Avoided>();
  /** What is being asked for: taken in memory, and not in the store. */
  readonly #asking = new Map<string, Pick<Avoided, 'networkId' | 'address'>>();

  constructor(context: Pick<Context, 'hosts' | 'clock' | 'log' | 'metrics'>) {
    this.#context = context;
  }

  /** Whether an address may be reserved for a MAC, as far as anybody can tell; asks a host. */
  async mayUse(networkId: NetworkId, address: Ipv4, mac: Mac): Promise<boolean> {
    const { hosts, metrics } = this.#context;
    const key = keyOf(networkId, address);
    this.#asking.set(key, { networkId, address });
    const usedBy = await hosts.probe(networkId, address).finally(() => this.#asking.delete(key));
    const outcome = this.#judge(networkId, usedBy, mac);
    metrics.count('probes', { outcome });
    if (outcome !== 'used') return true;
    this.#avoid(networkId, address, usedBy as Mac);
    return false;
  }

  #judge(networkId: NetworkId, usedBy: Probed, mac: Mac): 'free' | 'used' | 'skipped' {
    if (usedBy === 'unknown') return 'skipped';
    // A guest that has it already, from before it was reserved, is who it is for.
    if (usedBy === undefined || usedBy === mac) return 'free';
    const earlier = [...this.#avoided.values()].filter(
      (each) => each.usedBy === usedBy && each.networkId === networkId,
    );
    if (earlier.length < MAX_OF_ONE_MAC) return 'used';
    const fields = { network: networkId, mac: usedBy, addresses: earlier.length };
    this.#context.log.warn('a machine answers for too many addresses and is not believed', fields);
    return 'skipped';
  }

  #avoid(networkId: NetworkId, address: Ipv4, usedBy: Mac): void {
    const { clock, log } = this.#context;
    log.warn('an address that nobody reserved is in use', {
      network: networkId,
      address: formatIpv4(address),
      mac: usedBy,
    });
    if (this.#avoided.size >= MAX_AVOIDED) this.#avoided.clear();
    const key = keyOf(networkId, address);
    this.#avoided.delete(key);
    this.#avoided.set(key, { networkId, address, usedBy, untilMs: clock.now() + AVOIDED_FOR_MS });
  }

  /** How many addresses of a prefix are being asked for. */
  asking(networkId: NetworkId, cidr: Cidr): number {
    let count = 0;
    for (const each of this.#asking.values()) {
      if (each.networkId === networkId && cidrContains(cidr, each.address)) count++;
    }
    return count;
  }

  /** Whether an address was found in use lately. */
  isAvoided(networkId: NetworkId, address: Ipv4): boolean {
    if (this.#avoided.size === 0) return false;
    this.#forget();
    return this.#avoided.has(keyOf(networkId, address));
  }

  /** The addresses of a network that were found in use lately. */
  avoided(networkId: NetworkId): readonly Ipv4[] {
    this.#forget();
    return [...this.#avoided.values()].flatMap((each) => (each.networkId === networkId ? [each.address] : []));
  }

  #forget(): void {
    for (const [key, { untilMs }] of this.#avoided) {
      if (untilMs > this.#context.clock.now()) return;
      this.#avoided.delete(key);
    }
  }
}

function keyOf(networkId: NetworkId, address: Ipv4): string {
  return `${networkId} ${address}`;
}
