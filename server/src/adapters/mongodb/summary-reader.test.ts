import type { Ipv4, Mac } from '@leasehold/proto/values';
import fc from 'fast-check';
import { BSON, type Document } from 'mongodb';
import { expect, test } from 'vitest';
import type { NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../../domain/ids.js';
import type { Slot } from '../../domain/slot.js';
import { parseSlotId, readSummary, SUMMARY_FIELDS, slotDocument } from './documents.js';
import { SummaryReader } from './summary-reader.js';

const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const slot: fc.Arbitrary<Slot> = fc.record({
  networkId: fc.constantFrom('a', 'a-b', 'ab', 'net').map((id) => id as NetworkId),
  address: fc.integer({ min: 0, max: 0xffffffff }).map((n) => n as Ipv4),
  state: fc.constantFrom('reserved', 'reserved', 'quarantined'),
  mac: fc.integer({ min: 16, max: 99 }).map((n) => `52:54:00:00:0a:${n}` as Mac),
  reservationId: fc.string({ minLength: 1, maxLength: 150 }).map((id) => id as ReservationId),
  hostname: fc.oneof(fc.constant(''), fc.stringMatching(/^[a-z0-9.-]{1,253}$/), text),
  options: fc.oneof(fc.constant([]), fc.constant([{ code: 224, value: 'x' }])),
  reuseDelayS: fc.constantFrom(0, 60),
  leaseTimeCeilingS: fc.constantFrom(0, 3_600),
  subnetId: fc.constant('s' as SubnetId),
  subnetUid: fc.constantFrom('', 'u', 'uid', 'ü').map((uid) => uid as Uid),
  owner: text,
  labels: fc.constant({}),
  createTime: fc.constant(1 as WallTime),
  createdBy: fc.constant('me'),
  vouched: fc.boolean(),
  chainCounter: fc.nat(),
  revision: fc.constant(1 as Revision),
});

/** A slot's document as a find answers it. */
function projected(from: Document): Document {
  return Object.fromEntries(Object.entries(from).filter(([name]) => name === '_id' || name in SUMMARY_FIELDS));
}

function expectRead(documents: readonly Document[]): void {
  const reader = new SummaryReader();
  for (const document of documents) {
    const { networkId, address } = parseSlotId(document['_id'] as string);
    const bytes = Buffer.concat([Buffer.from('before'), BSON.serialize(document), Buffer.from('after')]);
    const byDriver = BSON.deserialize(bytes.subarray(6, -5));
    expect(reader.read(bytes, 6)).toEqual(readSummary(byDriver, networkId, address));
  }
}

test('reads what the reader of the driver reads, of one network after another', () => {
  fc.assert(
    fc.property(fc.array(slot, { maxLength: 20 }), (slots) => {
      expectRead(slots.map((each) => projected(slotDocument(each))));
    }),
    { numRuns: 300 },
  );
});

test('what was written by hand, with fields in another order and others than are known, is read as well', () => {
  const shuffled = slot.chain((each) => {
    const entries = Object.entries({ ...projected(slotDocument(each)), note: 'by hand' });
    return fc.shuffledSubarray(entries, { minLength: entries.length }).map((some) => Object.fromEntries(some));
  });
  fc.assert(fc.property(fc.array(shuffled, { maxLength: 20 }), expectRead));
});

test('an address in capital letters is read as well', () => {
  const rest = { reservation_id: 'r', subnet_uid: 'u', mac: '52:54:00:00:00:01', state: 'RESERVED' };
  expectRead([
    { _id: 'a 0a00000b', ...rest },
    { _id: 'a 0A00000B', ...rest },
    { _id: 'a 0a00000b', ...rest },
  ]);
});
