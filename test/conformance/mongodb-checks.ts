// What the store on MongoDB must do beyond the contract of every store: how it asks, and what becomes of answers that do
// not come. As a list, so that mutants can be held against it.

import { slotId } from '@leasehold/server/adapters/mongodb/documents';
import { connectMongodb } from '@leasehold/server/adapters/mongodb/mongodb-store';
import type { AuditEvent } from '@leasehold/server/domain/audit';
import type { ReservationId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import type { HolderRecord, HolderStore, Position, Store } from '@leasehold/server/ports/store';
import type { Document, MongoClient, Timestamp } from 'mongodb';
import { expect } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { FailCommand, MongoNode } from '../support/replica-set.js';
import {
  address,
  collect,
  ended,
  eventsOfAllKinds,
  host,
  network,
  networkEvent,
  networkId,
  quarantined,
  reservation,
} from './documents.js';

/** A command as it went to the database, and the time of its answer. */
export interface SentCommand {
  readonly name: string;
  readonly document: Document;
  /** The session, in which commands see each other. */
  readonly session: string;
  repliedAt?: Timestamp;
}

/** Notes what a client asks of its database. */
export class Wire {
  readonly sent: SentCommand[] = [];

  /** Connects as the store does. */
  readonly connect = async (uri: string): Promise<MongoClient> => {
    const client = await connectMongodb(`${uri}&monitorCommands=true`);
    const byId = new Map<number, SentCommand>();
    client.on('commandStarted', ({ requestId, commandName: name, command }) => {
      const lsid = (command as { readonly lsid?: { readonly id?: { toString(): string } } }).lsid;
      const entry: SentCommand = { name, document: command, session: String(lsid?.id) };
      byId.set(requestId, entry);
      this.sent.push(entry);
    });
    client.on('commandSucceeded', ({ requestId, reply }) => {
      const entry = byId.get(requestId);
      const { operationTime } = reply as { readonly operationTime?: Timestamp };
      if (entry && operationTime) entry.repliedAt = operationTime;
    });
    return client;
  };
}

/** Where a check runs. */
export interface MongodbStage {
  readonly store: Store;
  readonly wire: Wire;
  readonly primary: MongoNode;
}

/** One sentence. */
export interface MongodbCheck {
  readonly name: string;
  run(stage: MongodbStage): Promise<void>;
}

/** All of them. */
export const MONGODB_CHECKS: readonly MongodbCheck[] = [...asking(), ...lostReplies(), ...brokenWatches()];

const MAX_TIME_MS_EXPIRED = 50;
const MAJORITY = { w: 'majority', j: true };

function asking(): readonly MongodbCheck[] {
  return [
    {
      name: 'every write waits for a majority that journaled it, and every read sees all that was acknowledged before',
      async run({ store, wire }) {
        wire.sent.length = 0;
        await aLife(store);
        const writes = wire.sent.filter(({ name }) => ['insert', 'update', 'delete'].includes(name));
        const reads = wire.sent.filter(({ name }) => ['find', 'count'].includes(name));
        expect(Math.min(writes.length, reads.length)).toBeGreaterThan(5);
        for (const { document } of writes) expect(document['writeConcern']).toEqual(MAJORITY);
        for (const read of reads) {
          expect(read.document['readConcern']).toMatchObject({ level: 'majority' });
          const acknowledged = latest(wire.sent.slice(0, wire.sent.indexOf(read)));
          const { afterClusterTime } = read.document['readConcern'] as { readonly afterClusterTime?: Timestamp };
          if (acknowledged) expect(afterClusterTime?.compare(acknowledged)).toBeGreaterThanOrEqual(0);
        }
      },
    },
    {
      name: 'history is written before the slot of its tenure is overwritten or deleted',
      async run({ store, wire }) {
        const { slots } = store;
        const rested = await rest(store, 7);
        wire.sent.length = 0;
        await slots.replace({ ...successor(rested), revision: rested.revision }, ended(rested));
        expect(writesOf(wire)).toEqual(['update history', 'update slots']);
        const gone = await rest(store, 8);
        wire.sent.length = 0;
        await slots.free(ended(gone), gone.revision);
        expect(writesOf(wire)).toEqual(['update history', 'delete slots']);
      },
    },
    {
      name: 'what stands in the way of a write that lost is told only after a majority took a write',
      async run({ store: { slots }, wire }) {
        await slots.insert(reservation('red', 7, 1));
        wire.sent.length = 0;
        expect((await slots.insert(reservation('red', 7, 2))).outcome.kind).toBe('taken');
        expectFenced(wire, 'slots');
        wire.sent.length = 0;
        expect((await slots.insert(reservation('red', 8, 1))).outcome.kind).toBe('mac-holds');
        expectFenced(wire, 'slots');
        wire.sent.length = 0;
        await slots.getConfirmed(networkId('red'), address(7));
        expectFenced(wire, 'slots');
        wire.sent.length = 0;
        await slots.findByMac(networkId('red'), reservation('red', 7, 1).mac);
        expectFenced(wire, 'slots');
      },
    },
    {
      name: 'a look at tenures that the database ends, because it takes too long, says so, and opens no breaker',
      async run({ store, primary }) {
        await using _ = await primary.failCommand({ failCommands: ['find'], errorCode: MAX_TIME_MS_EXPIRED });
        for (let n = 0; n < 10; n++) {
          expect(await store.slots.newest({ moment: 'createTime' }, undefined, 9)).toBe('too-long');
          expect(await store.history.newest({ moment: 'releaseTime' }, undefined, 9)).toBe('too-long');
        }
        expect(store.health).toEqual({ breaker: 'closed', unavailableSince: undefined });
      },
    },
    {
      name: 'what a transaction holds that nobody ends cannot be changed with an audit event until then, and opens no breaker',
      async run({ store, wire, primary }) {
        const { networks, audit } = store;
        await networks.put(network('red'));
        await using client = await connectMongodb(`mongodb://${primary.host}/?directConnection=true`);
        await using session = client.startSession();
        session.startTransaction();
        const touch = { q: { _id: 'red' }, u: { $set: { touched: true } } };
        await client.db(databaseOf(wire)).command({ update: 'networks', updates: [touch] }, { session });
        const event = networkEvent('red', 1);
        for (let n = 0; n < 5; n++) expect(await networks.put(network('red', 1), undefined, event)).toBe('conflict');
        expect(store.health.breaker).toBe('closed');
        await session.abortTransaction();
        expect(await networks.put(network('red', 1), undefined, event)).toEqual(network('red', 2));
        expect((await audit.list({}, undefined, 9)).events).toEqual([event]);
      },
    },
    {
      name: 'nothing but an audit event needs a transaction of several documents',
      async run({ store, wire }) {
        wire.sent.length = 0;
        await aLife(store);
        for (const { document } of wire.sent) expect(document).not.toHaveProperty('startTransaction');
      },
    },
    {
      name: 'a change and its audit event are one transaction that a majority journals, the event first',
      async run({ store: { networks }, wire }) {
        await networks.put(network('red'));
        wire.sent.length = 0;
        await networks.put(network('red', 1), undefined, networkEvent('red', 1));
        const together = wire.sent.filter(({ document }) => document['autocommit'] === false);
        expect(together.map(({ name, document }) => `${name} ${document[name] as string}`)).toEqual([
          'insert audit',
          'update networks',
          'commitTransaction 1',
        ]);
        expect(
          new Set(together.map(({ session, document }) => `${session} ${String(document['txnNumber'])}`)).size,
        ).toBe(1);
        expect(together.at(-1)?.document['writeConcern']).toMatchObject(MAJORITY);
      },
    },
  ];
}

/** A bit of everything, one after another. */
async function aLife(store: Store): Promise<void> {
  const { networks, slots, history, hosts } = store;
  const red = await networks.put(network('red'));
  if (typeof red === 'string') throw new Error(red);
  await hosts.put(host('h1'));
  const rested = await rest(store, 7);
  await slots.replace({ ...successor(rested), revision: rested.revision }, ended(rested));
  await slots.insert(reservation('red', 7, 3));
  await slots.get(networkId('red'), address(7));
  await slots.count(networkId('red'), address(0), address(255));
  await slots.list({ networkId: networkId('red') }, undefined, 10);
  await history.get(rested.reservationId);
  await slots.findByMac(networkId('red'), rested.mac);
  const gone = await rest(store, 9);
  await slots.free(ended(gone), gone.revision);
  await history.prune((gone.createTime + 1e9) as never, 10);
  await networks.remove(red);
}

/** A slot that was reserved and released, at the nth address for the nth MAC. */
async function rest({ slots }: Store, n: number): Promise<Slot> {
  await slots.insert(reservation('red', n, n));
  const { outcome } = await slots.replace(quarantined(reservation('red', n, n, 1)));
  if (outcome.kind !== 'replaced') throw new Error(outcome.kind);
  return outcome.slot;
}

/** The reservation that follows one at its address. */
function successor(slot: Slot): Slot {
  const n = slot.address - address(0);
  return { ...reservation('red', n, n), reservationId: `${slot.reservationId}+` as ReservationId };
}

/** The database that the store uses. */
function databaseOf({ sent }: Wire): string {
  return sent.find(({ name }) => name === 'update')?.document['$db'] as string;
}

function latest(sent: readonly SentCommand[]): Timestamp | undefined {
  const times = sent.flatMap(({ repliedAt }) => (repliedAt ? [repliedAt] : []));
  return times.length > 0 ? times.reduce((a, b) => (a.greaterThan(b) ? a : b)) : undefined;
}

function writesOf({ sent }: Wire): readonly string[] {
  return sent
    .filter(({ name }) => ['insert', 'update', 'delete'].includes(name))
    .map(({ name, document }) => `${name} ${document[name] as string}`);
}

/** That the last read of a collection came after a write in the same session that changed something. */
function expectFenced({ sent }: Wire, collection: string): void {
  const read = sent.findLast(({ name, document }) => name === 'find' && document['find'] === collection);
  const before = sent.slice(0, read ? sent.indexOf(read) : 0).filter(({ session }) => session === read?.session);
  expect(before.map(({ name, document }) => [name, document[name] as string])).toContainEqual(['update', 'settings']);
}

/** The next command is carried out, and its answer says that nobody knows. */
const lost = (command: string): FailCommand => ({
  failCommands: [command],
  times: 1,
  writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' },
});

/** The same until disposed. */
const always = ({ times: _, ...each }: FailCommand): FailCommand => each;

function lostReplies(): readonly MongodbCheck[] {
  const unanswered = (name: string, command: string, act: (store: Store) => Promise<() => Promise<void>>) => ({
    name: `${name} whose answer is lost is done once, and answered as done`,
    async run({ store, primary }: MongodbStage) {
      const deed = await act(store);
      await using _ = await primary.failCommand(lost(command));
      await deed();
    },
  });
  return [
    unanswered('an insert', 'insert', async ({ slots }) => async () => {
      const slot = reservation('red', 7, 1);
      const { outcome } = await slots.insert(slot);
      expect(outcome).toEqual({ kind: 'inserted', slot: { ...slot, revision: 1 } });
    }),
    unanswered('a replacement', 'update', async ({ slots }) => {
      await slots.insert(reservation('red', 7, 1));
      return async () => {
        const { outcome } = await slots.replace(quarantined(reservation('red', 7, 1, 1)));
        expect(outcome).toMatchObject({ kind: 'replaced', slot: { revision: 2, state: 'quarantined' } });
      };
    }),
    {
      name: 'a replacement that begins a tenure and whose answer is lost is done once, and answered as done',
      async run({ store, primary }) {
        const { slots, history } = store;
        const rested = await rest(store, 7);
        // The history is written first: the second update is the slot's.
        await using _ = await primary.failCommand({ ...lost('update'), times: 2 });
        const next = { ...successor(rested), revision: rested.revision };
        const { outcome } = await slots.replace(next, ended(rested));
        expect(outcome).toMatchObject({ kind: 'replaced', slot: { reservationId: next.reservationId } });
        expect(await history.get(rested.reservationId)).toEqual(ended(rested));
      },
    },
    {
      name: 'a replacement that began a tenure finds itself, though that was released before its answer came',
      async run({ store, wire, primary }) {
        const { slots } = store;
        const rested = await rest(store, 7);
        const next = { ...successor(rested), revision: rested.revision };
        // The history is written first.
        await using unknown = await primary.failCommand({ ...always(lost('update')), skip: 1 });
        const replaced = slots.replace(next, ended(rested));
        const release = {
          findAndModify: 'slots',
          query: { _id: slotId(rested), revision: rested.revision + 1 },
          update: { $set: { state: 'QUARANTINED', write: 'another' }, $inc: { revision: 1 } },
        };
        const db = databaseOf(wire);
        await eventually('the release of what was written', async () => {
          const { value } = await primary.command(db, release);
          return value !== null;
        });
        await unknown[Symbol.asyncDispose]();
        const { outcome } = await replaced;
        expect(outcome).toMatchObject({ kind: 'replaced', slot: { reservationId: next.reservationId } });
      },
    },
    {
      name: 'a write that a majority may not have is repeated, and not answered',
      async run({ store: { slots }, wire, primary }) {
        await using unknown = await primary.failCommand(always(lost('insert')));
        let isAnswered = false;
        const inserted = slots.insert(reservation('red', 7, 1)).finally(() => {
          isAnswered = true;
        });
        await eventually('a repetition', async () => wire.sent.filter(({ name }) => name === 'insert').length > 1);
        expect(isAnswered).toBe(false);
        await unknown[Symbol.asyncDispose]();
        expect((await inserted).outcome.kind).toBe('inserted');
      },
    },
    unanswered('a removal of a slot', 'delete', async (store) => {
      const rested = await rest(store, 7);
      return async () => {
        expect(await store.slots.free(ended(rested), rested.revision)).toBe('freed');
        expect(await store.slots.get(networkId('red'), address(7))).toBeUndefined();
        expect(await store.history.get(rested.reservationId)).toEqual(ended(rested));
      };
    }),
    unanswered('a new network', 'insert', async ({ networks }) => async () => {
      expect(await networks.put(network('red'))).toEqual(network('red', 1));
    }),
    unanswered('a change of a network', 'update', async ({ networks }) => {
      await networks.put(network('red'));
      return async () => {
        expect(await networks.put(network('red', 1))).toEqual(network('red', 2));
      };
    }),
    unanswered('a removal of a network', 'delete', async ({ networks }) => {
      await networks.put(network('red'));
      return async () => {
        expect(await networks.remove(network('red', 1))).toBe('removed');
      };
    }),
    unanswered('a new network with its audit event', 'commitTransaction', async ({ networks, audit }) => async () => {
      expect(await networks.put(network('red'), undefined, networkEvent('red'))).toEqual(network('red', 1));
      expect((await audit.list({}, undefined, 9)).events).toEqual([networkEvent('red')]);
    }),
    unanswered('a change of a network with its audit event', 'commitTransaction', async ({ networks, audit }) => {
      await networks.put(network('red'));
      return async () => {
        const event = networkEvent('red', 1);
        expect(await networks.put(network('red', 1), undefined, event)).toEqual(network('red', 2));
        expect((await audit.list({}, undefined, 9)).events).toEqual([event]);
      };
    }),
    unanswered('the end of a host with its audit event', 'commitTransaction', async ({ hosts, audit }) => {
      await hosts.put(host('h1'));
      const event = eventsOfAllKinds()[4] as AuditEvent;
      return async () => {
        expect(await hosts.remove(host('h1', 1), event)).toBe('removed');
        expect((await audit.list({}, undefined, 9)).events).toEqual([event]);
      };
    }),
    {
      name: 'a change with its audit event whose connection breaks under way is made once',
      async run({ store: { networks, audit }, primary }) {
        await networks.put(network('red'));
        for (const [i, command] of ['insert', 'update', 'commitTransaction'].entries()) {
          await using _ = await primary.failCommand({ failCommands: [command], times: 1, closeConnection: true });
          const event = networkEvent('red', i + 1);
          expect(await networks.put(network('red', i + 1), undefined, event)).toEqual(network('red', i + 2));
          expect((await audit.list({}, undefined, 1)).events).toEqual([event]);
        }
        expect((await audit.list({}, undefined, 9)).events).toHaveLength(3);
      },
    },
    unanswered('the taking of the lead', 'insert', async ({ holder }) => async () => {
      const record = await (holder as HolderStore).take(undefined, LEADER);
      expect(record).toMatchObject({ instance: 'i1', epoch: 1 });
    }),
  ];
}

const LEADER: Omit<HolderRecord, 'epoch' | 'beat'> = {
  instance: 'i1',
  server: 's1',
  advertise: '127.0.0.1:7067',
  agentAdvertise: '127.0.0.1:7069',
};

// No position of a store is later.
const LAST_POSITION = 'FF' as Position;

function brokenWatches(): readonly MongodbCheck[] {
  return [
    {
      name: 'a follower whose stream breaks hears every change once, in order',
      async run({ store, primary }) {
        const { slots } = store;
        const snapshot = await store.snapshot();
        await snapshot.close();
        const heard: number[] = [];
        store.follow(snapshot.position, {
          changed(changes) {
            for (const change of changes) if (change.kind === 'slot') heard.push(change.slot.address - address(0));
          },
          lost: (reason) => expect.fail(reason),
        });
        const inserted: number[] = [];
        for (let n = 0; n < 40; n++) {
          const isBroken = n % 10 === 5;
          // The stream breaks while it waits, and while it has something to tell.
          await using _ = isBroken
            ? await primary.failCommand({ failCommands: ['getMore'], times: 1, closeConnection: true })
            : undefined;
          await slots.insert(reservation('red', n, n));
          inserted.push(n);
          if (isBroken) await eventually('the stream is open again', async () => heard.length >= inserted.length);
        }
        await eventually('all changes', async () => heard.length >= inserted.length);
        expect(heard).toEqual(inserted);
        expect((await collect(store.changesAfter(snapshot.position))).flat()).toHaveLength(inserted.length);
      },
    },
    {
      name: 'changes that a follower heard are read also where they come late: they are waited for',
      async run({ store }) {
        const snapshot = await store.snapshot();
        await snapshot.close();
        const changes = store.changesAfter(snapshot.position, LAST_POSITION)[Symbol.asyncIterator]();
        expect((await changes.next()).value).toEqual([]);
        await store.slots.insert(reservation('red', 1, 1));
        let some = await changes.next();
        while (!some.done && some.value.length === 0) some = await changes.next();
        expect(some.value).toMatchObject([{ kind: 'slot', slot: { address: address(1) } }]);
        await changes.return?.();
      },
    },
  ];
}
