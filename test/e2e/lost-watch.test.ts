// The watch of the store breaks, or is lost: it goes on where it was, or everything is read again; memory is right
// afterwards, and users who watch miss nothing or are told.

import type { Leasehold, WatchEvent } from '@leasehold/sdk';
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { databaseOf } from '../support/database-looks.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import type { MongoNode } from '../support/replica-set.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import type { TestServer } from '../support/test-server.js';

const HISTORY_LOST = 286;
const LOST = 'leasehold_watch_lost_total';
const REOPENED = 'leasehold_watch_reopened_total';
const OPLOG_MB = 2;

describe.skipIf(!(await hasMongod()))('the watch of the store', () => {
  const mongo = sharedReplicaSet({ nodes: 1, oplogSizeMb: OPLOG_MB });
  let cluster: Cluster;
  let one: TestServer;
  let two: TestServer;
  let node: MongoNode;
  let database: string;

  beforeAll(async () => {
    const uri = mongo.freshUri();
    database = databaseOf(uri);
    cluster = await Cluster.startSeveral({ store: uri, servers: 2 });
    [one, two = one] = cluster.servers;
    node = await mongo.set.waitForPrimary();
  });

  afterAll(() => cluster[Symbol.asyncDispose]());

  test('goes on where it was when its cursor is killed, and users see every change', async () => {
    const before = await count(one, REOPENED);
    await using watch = new UserWatch(one.client());
    await watch.until(({ kind }) => kind === 'bookmark');
    await two.client().networks.create({ networkId: 'before' });
    await watch.until(isNetwork('before'));
    const from = one.process.lines.length;
    await eventually('a cursor is killed', async () => {
      const { n } = await killCursors(node, database);
      await two.client().networks.create({ networkId: `during-${watch.events.length}-${n}` });
      return (await count(one, REOPENED)) > before;
    });
    await two.client().networks.create({ networkId: 'after' });
    await watch.until(isNetwork('after'));
    const made = await two.client().networks.list().toArray();
    const seen = watch.events.flatMap((event) => (event.kind === 'network' ? [event.network.networkId] : []));
    expect(seen.toSorted()).toEqual(made.map(({ networkId }) => networkId).toSorted());
    expect(messages(one, from)).toEqual(
      expect.arrayContaining(['the watch of the store broke, opening it again', 'the watch of the store goes on']),
    );
    expect(await count(one, LOST)).toBe(0);
  });

  test('is begun anew when it is lost: memory is read again, users are told, and resume without a gap', async () => {
    await two.client().networks.create({ networkId: 'kept' });
    await two.client().networks.create({ networkId: 'goes' });
    const watch = new UserWatch(one.client());
    await watch.until(({ kind }) => kind === 'bookmark');
    await two.client().networks.create({ networkId: 'last' });
    const { resumeToken = '' } = (await watch.until(isNetwork('last'))) as { resumeToken?: string };
    const from = one.process.lines.length;
    {
      await using _ = await node.failCommand({ failCommands: ['getMore'], errorCode: HISTORY_LOST });
      await eventually('it is lost', async () => (await count(one, LOST)) > 0);
      expect(await watch.over).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'WATCH_COMPACTED' });
      await two.client().networks.create({ networkId: 'meanwhile' });
      // By hand, without the tombstone that servers leave for a while.
      await node.command(database, { delete: 'networks', deletes: [{ q: { _id: 'goes' }, limit: 1 }] });
    }
    await eventually('memory is right again', async () => {
      const ids = (await one.client().networks.list().toArray()).map(({ networkId }) => networkId);
      return ids.includes('meanwhile') && ids.includes('kept') && !ids.includes('goes');
    });
    const lines = one.process.lines.slice(from);
    expect(
      lines.find(({ fields }) => String(fields['msg']).startsWith('the watch of the store was lost')),
    ).toBeDefined();
    expect(messages(one, from)).toContain('the store was read again');
    await using again = new UserWatch(one.client(), resumeToken);
    await two.client().networks.create({ networkId: 'afterwards' });
    await again.until(isNetwork('afterwards'));
    expect(again.events.some(isNetwork('meanwhile'))).toBe(true);
  });

  test('is lost when its server stood still until the oplog had rolled over, and everything is read again', async () => {
    const subnet = { subnetId: 'old-a', networkId: 'old', cidr: '10.0.0.0/24' };
    await two.client().networks.create({ networkId: 'old' });
    await two.client().subnets.create(subnet);
    const released = await two.client().reservations.reserve({ subnetId: 'old-a', mac: '52:54:00:00:11:01' });
    await eventually('both know', async () => (await usage(one))?.reserved === 1);
    const before = await count(one, LOST);
    one.process.signal('SIGSTOP');
    await two.client().reservations.release({ reservationId: released.reservation.reservationId });
    await two.client().reservations.reserve({ subnetId: 'old-a', mac: '52:54:00:00:11:02' });
    await two.client().networks.create({ networkId: 'new' });
    await rollOver(node);
    one.process.signal('SIGCONT');
    await eventually('it is lost', async () => (await count(one, LOST)) > before);
    await eventually('memory is right again', async () => {
      const { reserved, quarantined } = (await usage(one)) ?? {};
      return reserved === 1 && quarantined === 1;
    });
    expect(await one.client().networks.get('new')).toMatchObject({ networkId: 'new' });
    // Both allocate on: what one of them missed is not given twice.
    const macs = Array.from({ length: 40 }, (_, i) => `52:54:00:00:11:${i + 10}`);
    const got = await Promise.all(
      macs.map((mac, i) => (i % 2 ? one : two).client().reservations.reserve({ subnetId: 'old-a', mac })),
    );
    expect(new Set(got.map(({ reservation }) => reservation.address)).size).toBe(macs.length);
  });
});

