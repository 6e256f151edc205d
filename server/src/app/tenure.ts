// The steps of a reservation's life that more than one use case takes.

import { cidrContains } from '@leasehold/proto/values';
import type { NetworkId } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import type { Resting } from '../domain/occupancy.js';
import { reusableAtMs } from '../domain/reuse.js';
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

/** The slot as it is after its release. `subnet`: where it belongs, for how long it rests. */
export function released(
  context: Pick<Context, 'clock'>,
  slot: Slot,
  subnet: Subnet | undefined,
  by: string,
  vouched: boolean,
  request?: RequestKey,
): Slot {
  return {
    ...slot,
    state: 'quarantined',
    releaseTime: wallTime(context),
    releasedBy: by,
    ...(request ? { releaseRequest: request } : {}),
    vouched,
    ...restOf(subnet),
  };
}

/**
 * Takes back a RESERVED slot that was promised to nobody: released, never deleted, because hosts may have heard of it. It
 * forgets its request, which made nothing.
 */
export async function giveBack(
  context: Pick<Context, 'store' | 'clock'>,
  { request: _, ...slot }: Slot,
  network: Network | undefined,
  by: string,
  vouched: boolean,
): Promise<void> {
  const { slots } = context.store;
  const subnet = network?.subnets.find(({ uid }) => uid === slot.subnetUid);
  const { outcome } = await slots.replace(released(context, slot, subnet, by, vouched));
  if (outcome.kind !== 'conflict') return;
  const now = await slots.get(slot.networkId, slot.address);
  // Whoever else writes it released it or answered it to somebody, and then it stays; all but the sentinel.
  const isOnlyNoted =
    now?.reservationId === slot.reservationId && now.revision === slot.revision + 1 && now.conflict !== undefined;
  if (isOnlyNoted && now.conflict.time !== slot.conflict?.time) {
    await slots.replace(released(context, now, subnet, by, vouched));
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
  const { state: _s, chainCounter: _c, reuseDelayS: _r, leaseTimeCeilingS: _l, revision: _v, ...tenure } = slot;
  return { ...tenure, endTime: wallTime(context) };
}

/** When a quarantined address may go to another MAC, as wall-clock time for people; an estimate that may move. */
export function reusableTime(context: Context, slot: Slot): Date {
  const { view, clock } = context;
  const resting = view.occupancy(slot.networkId).resting.get(slot.address);
  // The watch may not have shown the release yet.
  const rest = resting?.reservationId === slot.reservationId ? resting : { ...slot, seenMs: clock.now() };
  return asWallTime(context, freeAtMs(context, slot.networkId, { ...rest, address: slot.address }));
}

/**
 * When a resting address may go to another MAC: nothing that this server saw before it led shortens its rest. A longer
 * lease time that was set beside its release counts; the one in the slot is what the releaser knew.
 */
export function freeAtMs(
  { lease, view }: Pick<Context, 'lease' | 'view'>,
  networkId: NetworkId,
  resting: Rest & Pick<Resting, 'seenMs' | 'address'>,
): number {
  const subnet = view.networks.get(networkId)?.subnets.find(({ cidr }) => cidrContains(cidr, resting.address));
  return reusableAtMs({
    ...resting,
    leaseTimeCeilingS: Math.max(resting.leaseTimeCeilingS, subnet?.leaseTimeCeilingS ?? 0),
    seenMs: Math.max(resting.seenMs, lease.sinceMs ?? resting.seenMs),
  });
}

/** When the next quarantined address of these subnets may go to another MAC. */
export function nextReusableTime(context: Context, networkId: NetworkId, subnets: readonly Subnet[]): Date | undefined {
  let earliest: number | undefined;
  for (const resting of context.view.occupancy(networkId).resting.values()) {
    if (!inAny(subnets, resting)) continue;
    const atMs = freeAtMs(context, networkId, resting);
    if (earliest === undefined || atMs < earliest) earliest = atMs;
  }
  return earliest === undefined ? undefined : asWallTime(context, earliest);
}

function inAny(subnets: readonly Subnet[], { address }: Resting): boolean {
  return subnets.some(({ cidr }) => cidrContains(cidr, address));
}

function asWallTime({ clock }: Pick<Context, 'clock'>, atMs: number): Date {
  return new Date(clock.wallTime().getTime() + Math.max(0, atMs - clock.now()));
}
