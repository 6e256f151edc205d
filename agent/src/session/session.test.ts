import type { HeartbeatAck, SessionResponse, Welcome } from '@leasehold/proto/ipam/v1/session';
import { describe, expect, test } from 'vitest';
import { compareEpochs, Session, type StoreIdentity } from './session.js';

const EPOCH = { holderEpoch: 3n, counter: 7n };
const KNOWN: StoreIdentity = { storeUid: 'store-1', incarnation: 2n, highestEpoch: EPOCH };

function welcome(override: Partial<Welcome> = {}): SessionResponse {
  const value: Welcome = {
    sessionEpoch: EPOCH,
    heartbeatInterval: { seconds: 1n, nanos: 500_000_000 },
    authority: { seconds: 60n, nanos: 0 },
    storeUid: 'store-1',
    incarnation: 2n,
    reconnectSpread: undefined,
    ...override,
  };
  return { message: { $case: 'welcome', value } };
}

function ack(sequence: bigint, more: Partial<HeartbeatAck> = {}): SessionResponse {
  const value = {
    sessionEpoch: EPOCH,
    sequence,
    placements: [],
    heartbeatInterval: undefined,
    reconnectSpread: undefined,
  };
  return { message: { $case: 'heartbeatAck', value: { ...value, ...more } } };
}

function delivery(sequence: bigint, sessionEpoch = EPOCH): SessionResponse {
  const action = { $case: 'unassignment' as const, value: {} };
  const value = { sessionEpoch, sequence, networkId: 'red', placementEpoch: 1n, action };
  return { message: { $case: 'delivery', value } };
}

function open(known?: StoreIdentity): Session {
  const session = new Session(known, 100);
  session.receive(welcome());
  session.adopted();
  return session;
}

const closed = (reason: string) => [{ kind: 'close', reason }];

describe('welcome', () => {
  test('is adopted first, then opens the session and acknowledges the hello', () => {
    const session = new Session(undefined, 100);
    const identity = { storeUid: 'store-1', incarnation: 2n, highestEpoch: EPOCH };
    expect(session.receive(welcome())).toEqual([{ kind: 'adopt', identity, dropTables: undefined }]);
    expect(session.receive(delivery(1n))).toEqual([]);
    expect(session.terms).toBeUndefined();
    const terms = { epoch: EPOCH, intervalMs: 1_500, authorityMs: 60_000, spreadMs: 0 };
    expect(session.adopted()).toMatchObject([
      { kind: 'opened', terms },
      { kind: 'acknowledged', sentMs: 100, placements: [] },
      { kind: 'deliver', delivery: { sequence: 1n } },
    ]);
    expect(session.terms).toEqual(terms);
  });

  test.each([
    [
      'a lower holder epoch',
      { sessionEpoch: { holderEpoch: 2n, counter: 99n } },
      'Server began session 2/99, 3/7 was seen: it lost the lead, or its store is an old copy',
    ],
    [
      'a lower counter',
      { sessionEpoch: { holderEpoch: 3n, counter: 6n } },
      'Server began session 3/6, 3/7 was seen: it lost the lead, or its store is an old copy',
    ],
    [
      'an older incarnation',
      { incarnation: 1n, sessionEpoch: { holderEpoch: 9n, counter: 9n } },
      'Server has incarnation 1 of the store, 2 was seen',
    ],
  ])('of %s is refused', (_, override, reason) => {
    expect(new Session(KNOWN, 0).receive(welcome(override))).toEqual(closed(reason));
  });

  test.each([
    ['the highest epoch itself', {}, undefined],
    ['a higher holder epoch', { sessionEpoch: { holderEpoch: 4n, counter: 0n } }, undefined],
    [
      'a lower epoch of a newer incarnation',
      { incarnation: 3n, sessionEpoch: { holderEpoch: 1n, counter: 1n } },
      'Store has a new incarnation: 3 after 2',
    ],
    [
      'a lower epoch of another store',
      { storeUid: 'store-2', incarnation: 1n, sessionEpoch: { holderEpoch: 1n, counter: 1n } },
      'Server has another store: store-2, not store-1',
    ],
  ])('of %s is adopted', (_, override, dropTables) => {
    expect(new Session(KNOWN, 0).receive(welcome(override))).toMatchObject([{ kind: 'adopt', dropTables }]);
  });

  test.each([
    ['epoch', { sessionEpoch: undefined }],
    ['interval', { heartbeatInterval: undefined }],
    ['authority', { authority: { seconds: 0n, nanos: 0 } }],
    ['store', { storeUid: '' }],
  ])('without %s ends the session', (_, override) => {
    const reason = 'Welcome lacks its epoch, interval, authority or store';
    expect(new Session(undefined, 0).receive(welcome(override))).toEqual(closed(reason));
  });

  test.each([
    ['Heartbeat interval of 99 ms dictated', { heartbeatInterval: { seconds: 0n, nanos: 99_000_000 } }],
    ['Heartbeat interval of 3601000 ms dictated', { heartbeatInterval: { seconds: 3_601n, nanos: 0 } }],
    ['Reconnect spread of -1000 ms dictated', { reconnectSpread: { seconds: -1n, nanos: 0 } }],
    ['Reconnect spread of 3601000 ms dictated', { reconnectSpread: { seconds: 3_601n, nanos: 0 } }],
    ['Authority of 604801000 ms dictated', { authority: { seconds: 604_801n, nanos: 0 } }],
  ])('out of bounds ends the session: %s', (reason, override) => {
    expect(new Session(undefined, 0).receive(welcome(override))).toEqual(closed(reason));
  });

  test('comes first and once', () => {
    expect(new Session(undefined, 0).receive(delivery(1n))).toEqual(closed('Server spoke before its welcome'));
    expect(open().receive(welcome())).toEqual(closed('Server welcomed twice'));
  });
});

