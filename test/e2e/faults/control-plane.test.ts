// Two servers on three MongoDB nodes, and what befalls them: both killed, the one that leads cut off from MongoDB, or from
// everything in one direction, or standing still until another leads; both asked for changes at once; the store standing still
// for a minute; and everything restarted, one after another, under load. Guests are served throughout, what was promised is
// kept, and nobody moves a placement for it, least of all a server that leads no more.
//
// What engines are told meanwhile: primary-death.test.ts, store-outage.test.ts. Changes made through the server that follows:
// several-servers.test.ts.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, type TestHost } from '../../support/cluster.js';
import { databaseOf } from '../../support/database-looks.js';
import { eventually } from '../../support/eventually.js';
import { hasMongod } from '../../support/mongod-binary.js';
import { NetworkHistory } from '../../support/network-history.js';
import { monotonicMs, QUESTIONS_BEFORE_RETRY } from '../../support/prober.js';
import { sharedReplicaSet } from '../../support/shared-replica-set.js';
import type { TestServer } from '../../support/test-server.js';
import { hasTool } from '../../support/tools.js';
import type { Guest } from '../../support/udhcpc.js';
import { FaultStage, type Held } from './fault-stage.js';
import { Reservers } from './reservers.js';

const [SINGLE, PAIR] = ['red', 'blue'];
const PAUSE_MS = 60_000;
const NOT_LEADING = 'this server does not lead any more';

