// Two servers on one MongoDB, hosts with agents that know both, and guests: any of them answers for the one that leads; when
// that one dies, is told to stop, or stands still, the other takes over, and no placement moves.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { Prober, QUESTIONS_BEFORE_RETRY } from '../support/prober.js';
import { refusalOf } from '../support/refusal.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import type { TestServer } from '../support/test-server.js';
import { type Guest, runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

const HOSTS = ['h1', 'h2'];
const PROBER = '52:54:00:00:12:01';
const BOUND = '52:54:00:00:12:02';
// "Within seconds": far more than the 5 to 7 s that it takes, for a machine that has more to do.
const TAKEN_OVER_WITHIN_MS = 20_000;
const NOT_LEADING = 'this server does not lead any more';

describe.skipIf(!(await hasMongod()))('two servers', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  let cluster: Cluster;
  const hosts: TestHost[] = [];
  let guest: Guest;
  let leader: TestServer;
  let follower: TestServer;

  beforeAll(async () => {
    cluster = await Cluster.startSeveral({ store: mongo.freshUri(), servers: 2 });
    const client = cluster.client();
    for (const hostId of HOSTS) hosts.push(await cluster.host(hostId, ['red', 'blue']));
    for (const [networkId, dhcpServerCount] of [
      ['red', 1],
      ['blue', 2],
    ] as const) {
      await client.networks.create({ networkId, dhcpServerCount });
      const cidr = networkId === 'red' ? '10.1.0.0/24' : '10.2.0.0/24';
      await client.subnets.create({ subnetId: `${networkId}-a`, networkId, cidr });
      await servingHosts(client, networkId, dhcpServerCount);
    }
    for (const mac of [PROBER, BOUND]) await client.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
    guest = await startUdhcpc(await cluster.guest('red', 'bound', BOUND));
    await guest.bound();
  });

  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    const [one, two = one] = cluster.servers;
    const isLed = await eventually('both know who leads', async () => {
      const [first, second] = await Promise.all([one, two].map(async (server) => server.client().status()));
      const isSame = first?.holder?.server === second?.holder?.server;
      return isSame && first?.holder && (first.holder.isSelf ? 'one' : 'two');
    });
    [leader, follower] = isLed === 'one' ? [one, two] : [two, one];
  });

  test('the one that follows answers what only the other one knows', async () => {
    const client = follower.client();
    expect((await client.status()).holder).toMatchObject({ isSelf: false, agentAdvertise: leader.agentEndpoint });
    for (const blue of await Promise.all(HOSTS.map((hostId) => client.hosts.get(hostId)))) {
      expect(blue).toMatchObject({ liveness: 'up' });
      expect(blue.attachments.map(({ ready }) => ready)).toEqual([true, true]);
    }
    expect((await client.hosts.list().toArray()).map(({ liveness }) => liveness)).toEqual(['up', 'up']);
    expect(await servingHosts(client, 'blue', 2)).toEqual(HOSTS);
    expect((await client.networks.get('blue')).status).toMatchObject({ serversWanted: 2, serversServing: 2 });
    expect((await client.status()).counts).toMatchObject({ hostsUp: 2, placementsServing: 3 });
    const reserve = { subnetId: 'blue-a', mac: '52:54:00:00:12:10', waitReady: { servers: 2 } };
    const { reservation, ready, readyServers } = await client.reservations.reserve(reserve);
    expect([ready, readyServers]).toEqual([true, 2]);
    expect((await runUdhcpc(await cluster.guest('blue', 'through', reserve.mac)))?.ip).toBe(reservation.address);
    const [batched] = await client.reservations.reserveMany([{ subnetId: 'blue-a', mac: '52:54:00:00:12:11' }], {
      waitReady: { servers: 2 },
    });
    expect(batched).toMatchObject({ ok: true, ready: true, readyServers: 2 });
    expect(await refusalOf(client.hosts.delete('h1'))).toMatchObject({ reason: 'HOST_CONNECTED' });
    await client.reservations.release({ reservationId: reservation.reservationId });
    await eventually('no host answers with it any more', async () => {
      const all = await client.placements.list({ networkId: 'blue' }).toArray();
      return all.every(({ pendingChanges }) => pendingChanges === 0);
    });
    expect(await runUdhcpc(await cluster.guest('blue', 'released', reserve.mac), { tries: 2 })).toBeUndefined();
  });

  test('when the one that leads is killed the other takes over, and guests and engines go on', async () => {
    await expectTakenOver('kill -9', () => leader.kill(), '52:54:00:00:12:20');
    await leader.start();
    await eventually('it follows', async () => (await leader.client().status()).holder?.isSelf === false);
  });

  test('when the one that leads is told to stop the other takes over', async () => {
    await expectTakenOver('SIGTERM', async () => void (await leader.process.stop()), '52:54:00:00:12:21');
    await leader.start();
    await eventually('it follows', async () => (await leader.client().status()).holder?.isSelf === false);
  });

  test('when the one that leads stands still the other takes over, and when it goes on it leads no more', async () => {
    const from = leader.process.lines.length;
    await expectTakenOver('SIGSTOP', async () => leader.process.signal('SIGSTOP'), '52:54:00:00:12:22');
    leader.process.signal('SIGCONT');
    await leader.process.waitForLine(NOT_LEADING, from);
    expect((await leader.client().status()).holder?.isSelf).toBe(false);
    expect((await leader.client().hosts.list().toArray()).map(({ liveness }) => liveness)).toEqual(['up', 'up']);
  });

  test('an agent that asks the one that follows goes to the one that leads', async () => {
    // Agents ask in the order in which they were told: the first server is made to follow.
    const [first, second = first] = cluster.servers;
    if (leader === first) await expectTakenOver('SIGTERM', async () => void (await first.process.stop()), PROBER);
    if (first.process.exitCode !== undefined) await first.start();
    const [host] = hosts as [TestHost];
    await host.killAgent();
    await host.startAgent();
    const about = (server: TestServer, text: string) =>
      host.agent.waitForLine((line) => line.fields['server'] === server.agentEndpoint && line.text.includes(text));
    expect((await about(first, 'leads, ask it')).fields['level']).toBe('warn');
    expect((await about(second, 'Connected')).fields['level']).toBe('info');
  });

  /** The one that leads goes; the other one leads with the next epoch, guests are served throughout, and nothing moves. */
  async function expectTakenOver(what: string, go: () => Promise<void>, mac: string): Promise<void> {
    const client = follower.client({ timeoutMs: 30_000 });
    const before = { placements: await placements(client), holder: (await client.status()).holder };
    await using prober = await Prober.start(await cluster.guest('red', `prober-${mac.slice(-2)}`, PROBER));
    await prober.answerSince(0);
    const beganMs = performance.now();
    await go();
    // Meanwhile nobody leads: an address is promised all the same, and a guest keeps its own.
    expect(await client.reservations.reserve({ subnetId: 'red-a', mac })).toBeDefined();
    expect((await guest.renew()).kind).toBe('renew');
    await eventually('the other one leads', async () => (await client.status()).holder?.isSelf, TAKEN_OVER_WITHIN_MS);
    console.log(`${what}: the other one leads after ${Math.round(performance.now() - beganMs)} ms`);
    await eventually('agents are with it', async () => {
      return (await client.hosts.list().toArray()).every(({ liveness }) => liveness === 'up');
    });
    // By its own timeout it would say that nobody is ready; here it is repeated until somebody is.
    const { reservation } = await eventually('hosts confirm', async () => {
      const result = await client.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
      return result.ready && result;
    });
    const nic = await cluster.guest('red', `new-${mac.slice(-2)}`, mac);
    expect((await runUdhcpc(nic))?.ip).toBe(reservation.address);
    expect((await guest.renew()).kind).toBe('renew');
    expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
    expect((await client.status()).holder?.epoch).toBeGreaterThan(before.holder?.epoch ?? Number.NaN);
    await servingHosts(client, 'blue', 2);
    await servingHosts(client, 'red', 1);
    expect(await placements(client)).toEqual(before.placements);
  }
});

async function placements(client: Leasehold) {
  const all = await client.placements.list().toArray();
  return all.map(({ networkId, hostId, epoch }) => ({ networkId, hostId, epoch }));
}
