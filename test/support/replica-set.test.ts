import { readdirSync } from 'node:fs';
import { type Collection, MongoClient, MongoNetworkError } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { eventually } from './eventually.js';
import { hasMongod } from './mongod-binary.js';
import { ReplicaSet, startStandalone } from './replica-set.js';
import { temporaryDirectory } from './sandbox.js';
import { sharedReplicaSet } from './shared-replica-set.js';

interface Thing {
  readonly _id: string;
}

/** A client's collection of the database a URI names. */
function things(uri: string): AsyncDisposable & { readonly collection: Collection<Thing> } {
  const client = new MongoClient(uri, { writeConcern: { w: 'majority' } });
  return { collection: client.db().collection<Thing>('things'), [Symbol.asyncDispose]: () => client.close() };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe.skipIf(!(await hasMongod()))('a replica set of three', () => {
  const mongo = sharedReplicaSet({ nodes: 3 });

  test('has a primary and two secondaries as soon as it is started', async () => {
    const primary = await mongo.set.primary();
    expect(mongo.set.nodes).toContain(primary);
    expect(await mongo.set.secondaries()).toEqual(mongo.set.nodes.filter((node) => node !== primary));
  });

  test('elects another primary after a kill, which has what was acknowledged', async () => {
    const uri = mongo.freshUri();
    await using client = things(uri);
    await client.collection.insertOne({ _id: 'acknowledged' });
    const killed = await mongo.set.waitForPrimary();
    await killed.kill();
    expect(await mongo.set.primary()).not.toBe(killed);
    const elected = await mongo.set.waitForPrimary();
    expect(elected).not.toBe(killed);
    expect(await client.collection.findOne()).toEqual({ _id: 'acknowledged' });
    await killed.restart();
    await eventually('the killed node is a secondary', async () => (await mongo.set.secondaries()).includes(killed));
  });

  test('elects another primary while one is frozen, which is none any more after its thaw', async () => {
    const frozen = await mongo.set.waitForPrimary();
    frozen.freeze();
    const elected = await mongo.set.waitForPrimary(frozen);
    frozen.thaw();
    expect(await mongo.set.waitForPrimary()).toBe(elected);
    await eventually('the thawed node is a secondary', async () => (await mongo.set.secondaries()).includes(frozen));
  });
});

describe.skipIf(!(await hasMongod()))('a node', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  const node = () => mongo.set.waitForPrimary();

  test('fails as many commands as told, of the client it was told, and does not carry them out', async () => {
    const uri = mongo.freshUri();
    await using victim = things(`${uri}&appName=victim&retryWrites=false`);
    await using other = things(`${uri}&appName=other&retryWrites=false`);
    const failing = { failCommands: ['insert'], times: 1, appName: 'victim' };
    await using _ = await (await node()).failCommand({ ...failing, closeConnection: true });
    await other.collection.insertOne({ _id: 'other' });
    await expect(victim.collection.insertOne({ _id: 'first' })).rejects.toThrow(MongoNetworkError);
    await victim.collection.insertOne({ _id: 'second' });
    expect(await victim.collection.distinct('_id')).toEqual(['other', 'second']);
  });

  test('carries out what it answers with a write concern error, and nothing it refuses', async () => {
    await using client = things(mongo.freshUri());
    const failing = { failCommands: ['insert'], times: 1 };
    const writeConcernError = { code: 64, errmsg: 'played' };
    await using _unsure = await (await node()).failCommand({ ...failing, writeConcernError });
    await expect(client.collection.insertOne({ _id: 'unsure' })).rejects.toThrow('played');
    await using _refused = await (await node()).failCommand({ ...failing, errorCode: 13 });
    await expect(client.collection.insertOne({ _id: 'refused' })).rejects.toMatchObject({ code: 13 });
    expect(await client.collection.distinct('_id')).toEqual(['unsure']);
  });

  test('carries out what it held up after its client gave up', async () => {
    const uri = mongo.freshUri();
    await using impatient = things(`${uri}&retryWrites=false&socketTimeoutMS=50`);
    await using patient = things(uri);
    const late = { failCommands: ['insert'], times: 1, blockConnection: true, blockTimeMS: 200 };
    await using _ = await (await node()).failCommand(late);
    await expect(impatient.collection.insertOne({ _id: 'late' })).rejects.toThrow('timed out');
    await eventually('the write is there', () => patient.collection.findOne().then((found) => found ?? undefined));
  });

  test('loses the reply of the next write, which happened, and answers again afterwards', async () => {
    await using client = things(mongo.freshUri());
    {
      await using _ = await (await node()).loseReply('insert');
      await expect(client.collection.insertOne({ _id: 'lost' })).rejects.toThrow(MongoNetworkError);
    }
    await client.collection.insertOne({ _id: 'answered' });
    expect(await client.collection.distinct('_id')).toEqual(['answered', 'lost']);
  });

  test('has what was acknowledged after a kill', async () => {
    await using client = things(mongo.freshUri());
    await client.collection.insertOne({ _id: 'acknowledged' });
    await (await node()).restart();
    await node();
    expect(await client.collection.distinct('_id')).toEqual(['acknowledged']);
  });
});

describe.skipIf(!(await hasMongod()))('MongoDB', () => {
  test('is gone with its data when the set is disposed of, also while it is frozen', async () => {
    using temporary = temporaryDirectory('replica-set-');
    let pid: number;
    {
      await using set = await ReplicaSet.start({ nodes: 1, directory: temporary.path });
      const [node] = set.nodes;
      pid = node?.pid ?? 0;
      expect(isAlive(pid)).toBe(true);
      node?.freeze();
    }
    expect(isAlive(pid)).toBe(false);
    expect(readdirSync(temporary.path)).toEqual([]);
  });

  test('without a replica set is no member of one', async () => {
    await using standalone = await startStandalone();
    await using client = new MongoClient(standalone.uri('db'));
    const hello = await client.db().command({ hello: 1 });
    expect(hello).toMatchObject({ isWritablePrimary: true });
    expect(hello['setName']).toBeUndefined();
  });

  test('drops a database', async () => {
    await using set = await ReplicaSet.start({ nodes: 1 });
    await using client = things(set.uri('db'));
    await client.collection.insertOne({ _id: 'dropped' });
    await set.dropDatabase('db');
    expect(await client.collection.countDocuments()).toBe(0);
  });
});