describe.skipIf(!((await hasMongod()) && (await hasTool('nft'))))('the control plane', { timeout: 180_000 }, () => {
  const mongo = sharedReplicaSet({ nodes: 3 });
  let stage: FaultStage;
  let history: NetworkHistory;

  beforeAll(async () => {
    const store = mongo.freshUri();
    const cluster = await Cluster.startSeveral({ store, servers: 2, overNetwork: true });
    history = NetworkHistory.start(mongo.set, databaseOf(store));
    stage = await FaultStage.start(cluster, { hosts: 3, networks: { [SINGLE]: 1, [PAIR]: 2 } });
  });

  afterEach(async () => {
    for (const { machine } of stage.cluster.servers) await machine.heal();
    for (const { process } of stage.cluster.servers) process.signal('SIGCONT');
    for (const node of mongo.set.nodes) node.thaw();
    await stage.judge();
    expect(await history.violations()).toEqual([]);
  });

  afterAll(async () => {
    await history[Symbol.asyncDispose]();
    await stage[Symbol.asyncDispose]();
  });

  test('killed, both servers, and started again in the other order, moves nothing', async () => {
    await unnoticed(async (guest) => {
      const [leader, follower] = await roles();
      await Promise.all([leader.kill(), follower.kill()]);
      expect(await guest.renew()).toMatchObject({ kind: 'renew' });
      await follower.start();
      await leader.start();
    });
  });

  test('cut off from MongoDB where it leads, leads from elsewhere, where agents go, and nothing moves', async () => {
    await unnoticed(async (guest) => {
      const [leader, follower] = await roles();
      await leader.machine.cut('both', 'store');
      expect(await guest.renew()).toMatchObject({ kind: 'renew' });
      stage.leasehold = follower.client();
      await leads(follower);
      await allUp();
      await leader.machine.heal();
    });
  });

  test('hearing nothing where it leads, and then not being heard, leads from elsewhere, and nothing moves', async () => {
    await unnoticed(async (guest) => {
      for (const direction of ['in', 'out'] as const) {
        const [leader, follower] = await roles();
        await leader.machine.cut(direction);
        expect(await guest.renew()).toMatchObject({ kind: 'renew' });
        stage.leasehold = follower.client();
        await leads(follower);
        await allUp();
        await leader.machine.heal();
      }
    });
  });

  test('standing still, and deposed meanwhile, changes nothing when it goes on, and no agent obeys it', async () => {
    const [leader, follower] = await roles();
    const first = await stage.server(SINGLE);
    await using prober = await stage.prober(PAIR);
    const from = leader.process.lines.length;
    // What it would do something about: a host is silent, and it does not hear that it comes back.
    await first.killAgent();
    leader.process.signal('SIGSTOP');
    stage.leasehold = follower.client();
    await first.startAgent();
    await leads(follower);
    await allUp();
    await stage.leasehold.hosts.update(first.hostId, { maintenance: true });
    await eventually('another host serves', async () => {
      return (await stage.placed(SINGLE)).every(({ hostId }) => hostId !== first.hostId);
    });
    await stage.leasehold.hosts.update(first.hostId, { maintenance: false });
    await stage.back(first);
    const after = await stage.settled();
    // The host that took it over answers from its first heartbeat on that is acknowledged, and says so.
    await using single = await stage.prober(SINGLE);
    await single.answerSince(monotonicMs());
    const stored = await history.now();
    const agents = stage.hosts.map(({ agent }) => agent.lines.length);

    leader.process.signal('SIGCONT');
    await leader.process.waitForLine(NOT_LEADING, from);
    await follows(leader);
    expect(await stage.settled()).toEqual(after);
    expect(await history.now()).toEqual(stored);
    const heard = stage.hosts.flatMap(({ agent }, n) => agent.lines.slice(agents[n]));
    expect(heard.map(({ text }) => text)).toEqual([]);
    await prober.answerSince(monotonicMs());
    expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
  });

  test('led by one that stood still and one that took over, both asked for changes, doubles and loses no placement', async () => {
    const clients = stage.cluster.servers.map((server) => server.client({ timeoutMs: 30_000 }));
    const [one = stage.leasehold, two = one] = clients;
    const [leader, follower] = await roles();
    leader.process.signal('SIGSTOP');
    stage.leasehold = follower.client();
    await leads(follower);
    leader.process.signal('SIGCONT');
    // What each of them would do by itself, at once: the networks change, and a host may serve nothing any more.
    const { hostId } = await stage.server(SINGLE);
    await Promise.all([
      one.networks.update(PAIR, { dhcpServerCount: 1 }).then(() => one.networks.update(PAIR, { dhcpServerCount: 2 })),
      two.hosts.update(hostId, { maintenance: true }).then(() => two.hosts.update(hostId, { maintenance: false })),
      two.networks
        .update(SINGLE, { dhcpServerCount: 0 })
        .then(() => one.networks.update(SINGLE, { dhcpServerCount: 1 })),
    ]);
    await follows(leader);
    await allUp();
    await stage.settled();
    await using guest = await stage.bound(await stage.reserve(SINGLE));
    expect(await guest.renew()).toMatchObject({ kind: 'renew' });
  });

  test(
    'without its store for a minute moves nothing, and no brake stays',
    async () => {
      const booting = await stage.reserve(PAIR);
      await unnoticed(async (guest) => {
        for (const node of mongo.set.nodes) node.freeze();
        const untilMs = monotonicMs() + PAUSE_MS;
        await eventually('a minute is over', async () => monotonicMs() >= untilMs, 2 * PAUSE_MS);
        await using booted = await stage.bound(booting);
        for (const each of [guest, booted]) expect(await each.renew()).toMatchObject({ kind: 'renew' });
        for (const node of mongo.set.nodes) node.thaw();
      });
    },
    4 * PAUSE_MS,
  );

  test('restarted with everything else, one after another, loses and doubles nothing', async () => {
    const clients = stage.cluster.servers.map((server) => server.client({ timeoutMs: 30_000 }));
    await using reservers = new Reservers(clients, SINGLE);
    await using pair = await stage.prober(PAIR);
    await using guest = await stage.bound(await stage.reserve(PAIR));
    const renew = async () => expect(await guest.renew()).toMatchObject({ kind: 'renew' });

    for (const [n, server] of stage.cluster.servers.entries()) {
      if (n === 0) await server.kill();
      else await server.process.stop();
      await renew();
      await server.start();
      await follower();
      await allUp();
      await reservers.progress();
    }
    for (const host of stage.hosts) {
      await restart(host);
      await renew();
      await reservers.progress();
    }
    for (const node of mongo.set.nodes) {
      await node.kill();
      await renew();
      await node.restart();
      await eventually('it is a member', async () => {
        const others = await mongo.set.secondaries();
        return others.includes(node) || (await mongo.set.primary()) === node;
      });
      await reservers.progress();
    }
    const promised = await reservers.over();
    const found = await stage.leasehold.reservations.list({ networkId: SINGLE }).toArray();
    const there = new Map(found.map(({ mac, address }) => [mac, address]));
    expect([...promised].filter(([mac, address]) => there.get(mac) !== address)).toEqual([]);
    await stage.settled();
    await pair.answerSince(monotonicMs());
    expect(pair.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
    console.log(
      `Rolling restart: ${promised.size} reservations, at most ${pair.longestSilence()} questions unanswered`,
    );
  }, 180_000);

  /** Guests are served while this happens and afterwards, and in the end everything is as it was. */
  async function unnoticed(what: (guest: Guest) => Promise<void>): Promise<void> {
    const before = await stage.settled();
    await using single = await stage.prober(SINGLE);
    await using pair = await stage.prober(PAIR);
    await using guest = await stage.bound(await stage.reserve(SINGLE));
    await what(guest);
    expect(await guest.renew()).toMatchObject({ kind: 'renew' });
    await follower();
    await allUp();
    await expectUnmoved(before);
    await using newcomer = await stage.bound(await stage.reserve(SINGLE));
    for (const each of [guest, newcomer]) expect(await each.renew()).toMatchObject({ kind: 'renew' });
    for (const prober of [single, pair]) {
      await prober.answerSince(monotonicMs());
      expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
    }
    await stage.unbraked();
    await expectUnmoved(before);
  }

  async function expectUnmoved(before: readonly Held[]): Promise<void> {
    expect(await stage.settled()).toEqual(before);
  }

  /** The server that leads, and the other one, once both say the same. */
  async function roles(): Promise<readonly [TestServer, TestServer]> {
    const [one, two = one] = stage.cluster.servers;
    const isOne = await eventually('both know who leads', async () => {
      const [first, second] = await Promise.all(
        [one, two].map((server) => holderOf(server.client({ timeoutMs: 500 }))),
      );
      return first !== undefined && first.server === second?.server && (first.isSelf ? 'yes' : 'no');
    });
    return isOne === 'yes' ? [one, two] : [two, one];
  }

  async function follower(): Promise<TestServer> {
    return (await roles())[1];
  }

  async function leads(server: TestServer): Promise<void> {
    await eventually('it leads', async () => (await holderOf(server.client()))?.isSelf);
  }

  async function follows(server: TestServer): Promise<void> {
    await eventually('it follows', async () => (await holderOf(server.client()))?.isSelf === false);
  }

  async function allUp(): Promise<void> {
    await eventually('all hosts are heard', async () => {
      const hosts = await stage.leasehold.hosts.list().toArray();
      return hosts.every(({ liveness, lastHeartbeatTime }) => liveness === 'up' && lastHeartbeatTime);
    });
  }

  async function restart(host: TestHost): Promise<void> {
    await host.killAgent();
    await host.startAgent();
    await stage.back(host);
    await stage.settled();
  }
});

async function holderOf(client: Leasehold) {
  return (await client.status().catch(() => undefined))?.holder;
}
