// Reads a few fields of very many documents. The driver makes an object of every document, which takes five times as long
// as everything else about it (docs/adr/0013); here whole batches come as bytes, and only what is wanted is taken out.

import { setImmediate } from 'node:timers/promises';
import { BSON, type ClientSession, type Db, type Document, Long } from 'mongodb';

// Few answers, for each costs a round trip; read in pieces, between which others have a turn: the next answer comes in
// meanwhile, and what was made of a piece is garbage before it is old.
const BATCH = 20_000;
const PIECE = 1_000;

// https://bsonspec.org/spec.html
const TYPE = { double: 1, string: 2, array: 4, boolean: 8, int32: 16, timestamp: 17, int64: 18 } as const;

type Fields = Readonly<Record<string, unknown>>;

/** Runs a find of some fields and gives its documents in batches, flat ones of strings, numbers and arrays. */
export async function* rawScan(
  db: Db,
  session: ClientSession,
  find: Document & { readonly find: string; readonly projection: Document },
): AsyncGenerator<readonly Fields[]> {
  const names = new Names(Object.keys(find.projection));
  let reply = await db.command({ ...find, batchSize: BATCH }, { session, raw: true });
  for (;;) {
    const cursor = reply['cursor'] as Buffer;
    const { id, documentsAt } = readCursor(cursor);
    // The next batch is on its way while this one is read.
    const next = id.isZero()
      ? undefined
      : db.command({ getMore: id, collection: find.find, batchSize: BATCH }, { session, raw: true });
    next?.catch(() => undefined);
    for (const documents of readDocuments(cursor, documentsAt, names)) {
      yield documents;
      await setImmediate();
    }
    if (!next) return;
    reply = await next;
  }
}

function readCursor(cursor: Buffer): { readonly id: Long; readonly documentsAt: number } {
  let id = Long.ZERO;
  let documentsAt = 0;
  for (let at = 4; at < cursor.length - 1; ) {
    const type = cursor[at];
    const end = cursor.indexOf(0, at + 1);
    const value = end + 1;
    switch (type) {
      case TYPE.array:
        documentsAt = value;
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
  return { id, documentsAt };
}

/** Names of fields by their length and first letter, which takes a tenth of the time of making a string of each. */
class Names {
  readonly #names = new Map<number, string>();

  /** `projected`: which may come, beside `_id`. */
  constructor(projected: readonly string[]) {
    for (const name of ['_id', ...projected]) {
      const key = keyOf(name.length, name.charCodeAt(0));
      if (this.#names.has(key)) throw new Error(`${name} looks like ${this.#names.get(key)}`);
      this.#names.set(key, name);
    }
  }

  /** The name that lies there. */
  at(buffer: Buffer, start: number, end: number): string {
    const name = this.#names.get(keyOf(end - start, buffer[start] ?? 0));
    if (name === undefined) throw new Error(`A field ${buffer.toString('latin1', start, end)} that was not asked for`);
    return name;
  }
}

function keyOf(length: number, first: number): number {
  return length * 256 + first;
}

function* readDocuments(buffer: Buffer, start: number, names: Names): Generator<readonly Fields[]> {
  let documents: Fields[] = [];
  const end = start + buffer.readInt32LE(start) - 1;
  for (let at = start + 4; at < end; ) {
    // Type and index: every member is a document.
    at = endOfName(buffer, at + 1) + 1;
    documents.push(readDocument(buffer, at, names));
    at += buffer.readInt32LE(at);
    if (documents.length < PIECE) continue;
    yield documents;
    documents = [];
  }
  if (documents.length > 0) yield documents;
}

/** Where the zero is after a name. */
function endOfName(buffer: Buffer, start: number): number {
  let end = start;
  while (buffer[end] !== 0) end++;
  return end;
}

function readDocument(buffer: Buffer, start: number, names: Names): Fields {
  const document: Record<string, unknown> = {};
  const end = start + buffer.readInt32LE(start) - 1;
  for (let at = start + 4; at < end; ) {
    const type = buffer[at];
    const nameEnd = endOfName(buffer, at + 1);
    const name = names.at(buffer, at + 1, nameEnd);
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
