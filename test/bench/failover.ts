// Benchmark `failover`: how long guests are without an answer when a host fails, and how long nobody leads when a server does.
//
//   F1. A prober asks every 100 ms. Of a network with one server counts the time from the fault to the first answer by the
//       replacement: the host that failed cannot answer. A host that is cut off is so from servers and guests alike.
//   F2. At the same time a network that both hosts serve is asked: what counts is the longest silence of all.
//   F3. Hosts take turns: the one that failed returns, and serves again when the other one fails.
//   F4. A server acts when a change made after the old one was killed is confirmed by a host.

import type { Leasehold } from '@leasehold/sdk';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { uplinkOf } from '../support/netns.js';
import { monotonicMs, PROBE_EVERY_MS, Prober } from '../support/prober.js';
import type { TestServer } from '../support/test-server.js';
import { hasTool } from '../support/tools.js';
import {
  type Benchmark,
  type BenchmarkOptions,
  type Measurement,
  NotMeasuredError,
  type Progress,
  percentile,
} from './benchmark.js';
import { macOf } from './load.js';
import { startReplicaSet } from './target.js';

const SINGLE = 'single';
const PAIR = 'pair';
const HOSTS = ['h1', 'h2'];
const TOLD_EVERY = 10;
/** A silence that is over before a client repeats its question (RFC 2131 §4.1) costs it one repetition at most. */
const BEFORE_RETRY_S = 3;
/** Figures of others with their default settings, not measured here. */
const PUBLISHED = [
  { name: 'published: OpenStack Neutron, at best', value: 120, unit: 's' },
  { name: 'published: OpenStack Neutron, at worst', value: 187, unit: 's' },
  { name: 'published: Kea, and 10 unanswered clients', value: 60, unit: 's' },
] as const satisfies readonly Measurement[];

interface Fault {
  readonly name: string;
  readonly atMost: number;
  readonly begin: (host: TestHost) => Promise<void>;
  readonly end: (host: TestHost) => Promise<void>;
}

const FAULTS: readonly Fault[] = [
  { name: 'agent killed', atMost: 3, begin: (host) => host.killAgent(), end: (host) => host.startAgent() },
  {
    name: 'host frozen',
    atMost: 5,
    begin: async ({ agent }) => agent.signal('SIGSTOP'),
    end: async ({ agent }) => agent.signal('SIGCONT'),
  },
  { name: 'host cut off', atMost: 5, begin: cutOff, end: mend },
];

/** See the top of the file. */
export const failover: Benchmark = {
  name: 'failover',
  summary: 'how long nobody answers when a host fails, and nobody leads when a server does',
  needsMongod: true,
  run,
};

async function run(progress: Progress, options: BenchmarkOptions): Promise<readonly Measurement[]> {
  if (!(await hasTool('nft'))) throw new NotMeasuredError('there is no nft: apt-get install nftables');
  // First, because there may be none.
  await using set = await startReplicaSet();
  const hosts = await ofHosts(progress, options);
  const servers = await ofServers(set.uri('failover'), progress, options);
  return [...hosts, ...servers, ...PUBLISHED];
}

async function ofHosts(progress: Progress, { faults }: BenchmarkOptions): Promise<readonly Measurement[]> {
  await using cluster = await Cluster.startOverNetwork();
  const stage = await Stage.start(cluster);
  const measurements: Measurement[] = [];
  for (const [n, fault] of FAULTS.entries()) {
    progress(`${fault.name}, ${faults} times`);
    await using single = await Prober.start(await cluster.guest(SINGLE, `single-${n}`, macOf(0)));
    await using pair = await Prober.start(await cluster.guest(PAIR, `pair-${n}`, macOf(0)));
    for (const prober of [single, pair]) await prober.answerSince(0);
    const silences: number[] = [];
    for (let i = 1; i <= faults; i++) {
      silences.push(await stage.failed(fault, single));
      if (i % TOLD_EVERY === 0) progress(`${i} of ${faults}, the longest ${Math.max(...silences).toFixed(2)} s`);
    }
    await pair.answerSince(monotonicMs());
    const name = `${fault.name}, of one server`;
    measurements.push(
      { name: `${name}: until the other answers, p50`, value: percentile(silences, 0.5), unit: 's' },
      {
        name: `${name}: the same, worst of ${faults}`,
        value: Math.max(...silences),
        unit: 's',
        target: { atMost: fault.atMost },
      },
      {
        name: `${fault.name}, of two servers: longest silence`,
        value: (pair.longestSilence() * PROBE_EVERY_MS) / 1_000,
        unit: 's',
        target: { atMost: BEFORE_RETRY_S },
      },
    );
  }
  return measurements;
}

