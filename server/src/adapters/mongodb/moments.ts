// Tenures by one of their moments, as MongoDB finds and sorts them.

import { type Document, MongoServerError } from 'mongodb';
import type { TenureMoment } from '../../domain/audit.js';
import type { MomentFilter, MomentKey } from '../../ports/store.js';

// Of slots no index helps. Less than a connection is waited for: the database ends it, and whoever asked is told.
const WITHIN_MS = 4_000;
const MAX_TIME_MS_EXPIRED = 50;

const FIELDS = {
  createTime: { time: 'create_time', by: 'created_by' },
  releaseTime: { time: 'release_time', by: 'released_by' },
} as const satisfies Record<TenureMoment, { readonly time: string; readonly by: string }>;

/** What a find by a moment came to. That it took too long is no failure of the database: others are answered. */
export async function unlessTooLong<T>(find: Promise<T>): Promise<T | 'too-long'> {
  try {
    return await find;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === MAX_TIME_MS_EXPIRED) return 'too-long';
    throw error;
  }
}

/** The rest of a find of the first `limit` tenures that fit, in the order of a moment. `id`: where the reservation id is. */
export function byMoment(
  { moment, networkId, caller, since, until }: MomentFilter,
  after: MomentKey | undefined,
  id: '_id' | 'reservation_id',
  limit: number,
): { readonly filter: Document; readonly more: Document } {
  const { time, by } = FIELDS[moment];
  const conditions: Document[] = [{ [time]: { $exists: true } }];
  if (networkId !== undefined) conditions.push({ network_id: networkId });
  if (caller !== undefined) conditions.push({ [by]: caller });
  if (since !== undefined) conditions.push({ [time]: { $gte: new Date(since) } });
  if (until !== undefined) conditions.push({ [time]: { $lt: new Date(until) } });
  if (after) {
    const at = new Date(after.time);
    conditions.push({ [time]: { $lte: at } });
    conditions.push({ $or: [{ [time]: { $lt: at } }, { [id]: { $gt: after.reservationId } }] });
  }
  return { filter: { $and: conditions }, more: { sort: { [time]: -1, [id]: 1 }, limit, maxTimeMS: WITHIN_MS } };
}
