// What a server does not start on, and what it says to do; and what it waits for.

import { randomBytes } from 'node:crypto';
import { systemClock } from '@leasehold/program/system-clock';
import { opossumBreaker } from '@leasehold/server/adapters/breaker/opossum-breaker';
import { connectMongodb } from '@leasehold/server/adapters/mongodb/mongodb-store';
import { openStore } from '@leasehold/server/open-store';
import { NO_METRICS } from '@leasehold/server/ports/metrics';
import { type Db, MongoClient } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { MemoryLog } from '../fakes/memory-log.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { startStandalone } from '../support/replica-set.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import { mongodbPlace } from './mongodb-place.js';

async function open(uri: string, log = new MemoryLog()): Promise<void> {
  const store = await openStore(
    { kind: 'mongodb', uri },
    {
      clock: systemClock(),
      entropy: { random: Math.random, bytes: (length) => randomBytes(length) },
      log,
      metrics: NO_METRICS,
      makeBreaker: opossumBreaker,
      authorityMs: undefined,
      onFatal: () => undefined,
    },
  );
  await store.close();
}

/** Changes a database as `change` says. */
async function changed(uri: string, change: (db: Db) => Promise<unknown>): Promise<void> {
  await using client = new MongoClient(uri);
  await change(client.db());
}

describe.skipIf(!(await hasMongod()))('a server does not start on', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  const settings = (db: Db) => db.collection<{ _id: string }>('settings');

  test.each<readonly [string, (db: Db) => Promise<unknown>, RegExp]>([
    [
      'a database of another program',
      (db) => db.collection('orders').insertOne({}),
      /is not Leasehold's, it has a collection orders: name another/,
    ],
    [
      'settings of another product',
      (db) => settings(db).insertOne({ _id: 'settings' }),
      /is another program's: name another/,
    ],
  ])('%s', async (_, change, told) => {
    const uri = mongo.freshUri();
    await changed(uri, change);
    await expect(open(uri)).rejects.toThrow(told);
    await changed(uri, async (db) => {
      // Nothing was made there.
      expect((await db.listCollections().toArray()).length).toBe(1);
    });
  });

  test.each<readonly [string, (db: Db) => Promise<unknown>, RegExp]>([
    [
      'a newer schema',
      (db) => settings(db).updateOne({ _id: 'settings' }, { $set: { schema: 99 } }),
      /written by a newer leasehold-server \(schema 99, this one knows \d+\): run that one/,
    ],
    [
      'an import that did not finish',
      (db) => settings(db).updateOne({ _id: 'settings' }, { $set: { importing: true } }),
      /import that did not finish/,
    ],
    [
      'a missing unique index',
      (db) => db.collection('slots').dropIndex('mac_reserved'),
      /index mac_reserved of .*slots is missing: stop every server, and run db\.slots\.createIndex\(\{"network_id":1,/,
    ],
    [
      'a missing index',
      (db) => db.collection('slots').dropIndex('owner'),
      /index owner of .*slots is missing: run db\.slots\.createIndex\(/,
    ],
    [
      'an index that is not unique any more',
      async (db) => {
        await db.collection('slots').dropIndex('requests');
        await db.collection('slots').createIndex({ request_keys: 1 }, { name: 'requests' });
      },
      /index requests of .*slots is not what it should be: db\.slots\.dropIndex\('requests'\), and run/,
    ],
  ])('%s', async (_, change, told) => {
    const uri = mongo.freshUri();
    await open(uri);
    await changed(uri, change);
    await expect(open(uri)).rejects.toThrow(told);
  });

  test('a missing index, until what it says to run was run', async () => {
    const uri = mongo.freshUri();
    await open(uri);
    await changed(uri, (db) => db.collection('slots').dropIndex('mac_reserved'));
    const message = await open(uri).catch(String);
    const [, key = '', options = ''] = /createIndex\((\{.*?\}), (\{.*\})\)/.exec(String(message)) ?? [];
    await changed(uri, (db) =>
      db.collection('slots').createIndex(JSON.parse(key) as never, JSON.parse(options) as never),
    );
    await expect(open(uri)).resolves.toBeUndefined();
  });

  test('no store of schema 1: it gets what it lacks', async () => {
    const uri = mongo.freshUri();
    await open(uri);
    await changed(uri, async (db) => {
      await settings(db).updateOne({ _id: 'settings' }, { $set: { schema: 1 } });
      await db.dropCollection('audit');
      for (const index of ['created', 'released']) await db.collection('history').dropIndex(index);
    });
    await expect(open(uri)).resolves.toBeUndefined();
    await changed(uri, async (db) => {
      expect(await settings(db).findOne({ _id: 'settings' })).toMatchObject({ schema: 2 });
    });
  });

  test('no store of schema 1, though what it lacks takes longer to make than an answer is waited for', async () => {
    const uri = mongo.freshUri();
    await open(uri);
    await changed(uri, (db) => settings(db).updateOne({ _id: 'settings' }, { $set: { schema: 1 } }));
    const primary = await mongo.set.waitForPrimary();
    const slow = { failCommands: ['createIndexes'], times: 1, blockConnection: true, blockTimeMS: 3_000 };
    await using _ = await primary.failCommand(slow);
    const log = new MemoryLog();
    const connect = (at: string, timeoutMs = 2_000) => connectMongodb(at, timeoutMs);
    const store = await mongodbPlace(uri, { clock: systemClock(), log, connect }).open();
    expect(store.settings.schema).toBe(2);
    await store.close();
    const told = log.lines.map(({ message, fields }) => [message, fields]);
    expect(told).toContainEqual(['upgrading the store', { schema: 1, to: 2 }]);
  });

  test('a standalone', async () => {
    await using standalone = await startStandalone();
    await expect(open(standalone.uri('leasehold'))).rejects.toThrow(
      /standalone mongod.*--replSet rs0.*rs\.initiate\(\)/,
    );
  });

  test('a database that nobody reaches: it waits, says so once, and goes on when it is there', async () => {
    const uri = mongo.freshUri();
    const [node] = mongo.set.nodes;
    await node?.kill();
    const log = new MemoryLog();
    let isOpen = false;
    const opening = open(uri, log).then(() => {
      isOpen = true;
    });
    await eventually('a line', async () => log.complaints().includes('waiting for the store'));
    expect(isOpen).toBe(false);
    await node?.restart();
    await opening;
    expect(log.complaints()).toEqual(['waiting for the store']);
  });

  test('a user and password are not shown', async () => {
    const uri = mongo.freshUri();
    await open(uri);
    await changed(uri, (db) => settings(db).updateOne({ _id: 'settings' }, { $set: { schema: 99 } }));
    const message = await open(uri.replace('mongodb://', 'mongodb://leasehold:s3cret@')).catch(String);
    expect(message).not.toContain('s3cret');
  });
});
