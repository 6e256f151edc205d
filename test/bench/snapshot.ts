// Benchmark `snapshot`: a host that has nothing yet is given a network of many reservations; how long until the last of them
// is answered, and for comparison the only one of a small network. In turns.
//
//   N1. It lasts from the creation of the agent's process to the OFFER on a guest's wire.
//   N2. Every time it is another host, without state, and nobody else serves the network.
//   N3. The guest asks every few milliseconds, for the reservation that was made last.

import { type Cluster, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { Nic } from '../support/netns.js';
import { monotonicMs, Prober } from '../support/prober.js';
import { type Benchmark, type Measurement, middle, type Progress } from './benchmark.js';
import { cpuSeconds } from './child.js';
import { macOf } from './load.js';
import { fillNetwork } from './served-network.js';
import { startServer } from './target.js';

const MANY = 60_000;
const FEW = 1;
const ROUNDS = 5;
const ASK_EVERY_MS = 5;
const TARGET_SECONDS = 2;

interface Filled {
  readonly networkId: string;
  /** With the MAC of the last reservation. */
  readonly guest: Nic;
  /** Of the last reservation. */
  readonly address: string;
}

/** How it went on one host. */
interface Arrival {
  readonly seconds: number;
  /** Of processor time until then. */
  readonly agentCpuSeconds: number;
  readonly serverCpuSeconds: number;
}

/** See the top of the file. */
export const snapshot: Benchmark = {
  name: 'snapshot',
  summary: 'from the start of an agent without state to the answer for the last of 60,000 reservations',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using cluster = await startServer();
  progress(`making ${MANY} reservations`);
  const few = await filled(cluster, 'few', 0, FEW);
  const many = await filled(cluster, 'many', 1, MANY);
  const arrivals = { few: [] as Arrival[], many: [] as Arrival[] };
  // The first round warms up.
  for (let n = 0; n <= ROUNDS; n++) {
    const [onFew, onMany] = [await arrive(cluster, few, n), await arrive(cluster, many, n)];
    if (n === 0) continue;
    arrivals.few.push(onFew);
    arrivals.many.push(onMany);
    const [short, long] = [onFew.seconds.toFixed(2), onMany.seconds.toFixed(2)];
    progress(`host ${n} of ${ROUNDS}: ${short} s with ${FEW} reservation, ${long} s with ${MANY}`);
  }
  return summarize(arrivals.few, arrivals.many);
}

async function filled(cluster: Cluster, networkId: string, n: number, reservations: number): Promise<Filled> {
  await fillNetwork(cluster, networkId, n, reservations);
  const mac = macOf(reservations - 1);
  const { address } = await cluster.client().reservations.get({ networkId, mac });
  return { networkId, guest: await cluster.guest(networkId, `guest-${networkId}`, mac), address };
}

async function arrive(cluster: Cluster, { networkId, guest, address }: Filled, n: number): Promise<Arrival> {
  await using prober = await Prober.start(guest, ASK_EVERY_MS);
  const host = await cluster.idleHost(`${networkId}-${n}`, [networkId]);
  const before = cpuSeconds(cluster.server.pid);
  const beganMs = monotonicMs();
  const [answer] = await Promise.all([prober.answerSince(beganMs), host.startAgent()]);
  const agentCpuSeconds = cpuSeconds(host.agent.pid);
  const serverCpuSeconds = cpuSeconds(cluster.server.pid) - before;
  if (answer.address !== address) throw new Error(`${guest.mac} was offered ${answer.address}, not ${address}`);
  await servingHosts(cluster.client(), networkId, 1);
  // The next host gets the network as soon as it comes, since this one has lost the interface. Its agent stays: many that
  // end are taken for a failure of the control plane, and nothing is moved then.
  host.writeNetworks([]);
  await eventually(`nobody serves ${networkId}`, async () => {
    const placements = await cluster.client().placements.list({ networkId }).toArray();
    return placements.every(({ state }) => state !== 'serving');
  });
  return { seconds: (answer.answeredMs - beganMs) / 1_000, agentCpuSeconds, serverCpuSeconds };
}

function summarize(few: readonly Arrival[], many: readonly Arrival[]): readonly Measurement[] {
  const seconds = (key: keyof Arrival, arrivals: readonly Arrival[]) => ({
    ...middle(arrivals.map((arrival) => arrival[key])),
    unit: 's',
  });
  return [
    {
      name: `until the last of ${MANY} is answered`,
      ...seconds('seconds', many),
      target: { atMost: TARGET_SECONDS },
    },
    { name: `until the only one is answered`, ...seconds('seconds', few) },
    {
      name: `what ${MANY} take longer`,
      ...middle(many.map((arrival, n) => arrival.seconds - (few[n]?.seconds ?? Number.NaN))),
      unit: 's',
    },
    { name: `agent CPU until then, ${MANY}`, ...seconds('agentCpuSeconds', many) },
    { name: `agent CPU until then, ${FEW}`, ...seconds('agentCpuSeconds', few) },
    { name: `server CPU until then, ${MANY}`, ...seconds('serverCpuSeconds', many) },
    { name: `server CPU until then, ${FEW}`, ...seconds('serverCpuSeconds', few) },
  ];
}
