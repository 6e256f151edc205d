// When a released slot may be free, and who holds that up: for who asks, and for whoever frees it. An estimate moves when a
// host goes or comes back; what is cleared is free at its time.

import { cidrContains } from '@leasehold/proto/values';
import type { HostId, NetworkId } from '../domain/ids.js';
import type { Subnet } from '../domain/network.js';
import type { RestingSlot, RestingSlots } from '../domain/resting-slots.js';
import { blocking, type HostAnswer, reuseAtMs } from '../domain/reuse.js';
import { isChainVouched, type Slot } from '../domain/slot.js';
import type { Context, ReuseEstimate, ReuseEstimates } from './context.js';
import type { HostAnswers } from './host-answers.js';

/** When a slot that is cleared is free. A longer lease time that was set beside its release counts. */
export function freeAtMs(
  { view }: Pick<Context, 'view'>,
  resting: RestingSlot,
  vouched: boolean,
  clearedMs = resting.clearedMs ?? Number.POSITIVE_INFINITY,
): number {
  const { networkId, address, seenMs, reuseDelayS } = resting;
  const subnet = view.networks.get(networkId)?.subnets.find(({ cidr }) => cidrContains(cidr, address));
  const leaseTimeCeilingS = Math.max(resting.leaseTimeCeilingS, subnet?.leaseTimeCeilingS ?? 0);
  return reuseAtMs({ seenMs, clearedMs, vouched, reuseDelayS, leaseTimeCeilingS });
}

/** Estimates, during one term of leading. */
export class Estimator implements ReuseEstimates {
  readonly #context: Pick<Context, 'view' | 'clock'>;
  readonly #answers: Pick<HostAnswers, 'of'>;
  readonly #resting: Pick<RestingSlots, 'get' | 'of'>;

  constructor(
    context: Pick<Context, 'view' | 'clock'>,
    answers: Pick<HostAnswers, 'of'>,
    resting: Pick<RestingSlots, 'get' | 'of'>,
  ) {
    this.#context = context;
    this.#answers = answers;
    this.#resting = resting;
  }

  /** When a slot may be free, and who holds that up. */
  estimate(slot: Slot): ReuseEstimate {
    const { clock, view } = this.#context;
    const known = this.#resting.get(slot.networkId, slot.address);
    // The watch may not have shown the release yet.
    const resting: RestingSlot =
      known?.reservationId === slot.reservationId
        ? known
        : { ...slot, seenMs: clock.now(), chainSeenMs: undefined, clearedMs: undefined };
    const isVouched = isChainVouched(slot) && resting.vouched !== false;
    const answers = this.#answers.of(view.networks.get(slot.networkId), slot.chainCounter);
    return this.#estimate(resting, isVouched, answers);
  }

  #estimate(resting: RestingSlot, vouched: boolean, answers: readonly HostAnswer[]): ReuseEstimate {
    const nowMs = this.#context.clock.now();
    if (resting.clearedMs !== undefined) return { atMs: freeAtMs(this.#context, resting, vouched), blockedBy: [] };
    const blockers = blocking(resting.seenMs, answers, nowMs);
    // A host that is there takes it in within milliseconds.
    const silenced = blockers.map(({ silencedMs }) => (silencedMs === Number.POSITIVE_INFINITY ? nowMs : silencedMs));
    const blockedBy = [...new Set<HostId>(blockers.map(({ hostId }) => hostId))].sort();
    return { atMs: freeAtMs(this.#context, resting, vouched, Math.max(nowMs, ...silenced)), blockedBy };
  }

  /** When the next slot of these subnets may be free; undefined: none rests. */
  nextMs(networkId: NetworkId, subnets: readonly Subnet[]): number | undefined {
    const answersOf = new Map<number, readonly HostAnswer[]>();
    let earliestMs: number | undefined;
    for (const resting of this.#resting.of(networkId)) {
      const { address, chainCounter, vouched } = resting;
      if (!subnets.some(({ cidr }) => cidrContains(cidr, address))) continue;
      const network = this.#context.view.networks.get(networkId);
      const answers = answersOf.get(chainCounter) ?? this.#answers.of(network, chainCounter);
      answersOf.set(chainCounter, answers);
      const { atMs } = this.#estimate(resting, vouched === true, answers);
      if (earliestMs === undefined || atMs < earliestMs) earliestMs = atMs;
    }
    return earliestMs;
  }
}
