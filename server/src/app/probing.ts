// Whether a newly chosen address is used by a machine without a reservation (`probe_before_use`).
//
//   P1. Asking is a courtesy to machines that should not be there: where nobody can be asked the address is reserved all
//       the same. What makes an address one MAC's is the store.
//   P2. What was found in use is passed over for ten minutes, and asked for again afterwards.

import { formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import type { NetworkId } from '../domain/ids.js';
import type { Context } from './context.js';

const AVOIDED_FOR_MS = 600_000;
const MAX_AVOIDED = 10_000;

/** See the top of the file. */
export class Probing {
  readonly #context: Pick<Context, 'hosts' | 'clock' | 'log' | 'metrics'>;
  /** Until when, by network and address; in the order in which they end. */
  readonly #avoided = new Map<
    string,
    { readonly networkId: NetworkId; readonly address: Ipv4; readonly untilMs: number }
  >();

  constructor(context: Pick<Context, 'hosts' | 'clock' | 'log' | 'metrics'>) {
    this.#context = context;
  }

  /** Whether an address may be reserved for a MAC, as far as anybody can tell; asks a host. */
  async mayUse(networkId: NetworkId, address: Ipv4, mac: Mac): Promise<boolean> {
    const { hosts, clock, log, metrics } = this.#context;
    const usedBy = await hosts.probe(networkId, address);
    // A guest that has it already, from before it was reserved, is who it is for.
    const isUsed = usedBy !== undefined && usedBy !== 'unknown' && usedBy !== mac;
    metrics.count('probes', { outcome: usedBy === 'unknown' ? 'skipped' : isUsed ? 'used' : 'free' });
    if (!isUsed) return true;
    log.warn('an address that nobody reserved is in use', {
      network: networkId,
      address: formatIpv4(address),
      mac: usedBy,
    });
    if (this.#avoided.size >= MAX_AVOIDED) this.#avoided.clear();
    const key = keyOf(networkId, address);
    this.#avoided.delete(key);
    this.#avoided.set(key, { networkId, address, untilMs: clock.now() + AVOIDED_FOR_MS });
    return false;
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
