// What a server sees of the store, in a test's hand: its watch stands still, is lost, and is made good by a snapshot
// whose slots come later than its networks.

import { type Clock, delay } from '@leasehold/program/clock';
import type { MemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import type { Snapshot } from '@leasehold/server/ports/store';

/** The watch of one server. */
export class HeldWatch {
  /** Whether changes are kept from it, for good: the watch must be lost then. */
  isHeld = false;
  /** How much later than the networks of a snapshot its slots come. */
  slotsAfterMs = 0;
  #lose: () => void = () => undefined;

  /** Takes a store's watch in hand, before anybody follows it. */
  take(store: MemoryStore, clock: Clock): void {
    const follow = store.follow.bind(store);
    const snapshot = store.snapshot.bind(store);
    store.follow = (after, { changed, lost }) => {
      let isOpen = true;
      const inner = follow(after, { changed: (changes) => isOpen && !this.isHeld && changed(changes), lost });
      const close = () => {
        isOpen = false;
        inner.close();
      };
      this.#lose = () => {
        close();
        lost('the changes were forgotten');
      };
      return { close };
    };
    store.snapshot = async () => {
      const taken = await snapshot();
      const slotsAfterMs = () => this.slotsAfterMs;
      const summaries: Snapshot['summaries'] = async function* (networkId) {
        if (slotsAfterMs() > 0) await delay(clock, slotsAfterMs());
        yield* taken.summaries(networkId);
      };
      return { ...taken, summaries };
    };
  }

  /** It is lost, and read again. */
  lose(): void {
    this.isHeld = false;
    this.#lose();
  }
}
