// Tenures by one of their moments: which fit, and the newest of many.

import { setImmediate } from 'node:timers/promises';
import type { Slot, Tenure } from '../../domain/slot.js';
import type { MomentFilter, MomentKey } from '../../ports/store.js';

/** Whether a moment of a tenure came, and fits. */
export function isOfMoment(tenure: Tenure, { moment, networkId, caller, since, until }: MomentFilter): boolean {
  const time = tenure[moment];
  const by = moment === 'createTime' ? tenure.createdBy : tenure.releasedBy;
  return (
    time !== undefined &&
    (networkId === undefined || tenure.networkId === networkId) &&
    (caller === undefined || by === caller) &&
    (since === undefined || time >= since) &&
    (until === undefined || time < until)
  );
}

/**
 * The first `limit` of many slots in the order of a moment, after a key: never more than twice as many are held.
 * `too-long`: nobody waits for it any more.
 */
export async function newestOf(
  batches: Iterable<readonly Slot[]>,
  filter: MomentFilter,
  after: MomentKey | undefined,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<readonly Slot[] | 'too-long'> {
  const { moment } = filter;
  const inOrder = (a: Slot, b: Slot) => compare(keyOf(a, moment), keyOf(b, moment));
  let found: Slot[] = [];
  for (const batch of batches) {
    for (const slot of batch) {
      if (isOfMoment(slot, filter) && (!after || compare(after, keyOf(slot, moment)) < 0)) found.push(slot);
    }
    if (found.length > limit) found = found.sort(inOrder).slice(0, limit);
    await setImmediate();
    if (signal?.aborted) return 'too-long';
  }
  return found.sort(inOrder).slice(0, limit);
}

function keyOf(slot: Slot, moment: MomentFilter['moment']): MomentKey {
  return { time: slot[moment] ?? slot.createTime, reservationId: slot.reservationId };
}

function compare(a: MomentKey, b: MomentKey): number {
  if (a.time !== b.time) return b.time - a.time;
  return a.reservationId < b.reservationId ? -1 : a.reservationId > b.reservationId ? 1 : 0;
}
