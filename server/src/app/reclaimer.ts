// Frees quarantined addresses when another MAC may have them: history first, then the slot. Only the holder runs it.

import type { Timer } from '@leasehold/program/clock';
import type { NetworkId } from '../domain/ids.js';
import type { Resting } from '../domain/occupancy.js';
import { reusableAtMs } from '../domain/reuse.js';
import type { Context } from './context.js';
import { endedNow } from './tenure.js';

const EVERY_MS = 1_000;
// Freeing is never urgent: reservations under way go first.
const BATCH = 500;

/** Frees addresses. */
export class Reclaimer {
  readonly #context: Context;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Runs every second from now on. */
  start(): void {
    this.#timer = this.#context.clock.after(EVERY_MS, () => {
      this.#running = this.reclaim()
        .catch((error: unknown) => this.#context.log.error('freeing addresses failed', { error }))
        .then(() => {
          if (this.#timer) this.start();
        });
    });
  }

  /** Ends after the run under way. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#running;
  }

  /** One run. */
  async reclaim(): Promise<void> {
    const { view, clock } = this.#context;
    const nowMs = clock.now();
    for (const networkId of view.networks.keys()) {
      const due = [...view.occupancy(networkId).resting.values()].filter((resting) => reusableAtMs(resting) <= nowMs);
      for (let i = 0; i < due.length; i += BATCH) {
        await Promise.all(due.slice(i, i + BATCH).map((resting) => this.#free(networkId, resting)));
      }
    }
  }

  async #free(networkId: NetworkId, { address, reservationId }: Resting): Promise<void> {
    const { store } = this.#context;
    const slot = await store.slots.get(networkId, address);
    if (slot?.reservationId === reservationId && slot.state === 'quarantined') {
      await store.slots.free(endedNow(this.#context, slot));
    }
  }
}
