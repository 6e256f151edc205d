import type { Delivery } from '@leasehold/proto/ipam/v1/session';
import { describe, expect, test } from 'vitest';
import { assignmentOf, digestOf, entryOf } from '../../../test/fakes/scripted-server.js';
import { Replica } from './replica.js';

type Action = NonNullable<Delivery['action']>;

const ASSIGNMENT = assignmentOf('u1');
const ENTRIES = [entryOf(10), entryOf(11)];
const EMPTY = Buffer.alloc(0);

function deliver(replica: Replica, action: Delivery['action'], placementEpoch = 1n) {
  return replica.deliver({ sessionEpoch: undefined, sequence: 1n, networkId: 'red', placementEpoch, action });
}

const assignment = (value = ASSIGNMENT): Action => ({ $case: 'assignment', value });
const begin = (entries: number): Action => ({ $case: 'snapshotBegin', value: { entries: BigInt(entries) } });
const part = (entries = ENTRIES): Action => ({ $case: 'snapshotPart', value: { entries } });
const end = (digest: Buffer): Action => ({ $case: 'snapshotEnd', value: { digest } });
const delta = (put = [entryOf(12)], remove: { address: string; reservationId: string }[] = []): Action => ({
  $case: 'tableDelta',
  value: { put, remove },
});
const CONFIRMATION: Action = { $case: 'tableConfirmation', value: {} };

function snapshot(replica: Replica, entries = ENTRIES, of = ASSIGNMENT) {
  deliver(replica, begin(entries.length));
  for (const entry of entries) deliver(replica, part([entry]));
  return deliver(replica, end(digestOf(of, entries)));
}

/** A replica that was whole in an earlier session. */
function restored(): Replica {
  const replica = new Replica('red', 'u1', 1n);
  deliver(replica, assignment());
  snapshot(replica);
  replica.beginSession();
  return replica;
}

const addresses = (replica: Replica) => [...replica.table.entries()].map(({ address }) => address);

describe('a snapshot', () => {
  test('replaces the table at its end, when the digest of subnets and entries is the announced one', () => {
    const replica = new Replica('red', 'u1', 1n);
    expect(deliver(replica, assignment())).toEqual({ kind: 'waiting' });
    expect(deliver(replica, begin(2))).toEqual({ kind: 'waiting' });
    expect(deliver(replica, part())).toEqual({ kind: 'waiting' });
    expect(addresses(replica)).toEqual([]);
    expect(replica.digest()).toEqual(EMPTY);
    expect(deliver(replica, end(digestOf(ASSIGNMENT, ENTRIES)))).toEqual({ kind: 'applied', disk: 'image' });
    expect(addresses(replica)).toEqual(['10.0.0.10', '10.0.0.11']);
    expect(replica.digest()).toEqual(digestOf(ASSIGNMENT, ENTRIES));
    expect(replica.confirmed).toBe(true);
  });

  test.each([
    ['another digest', 2, ENTRIES, Buffer.alloc(32)],
    ['the digest of other subnets', 2, ENTRIES, digestOf(assignmentOf('u1', 9), ENTRIES)],
    ['fewer entries than announced', 3, ENTRIES, digestOf(ASSIGNMENT, ENTRIES)],
  ])('with %s is dropped whole', (_, announced, entries, digest) => {
    const replica = restored();
    deliver(replica, begin(announced));
    deliver(replica, part([...entries]));
    expect(deliver(replica, end(digest))).toMatchObject({ kind: 'refused' });
    expect(addresses(replica)).toEqual(['10.0.0.10', '10.0.0.11']);
    expect(replica.confirmed).toBe(false);
    expect(replica.digest()).toEqual(EMPTY);
  });

  test('with an entry that does not parse is refused, though its digest is right', () => {
    const replica = restored();
    const entries = [{ ...entryOf(10), mac: 'ff:ff:ff:ff:ff:ff' }];
    expect(snapshot(replica, entries)).toMatchObject({ kind: 'refused' });
    expect(addresses(replica)).toEqual(['10.0.0.10', '10.0.0.11']);
  });

  test('with more entries than announced is refused before they are kept', () => {
    const replica = restored();
    deliver(replica, begin(1));
    expect(deliver(replica, part())).toMatchObject({ kind: 'refused' });
  });

  test('that begins anew forgets the one before', () => {
    const replica = restored();
    deliver(replica, begin(2));
    deliver(replica, part());
    expect(snapshot(replica, [entryOf(20)])).toEqual({ kind: 'applied', disk: 'image' });
    expect(addresses(replica)).toEqual(['10.0.0.20']);
  });

  test('brings its subnets with it: until its end the old ones stay with the old entries', () => {
    const replica = restored();
    const other = assignmentOf('u1', 9);
    expect(deliver(replica, assignment(other))).toEqual({ kind: 'waiting' });
    expect(replica.table.assignment).toEqual(ASSIGNMENT);
    const entries = [{ ...entryOf(20), address: '10.0.9.20' }];
    expect(snapshot(replica, entries, other)).toEqual({ kind: 'applied', disk: 'image' });
    expect(replica.table.assignment).toEqual(other);
    expect(replica.digest()).toEqual(digestOf(other, entries));
  });

  test.each([
    ['a part', part()],
    ['an end', end(digestOf(ASSIGNMENT, ENTRIES))],
  ])('%s without a beginning is refused', (_, action) => {
    expect(deliver(restored(), action)).toMatchObject({ kind: 'refused' });
  });

  test('of a network that was not assigned is refused', () => {
    expect(deliver(new Replica('red', 'u1', 1n), begin(0))).toMatchObject({ kind: 'refused' });
  });
});

