// Frees quarantined addresses when another MAC may have them: history first, then the slot; and takes back reservations
// whose maker died before it could (reserve.ts, A2), and whose subnet is gone. Only the holder runs it.
//
//   F1. It frees only in networks that it claimed for its epoch (protocol.md §5.2).
//   F2. What a term counts begins with it: of what rested before, nobody has acknowledged anything.
//   F3. A vouch is believed only when no other tenure of its MAC can have been in the network since the first release of
//       its chain. Of a chain that was first released in this term that is known by the slots that are there, and by
//       what this holder freed: nobody else frees. Of an older one, by there being no other tenure at all.
//   F4. It frees nothing while the store is known to be an older copy of itself (protocol.md §7).

import type { Ipv4, Mac } from '@leasehold/proto/values';
import { standing } from '../domain/fits.js';
import type { NetworkId } from '../domain/ids.js';
import type { Resting } from '../domain/occupancy.js';
import { type Released, type RestingSlot, RestingSlots } from '../domain/resting-slots.js';
import { clearedBeforeMs } from '../domain/reuse.js';
import { isChainVouched, type Slot } from '../domain/slot.js';
import type { Subscription } from '../ports/store.js';
import type { Context, ReuseEstimates } from './context.js';
import type { HostAnswers } from './host-answers.js';
import { Periodic } from './periodic.js';
import { Estimator, freeAtMs } from './reuse-estimates.js';
import { endedNow, giveBack } from './tenure.js';
import type { Shown } from './view.js';

const EVERY_MS = 1_000;
const STORE_EVERY_MS = 10_000;
// Freeing is never urgent: reservations under way go first.
const BATCH = 500;
// Some milliseconds of the event loop.
const AT_ONCE = 5_000;
// Whose MACs were freed last is remembered of so many.
const MAX_FREED = 65_536;

/** Awaits a task whose failure, until it is tried again, must not keep others from what comes after it. */
type Tried = (task: Promise<void>) => Promise<void>;

/** Frees addresses, during one term of leading. */
export class Reclaimer {
  readonly #context: Context;
  readonly #answers: HostAnswers;
  readonly #epoch: number;
  readonly #periodic: Periodic;
  readonly #resting = new RestingSlots();
  /** When what rests may be free. */
  readonly estimates: ReuseEstimates;
  /** When a tenure of a MAC ended in a network, the longest ago first. */
  readonly #freed = new Map<string, number>();
  /** What was freed before is not remembered. */
  #freedKnownFromMs = Number.NEGATIVE_INFINITY;
  #sinceMs = Number.POSITIVE_INFINITY;
  /** What of that is not taken over yet. */
  #old: Generator<Released> | undefined;
  #silencesStoredMs = Number.NEGATIVE_INFINITY;
  #subscription: Subscription | undefined;

  constructor(context: Context, answers: HostAnswers, epoch: number) {
    this.#context = context;
    this.#answers = answers;
    this.#epoch = epoch;
    this.estimates = new Estimator(context, answers, this.#resting);
    this.#periodic = new Periodic(context.clock, EVERY_MS, () =>
      this.reclaim().catch((error: unknown) => context.log.warn('freeing addresses failed', { error: String(error) })),
    );
  }

  /** Runs every second from now on. */
  start(): void {
    this.#sinceMs = this.#context.clock.now();
    this.#old = this.#restingBefore();
    this.#subscription = this.#context.view.listen((shown) => this.#noteSlot(shown));
    this.#periodic.start();
  }

  /** What rested when the term began. */
  *#restingBefore(): Generator<Released> {
    const { view } = this.#context;
    for (const networkId of [...view.occupiedNetworks]) {
      for (const resting of view.occupancy(networkId).resting.values()) {
        if (resting.seenMs <= this.#sinceMs) yield releasedOf(networkId, resting);
      }
    }
  }

