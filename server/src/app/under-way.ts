// The networks of which a document is being written, and those of which the view does not show yet what that came to.

import type { NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';

/** See the top of the file. */
export class UnderWay {
  readonly #writes = new Map<
    NetworkId,
    { readonly over: Network; readonly written: Network; readonly isOver: boolean }
  >();

  /** One is being written over the document that the view shows. */
  begin(over: Network, written: Network): void {
    this.#writes.set(over.networkId, { over, written, isOver: false });
  }

  /** It is written, or met a newer one: either way the view will show another one than before. */
  end({ networkId }: Network): void {
    const write = this.#writes.get(networkId);
    if (write) this.#writes.set(networkId, { ...write, isOver: true });
  }

  /** Nobody knows whether it was written. */
  forget({ networkId }: Network): void {
    this.#writes.delete(networkId);
  }

  /** Whether what the view shows of a network is about to change. */
  has(networkId: NetworkId): boolean {
    return this.#writes.has(networkId);
  }

  /** The networks as they will be. */
  applied(shown: ReadonlyMap<NetworkId, Network>): readonly Network[] {
    for (const [networkId, { over, isOver }] of this.#writes) {
      if (isOver && shown.get(networkId) !== over) this.#writes.delete(networkId);
    }
    return [...shown.values()].map((network) => this.#writes.get(network.networkId)?.written ?? network);
  }
}
