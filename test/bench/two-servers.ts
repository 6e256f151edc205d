// Benchmark `two-servers`: the same load on one server, and spread over two that share a store; and how often they
// propose an address that the other has just taken, until the very last one is gone.

import type { Cluster } from '../support/cluster.js';
import { type Benchmark, type Measurement, middle, type Progress, ratios } from './benchmark.js';
import { startGenerator } from './load.js';
import { explain, rateOf, valuesOf } from './reserve.js';
import { Reserver, SERVER, type ServerResult, startReplicaSet, startServers, targetOf } from './target.js';

const PAIR = ['127.0.0.1:7068', '127.0.0.1:7069'];
const OUTSTANDING = 256;
const CAPACITY = 65_534;
// As many rounds as it takes to fill a /16.
const ROUNDS = 16;
const WARM_UP = 10_000;

/** See the top of the file. */
export const twoServers: Benchmark = {
  name: 'two-servers',
  summary: 'two servers on one replica set of three nodes against one, with the same load in all',
  needsMongod: true,
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using generator = startGenerator();
  await using set = await startReplicaSet();
  // Databases of their own, so that a server that is alone does not pay for others that follow what it does.
  await using single = await startServers(set.uri('single'), [SERVER]);
  await using pair = await startServers(set.uri('pair'), PAIR);
  const reserver = (cluster: Cluster, endpoints: readonly string[]) => {
    const target = targetOf.cluster(cluster, endpoints);
    return (name: string) => new Reserver(generator, cluster.client(), target, name, CAPACITY);
  };
  const alone = reserver(single, [SERVER]);
  const together = reserver(pair, PAIR);

  progress('warming up');
  for (const each of [alone, together]) await each('warm-up').reserve(WARM_UP, OUTSTANDING);
  const before = await totals(pair);
  const contenders = [
    { reserver: alone('fill'), results: [] as ServerResult[] },
    { reserver: together('fill'), results: [] as ServerResult[] },
  ] as const;
  const lastTenth: Totals[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    if (round >= 0.9 * ROUNDS) lastTenth.push(await totals(pair));
    const count = countUpTo(round + 1) - countUpTo(round);
    for (const each of round % 2 === 0 ? contenders : contenders.toReversed()) {
      each.results.push(await each.reserver.reserve(count, OUTSTANDING));
    }
    if (round % 4 === 3) {
      progress(
        `${round + 1} of ${ROUNDS}: one ${rateOf(contenders[0].results)}/s, two ${rateOf(contenders[1].results)}/s`,
      );
    }
  }
  const after = await totals(pair);
  const [{ results: one }, { results: two }] = contenders;
  return [
    {
      name: 'two servers : one, calls/s',
      ...middle(ratios(valuesOf(two, 'callsPerSecond'), valuesOf(one, 'callsPerSecond'))),
      unit: 'x',
      target: { atLeast: 1 },
    },
    {
      name: 'retries per success while two fill a /16',
      value: retriesPerSuccess(before, after),
      unit: '',
      target: { atMost: 0.05 },
    },
    { name: 'retries per success, last tenth', value: retriesPerSuccess(lastTenth[0] ?? before, after), unit: '' },
    ...explain('one', one),
    ...explain('two', two),
  ];
}

function countUpTo(round: number): number {
  return Math.floor((round * CAPACITY) / ROUNDS);
}

interface Totals {
  readonly retries: number;
  readonly created: number;
}

/** What the servers of a cluster counted, together. */
async function totals({ servers }: Cluster): Promise<Totals> {
  const scrapes = await Promise.all(servers.map((server) => server.metrics()));
  const sum = (name: string) => scrapes.reduce((total, samples) => total + (samples.get(name) ?? 0), 0);
  return {
    retries: sum('leasehold_reserve_retries_total'),
    created: sum('leasehold_reserves_total{outcome="created"}'),
  };
}

function retriesPerSuccess(from: Totals, to: Totals): number {
  return (to.retries - from.retries) / (to.created - from.created);
}
