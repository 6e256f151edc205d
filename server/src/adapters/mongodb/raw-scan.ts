// Reads a few fields of very many documents, in pieces.

import { setImmediate } from 'node:timers/promises';
import type { ClientSession, Db, Document } from 'mongodb';
import { membersOf } from './bson-reader.js';
import { runForCursor } from './raw-cursor.js';

// Few answers, for each costs a round trip; read in pieces, between which others have a turn: the next answer comes in
// meanwhile, and what was made of a piece is garbage before it is old.
const BATCH = 20_000;
const PIECE = 1_000;

/** Runs a find and gives what `read` makes of its documents, in batches. */
export async function* rawScan<T>(
  db: Db,
  session: ClientSession,
  find: Document & { readonly find: string },
  read: (batch: Buffer, at: number) => T,
): AsyncGenerator<readonly T[]> {
  let cursor = await runForCursor(db, session, { ...find, batchSize: BATCH });
  for (;;) {
    const { id, batch } = cursor;
    // The next batch is on its way while this one is read.
    const more = { getMore: id, collection: find.find, batchSize: BATCH };
    const next = id.isZero() ? undefined : runForCursor(db, session, more);
    next?.catch(() => undefined);
    for (const piece of piecesOf(batch, read)) {
      yield piece;
      await setImmediate();
    }
    if (!next) return;
    cursor = await next;
  }
}

function* piecesOf<T>(batch: Buffer, read: (batch: Buffer, at: number) => T): Generator<readonly T[]> {
  let piece: T[] = [];
  for (const at of membersOf(batch)) {
    piece.push(read(batch, at));
    if (piece.length < PIECE) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}
