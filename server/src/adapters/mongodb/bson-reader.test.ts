import fc from 'fast-check';
import { BSON, type Document, Long, ObjectId, Timestamp } from 'mongodb';
import { expect, test } from 'vitest';
import { BsonReader, membersOf } from './bson-reader.js';

const KNOWN = ['mac', 'max', 'address', '_id', 'labels'];

const name = fc.oneof(
  fc.constantFrom(...KNOWN, 'mad', 'may', '__proto__', 'constructor', '0', '12'),
  fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.includes('\0')),
);
const leaf = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => Long.fromBigInt(value)),
  fc.constantFrom(2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n)).map((value) => Long.fromBigInt(value)),
  fc.record({ t: fc.nat(), i: fc.nat() }).map((value) => new Timestamp(value)),
);
const { document } = fc.letrec<{ value: unknown; document: Document }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('value'), { maxLength: 12 }), tie('document')),
  document: fc.dictionary(name, tie('value'), { maxKeys: 8 }),
}));
const reader = new BsonReader(KNOWN);

function bytesOf(value: Document): Buffer {
  return Buffer.from(BSON.serialize(value));
}

test('reads what the reader of the driver reads', () => {
  fc.assert(
    fc.property(document, (written) => {
      const bytes = bytesOf(written);
      const read = reader.read(bytes, 0);
      const byDriver = BSON.deserialize(bytes);
      expect(read).toEqual(byDriver);
      expect(bytesOf(read)).toEqual(bytesOf(byDriver));
    }),
    { numRuns: 300 },
  );
});

test('what it does not know the driver reads', () => {
  const bytes = bytesOf({ _id: new ObjectId(), mac: /a/, labels: { a: new ObjectId() }, address: 1 });
  expect(reader.read(bytes, 0)).toStrictEqual(BSON.deserialize(bytes));
});

test('reads a document in the midst of others', () => {
  const bytes = bytesOf({ batch: [{ mac: 'a' }, { mac: 'b', max: 1 }, {}] });
  const { batch } = new BsonReader(KNOWN, ['batch']).read(bytes, 0) as { batch: Buffer };
  expect([...membersOf(batch)].map((at) => reader.read(batch, at))).toEqual([{ mac: 'a' }, { mac: 'b', max: 1 }, {}]);
});
