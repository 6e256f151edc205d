// The steps of a reservation's life that more than one use case takes.

import { cidrContains, type Ipv4 } from '@leasehold/proto/values';
import type { NetworkId } from '../domain/ids.js';
import type { Subnet } from '../domain/network.js';
import type { Resting } from '../domain/occupancy.js';
import { reusableAtMs } from '../domain/reuse.js';
import type { EndedTenure, RequestKey, Slot } from '../domain/slot.js';
import { type Context, wallTime } from './context.js';

// A released slot whose subnet cannot be read any more rests as long as any subnet could ask for.
const LONGEST_REST = { reuseDelayS: 7 * 86_400, leaseTimeCeilingS: 7 * 86_400 };

/** The slot as it is after its release. `subnet`: where it belongs, for how long it rests. */
export function released(
  context: Pick<Context, 'clock'>,
  slot: Slot,
  subnet: Subnet | undefined,
  by: string,
  vouched: boolean,
  request?: RequestKey,
): Slot {
  const { reuseDelayS, leaseTimeCeilingS } = subnet ?? LONGEST_REST;
  return {
    ...slot,
    state: 'quarantined',
    releaseTime: wallTime(context),
    releasedBy: by,
    ...(request ? { releaseRequest: request } : {}),
    vouched,
    reuseDelayS,
    leaseTimeCeilingS,
  };
}

/** The tenure of a slot as it goes into history. */
export function endedNow(context: Pick<Context, 'clock'>, slot: Slot): EndedTenure {
  const { state: _s, chainCounter: _c, reuseDelayS: _r, leaseTimeCeilingS: _l, revision: _v, ...tenure } = slot;
  return { ...tenure, endTime: wallTime(context) };
}

/** When a quarantined address may go to another MAC, as wall-clock time for people; an estimate that may move. */
export function reusableTime(
  context: Context,
  slot: { readonly networkId: NetworkId; readonly address: Ipv4 },
): Date | undefined {
  const resting = context.view.occupancy(slot.networkId).resting.get(slot.address);
  return resting && asWallTime(context, reusableAtMs(resting));
}

/** When the next quarantined address of these subnets may go to another MAC. */
export function nextReusableTime(context: Context, networkId: NetworkId, subnets: readonly Subnet[]): Date | undefined {
  let earliest: number | undefined;
  for (const resting of context.view.occupancy(networkId).resting.values()) {
    if (!inAny(subnets, resting)) continue;
    const atMs = reusableAtMs(resting);
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
