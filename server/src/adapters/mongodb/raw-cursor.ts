// Cursors whose batches come as bytes.

import type { ClientSession, Db, Document, Long } from 'mongodb';
import { BsonReader } from './bson-reader.js';
import { cursorId } from './cursor-id.js';

const READER = new BsonReader(['id', 'ns', 'postBatchResumeToken', '_data'], ['firstBatch', 'nextBatch']);
const EMPTY = Buffer.from([5, 0, 0, 0, 0]);

/** Where a cursor is. */
export interface RawCursor {
  /** 0: it is at its end. */
  readonly id: Long;
  /** An array of documents. */
  readonly batch: Buffer;
  /** Of a change stream, what it can be resumed after. */
  readonly resumeToken: string | undefined;
}

/** Runs a command that opens a cursor or goes on with it. */
export async function runForCursor(db: Db, session: ClientSession, command: Document): Promise<RawCursor> {
  const reply = await db.command(command, { session, raw: true });
  const { id, firstBatch, nextBatch, postBatchResumeToken } = READER.read(reply['cursor'] as Buffer, 0);
  return {
    id: cursorId(id as Long | number),
    batch: (firstBatch ?? nextBatch ?? EMPTY) as Buffer,
    resumeToken: (postBatchResumeToken as { readonly _data: string } | undefined)?._data,
  };
}
