// The history: ended tenures by id, and by address, MAC or owner, newest first.

import type { Document } from 'mongodb';
import type { HistoryFilter, HistoryKey, HistoryStore } from '../../ports/store.js';
import { readEnded } from './documents.js';
import type { Exchange } from './exchange.js';
import { byMoment, unlessTooLong } from './moments.js';
import { findAll } from './read-back.js';

/** Serves the history. */
export function historyStore(exchange: Exchange): HistoryStore {
  return {
    get: (reservationId) =>
      exchange.read('get history', async (talk) => {
        const [document] = await findAll(talk, 'history', { _id: reservationId }, { limit: 1 });
        return document && readEnded(document);
      }),
    list: (filter, after, limit) =>
      exchange.read('list history', async (talk) => {
        const sort = { create_time: -1, _id: 1 };
        const found = await findAll(talk, 'history', toFilter(filter, after), { sort, limit: limit + 1 });
        const tenures = found.slice(0, limit).map(readEnded);
        return { tenures, next: found.length > limit ? tenures.at(-1) : undefined };
      }),
    newest: (filter, after, limit) =>
      exchange.read('newest history', async (talk) => {
        const wanted = byMoment(filter, after, '_id', limit + 1);
        const found = await unlessTooLong(findAll(talk, 'history', wanted.filter, wanted.more));
        if (found === 'too-long') return found;
        const tenures = found.slice(0, limit).map(readEnded);
        const last = found.length > limit ? tenures.at(-1) : undefined;
        const time = last?.[filter.moment];
        return { tenures, next: last && time !== undefined ? { time, reservationId: last.reservationId } : undefined };
      }),
    prune: (endedBefore, limit) =>
      exchange.write('prune history', async (talk) => {
        const filter = { end_time: { $lt: new Date(endedBefore) } };
        const over = await findAll(talk, 'history', filter, { limit, projection: { _id: 1 } });
        if (over.length === 0) return 0;
        const ids = over.map(({ _id }) => _id as string);
        const { n } = await talk.write({ delete: 'history', deletes: [{ q: { _id: { $in: ids } }, limit: 0 }] });
        return n;
      }),
  };
}

function toFilter(filter: HistoryFilter, after: HistoryKey | undefined): Document {
  const { place, mac, owner, networkId, endedAfter, createdBefore } = filter;
  const conditions: Document[] = [];
  if (place) conditions.push({ subnet_id: place.subnetId, address: place.address });
  if (mac !== undefined) conditions.push({ mac });
  if (owner !== undefined) conditions.push({ owner });
  if (networkId !== undefined) conditions.push({ network_id: networkId });
  if (endedAfter !== undefined) conditions.push({ end_time: { $gt: new Date(endedAfter) } });
  if (createdBefore !== undefined) conditions.push({ create_time: { $lt: new Date(createdBefore) } });
  if (after) {
    const time = new Date(after.createTime);
    const sameTime = { create_time: time, _id: { $gt: after.reservationId } };
    conditions.push({ $or: [{ create_time: { $lt: time } }, sameTime] });
  }
  return { $and: conditions };
}