async function ofServers(
  store: string,
  progress: Progress,
  { faults }: BenchmarkOptions,
): Promise<readonly Measurement[]> {
  await using cluster = await Cluster.startSeveral({ store, servers: 2, overNetwork: true });
  await Stage.start(cluster);
  progress(`leading server killed, ${faults} times`);
  await using prober = await Prober.start(await cluster.guest(SINGLE, 'single', macOf(0)));
  await prober.answerSince(0);
  const [led, idle]: [number[], number[]] = [[], []];
  for (let i = 1; i <= faults; i++) {
    const { leadsAfter, actsAfter } = await leaderKilled(cluster, macOf(i));
    led.push(leadsAfter);
    idle.push(actsAfter);
    if (i % TOLD_EVERY === 0) progress(`${i} of ${faults}, the longest ${Math.max(...idle).toFixed(2)} s`);
  }
  await prober.answerSince(monotonicMs());
  return [
    { name: 'leading server killed: until the other leads, p50', value: percentile(led, 0.5), unit: 's' },
    { name: `leading server killed: the same, worst of ${faults}`, value: Math.max(...led), unit: 's' },
    { name: 'leading server killed: until a host confirms a change, p50', value: percentile(idle, 0.5), unit: 's' },
    {
      name: `leading server killed: the same, worst of ${faults}`,
      value: Math.max(...idle),
      unit: 's',
      target: { atMost: 8 },
    },
    {
      name: 'leading server killed, of one DHCP server: longest silence',
      value: (prober.longestSilence() * PROBE_EVERY_MS) / 1_000,
      unit: 's',
      target: { atMost: BEFORE_RETRY_S },
    },
  ];
}

/** Kills the server that leads; seconds until the other one does, and until a change is confirmed. Then it is started again. */
async function leaderKilled(
  cluster: Cluster,
  mac: string,
): Promise<{ readonly leadsAfter: number; readonly actsAfter: number }> {
  const [leader, follower] = await roles(cluster);
  const client = follower.client({ timeoutMs: 30_000 });
  const beganMs = monotonicMs();
  const passed = () => (monotonicMs() - beganMs) / 1_000;
  await leader.kill();
  await eventually('the other one leads', async () => (await client.status()).holder?.isSelf);
  const leadsAfter = passed();
  await eventually('a change is confirmed', async () => {
    return (await client.reservations.reserve({ subnetId: SINGLE, mac, waitReady: { timeoutMs: 500 } })).ready;
  });
  const actsAfter = passed();
  await leader.start();
  await eventually('every host is heard', async () => {
    return (await client.hosts.list().toArray()).every(({ liveness }) => liveness === 'up');
  });
  await client.close();
  return { leadsAfter, actsAfter };
}

async function roles({ servers: [one, two = one] }: Cluster): Promise<readonly [TestServer, TestServer]> {
  const [first, second] = [one.client(), two.client()];
  const isOne = await eventually('both know who leads', async () => {
    const [a, b] = [(await first.status()).holder, (await second.status()).holder];
    return a !== undefined && a.server === b?.server && (a.isSelf ? 'yes' : 'no');
  });
  for (const client of [first, second]) await client.close();
  return isOne === 'yes' ? [one, two] : [two, one];
}

/** Two hosts, a network that one of them serves and one that both serve, each with a reservation. */
class Stage {
  readonly #leasehold: Leasehold;
  readonly #hosts: ReadonlyMap<string, TestHost>;

  private constructor(leasehold: Leasehold, hosts: ReadonlyMap<string, TestHost>) {
    this.#leasehold = leasehold;
    this.#hosts = hosts;
  }

  static async start(cluster: Cluster): Promise<Stage> {
    const leasehold = cluster.client();
    const hosts = new Map<string, TestHost>();
    for (const hostId of HOSTS) hosts.set(hostId, await cluster.host(hostId, [SINGLE, PAIR]));
    for (const [n, networkId] of [SINGLE, PAIR].entries()) {
      const dhcpServerCount = networkId === SINGLE ? 1 : 2;
      await leasehold.networks.create({ networkId, dhcpServerCount });
      await leasehold.subnets.create({ subnetId: networkId, networkId, cidr: `10.${n}.0.0/16` });
      await servingHosts(leasehold, networkId, dhcpServerCount);
      await leasehold.reservations.reserve({ subnetId: networkId, mac: macOf(0), waitReady: {} });
    }
    // A server that just started waits longer before it calls a host dead: what is measured is one that did not.
    await eventually('no brake is engaged', async () => (await leasehold.status()).brakes.length === 0);
    return new Stage(leasehold, hosts);
  }

  /** A fault of the host that serves alone; seconds until the other one answers. Then it is mended. */
  async failed({ begin, end }: Fault, prober: Prober): Promise<number> {
    const [hostId = ''] = await servingHosts(this.#leasehold, SINGLE, 1);
    const host = this.#hosts.get(hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    const beganMs = monotonicMs();
    await begin(host);
    // What was asked until now may have been answered by the host that failed.
    const { answeredMs } = await prober.answerSince(monotonicMs());
    await end(host);
    await eventually(`${hostId} could serve again`, async () => {
      const [{ liveness, attachments }, placements] = await Promise.all([
        this.#leasehold.hosts.get(hostId),
        this.#leasehold.placements.list().toArray(),
      ]);
      const isBack = liveness === 'up' && attachments.length > 0 && attachments.every(({ ready }) => ready);
      const isServed = placements.length === 3 && placements.every(({ state }) => state === 'serving');
      return isBack && isServed;
    });
    return (answeredMs - beganMs) / 1_000;
  }
}

async function cutOff({ machine, namespace }: TestHost): Promise<void> {
  const wires = [SINGLE, PAIR].map((networkId) => namespace.linkDown(uplinkOf(bridgeOf(networkId))));
  await Promise.all([machine.cut('both'), ...wires]);
}

async function mend({ machine, namespace }: TestHost): Promise<void> {
  const wires = [SINGLE, PAIR].map((networkId) => namespace.linkUp(uplinkOf(bridgeOf(networkId))));
  await Promise.all([machine.heal(), ...wires]);
}
