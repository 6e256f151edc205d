// Reads a few fields of very many documents. The driver makes an object of every document, which takes five times as long
// as everything else about it (docs/adr/0013); here whole batches come as bytes, and only what is wanted is taken out.

import { BSON, type ClientSession, type Db, type Document, Long } from 'mongodb';

// A batch is read in one go, some 10 ms.
const BATCH = 20_000;

// https://bsonspec.org/spec.html
const TYPE = { double: 1, string: 2, array: 4, boolean: 8, int32: 16, timestamp: 17, int64: 18 } as const;

/** Runs a find and gives its documents in batches, flat ones of strings, numbers and arrays. */
export async function* rawScan(
  db: Db,
  session: ClientSession,
  find: Document & { readonly find: string },
): AsyncGenerator<readonly Readonly<Record<string, unknown>>[]> {
  let reply = await db.command({ ...find, batchSize: BATCH }, { session, raw: true });
  for (;;) {
    const { id, documents } = readCursor(reply['cursor'] as Buffer);
    // The next batch is on its way while this one is read.
    const next = id.isZero()
      ? undefined
      : db.command({ getMore: id, collection: find.find, batchSize: BATCH }, { session, raw: true });
    next?.catch(() => undefined);
    yield documents;
    if (!next) return;
    reply = await next;
  }
}

function readCursor(cursor: Buffer): { readonly id: Long; readonly documents: Readonly<Record<string, unknown>>[] } {
  let id = Long.ZERO;
  let documents: Readonly<Record<string, unknown>>[] = [];
  for (let at = 4; at < cursor.length - 1; ) {
    const type = cursor[at];
    const end = cursor.indexOf(0, at + 1);
    const value = end + 1;
    switch (type) {
      case TYPE.array:
        documents = readDocuments(cursor, value);
        at = value + cursor.readInt32LE(value);
        break;
      case TYPE.int64:
        id = Long.fromBits(cursor.readInt32LE(value), cursor.readInt32LE(value + 4));
        at = value + 8;
        break;
      case TYPE.string:
        at = value + 4 + cursor.readInt32LE(value);
        break;
      case TYPE.timestamp:
        at = value + 8;
        break;
      case TYPE.boolean:
        at = value + 1;
        break;
      default:
        throw new Error(`A cursor with a field of type ${type}`);
    }
  }
  return { id, documents };
}

function readDocuments(buffer: Buffer, start: number): Readonly<Record<string, unknown>>[] {
  const documents: Readonly<Record<string, unknown>>[] = [];
  const end = start + buffer.readInt32LE(start) - 1;
  for (let at = start + 4; at < end; ) {
    // Type and index: every member is a document.
    at = buffer.indexOf(0, at + 1) + 1;
    documents.push(readDocument(buffer, at));
    at += buffer.readInt32LE(at);
  }
  return documents;
}

function readDocument(buffer: Buffer, start: number): Readonly<Record<string, unknown>> {
  const document: Record<string, unknown> = {};
  const end = start + buffer.readInt32LE(start) - 1;
  for (let at = start + 4; at < end; ) {
    const type = buffer[at];
    const nameEnd = buffer.indexOf(0, at + 1);
    const name = buffer.toString('latin1', at + 1, nameEnd);
    const value = nameEnd + 1;
    switch (type) {
      case TYPE.string: {
        const length = buffer.readInt32LE(value);
        document[name] = buffer.toString('utf8', value + 4, value + 3 + length);
        at = value + 4 + length;
        break;
      }
      case TYPE.int32:
        document[name] = buffer.readInt32LE(value);
        at = value + 4;
        break;
      case TYPE.double:
        document[name] = buffer.readDoubleLE(value);
        at = value + 8;
        break;
      case TYPE.array: {
        const length = buffer.readInt32LE(value);
        document[name] = Object.values(BSON.deserialize(buffer.subarray(value, value + length)));
        at = value + length;
        break;
      }
      default:
        throw new Error(`A document with a field ${name} of type ${type}`);
    }
  }
  return document;
}