describe('heartbeats', () => {
  test('are numbered from 1, and each acknowledgement tells its send', () => {
    const session = open();
    expect([session.nextHeartbeat(1_100), session.nextHeartbeat(2_100), session.nextHeartbeat(3_100)]).toEqual([
      1n,
      2n,
      3n,
    ]);
    expect(session.receive(ack(2n))).toMatchObject([{ kind: 'acknowledged', sentMs: 2_100 }]);
    expect(session.nextHeartbeat(4_100)).toBe(4n);
    expect(session.receive(ack(4n))).toMatchObject([{ kind: 'acknowledged', sentMs: 4_100 }]);
  });

  test('one that was acknowledged by a later one is not acknowledged again', () => {
    const session = open();
    session.nextHeartbeat(1_100);
    session.nextHeartbeat(2_100);
    session.receive(ack(2n));
    expect(session.receive(ack(1n))).toEqual([]);
  });

  test('an acknowledgement dictates interval and spread anew, and what it leaves out stays', () => {
    const session = open();
    for (const sentMs of [1, 2, 3]) session.nextHeartbeat(sentMs);
    const terms = { epoch: EPOCH, intervalMs: 4_000, authorityMs: 60_000, spreadMs: 0 };
    const slower = ack(1n, { heartbeatInterval: { seconds: 4n, nanos: 0 } });
    expect(session.receive(slower)).toMatchObject([{ kind: 'paced', terms }, { kind: 'acknowledged' }]);
    expect(session.terms).toEqual(terms);
    expect(session.receive(ack(2n))).toMatchObject([{ kind: 'acknowledged' }]);
    session.receive(ack(3n, { reconnectSpread: { seconds: 7n, nanos: 0 } }));
    expect(session.terms).toEqual({ ...terms, spreadMs: 7_000 });
  });

  test('what an older acknowledgement dictates does not undo a newer one', () => {
    const session = open();
    for (const sentMs of [1, 2]) session.nextHeartbeat(sentMs);
    session.receive(ack(2n, { heartbeatInterval: { seconds: 4n, nanos: 0 } }));
    expect(session.receive(ack(1n, { heartbeatInterval: { seconds: 2n, nanos: 0 } }))).toEqual([]);
    expect(session.terms?.intervalMs).toBe(4_000);
    expect(session.acknowledgedSequence).toBe(2n);
  });

  test('an acknowledgement of one that was never sent ends the session', () => {
    expect(open().receive(ack(1n))).toEqual(closed('Heartbeat acknowledged that was never sent'));
  });

  test('an acknowledgement of another session ends it', () => {
    const other = { holderEpoch: 3n, counter: 8n };
    expect(open().receive(ack(0n, { sessionEpoch: other }))).toEqual(
      closed('Heartbeat acknowledged for another session'),
    );
  });
});

describe('deliveries', () => {
  test('are passed on in their order', () => {
    const session = open();
    expect([...session.receive(delivery(1n)), ...session.receive(delivery(2n))]).toMatchObject([
      { kind: 'deliver', delivery: { sequence: 1n } },
      { kind: 'deliver', delivery: { sequence: 2n } },
    ]);
  });

  test.each([2n, 0n])('a gap or a repetition ends the session (%s)', (sequence) => {
    expect(open().receive(delivery(sequence))).toEqual(closed(`Delivery ${sequence} came after 0`));
  });

  test('of another session end it, and nothing after is acted upon', () => {
    const session = open();
    const other = { holderEpoch: 2n, counter: 7n };
    expect(session.receive(delivery(1n, other))).toEqual(closed('Delivery of another session'));
    expect(session.receive(delivery(1n))).toEqual([]);
  });

  test('a message of a newer kind is passed over', () => {
    const session = open();
    expect(session.receive({ message: undefined })).toEqual([]);
    expect(session.receive(delivery(1n))).toHaveLength(1);
  });
});

test('epochs compare by holder epoch, then by counter', () => {
  const epoch = (holderEpoch: bigint, counter: bigint) => ({ holderEpoch, counter });
  expect(compareEpochs(epoch(2n, 1n), epoch(1n, 9n))).toBeGreaterThan(0);
  expect(compareEpochs(epoch(1n, 1n), epoch(1n, 2n))).toBeLessThan(0);
  expect(compareEpochs(epoch(1n, 2n), epoch(1n, 2n))).toBe(0);
});