async function count(server: TestServer, name: string): Promise<number> {
  return (await server.metrics()).get(name) ?? Number.NaN;
}

async function usage(server: TestServer) {
  return (await server.client().subnets.get('old-a')).usage;
}

function messages(server: TestServer, from: number): readonly unknown[] {
  return server.process.lines.slice(from).map(({ fields }) => fields['msg']);
}

function isNetwork(id: string): (event: WatchEvent) => boolean {
  return (event) => event.kind === 'network' && event.network.networkId === id;
}

/** Kills the cursors of change streams on a database. */
async function killCursors(node: MongoNode, database: string): Promise<{ readonly n: number }> {
  const match = { 'cursor.tailable': true, 'cursor.originatingCommand.$db': database };
  const pipeline = [{ $currentOp: { idleCursors: true } }, { $match: match }];
  const reply = await node.command('admin', { aggregate: 1, pipeline, cursor: { batchSize: 100 } });
  const found = (reply['cursor'] as { readonly firstBatch: readonly Document[] }).firstBatch;
  const cursors = found.map((each) => (each['cursor'] as Document)['cursorId'] as unknown);
  if (cursors.length > 0) await node.command(database, { killCursors: '$cmd.aggregate', cursors });
  return { n: cursors.length };
}

/** Writes until what the oplog has now is gone from it. */
async function rollOver(node: MongoNode): Promise<void> {
  const write = (document: Document) => node.command('filling', { insert: 'filling', documents: [document] });
  await write({ marker: true });
  await eventually('the oplog rolled over', async () => {
    await write({ text: 'x'.repeat(1 << 20) });
    const { cursor } = await node.command('local', { find: 'oplog.rs', filter: { 'o.marker': true }, limit: 1 });
    return (cursor as { readonly firstBatch: readonly unknown[] }).firstBatch.length === 0;
  });
}

/** A user's watch, and what it brought. */
class UserWatch implements AsyncDisposable {
  readonly events: WatchEvent[] = [];
  /** Resolves with why it ended; undefined: we ended it. */
  readonly over: Promise<unknown>;
  readonly #ending = new AbortController();

  constructor(client: Leasehold, resumeToken?: string) {
    this.over = this.#read(client, resumeToken).then(
      () => undefined,
      (error: unknown) => (this.#ending.signal.aborted ? undefined : error),
    );
  }

  /** The first event that fits, once it is there. */
  until(fits: (event: WatchEvent) => boolean): Promise<WatchEvent> {
    return eventually('the watch brings it', async () => this.events.find(fits));
  }

  async #read(client: Leasehold, resumeToken: string | undefined): Promise<void> {
    for await (const event of client.watch({ resumeToken, signal: this.#ending.signal })) this.events.push(event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.over;
  }
}
