// The networks of which a document is being written, and those of which the view does not show yet what that came to.

import { isStill, type NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';

/** See the top of the file. */
export class UnderWay {
  readonly #writes = new Map<NetworkId, { readonly over: Network; readonly written: Network }>();

  /** One is being written over the document that the view shows. */
  begin(over: Network, written: Network): void {
    this.#writes.set(over.networkId, { over, written });
  }

  /** Nobody knows whether that was written: the view may show the same one for ever. */
  forget(over: Network): void {
    if (this.#writes.get(over.networkId)?.over === over) this.#writes.delete(over.networkId);
  }

  /** Whether what the view shows of a network is about to change. */
  has(networkId: NetworkId): boolean {
    return this.#writes.has(networkId);
  }

  /** The networks as they will be. */
  applied(shown: ReadonlyMap<NetworkId, Network>): readonly Network[] {
    for (const [networkId, { over }] of this.#writes) {
      // Then it is written, or can only meet a newer one, however long that takes. The same one may be read again.
      if (!isStill(shown.get(networkId), over)) this.#writes.delete(networkId);
    }
    return [...shown.values()].map((network) => this.#writes.get(network.networkId)?.written ?? network);
  }
}
