// Frees quarantined addresses when another MAC may have them: history first, then the slot; and takes back reservations
// whose maker died before it could (reserve.ts, A2), and whose subnet is gone. Only the holder runs it.

import type { Ipv4 } from '@leasehold/proto/values';
import { standing } from '../domain/fits.js';
import type { NetworkId } from '../domain/ids.js';
import type { Resting } from '../domain/occupancy.js';
import type { Context } from './context.js';
import { Periodic } from './periodic.js';
import { endedNow, freeAtMs, giveBack } from './tenure.js';

const EVERY_MS = 1_000;
// Freeing is never urgent: reservations under way go first.
const BATCH = 500;

/** Frees addresses, during one term of leading. */
export class Reclaimer {
  readonly #context: Context;
  readonly #epoch: number;
  readonly #periodic: Periodic;

  constructor(context: Context, epoch: number) {
    this.#context = context;
    this.#epoch = epoch;
    this.#periodic = new Periodic(context.clock, EVERY_MS, () =>
      this.reclaim().catch((error: unknown) => context.log.warn('freeing addresses failed', { error: String(error) })),
    );
  }

  /** Runs every second from now on. */
  start(): void {
    this.#periodic.start();
  }

  /** Ends after the run under way. */
  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** One run. */
  async reclaim(): Promise<void> {
    const { view, clock } = this.#context;
    const nowMs = clock.now();
    for (const networkId of [...view.occupiedNetworks]) {
      const due = [...view.occupancy(networkId).resting.values()].filter(
        (resting) => freeAtMs(this.#context, networkId, resting) <= nowMs,
      );
      for (let i = 0; i < due.length; i += BATCH) {
        if (this.#context.lease.epoch !== this.#epoch) return;
        await Promise.all(due.slice(i, i + BATCH).map((resting) => this.#free(networkId, resting)));
      }
      for (const address of [...view.occupancy(networkId).strays]) {
        if (this.#context.lease.epoch !== this.#epoch) return;
        await this.#takeBack(networkId, address);
      }
    }
  }

  async #takeBack(networkId: NetworkId, address: Ipv4): Promise<void> {
    const { store, log } = this.#context;
    const slot = await store.slots.get(networkId, address);
    if (slot?.state !== 'reserved') return;
    const network = await store.networks.get(networkId);
    if (typeof standing(network, slot) === 'string') return;
    await giveBack(this.#context, slot, network, 'leasehold', false);
    log.warn('took back a reservation whose subnet is gone', { reservation: slot.reservationId });
  }

  async #free(networkId: NetworkId, { address, reservationId }: Resting): Promise<void> {
    const { store, metrics } = this.#context;
    const slot = await store.slots.get(networkId, address);
    if (slot?.reservationId !== reservationId || slot.state !== 'quarantined') return;
    if ((await store.slots.free(endedNow(this.#context, slot), slot.revision)) === 'freed') metrics.count('freed');
  }
}
