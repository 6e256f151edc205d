// Benchmarks `fill` and `mongodb-fill`: a /16 from empty to its very last address. Whether the next address is found as
// fast when there are few left. Between two slices of it, as many are reserved in a subnet that is nearly empty: what
// slows the machine for a while slows both.

import { LeaseholdError } from '@leasehold/sdk';
import type { Cluster } from '../support/cluster.js';
import { type Benchmark, type Measurement, median, middle, type Progress, ratios } from './benchmark.js';
import { type Generator, startGenerator } from './load.js';
import { Reserver, SERVER, type ServerResult, startReplicaSet, startServer, startServers, targetOf } from './target.js';

const CAPACITY = 65_534;
const DECILES = 10;
const SLICES_PER_DECILE = 5;
const SLICES = DECILES * SLICES_PER_DECILE;
const WARM_UP = 10_000;
const OUTSTANDING = 128;
const TARGET = 0.8;

/** On the embedded store. */
export const fill: Benchmark = {
  name: 'fill',
  summary: 'throughput by decile while a /16 is filled from 0 to 100 %, embedded store',
  async run(progress) {
    await using cluster = await startServer();
    return await fillAll(cluster, 3, progress);
  },
};

/** On MongoDB. */
export const mongodbFill: Benchmark = {
  name: 'mongodb-fill',
  summary: 'the same on MongoDB, three nodes',
  needsMongod: true,
  async run(progress) {
    await using set = await startReplicaSet();
    await using cluster = await startServers(set.uri('fill'), [SERVER]);
    return await fillAll(cluster, 2, progress);
  },
};

/** Slices of all rounds. */
interface Slices {
  readonly filled: ServerResult[][];
  readonly beside: ServerResult[][];
}

async function fillAll(cluster: Cluster, rounds: number, progress: Progress): Promise<readonly Measurement[]> {
  await using generator = startGenerator();
  const target = targetOf.cluster(cluster, [SERVER]);
  progress('warming up');
  await new Reserver(generator, cluster.client(), target, 'warm-up', WARM_UP).reserve(WARM_UP, OUTSTANDING);
  const slices: Slices = { filled: emptySlices(), beside: emptySlices() };
  for (let round = 1; round <= rounds; round++) {
    await fillOne(cluster, generator, round, slices);
    progress(`round ${round} of ${rounds}: ${CAPACITY} addresses, and as many beside`);
  }
  return summarize(slices);
}

function emptySlices(): ServerResult[][] {
  return Array.from({ length: SLICES }, () => []);
}

async function fillOne(cluster: Cluster, generator: Generator, round: number, slices: Slices): Promise<void> {
  const leasehold = cluster.client();
  const target = targetOf.cluster(cluster, [SERVER]);
  const filled = new Reserver(generator, leasehold, target, `fill-${round}`, CAPACITY);
  const beside = new Reserver(generator, leasehold, target, `beside-${round}`, CAPACITY / DECILES);
  const both = [
    { reserver: filled, results: slices.filled },
    { reserver: beside, results: slices.beside },
  ];
  for (let slice = 0; slice < SLICES; slice++) {
    const count = countUpTo(slice + 1) - countUpTo(slice);
    // Taking turns in who is first.
    for (const { reserver, results } of slice % 2 === 0 ? both : both.toReversed()) {
      results[slice]?.push(await reserver.reserve(count, OUTSTANDING));
    }
  }
  await expectExhausted(leasehold.reservations.reserve({ subnetId: filled.subnetId, mac: '02:ff:00:00:00:01' }));
}

function countUpTo(slice: number): number {
  return Math.floor((slice * CAPACITY) / SLICES);
}

async function expectExhausted(call: Promise<unknown>): Promise<void> {
  const reason = await call.then(
    () => 'an address',
    (error: unknown) => (error instanceof LeaseholdError ? error.reason : String(error)),
  );
  if (reason !== 'SUBNET_EXHAUSTED') throw new Error(`A full subnet answered ${reason}`);
}

function summarize({ filled, beside }: Slices): readonly Measurement[] {
  const speeds = byDecile(filled, 'callsPerSecond');
  const speedsBeside = byDecile(beside, 'callsPerSecond');
  const relative = speeds.map((each, i) => middle(ratios(each, speedsBeside[i] ?? [])));
  const costs = byDecile(filled, 'cpuPerCallUs').map(median);
  return [
    {
      name: 'slowest : fastest decile of filling a /16, each beside a nearly empty one',
      value: leastToMost(relative.map(({ value }) => value)),
      unit: 'x',
      target: { atLeast: TARGET },
    },
    { name: 'the same, not beside anything', value: leastToMost(speeds.map(median)), unit: 'x' },
    {
      name: 'the same of the nearly empty ones: noise of the machine',
      value: leastToMost(speedsBeside.map(median)),
      unit: 'x',
    },
    { name: 'cheapest : dearest decile, server CPU', value: leastToMost(costs), unit: 'x' },
    ...relative.map((each, i) => ({ name: `${percent(i)} : nearly empty`, ...each, unit: 'x' })),
    ...speeds.map((each, i) => ({ name: percent(i), ...middle(each), unit: 'calls/s' })),
    ...costs.map((value, i) => ({ name: `${percent(i)}, server CPU`, value, unit: 'us/call' })),
  ];
}

function percent(decile: number): string {
  return `${decile * 10} to ${decile * 10 + 10} % full`;
}

/** A number of all slices and rounds, for each tenth. */
function byDecile(slices: ServerResult[][], key: 'callsPerSecond' | 'cpuPerCallUs'): readonly (readonly number[])[] {
  return Array.from({ length: DECILES }, (_, i) =>
    slices.slice(i * SLICES_PER_DECILE, (i + 1) * SLICES_PER_DECILE).flatMap((each) => each.map((one) => one[key])),
  );
}

function leastToMost(values: readonly number[]): number {
  return Math.min(...values) / Math.max(...values);
}
