// Reads a few fields of very many documents, in pieces.

import { setImmediate } from 'node:timers/promises';
import type { ClientSession, Db, Document } from 'mongodb';
import { BsonReader, membersOf } from './bson-reader.js';
import { runForCursor } from './raw-cursor.js';

// Few answers, for each costs a round trip; read in pieces, between which others have a turn: the next answer comes in
// meanwhile, and what was made of a piece is garbage before it is old.
const BATCH = 20_000;
const PIECE = 1_000;

/** Runs a find of some fields and gives its documents in batches. */
export async function* rawScan(
  db: Db,
  session: ClientSession,
  find: Document & { readonly find: string; readonly projection: Document },
): AsyncGenerator<readonly Document[]> {
  const reader = new BsonReader(['_id', ...Object.keys(find.projection)]);
  let cursor = await runForCursor(db, session, { ...find, batchSize: BATCH });
  for (;;) {
    const { id, batch } = cursor;
    // The next batch is on its way while this one is read.
    const more = { getMore: id, collection: find.find, batchSize: BATCH };
    const next = id.isZero() ? undefined : runForCursor(db, session, more);
    next?.catch(() => undefined);
    for (const documents of readDocuments(batch, reader)) {
      yield documents;
      await setImmediate();
    }
    if (!next) return;
    cursor = await next;
  }
}

function* readDocuments(batch: Buffer, reader: BsonReader): Generator<readonly Document[]> {
  let documents: Document[] = [];
  for (const at of membersOf(batch)) {
    documents.push(reader.read(batch, at));
    if (documents.length < PIECE) continue;
    yield documents;
    documents = [];
  }
  if (documents.length > 0) yield documents;
}
