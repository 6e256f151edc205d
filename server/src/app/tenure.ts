// The steps of a reservation's life that more than one use case takes.

import type { HostId, NetworkId } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import type { EndedTenure, RequestKey, Slot } from '../domain/slot.js';
import { OutcomeUnknownError, StoreUnavailableError } from '../ports/store.js';
import { type Context, wallTime } from './context.js';

/** How long a released address rests. */
export type Rest = Pick<Slot, 'reuseDelayS' | 'leaseTimeCeilingS'>;

// A released slot whose subnet cannot be read any more rests as long as any subnet could ask for.
const LONGEST_REST: Rest = { reuseDelayS: 7 * 86_400, leaseTimeCeilingS: 7 * 86_400 };

/** How long a released address of a subnet rests; `undefined`: nobody knows its subnet any more. */
export function restOf(subnet: Subnet | undefined): Rest {
  if (!subnet) return LONGEST_REST;
  const { reuseDelayS, leaseTimeCeilingS } = subnet;
  return { reuseDelayS, leaseTimeCeilingS };
}

/** The slot as it is after its release. `subnet`: where it belongs, for how long it rests. `by` undefined: by nobody. */
export function released(
  context: Pick<Context, 'clock'>,
  slot: Slot,
  subnet: Subnet | undefined,
  by: string | undefined,
  vouched: boolean,
  request?: RequestKey,
): Slot {
  return {
    ...slot,
    state: 'quarantined',
    releaseTime: wallTime(context),
    ...(by === undefined ? {} : { releasedBy: by }),
    ...(request ? { releaseRequest: request } : {}),
    vouched,
    ...restOf(subnet),
    // By counters of which network it was made nobody knows either: a network that is made again may count from 1.
    ...(subnet ? {} : { chainCounter: 0 }),
  };
}

/**
 * Takes back a RESERVED slot that was promised to nobody: released, never deleted, because hosts may have heard of it. It
 * forgets its request, which made nothing, and names nobody who released it: the audit has neither.
 */
export async function giveBack(
  context: Pick<Context, 'store' | 'clock'>,
  { request: _, ...slot }: Slot,
  network: Network | undefined,
  vouched: boolean,
): Promise<void> {
  const { slots } = context.store;
  const subnet = network?.subnets.find(({ uid }) => uid === slot.subnetUid);
  const { outcome } = await slots.replace(released(context, slot, subnet, undefined, vouched));
  if (outcome.kind !== 'conflict') return;
  const now = await slots.get(slot.networkId, slot.address);
  // Whoever else writes it released it or answered it to somebody, and then it stays; all but the sentinel.
  const isOnlyNoted =
    now?.reservationId === slot.reservationId && now.revision === slot.revision + 1 && now.conflict !== undefined;
  if (isOnlyNoted && now.conflict.time !== slot.conflict?.time) {
    await slots.replace(released(context, now, subnet, undefined, vouched));
  }
}

/** What follows an acknowledged write of the same request: that the store is away does not say that nothing was done. */
export async function afterWrite<T>(next: Promise<T>): Promise<T> {
  try {
    return await next;
  } catch (error) {
    if (error instanceof StoreUnavailableError) throw new OutcomeUnknownError(error.message, { cause: error });
    throw error;
  }
}

/** The tenure of a slot as it goes into history. */
export function endedNow(context: Pick<Context, 'clock'>, slot: Slot): EndedTenure {
  const { state: _s, chainCounter: _c, chainSoFar: _f, reuseDelayS: _r, leaseTimeCeilingS: _l, ...kept } = slot;
  const { revision: _v, ...tenure } = kept;
  return { ...tenure, endTime: wallTime(context) };
}

/** When a quarantined address may go to another MAC, an estimate that may move, and who holds that up. */
export interface Reuse {
  readonly time: Date;
  readonly blockedByHostIds: readonly HostId[];
}

/** The same of one slot; undefined where this server does not lead, and does not know. */
export function reuseOf(context: Pick<Context, 'reuse' | 'clock'>, slot: Slot): Reuse | undefined {
  const estimate = context.reuse()?.estimate(slot);
  return estimate && { time: asWallTime(context, estimate.atMs), blockedByHostIds: estimate.blockedBy };
}

/** When the next quarantined address of these subnets may go to another MAC; undefined: none does, or it is not known. */
export function nextReusableTime(
  context: Pick<Context, 'reuse' | 'clock'>,
  networkId: NetworkId,
  subnets: readonly Subnet[],
): Date | undefined {
  const nextMs = context.reuse()?.nextMs(networkId, subnets);
  return nextMs === undefined ? undefined : asWallTime(context, nextMs);
}

function asWallTime({ clock }: Pick<Context, 'clock'>, atMs: number): Date {
  return new Date(clock.wallTime().getTime() + Math.max(0, atMs - clock.now()));
}
