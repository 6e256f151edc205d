// Benchmark `change-to-agents`: from the reply that acknowledges a reservation to the moment at which it is in the table of
// every one of a hundred agents that serve; asked of the server that leads, and of another server of the same store.
//
//   C1. A network has at most 16 servers, so there are seven networks, and a change is one reservation in each of them, all
//       asked for at once. Each agent is measured from the acknowledgement of its own network's.
//   C2. In the table of an agent means: applied, and about to be acknowledged. All are on one machine and one clock.

import { setTimeout } from 'node:timers/promises';
import type { Leasehold } from '@leasehold/sdk';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { type Benchmark, type BenchmarkOptions, type Measurement, type Progress, percentile } from './benchmark.js';
import { macOf } from './load.js';
import { ManyAgents, monotonicMs } from './many-agents.js';
import { startReplicaSet } from './target.js';

const AGENTS = 100;
const NETWORKS = 7;
const SERVERS_EACH = 16;
const ROUNDS = { full: 300, quick: 30 } as const;
const PAUSE_MS = 20;
const PATIENCE_MS = 30_000;
const TARGET_HOLDER_MS = 100;
const TARGET_OTHER_MS = 1_000;

/** See the top of the file. */
export const changeToAgents: Benchmark = {
  name: 'change-to-agents',
  summary: 'from an acknowledged change to its place in the tables of 100 agents, through either of two servers',
  needsMongod: true,
  run,
};

async function run(progress: Progress, { size }: BenchmarkOptions): Promise<readonly Measurement[]> {
  await using set = await startReplicaSet();
  await using cluster = await Cluster.startSeveral({ store: set.uri('changes'), servers: 2 });
  const [holder, other] = cluster.servers.map((server) => server.client());
  if (!holder || !other) throw new Error('There are no two servers');
  const ids = Array.from({ length: NETWORKS }, (_, n) => `n${n}`);
  for (const networkId of ids) {
    await holder.networks.create({ networkId, dhcpServerCount: SERVERS_EACH });
    await holder.subnets.create({ subnetId: networkId, networkId, cidr: '10.0.0.0/16' });
  }
  progress(`starting ${AGENTS} agents`);
  const servers = cluster.servers.map(({ agentEndpoint }) => agentEndpoint);
  await using agents = await ManyAgents.start(AGENTS, { perSecond: AGENTS, networks: NETWORKS, servers });
  await agents.open(Number.NEGATIVE_INFINITY, PATIENCE_MS);
  await eventually('all agents serve', async () => (await countServing(holder, ids)) === AGENTS, PATIENCE_MS);
  const through = { holder: [] as number[], other: [] as number[] };
  for (let round = 0; round < ROUNDS[size]; round++) {
    for (const [n, [name, client]] of [['holder', holder] as const, ['other', other] as const].entries()) {
      through[name].push(...(await change(agents, client, ids, 2 * round + n)));
      await setTimeout(PAUSE_MS);
    }
  }
  return [
    ...measured('the server that leads', through.holder, TARGET_HOLDER_MS),
    ...measured('another server', through.other, TARGET_OTHER_MS),
  ];
}

async function countServing(leasehold: Leasehold, ids: readonly string[]): Promise<number> {
  const networks = await Promise.all(ids.map((networkId) => leasehold.networks.get(networkId)));
  return networks.reduce((sum, { status }) => sum + (status?.serversServing ?? 0), 0);
}

/** Reserves once in every network; how long after its acknowledgement each agent had it. */
async function change(
  agents: ManyAgents,
  leasehold: Leasehold,
  ids: readonly string[],
  n: number,
): Promise<readonly number[]> {
  const acknowledged = await Promise.all(
    ids.map(async (networkId) => {
      const { reservation } = await leasehold.reservations.reserve({ networkId, mac: macOf(n) });
      return { networkId, reservationId: reservation.reservationId, atMs: monotonicMs() };
    }),
  );
  const delays: number[] = [];
  for (const { networkId, reservationId, atMs } of acknowledged) {
    const had = await agents.has(networkId, reservationId, PATIENCE_MS);
    // It may be in a table before its acknowledgement is read here.
    delays.push(...had.map((hadMs) => Math.max(0, hadMs - atMs)));
  }
  if (delays.length !== AGENTS) throw new Error(`${delays.length} agents were told, not ${AGENTS}`);
  return delays;
}

function measured(through: string, delays: readonly number[], targetMs: number): readonly Measurement[] {
  const name = `acknowledged by ${through} to the tables of all agents`;
  return [
    { name: `${name}, longest`, value: percentile(delays, 1), unit: 'ms', target: { atMost: targetMs } },
    { name: `${name}, p99`, value: percentile(delays, 0.99), unit: 'ms' },
    { name: `${name}, p50`, value: percentile(delays, 0.5), unit: 'ms' },
  ];
}
