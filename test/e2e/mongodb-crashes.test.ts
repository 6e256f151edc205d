// Servers and nodes that die in the middle of a write: what was acknowledged is there, and who asks again is told what
// became of what was not.

import type { ItemResult, Leasehold, ReserveRequest, ReserveResult } from '@leasehold/sdk';
import type { Document } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { databaseOf, insertsUnderWay, slotsOf } from '../support/database-looks.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { refusalOf } from '../support/refusal.js';
import type { MongoNode } from '../support/replica-set.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import type { TestServer } from '../support/test-server.js';

const MAC = '52:54:00:00:0c:01';
const MANY = Array.from({ length: 20 }, (_, i) => `52:54:00:00:0c:${i + 10}`);

/** A network with one subnet; requests about it begin with its id. */
interface Place {
  readonly networkId: string;
  readonly subnetId: string;
}

/** What is asked twice: before the crash, and after it. */
interface Deed {
  readonly name: string;
  /** The command that does it in the database. */
  readonly command: string;
  /** What must be there before; answers the id of what the deed is about. */
  readonly before?: (client: Leasehold, place: Place) => Promise<string>;
  readonly ask: (client: Leasehold, place: Place, id: string) => Promise<Outcome>;
  /** Finds in the database what it does. */
  readonly done: Document;
  /** What happens before it is asked a last time. */
  readonly later?: (client: Leasehold, place: Place) => Promise<unknown>;
}

/** Ids of what it came to, and whether it was made by this very call. */
interface Outcome {
  readonly ids: readonly string[];
  readonly created: readonly boolean[];
}

const DEEDS: readonly Deed[] = [
  {
    name: 'a reserve with a request id',
    command: 'insert',
    ask: async (client, place) => outcomeOf([await reserve(client, place, { requestId: `${place.networkId}-1` })]),
    done: { mac: MAC, state: 'RESERVED' },
    // Without the id, the MAC would get another tenure.
    later: (client, { networkId }) => client.reservations.release({ networkId, mac: MAC }),
  },
  {
    name: 'a reserve of a named address without a request id',
    command: 'insert',
    ask: async (client, place) => outcomeOf([await reserve(client, place, { address: '10.0.0.77' })]),
    done: { mac: MAC, state: 'RESERVED' },
  },
  {
    name: 'a release',
    command: 'update',
    before: async (client, place) => (await reserve(client, place)).reservation.reservationId,
    async ask(client, { networkId }, reservationId) {
      const released = await client.reservations.release({ reservationId, requestId: `${networkId}-1` });
      expect(released.state).toBe('quarantined');
      return { ids: [released.reservationId], created: [false] };
    },
    done: { mac: MAC, state: 'QUARANTINED' },
  },
  {
    name: 'a reserve of a MAC that returns',
    command: 'update',
    async before(client, place) {
      const { reservationId } = (await reserve(client, place)).reservation;
      await client.reservations.release({ reservationId });
      return reservationId;
    },
    ask: async (client, place) => outcomeOf([await reserve(client, place, { requestId: `${place.networkId}-1` })]),
    done: { mac: MAC, state: 'RESERVED' },
  },
  {
    name: 'a batch of reserves',
    command: 'insert',
    async ask(client, { networkId, subnetId }) {
      const items = MANY.map((mac, i) => ({ subnetId, mac, requestId: `${networkId}-${i}` }));
      return outcomeOf((await client.reservations.reserveMany(items)).map(resultOf));
    },
    done: { mac: { $in: MANY }, state: 'RESERVED' },
  },
];

describe.skipIf(!(await hasMongod()))('a server that is killed', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  let cluster: Cluster;
  let database: string;
  let one: TestServer;
  let two: TestServer;
  let node: MongoNode;

  beforeAll(async () => {
    const uri = mongo.freshUri();
    database = databaseOf(uri);
    cluster = await Cluster.startSeveral({ store: uri, servers: 2 });
    [one, two = one] = cluster.servers;
    node = await mongo.set.waitForPrimary();
  });

  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each(DEEDS)('after the database did what it was asked and before it heard so: $name', async (deed) => {
    const place = await makePlace(one.client());
    const id = (await deed.before?.(one.client(), place)) ?? '';
    const held = await node.holdReplies(deed.command, `${database}.slots`);
    const unanswered = refusalOf(deed.ask(one.client({ waitForServer: false }), place, id));
    const filter = { ...deed.done, network_id: place.networkId };
    const done = await eventually('the database did it', () => slotsOf(node, database, filter));
    await one.kill();
    expect(await unanswered).toMatchObject({ code: 'UNAVAILABLE' });
    await held[Symbol.asyncDispose]();

    const asked = await deed.ask(two.client(), place, id);
    expect([...asked.ids].sort()).toEqual(done.map((slot) => slot['reservation_id'] as string).sort());
    expect(asked.created).not.toContain(true);
    await one.start();
    await deed.later?.(one.client(), place);
    expect(await deed.ask(one.client(), place, id)).toEqual(asked);
    await expectNoneTwice(one.client(), place);
  });

  test('whose write comes late, after the same request was met by another server: it changes nothing', async () => {
    const place = await makePlace(one.client());
    const request = { requestId: `${place.networkId}-1` };
    const late = { failCommands: ['insert'], times: 1, blockConnection: true, blockTimeMS: 2_000 };
    await using _late = await node.failCommand(late);
    const unanswered = refusalOf(reserve(one.client({ waitForServer: false }), place, request));
    await eventually('the write is under way', async () => (await insertsUnderWay(node, database)) > 0);
    await one.kill();
    await unanswered;
    const { reservation, created } = await reserve(two.client(), place, request);
    expect(created).toBe(true);
    await eventually('the late write is over', async () => (await insertsUnderWay(node, database)) === 0);
    expect(await reserve(two.client(), place, request)).toMatchObject({ reservation, created: false });
    expect(await slotsOf(node, database, { network_id: place.networkId })).toHaveLength(1);
  });
});

