// The history of an embedded store: ended tenures by id, and by address, MAC or owner, newest first.

import { setImmediate } from 'node:timers/promises';
import type { EndedTenure } from '../../domain/slot.js';
import type { HistoryFilter, HistoryStore, MomentFilter, MomentKey, MomentPage } from '../../ports/store.js';
import type { GroupCommit } from './group-commit.js';
import {
  endedRange,
  type HistoryPrefix,
  historyPrefix,
  historyRange,
  parseEndKey,
  parseHistoryKey,
  timeInHistoryKey,
} from './keys.js';
import { isOfMoment } from './moments.js';
import type { Tables } from './tables.js';
import type { Tenures } from './tenures.js';

// A filter that fits few must not hold the event loop, nor a call, for all that a MAC ever had.
const LOOKED_AT = 5_000;
const LOOKED_AT_ONCE = 500;

/** Serves the history. */
export function historyStore(tables: Tables, commit: GroupCommit, tenures: Tenures): HistoryStore {
  return {
    async get(reservationId) {
      commit.check();
      return tenures.ended(reservationId, 'durable');
    },
    async list(filter, after, limit) {
      const prefix = prefixOf(filter);
      const found: EndedTenure[] = [];
      let last = after;
      for (let lookedAt = 0; lookedAt < LOOKED_AT; lookedAt += LOOKED_AT_ONCE) {
        commit.check();
        const { start, end } = historyRange(prefix, last && { ...last, time: last.createTime });
        const keys = Array.from(tables.past.range(LOOKED_AT_ONCE, start, end), ({ key }) =>
          parseHistoryKey(key, prefix),
        );
        for (const reservationId of keys) {
          const tenure = tenures.ended(reservationId, 'durable');
          if (!tenure) continue;
          last = tenure;
          if (fits(tenure, filter)) found.push(tenure);
          if (found.length === limit) return { tenures: found, next: last };
        }
        if (keys.length < LOOKED_AT_ONCE) return { tenures: found, next: undefined };
        await setImmediate();
      }
      return { tenures: found, next: last };
    },
    newest: (filter, after, limit) => newest(tables, commit, tenures, filter, after, limit),
    prune: (endedBefore, limit) =>
      commit.submit(() => {
        const { start, end } = endedRange(endedBefore);
        const ids = Array.from(tables.past.range(limit, start, end), ({ key }) => parseEndKey(key));
        const over = ids.map((id) => tenures.ended(id, 'get')).filter((tenure) => tenure !== undefined);
        for (const ended of over) tenures.forget(ended);
        return over.length;
      }),
  };
}

async function newest(
  { past }: Tables,
  commit: GroupCommit,
  tenures: Tenures,
  filter: MomentFilter,
  after: MomentKey | undefined,
  limit: number,
): Promise<MomentPage> {
  const prefix = historyPrefix.moment(filter.moment);
  const found: EndedTenure[] = [];
  let last = after;
  for (let lookedAt = 0; lookedAt < LOOKED_AT; lookedAt += LOOKED_AT_ONCE) {
    commit.check();
    const { start, end } = historyRange(prefix, last, filter.until);
    const keys = Array.from(past.range(LOOKED_AT_ONCE, start, end), ({ key }) => key);
    for (const key of keys) {
      last = { time: timeInHistoryKey(key, prefix), reservationId: parseHistoryKey(key, prefix) };
      if (filter.since !== undefined && last.time < filter.since) return { tenures: found, next: undefined };
      const tenure = tenures.ended(last.reservationId, 'durable');
      if (tenure && isOfMoment(tenure, filter)) found.push(tenure);
      if (found.length === limit) return { tenures: found, next: last };
    }
    if (keys.length < LOOKED_AT_ONCE) return { tenures: found, next: undefined };
    await setImmediate();
  }
  return { tenures: found, next: last };
}

function prefixOf({ place, mac, owner }: HistoryFilter): HistoryPrefix {
  if (place) return historyPrefix.place(place.subnetId, place.address);
  if (mac !== undefined) return historyPrefix.mac(mac);
  if (owner !== undefined) return historyPrefix.owner(owner);
  throw new Error('History is listed by an address, a MAC or an owner');
}

function fits(tenure: EndedTenure, filter: HistoryFilter): boolean {
  const { mac, owner, networkId, endedAfter, createdBefore } = filter;
  return (
    (mac === undefined || tenure.mac === mac) &&
    (owner === undefined || tenure.owner === owner) &&
    (networkId === undefined || tenure.networkId === networkId) &&
    (endedAfter === undefined || tenure.endTime > endedAfter) &&
    (createdBefore === undefined || tenure.createTime < createdBefore)
  );
}
