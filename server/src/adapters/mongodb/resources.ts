// Networks and hosts: single documents, changed by compare-and-set of their revision.
//
//   N1. A write that is repeated because its outcome is not known recognises its own document by its mark (`write`).
//   N2. The writer has its answer after this process saw the change, or after a second: then the watch is behind, and
//       others must not wait for it.

import type { Document } from 'mongodb';
import type { AuditEvent } from '../../domain/audit.js';
import type { HostId, Incarnation, NetworkId, Revision } from '../../domain/ids.js';
import type { HostStore, NetworkStore } from '../../ports/store.js';
import { writeAudited } from './audit.js';
import type { ChangeFeeds } from './change-feed.js';
import { hostDocument, networkDocument, readHost, readNetwork } from './documents.js';
import type { Conversation, Exchange } from './exchange.js';
import { findAll } from './read-back.js';

/** What networks and hosts are served with. */
export interface ResourceParts {
  readonly exchange: Exchange;
  readonly feeds: ChangeFeeds;
  /** A mark that no other write has. */
  readonly newMark: () => string;
}

type Collection = 'networks' | 'hosts';
type Put = 'written' | 'conflict' | 'duplicate';

/** Serves the networks. */
export function networkStore(parts: ResourceParts): NetworkStore {
  const { exchange, newMark } = parts;
  return {
    get: (networkId) => getOne(exchange, 'networks', { _id: networkId }, readNetwork),
    findBySubnet: (subnetId) => getOne(exchange, 'networks', { 'subnets.subnet_id': subnetId }, readNetwork),
    async put(network, { uid } = network, event) {
      const written = { ...network, revision: (network.revision + 1) as Revision };
      const document = networkDocument(written, newMark());
      const outcome = await put(parts, 'networks', document, { uid, revision: network.revision }, event);
      if (outcome === 'duplicate') return 'subnet-taken';
      return outcome === 'written' ? written : 'conflict';
    },
    remove: ({ networkId, ...was }) => remove(parts, 'networks', networkId, was),
  };
}

/** Serves the hosts. */
export function hostStore(parts: ResourceParts): HostStore {
  const { exchange, newMark } = parts;
  return {
    get: (hostId) => getOne(exchange, 'hosts', { _id: hostId }, readHost),
    async put(host, event) {
      const written = { ...host, revision: (host.revision + 1) as Revision };
      const outcome = await put(parts, 'hosts', hostDocument(written, newMark()), host, event);
      return outcome === 'written' ? written : 'conflict';
    },
    remove: ({ hostId, ...was }, event) => remove(parts, 'hosts', hostId, was, event),
  };
}

function getOne<T>(
  exchange: Exchange,
  collection: Collection,
  filter: Document,
  read: (document: Document) => T,
): Promise<T | undefined> {
  return exchange.read(`get ${collection}`, async (talk) => {
    const [document] = await findAll(talk, collection, filter, { limit: 1 });
    return document && read(document);
  });
}

async function put(
  { exchange, feeds }: ResourceParts,
  collection: Collection,
  document: Document,
  was: Incarnation,
  event: AuditEvent | undefined,
): Promise<Put> {
  const id = document['_id'] as string;
  const seen = feeds.expect(collection, id, document['write'] as string);
  try {
    const outcome = await exchange.write(`put ${collection}`, (talk) => {
      if (event) return putAudited(talk, collection, document, was, event);
      return was.revision === 0 ? insertOne(talk, collection, document) : replaceOne(talk, collection, document, was);
    });
    if (outcome === 'written') await seen.wait();
    return outcome;
  } finally {
    seen.forget();
  }
}

async function putAudited(
  talk: Conversation,
  collection: Collection,
  document: Document,
  { uid, revision }: Incarnation,
  event: AuditEvent,
): Promise<Put> {
  const q = { _id: document['_id'] as string, uid, revision };
  const command =
    revision === 0
      ? { insert: collection, documents: [document] }
      : { update: collection, updates: [{ q, u: document }] };
  if (await writeAudited(talk, command, event, document['write'] as string)) return 'written';
  return (await isTaken(talk, collection, document)) ? 'duplicate' : 'conflict';
}

/** Whether another network has a subnet of this one. */
async function isTaken(talk: Conversation, collection: Collection, document: Document): Promise<boolean> {
  const ids = ((document['subnets'] as readonly Document[] | undefined) ?? []).map(
    (each) => each['subnet_id'] as string,
  );
  if (collection !== 'networks' || ids.length === 0) return false;
  const filter = { _id: { $ne: document['_id'] as string }, 'subnets.subnet_id': { $in: ids } };
  return (await findAll(talk, collection, filter, { limit: 1, projection: { _id: 1 } })).length > 0;
}

async function insertOne(talk: Conversation, collection: Collection, document: Document): Promise<Put> {
  const { writeErrors } = await talk.write({ insert: collection, documents: [document] });
  if (!writeErrors?.[0]) return 'written';
  const isOther = writeErrors[0].keyPattern?.['_id'] === undefined;
  return isOther ? 'duplicate' : ownOr(talk, collection, document, 'conflict');
}

async function replaceOne(
  talk: Conversation,
  collection: Collection,
  document: Document,
  { uid, revision }: Incarnation,
): Promise<Put> {
  const updates = [{ q: { _id: document['_id'] as string, uid, revision }, u: document }];
  const { n, writeErrors } = await talk.write({ update: collection, updates });
  if (writeErrors?.[0]) return 'duplicate';
  return n === 1 ? 'written' : ownOr(talk, collection, document, 'conflict');
}

/** Whether an earlier attempt of this very write is what is there. */
async function ownOr(talk: Conversation, collection: Collection, document: Document, otherwise: Put): Promise<Put> {
  const projection = { write: 1 };
  const [there] = await findAll(talk, collection, { _id: document['_id'] as string }, { limit: 1, projection });
  return there?.['write'] === document['write'] ? 'written' : otherwise;
}

async function remove(
  { exchange, feeds, newMark }: ResourceParts,
  collection: Collection,
  id: NetworkId | HostId,
  { uid, revision }: Incarnation,
  event?: AuditEvent,
): Promise<'removed' | 'conflict'> {
  const seen = feeds.expect(collection, id, undefined);
  try {
    const mark = newMark();
    const command = { delete: collection, deletes: [{ q: { _id: id, uid, revision }, limit: 1 }] };
    const outcome = await exchange.write(`remove ${collection}`, async (talk, attempt) => {
      if (event) return (await writeAudited(talk, command, event, mark)) ? 'removed' : 'conflict';
      const { n } = await talk.write(command);
      if (n === 1) return 'removed';
      // An earlier attempt may have done it.
      const [there] = await findAll(talk, collection, { _id: id }, { limit: 1, projection: { uid: 1 } });
      return attempt > 1 && there?.['uid'] !== uid ? 'removed' : 'conflict';
    });
    if (outcome === 'removed') await seen.wait();
    return outcome;
  } finally {
    seen.forget();
  }
}
