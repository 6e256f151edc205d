// The DHCP servers of others on one network.
//
//   S1. Bounded, whatever guests claim: a few, and one that was seen itself takes the place of one that was only named. The
//       first MAC of an address stays: a list that changed with every packet would be a write of the store for each.

import type { Ipv4, Mac } from '@leasehold/proto/values';

/** A server that is none of ours. */
export interface ForeignServer {
  readonly address: Ipv4;
  /** Undefined: a guest named it, and it was not seen itself. */
  readonly mac: Mac | undefined;
}

/** How long one is told of after it was noticed last. */
export const FORGOTTEN_AFTER_MS = 600_000;

/** How many are told of. */
export const MAX_FOREIGN_SERVERS = 4;

/** See the top of the file. */
export class ForeignServers {
  readonly #seen = new Map<Ipv4, { readonly mac: Mac | undefined; readonly lastMs: number }>();

  /** One was noticed; answers whether it was not known before. */
  noticed({ address, mac }: ForeignServer, nowMs: number): boolean {
    this.#forget(nowMs);
    const known = this.#seen.get(address);
    if (!known && !this.#makeRoom(mac)) return false;
    this.#seen.set(address, { mac: known?.mac ?? mac, lastMs: nowMs });
    return known === undefined || (known.mac === undefined && mac !== undefined);
  }

  /** Those of the last ten minutes, by address. */
  list(nowMs: number): readonly ForeignServer[] {
    this.#forget(nowMs);
    const found = [...this.#seen].map(([address, { mac }]) => ({ address, mac }));
    return found.sort((a, b) => a.address - b.address);
  }

  #forget(nowMs: number): void {
    for (const [address, { lastMs }] of this.#seen) {
      if (nowMs - lastMs >= FORGOTTEN_AFTER_MS) this.#seen.delete(address);
    }
  }

  #makeRoom(mac: Mac | undefined): boolean {
    if (this.#seen.size < MAX_FOREIGN_SERVERS) return true;
    const named = [...this.#seen].find(([, each]) => each.mac === undefined);
    if (!named || mac === undefined) return false;
    return this.#seen.delete(named[0]);
  }
}
