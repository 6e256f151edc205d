// Benchmark `reserve`: new reservations on the embedded store against an empty handler, at two depths of load, in
// alternating rounds.

import { type Benchmark, type Measurement, median, middle, type Progress, ratios } from './benchmark.js';
import { startGenerator } from './load.js';
import { loadTarget, Reserver, SERVER, type ServerResult, startEmptyServer, startServer, targetOf } from './target.js';

const DEPTHS = [64, 256];
const ROUNDS = 15;
const CALLS = 4_000;
const WARM_UP = 10_000;
const TARGET = 0.7;

/** See the top of the file. */
export const reserve: Benchmark = {
  name: 'reserve',
  summary: 'ReserveAddress with ever new MACs on the embedded store against an empty unary handler',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using generator = startGenerator();
  await using cluster = await startServer();
  await using empty = await startEmptyServer();
  const reserver = new Reserver(generator, cluster.client(), targetOf.cluster(cluster, [SERVER]), 'bench', 65_000);
  const callEmpty = (count: number, outstanding: number) =>
    loadTarget(generator, targetOf.empty(empty), { calls: NO_CALLS, count, outstanding });

  progress('warming up');
  await reserver.reserve(WARM_UP, 64);
  await callEmpty(WARM_UP, 64);
  const measurements: Measurement[] = [];
  for (const depth of DEPTHS) {
    const real: ServerResult[] = [];
    const base: ServerResult[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      base.push(await callEmpty(CALLS, depth));
      real.push(await reserver.reserve(CALLS, depth));
    }
    progress(`${depth} outstanding: ${rateOf(real)} reserves/s, ${rateOf(base)} empty calls/s`);
    measurements.push(...compare(depth, real, base));
  }
  return measurements;
}

/** What the empty server is asked: it looks at nothing. */
export const NO_CALLS = { kind: 'reserve', subnetId: 'bench-1', firstMac: 0 } as const;

/** Calls per second, for people. */
export function rateOf(results: readonly ServerResult[]): string {
  return median(results.map(({ callsPerSecond }) => callsPerSecond)).toFixed(0);
}

function compare(depth: number, real: readonly ServerResult[], base: readonly ServerResult[]): readonly Measurement[] {
  const at = `at ${depth} outstanding`;
  return [
    {
      name: `reserve : empty, calls/s ${at}`,
      ...middle(ratios(valuesOf(real, 'callsPerSecond'), valuesOf(base, 'callsPerSecond'))),
      unit: 'x',
      target: { atLeast: TARGET },
    },
    ...explain(`reserve ${at}`, real),
    ...explain(`empty ${at}`, base),
  ];
}

type Key = Exclude<keyof ServerResult, 'seconds'>;

/** One number of all rounds. */
export function valuesOf(results: readonly ServerResult[], key: Key): readonly number[] {
  return results.map((result) => result[key]);
}

/** What explains a rate. */
export function explain(name: string, results: readonly ServerResult[]): readonly Measurement[] {
  return [
    { name, ...middle(valuesOf(results, 'callsPerSecond')), unit: 'calls/s' },
    { name: `${name}, server CPU`, ...middle(valuesOf(results, 'cpuPerCallUs')), unit: 'us/call' },
    { name: `${name}, p50`, ...middle(valuesOf(results, 'p50Ms')), unit: 'ms' },
    { name: `${name}, p99`, ...middle(valuesOf(results, 'p99Ms')), unit: 'ms' },
    {
      name: `${name}, generator busy`,
      ...middle(results.map((each) => each.generatorCpuSeconds / each.seconds)),
      unit: 'cores',
    },
  ];
}
