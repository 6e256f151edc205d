// The audit events, and how they are stored with their changes: in one transaction.
//
//   A1. The event is written first and the document last, so that what others write is locked for one round trip.
//   A2. A change whose outcome is not known is known by its event, which carries the mark of its write.

import type { Document } from 'mongodb';
import type { AuditEvent, AuditKey } from '../../domain/audit.js';
import type { AuditFilter, AuditStore } from '../../ports/store.js';
import { auditDocument, readAudit } from './documents.js';
import type { Conversation, Exchange } from './exchange.js';
import { findAll, writeFence } from './read-back.js';

/** Serves the events. */
export function auditStore(exchange: Exchange): AuditStore {
  return {
    list: (filter, after, limit) =>
      exchange.read('list audit', async (talk) => {
        const sort = { time: -1, _id: 1 };
        const found = await findAll(talk, 'audit', toFilter(filter, after), { sort, limit: limit + 1 });
        const events = found.slice(0, limit).map(readAudit);
        return { events, next: found.length > limit ? events.at(-1) : undefined };
      }),
    prune: (before, limit) =>
      exchange.write('prune audit', async (talk) => {
        const filter = { time: { $lt: new Date(before) } };
        const over = await findAll(talk, 'audit', filter, { limit, projection: { _id: 1 } });
        if (over.length === 0) return 0;
        const ids = over.map(({ _id }) => _id as string);
        const { n } = await talk.write({ delete: 'audit', deletes: [{ q: { _id: { $in: ids } }, limit: 0 }] });
        return n;
      }),
  };
}

function toFilter(filter: AuditFilter, after: AuditKey | undefined): Document {
  const { networkId, kind, resourceId, caller, since, until } = filter;
  const conditions: Document[] = [{}];
  if (networkId !== undefined) conditions.push({ network_id: networkId });
  if (kind !== undefined) conditions.push({ kind });
  if (resourceId !== undefined) conditions.push({ resource_id: resourceId });
  if (caller !== undefined) conditions.push({ caller });
  if (since !== undefined) conditions.push({ time: { $gte: new Date(since) } });
  if (until !== undefined) conditions.push({ time: { $lt: new Date(until) } });
  if (after) {
    const time = new Date(after.time);
    conditions.push({ $or: [{ time: { $lt: time } }, { time, _id: { $gt: after.eventId } }] });
  }
  return { $and: conditions };
}

/**
 * Carries out a command that writes one document, with the event of that, and answers whether it did, now or in an earlier
 * attempt. `mark`: of the write, which no other has.
 */
export async function writeAudited(
  talk: Conversation,
  command: Document,
  event: AuditEvent,
  mark: string,
): Promise<boolean> {
  const insert = { insert: 'audit', documents: [auditDocument(event, mark)] };
  return (await talk.writeTogether([insert, command])) || isStored(talk, event, mark);
}

async function isStored(talk: Conversation, { eventId }: AuditEvent, mark: string): Promise<boolean> {
  await writeFence(talk);
  const filter = { _id: eventId, write: mark };
  return (await findAll(talk, 'audit', filter, { limit: 1, projection: { _id: 1 } })).length > 0;
}
