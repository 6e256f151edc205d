// Reads BSON in which nearly all names of fields are known. The driver's own reader makes a string of every name of every
// document anew, which takes longer than everything else about it (docs/adr/0013).
//
//   R1. What is read is what the driver's reader reads: that one takes over where there is a type that this one does not
//       know.

import { BSON, type Document, Long, Timestamp } from 'mongodb';

// https://bsonspec.org/spec.html
const TYPE = {
  double: 1,
  string: 2,
  document: 3,
  array: 4,
  boolean: 8,
  date: 9,
  null: 10,
  int32: 16,
  timestamp: 17,
  int64: 18,
} as const;

const TWO_TO_32 = 2 ** 32;
const EXACT_UP_TO = 2 ** 53;
// An array's names are its indexes.
const INDEXES = Array.from({ length: 10 }, (_, i) => String(i));

interface Name {
  readonly name: string;
  readonly bytes: Buffer;
}

const NO_NAMES: readonly Name[] = [];

/** Reads documents whose fields mostly have certain names, at any depth. */
export class BsonReader {
  /** By length and first letter. */
  readonly #names: (readonly Name[] | undefined)[] = [];
  readonly #asBytes: ReadonlySet<string>;

  /** `asBytes`: which documents and arrays are left as bytes. */
  constructor(names: readonly string[], asBytes: readonly string[] = []) {
    this.#asBytes = new Set(asBytes);
    for (const name of new Set([...names, ...asBytes, ...INDEXES])) {
      const bytes = Buffer.from(name, 'latin1');
      const key = keyOf(bytes.length, bytes[0] ?? 0);
      this.#names[key] = [...(this.#names[key] ?? []), { name, bytes }];
    }
  }

  /** Reads the document that begins there. */
  read(buffer: Buffer, start: number): Document {
    const document: Document = {};
    const end = start + buffer.readInt32LE(start) - 1;
    for (let at = start + 4; at < end; ) {
      const type = buffer[at];
      const nameEnd = endOfName(buffer, at + 1);
      const name = this.#name(buffer, at + 1, nameEnd);
      at = nameEnd + 1;
      let value: unknown;
      switch (type) {
        case TYPE.string: {
          const length = buffer.readInt32LE(at);
          value = buffer.toString('utf8', at + 4, at + 3 + length);
          at += 4 + length;
          break;
        }
        case TYPE.document:
        case TYPE.array: {
          const size = buffer.readInt32LE(at);
          if (this.#asBytes.has(name)) value = buffer.subarray(at, at + size);
          else value = type === TYPE.array ? Object.values(this.read(buffer, at)) : this.read(buffer, at);
          at += size;
          break;
        }
        case TYPE.int32:
          value = buffer.readInt32LE(at);
          at += 4;
          break;
        case TYPE.double:
          value = buffer.readDoubleLE(at);
          at += 8;
          break;
        case TYPE.boolean:
          value = buffer[at] === 1;
          at += 1;
          break;
        case TYPE.null:
          value = null;
          break;
        case TYPE.date:
          value = new Date(buffer.readInt32LE(at + 4) * TWO_TO_32 + buffer.readUInt32LE(at));
          at += 8;
          break;
        case TYPE.int64:
          value = readLong(buffer, at);
          at += 8;
          break;
        case TYPE.timestamp:
          value = new Timestamp({ i: buffer.readUInt32LE(at), t: buffer.readUInt32LE(at + 4) });
          at += 8;
          break;
        default:
          return BSON.deserialize(buffer.subarray(start, end + 1));
      }
      // It must not go round in circles, whatever it is given.
      if (at <= nameEnd) throw new RangeError('A length below 0: this is no BSON');
      // Labels have any names.
      if (name === '__proto__') Object.defineProperty(document, name, { value, enumerable: true });
      else document[name] = value;
    }
    return document;
  }

  #name(buffer: Buffer, start: number, end: number): string {
    for (const { name, bytes } of this.#names[keyOf(end - start, buffer[start] ?? 0)] ?? NO_NAMES) {
      if (isThere(bytes, buffer, start)) return name;
    }
    return buffer.toString('utf8', start, end);
  }
}

/** Where each member of an array of documents begins, in their order. */
export function* membersOf(buffer: Buffer): Generator<number> {
  const end = buffer.readInt32LE(0) - 1;
  for (let at = 4; at < end; ) {
    // Type and index: every member is a document.
    at = endOfName(buffer, at + 1) + 1;
    yield at;
    // No document is shorter than its length and its end: it must not go round in circles, whatever it is given.
    at += Math.max(5, buffer.readInt32LE(at));
  }
}

/** Whether these bytes are there. */
export function isThere(bytes: Buffer, buffer: Buffer, start: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buffer[start + i]) return false;
  return true;
}

/** Where the zero is after a name. */
function endOfName(buffer: Buffer, start: number): number {
  for (let end = start; end < buffer.length; end++) if (buffer[end] === 0) return end;
  throw new RangeError('A name without an end: this is no BSON');
}

function keyOf(length: number, first: number): number {
  return length * 256 + first;
}

// As the driver does: a number where that is exact.
function readLong(buffer: Buffer, at: number): Long | number {
  const long = Long.fromBits(buffer.readInt32LE(at), buffer.readInt32LE(at + 4));
  const number = long.toNumber();
  return Math.abs(number) <= EXACT_UP_TO && Long.fromNumber(number).equals(long) ? number : long;
}