describe.skipIf(!(await hasMongod()))('a primary that is killed while both secondaries are frozen', () => {
  const mongo = sharedReplicaSet({ nodes: 3 });

  afterEach(async () => {
    for (const node of mongo.set.nodes) {
      node.thaw();
      if (!node.isRunning) await node.restart();
    }
  });

  test.each([
    { name: 'after it stepped down, while servers go on', killsServer: false },
    { name: 'at once, and the server with it', killsServer: true },
  ])('$name, takes nothing with it that was acknowledged; asking again tells what became of the rest', async (each) => {
    const uri = mongo.freshUri();
    const database = databaseOf(uri);
    await using cluster = await Cluster.startSeveral({ store: uri, servers: 2 });
    const [one, two = one] = cluster.servers;
    const place = await makePlace(one.client());
    const { networkId, subnetId } = place;
    const before = await Promise.all(MANY.map((mac) => one.client().reservations.reserve({ subnetId, mac })));
    const primary = await mongo.set.waitForPrimary();
    const secondaries = mongo.set.nodes.filter((node) => node !== primary);

    for (const node of secondaries) node.freeze();
    const requests = MANY.map((_, i) => ({ subnetId, mac: `52:54:00:00:0d:${i + 10}`, requestId: `r${i}` }));
    const client = one.client({ timeoutMs: 50_000, waitForServer: false });
    const answered: ReserveResult[] = [];
    const reserves = requests.map((request) => client.reservations.reserve(request).then((it) => answered.push(it)));
    const another = { subnetId: 'red-b', networkId, cidr: '10.0.1.0/24' };
    let isMade = false;
    const made = client.subnets.create(another).then(() => {
      isMade = true;
    });
    const settled = Promise.allSettled([...reserves, made]);
    await eventually('the primary has some of it', () =>
      slotsOf(primary, database, { request_keys: { $exists: true } }),
    );
    // Who does not wait for a majority has time to answer.
    if (each.killsServer) for (let i = 0; i < 50; i++) await one.client().status();
    else await eventually('the server noticed', async () => (await failures(one)) >= 3);
    expect({ answered, isMade }).toEqual({ answered: [], isMade: false });
    await primary.kill();
    if (each.killsServer) await one.kill();
    for (const node of secondaries) node.thaw();
    await mongo.set.waitForPrimary();

    for (const outcome of await settled) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'UNAVAILABLE' });
    }
    const other = two.client({ timeoutMs: 50_000 });
    const again = await Promise.all(requests.map((request) => other.reservations.reserve(request)));
    for (const { reservation } of answered) {
      const same = again.find(({ reservation: { mac } }) => mac === reservation.mac);
      expect(same).toMatchObject({ created: false, reservation: { reservationId: reservation.reservationId } });
    }
    if (isMade) expect((await other.subnets.list().toArray()).map(({ subnetId }) => subnetId)).toContain('red-b');
    await other.subnets.create(another);

    await primary.restart();
    await eventually('the killed node is back', async () => (await mongo.set.secondaries()).includes(primary));
    if (each.killsServer) await one.start();
    for (const server of cluster.servers) {
      const found = await server.client().reservations.list().toArray();
      const there = found.map(({ reservationId }) => reservationId).sort();
      expect(there).toEqual([...before, ...again].map(({ reservation }) => reservation.reservationId).sort());
      await expectNoneTwice(server.client(), place);
    }
    expect(await Promise.all(requests.map((request) => other.reservations.reserve(request)))).toMatchObject(
      again.map(({ reservation: { reservationId } }) => ({ created: false, reservation: { reservationId } })),
    );
  });
});

let places = 0;

async function makePlace(client: Leasehold): Promise<Place> {
  const networkId = `red-${++places}`;
  await client.networks.create({ networkId });
  const { subnetId } = await client.subnets.create({ networkId, cidr: '10.0.0.0/24' });
  return { networkId, subnetId };
}

function reserve(client: Leasehold, { subnetId }: Place, more: Partial<ReserveRequest> = {}): Promise<ReserveResult> {
  return client.reservations.reserve({ subnetId, mac: MAC, ...more });
}

function outcomeOf(results: readonly ReserveResult[]): Outcome {
  return {
    ids: results.map(({ reservation }) => reservation.reservationId),
    created: results.map(({ created }) => created),
  };
}

function resultOf<Result>(item: ItemResult<Result>): Result {
  if (!item.ok) throw item.error;
  return item;
}

/** How many exchanges with the store failed so far. */
async function failures(server: TestServer): Promise<number> {
  const counts = [...(await server.metrics())].filter(([name]) => name.startsWith('leasehold_store_failures_total'));
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

/** No address is there twice, and no MAC has two. */
async function expectNoneTwice(client: Leasehold, { networkId }: Place): Promise<void> {
  const found = await client.reservations.list({ networkId }).toArray();
  expect(new Set(found.map(({ address }) => address)).size).toBe(found.length);
  const reserved = found.filter(({ state }) => state === 'reserved');
  expect(new Set(reserved.map(({ mac }) => mac)).size).toBe(reserved.length);
}
