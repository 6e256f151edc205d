// MongoDB goes away and returns: guests do not notice, engines are told at once, what memory knows is answered and marked,
// and everything goes on without a restart.

import type { Leasehold, WatchEvent } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { refusalOf } from '../support/refusal.js';
import type { MongoNode } from '../support/replica-set.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import type { TestServer } from '../support/test-server.js';
import { type Guest, runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

const RENEWING = '52:54:00:00:0f:01';
const BOOTING = '52:54:00:00:0f:02';
// An answer at once, also on a busy machine: less than it takes to find out that there is no primary.
const AT_ONCE_MS = 1_000;
// Shorter than the pause that a server asks for: a refusal is not repeated.
const ONCE = { timeoutMs: 450 };
const ASKERS = 20;

describe.skipIf(!(await hasMongod()))('while MongoDB is away', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  let cluster: Cluster;
  let server: TestServer;
  let client: Leasehold;
  let guest: Guest;
  let node: MongoNode;

  beforeAll(async () => {
    cluster = await Cluster.startSeveral({ store: mongo.freshUri(), servers: 1 });
    [server] = cluster.servers;
    client = server.client();
    await cluster.host('h1', ['red']);
    await client.networks.create({ networkId: 'red' });
    await client.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24' });
    await servingHosts(client, 'red', 1);
    for (const mac of [RENEWING, BOOTING]) await client.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
    guest = await startUdhcpc(await cluster.guest('red', 'renewing', RENEWING));
    await guest.bound();
    node = await mongo.set.waitForPrimary();
  });

  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  test.each([
    { name: 'killed', away: () => node.kill(), back: () => node.restart() },
    { name: 'standing still', away: async () => node.freeze(), back: async () => node.thaw() },
  ])(
    '$name, engines are told at once, memory answers, guests are served, and it all goes on afterwards',
    async (how) => {
      const before = await client.placements.list().toArray();
      const from = server.process.lines.length;
      await using watch = watched(client);
      await watch.begun;
      const awayTime = Date.now();
      await how.away();

      // Nobody asks anything meanwhile: a server that is left alone finds out by itself.
      await eventually('the server knows', async () => (await server.metrics()).get('leasehold_store_available') === 0);
      const { store } = await client.status();
      expect(store).toMatchObject({ kind: 'mongodb', breaker: expect.stringMatching(/^(open|half-open)$/) });
      expect(store?.unavailableSince?.getTime()).toBeGreaterThan(awayTime - AT_ONCE_MS);
      for (const state of ['half-open', 'open']) {
        await eventually(`the breaker is ${state}`, async () => (await client.status()).store?.breaker === state);
        await expectRefusedAtOnce(client);
      }
      await expectRemembered(client, store?.unavailableSince);
      expect(await guest.renew()).toMatchObject({ kind: 'renew' });
      expect(await runUdhcpc(await cluster.guest('red', `booting-${how.name.charAt(0)}`, BOOTING))).toBeDefined();

      await how.back();
      const mac = how.name === 'killed' ? '52:54:00:00:0f:03' : '52:54:00:00:0f:04';
      const { reservation } = await client.reservations.reserve({ subnetId: 'red-a', mac }, { timeoutMs: 30_000 });
      await watch.saw(reservation.reservationId);
      await eventually('the server can act again', async () => {
        return (await client.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} })).ready;
      });
      expect((await client.status()).store).toMatchObject({ breaker: 'closed', unavailableSince: undefined });
      const metrics = await server.metrics();
      expect(metrics.get('leasehold_store_available')).toBe(1);
      expect([...metrics.keys()].some((name) => name.startsWith('leasehold_store_failures_total'))).toBe(true);
      expect(await client.placements.list().toArray()).toMatchObject(
        before.map(({ hostId, epoch }) => ({ hostId, epoch, state: 'serving' })),
      );
      const said = server.process.lines.slice(from).map(({ fields }) => fields['msg']);
      expect(said.filter((line) => line === 'the store cannot be used')).toHaveLength(1);
      expect(said.filter((line) => line === 'the store can be used again')).toHaveLength(1);
      expect(server.process.exitCode).toBeUndefined();
    },
  );
});

/** Of many writes each is refused at once: none of them tries for the others. */
async function expectRefusedAtOnce(client: Leasehold): Promise<void> {
  const outcomes = await Promise.all(
    Array.from({ length: ASKERS }, async (_, i) => {
      const beginMs = performance.now();
      const mac = `52:54:00:00:0f:${i + 10}`;
      const refusal = await refusalOf(client.reservations.reserve({ subnetId: 'red-a', mac }, ONCE));
      return { refusal, tookMs: performance.now() - beginMs };
    }),
  );
  for (const { refusal, tookMs } of outcomes) {
    expect(refusal).toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryAfterMs: 500 });
    expect(tookMs).toBeLessThan(AT_ONCE_MS);
  }
}

/** What memory can answer is answered, each answer marked with since when it may be behind. */
async function expectRemembered(client: Leasehold, since: Date | undefined): Promise<void> {
  const marks: (Date | undefined)[] = [];
  const marked = async <Answer>(ask: (options: { onStale: (date: Date) => void }) => Promise<Answer>) => {
    let mark: Date | undefined;
    const onStale = (date: Date) => {
      mark = date;
    };
    const answer = await ask({ onStale });
    marks.push(mark);
    return answer;
  };
  const { networks, subnets, hosts, placements } = client;
  expect(await marked((options) => networks.get('red', options))).toMatchObject({ networkId: 'red' });
  expect(await marked((options) => subnets.get('red-a', options))).toMatchObject({ subnetId: 'red-a' });
  expect(await marked((options) => hosts.get('h1', options))).toMatchObject({ hostId: 'h1', liveness: 'up' });
  expect(await marked((options) => networks.list(options).toArray())).toHaveLength(1);
  expect(await marked((options) => subnets.list({}, options).toArray())).toHaveLength(1);
  expect(await marked((options) => hosts.list({}, options).toArray())).toHaveLength(1);
  expect(await marked((options) => placements.list({}, options).toArray())).toHaveLength(1);
  expect(await marked((options) => client.status(options))).toMatchObject({ counts: { networks: 1 } });
  expect(marks).toEqual(marks.map(() => since));
  expect(await refusalOf(client.reservations.get({ networkId: 'red', mac: RENEWING }, ONCE))).toMatchObject({
    code: 'UNAVAILABLE',
  });
}

/** A watch, and what it brought. */
function watched(client: Leasehold) {
  const ending = new AbortController();
  const events: WatchEvent[] = [];
  const read = async () => {
    for await (const event of client.watch({ networkId: 'red', signal: ending.signal })) events.push(event);
  };
  const over = read().catch((error: unknown) => {
    if (!ending.signal.aborted) throw error;
  });
  const saw = (what: (event: WatchEvent) => boolean) =>
    Promise.race([over, eventually('the watch brings it', async () => events.some(what))]);
  return {
    begun: saw(({ kind }) => kind === 'bookmark'),
    saw: (id: string) => saw((event) => event.kind === 'reservation' && event.reservation.reservationId === id),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await over;
    },
  };
}