describe('a delta', () => {
  test('is applied to a table that is confirmed', () => {
    const replica = restored();
    deliver(replica, CONFIRMATION);
    const remove = [{ address: '10.0.0.10', reservationId: 'r10' }];
    expect(deliver(replica, delta([entryOf(12)], remove))).toEqual({ kind: 'applied', disk: 'append' });
    expect(addresses(replica)).toEqual(['10.0.0.11', '10.0.0.12']);
  });

  test('is refused before the table is confirmed in this session', () => {
    const replica = restored();
    expect(deliver(replica, delta())).toMatchObject({ kind: 'refused' });
    expect(addresses(replica)).toEqual(['10.0.0.10', '10.0.0.11']);
  });

  test('in the middle of a snapshot is refused', () => {
    const replica = restored();
    deliver(replica, CONFIRMATION);
    deliver(replica, begin(2));
    expect(deliver(replica, delta())).toMatchObject({ kind: 'refused' });
    expect(deliver(replica, part())).toMatchObject({ kind: 'refused' });
  });

  test('that does not parse breaks the chain until a snapshot mends it', () => {
    const replica = restored();
    deliver(replica, CONFIRMATION);
    expect(deliver(replica, delta([{ ...entryOf(12), address: '10.0.0.012' }]))).toMatchObject({ kind: 'refused' });
    expect(deliver(replica, delta())).toMatchObject({ kind: 'refused' });
    expect(deliver(replica, CONFIRMATION)).toMatchObject({ kind: 'refused' });
    expect(replica.digest()).toEqual(EMPTY);
    expect(snapshot(replica)).toEqual({ kind: 'applied', disk: 'image' });
    expect(deliver(replica, delta())).toEqual({ kind: 'applied', disk: 'append' });
  });
});

describe('a confirmation', () => {
  test('confirms the table of the hello, and needs nothing on the disk', () => {
    const replica = restored();
    expect(replica.confirmed).toBe(false);
    expect(deliver(replica, CONFIRMATION)).toEqual({ kind: 'applied', disk: 'nothing' });
    expect(replica.confirmed).toBe(true);
  });

  test('of a network without a table is refused', () => {
    const replica = new Replica('red', 'u1', 1n);
    replica.beginSession();
    deliver(replica, assignment());
    expect(deliver(replica, CONFIRMATION)).toMatchObject({ kind: 'refused' });
  });

  test('after the table changed is refused: the hello had another one', () => {
    const replica = restored();
    snapshot(replica, [entryOf(20)]);
    expect(deliver(replica, CONFIRMATION)).toMatchObject({ kind: 'refused' });
  });

  test('after other subnets is refused: the hello had another table', () => {
    const replica = restored();
    deliver(replica, assignment(assignmentOf('u1', 9)));
    expect(deliver(replica, CONFIRMATION)).toMatchObject({ kind: 'refused' });
  });

  test('after the same subnets confirms', () => {
    const replica = restored();
    deliver(replica, assignment());
    expect(deliver(replica, CONFIRMATION)).toEqual({ kind: 'applied', disk: 'nothing' });
  });

  test('of a raised placement epoch is written', () => {
    const replica = restored();
    deliver(replica, assignment(), 2n);
    expect(deliver(replica, CONFIRMATION, 2n)).toEqual({ kind: 'applied', disk: 'append' });
  });
});

describe('an assignment', () => {
  test('of a confirmed table replaces the subnets and keeps the entries', () => {
    const replica = restored();
    deliver(replica, CONFIRMATION);
    const other = assignmentOf('u1', 9);
    expect(deliver(replica, assignment(other))).toEqual({ kind: 'applied', disk: 'append' });
    expect(replica.digest()).toEqual(digestOf(other, ENTRIES));
  });

  test('that does not parse is refused', () => {
    const replica = restored();
    const bad = { ...ASSIGNMENT, serviceAddress: '10.0.0.1' };
    expect(deliver(replica, assignment(bad))).toMatchObject({ kind: 'refused' });
    expect(replica.table.assignment).toEqual(ASSIGNMENT);
  });
});

test('the placement epoch never decreases', () => {
  const replica = restored();
  deliver(replica, CONFIRMATION, 5n);
  expect(deliver(replica, delta(), 4n)).toMatchObject({ kind: 'refused' });
  expect(replica.placementEpoch).toBe(5n);
  expect(replica.confirmed).toBe(true);
  expect(addresses(replica)).toEqual(['10.0.0.10', '10.0.0.11']);
});

test('a delivery of a kind that a newer server knows breaks the chain: what it did is not known', () => {
  const replica = restored();
  deliver(replica, CONFIRMATION);
  expect(deliver(replica, undefined)).toMatchObject({ kind: 'refused' });
  expect(replica.confirmed).toBe(false);
});