  /** Takes over some of what rested before; it counts from now on. */
  #takeOver(): void {
    const nowMs = this.#context.clock.now();
    for (let i = 0; i < AT_ONCE && this.#old; i++) {
      const next = this.#old.next();
      if (next.done) this.#old = undefined;
      else this.#resting.released(next.value, nowMs, true);
    }
  }

  /** Ends after the run under way. */
  stop(): Promise<void> {
    this.#subscription?.close();
    return this.#periodic.stop();
  }

  #noteSlot(shown: Shown): void {
    if (shown.kind === 'slot-gone') {
      const ended = this.#resting.get(shown.networkId, shown.address);
      if (ended) this.#noteFreed(ended);
      this.#resting.gone(shown.networkId, shown.address);
    }
    if (shown.kind !== 'slot') return;
    const { networkId, address, state, mac } = shown.slot;
    const { clock, view } = this.#context;
    const seenMs = view.occupancy(networkId).resting.get(address)?.seenMs ?? Number.NEGATIVE_INFINITY;
    if (state === 'quarantined') this.#resting.released(shown.slot, clock.now(), seenMs <= this.#sinceMs);
    else this.#resting.gone(networkId, address, mac);
  }

  /** One run. */
  async reclaim(): Promise<void> {
    if (!this.#mayAct) return;
    const nowMs = this.#context.clock.now();
    this.#takeOver();
    this.#clear(nowMs);
    const failures: unknown[] = [];
    const tried: Tried = (task) => task.catch((error: unknown) => void failures.push(error));
    await this.#freeDue(nowMs, tried);
    await this.#takeBackStrays(tried);
    if (failures.length > 0) {
      const error = String(failures[0]);
      this.#context.log.warn('addresses cannot be freed yet', { addresses: failures.length, error });
    }
    if (!this.#mayAct || nowMs - this.#silencesStoredMs < STORE_EVERY_MS) return;
    this.#silencesStoredMs = nowMs;
    await this.#answers.store();
  }

  async #freeDue(nowMs: number, tried: Tried): Promise<void> {
    // Asked before they are taken: what is taken and not tried would be forgotten.
    while (this.#mayFree) {
      const due = this.#resting.takeDue(nowMs, BATCH);
      if (due.length === 0) return;
      await Promise.all(due.map((slot) => tried(this.#free(slot))));
    }
  }

  async #takeBackStrays(tried: Tried): Promise<void> {
    const { view } = this.#context;
    for (const networkId of [...view.occupiedNetworks]) {
      for (const address of [...view.occupancy(networkId).strays]) {
        if (!this.#mayAct) return;
        await tried(this.#takeBack(networkId, address));
      }
    }
  }

  get #mayAct(): boolean {
    return this.#context.lease.epoch === this.#epoch;
  }

  get #mayFree(): boolean {
    return this.#mayAct && !this.#context.holdsStill();
  }

  #clear(nowMs: number): void {
    const { networks } = this.#context.view;
    this.#resting.clear(
      (networkId, chainCounter) => clearedBeforeMs(this.#answers.of(networks.get(networkId), chainCounter), nowMs),
      nowMs,
      AT_ONCE,
    );
  }

  async #takeBack(networkId: NetworkId, address: Ipv4): Promise<void> {
    const { store, log } = this.#context;
    const slot = await store.slots.get(networkId, address);
    if (slot?.state !== 'reserved') return;
    const network = await store.networks.get(networkId);
    if (typeof standing(network, slot) === 'string') return;
    await giveBack(this.#context, slot, network, false);
    log.warn('took back a reservation whose subnet is gone', { reservation: slot.reservationId });
  }

  /** Frees one that is due, or puts it off. */
  async #free(resting: RestingSlot): Promise<void> {
    const { clock } = this.#context;
    // If anything goes wrong, and until the watch shows that it is free.
    this.#resting.putOff(resting, clock.now() + EVERY_MS);
    const earliestMs = freeAtMs(this.#context, resting, resting.vouched ?? true);
    if (earliestMs > clock.now()) {
      this.#resting.putOff(resting, earliestMs);
      return;
    }
    const { store, metrics } = this.#context;
    const slot = await store.slots.get(resting.networkId, resting.address);
    if (slot?.reservationId !== resting.reservationId || slot.state !== 'quarantined') return;
    const dueMs = freeAtMs(this.#context, resting, await this.#isVouched(slot, resting));
    if (dueMs > clock.now()) {
      this.#resting.putOff(resting, dueMs, false);
      return;
    }
    if (!(await this.#hasClaimed(resting.networkId)) || !this.#mayFree) return;
    const outcome = await store.slots.free(endedNow(this.#context, slot), slot.revision);
    if (outcome !== 'freed') return;
    this.#noteFreed(slot);
    metrics.count('freed');
  }

  async #isVouched(slot: Slot, { chainSeenMs }: RestingSlot): Promise<boolean> {
    if (!isChainVouched(slot)) return false;
    const { slots, history } = this.#context.store;
    const { networkId, mac, reservationId } = slot;
    const others = await slots.findByMac(networkId, mac);
    if (others.some((each) => each.reservationId !== reservationId)) return false;
    if (chainSeenMs !== undefined) {
      const freedMs = this.#freed.get(`${networkId} ${mac}`) ?? this.#freedKnownFromMs;
      return freedMs < chainSeenMs;
    }
    for (let after: Parameters<typeof history.list>[1]; ; ) {
      const { tenures, next } = await history.list({ networkId, mac }, after, 1);
      if (tenures.some((each) => each.reservationId !== reservationId)) return false;
      if (!next) return true;
      after = next;
    }
  }

  #noteFreed({ networkId, mac }: { readonly networkId: NetworkId; readonly mac: Mac }): void {
    const key = `${networkId} ${mac}`;
    this.#freed.delete(key);
    this.#freed.set(key, this.#context.clock.now());
    if (this.#freed.size <= MAX_FREED) return;
    const [oldest] = this.#freed;
    if (!oldest) return;
    this.#freed.delete(oldest[0]);
    this.#freedKnownFromMs = oldest[1];
  }

  /** Whether the network is this term's to free in; one that is nobody's yet is claimed. */
  async #hasClaimed(networkId: NetworkId): Promise<boolean> {
    const { view, store } = this.#context;
    const network = view.networks.get(networkId);
    if (!network || network.holderEpoch === this.#epoch) return true;
    if (network.holderEpoch > this.#epoch) return false;
    return (await store.networks.put({ ...network, holderEpoch: this.#epoch })) !== 'conflict';
  }
}

/** A resting slot as the view has it; what the store did not say is left out. */
function releasedOf(networkId: NetworkId, { chainCounter, vouched, chainSoFar, ...resting }: Resting): Released {
  return {
    networkId,
    ...resting,
    ...(chainCounter === undefined ? {} : { chainCounter }),
    ...(vouched === undefined ? {} : { vouched }),
    ...(chainSoFar === undefined ? {} : { chainSoFar }),
  };
}
