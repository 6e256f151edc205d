// Benchmark `reserve`: new reservations against an empty handler, at two depths of load, in alternating rounds.

import { type Benchmark, type Measurement, median, medianRatio, type Progress } from './benchmark.js';
import {
  createSubnet,
  EMPTY,
  expectReserved,
  loadServer,
  SERVER,
  type ServerResult,
  startEmptyServer,
  startServer,
} from './target.js';

const DEPTHS = [64, 256];
const ROUNDS = 7;
const CALLS = 10_000;
const TARGET = 0.7;

/** See the top of the file. */
export const reserve: Benchmark = {
  name: 'reserve',
  summary: 'ReserveAddress with ever new MACs against an empty unary handler',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using cluster = await startServer();
  await using empty = await startEmptyServer();
  const leasehold = cluster.client();
  let subnets = 0;
  const reserveAll = async (outstanding: number): Promise<ServerResult> => {
    const subnetId = `bench-${subnets}`;
    await createSubnet(leasehold, subnetId, subnets++);
    const load = { endpoint: SERVER, subnetId, firstMac: 0, count: CALLS, outstanding };
    const result = await loadServer(cluster.server, load);
    await expectReserved(leasehold, subnetId, CALLS);
    return result;
  };
  const callEmpty = (outstanding: number) =>
    loadServer(empty, { endpoint: EMPTY, subnetId: 'bench', firstMac: 0, count: CALLS, outstanding });

  progress('warming up');
  await reserveAll(64);
  await callEmpty(64);
  const measurements: Measurement[] = [];
  for (const depth of DEPTHS) {
    const real: ServerResult[] = [];
    const base: ServerResult[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      base.push(await callEmpty(depth));
      real.push(await reserveAll(depth));
      progress(
        `${depth} outstanding, round ${round} of ${ROUNDS}: ${rate(real)} reserves/s, ${rate(base)} empty calls/s`,
      );
    }
    measurements.push(...compare(depth, real, base));
  }
  return measurements;
}

function rate(results: readonly ServerResult[]): string {
  return (results.at(-1)?.callsPerSecond ?? 0).toFixed(0);
}

function compare(depth: number, real: readonly ServerResult[], base: readonly ServerResult[]): readonly Measurement[] {
  const of = (results: readonly ServerResult[], key: 'callsPerSecond' | 'cpuPerCallUs' | 'p50Ms' | 'p99Ms') =>
    results.map((result) => result[key]);
  const busy = (results: readonly ServerResult[]) =>
    median(results.map((each) => each.generatorCpuSeconds / each.seconds));
  const at = `at ${depth} outstanding`;
  return [
    {
      name: `reserve : empty, calls/s ${at}`,
      value: medianRatio(of(real, 'callsPerSecond'), of(base, 'callsPerSecond')),
      unit: 'x',
      target: { atLeast: TARGET },
    },
    { name: `reserve ${at}`, value: median(of(real, 'callsPerSecond')), unit: 'calls/s' },
    { name: `empty ${at}`, value: median(of(base, 'callsPerSecond')), unit: 'calls/s' },
    {
      name: `empty : reserve, server CPU a call ${at}`,
      value: medianRatio(of(base, 'cpuPerCallUs'), of(real, 'cpuPerCallUs')),
      unit: 'x',
    },
    { name: `reserve ${at}, server CPU`, value: median(of(real, 'cpuPerCallUs')), unit: 'us/call' },
    { name: `empty ${at}, server CPU`, value: median(of(base, 'cpuPerCallUs')), unit: 'us/call' },
    { name: `reserve ${at}, p50`, value: median(of(real, 'p50Ms')), unit: 'ms' },
    { name: `reserve ${at}, p99`, value: median(of(real, 'p99Ms')), unit: 'ms' },
    { name: `generator busy against reserve ${at}`, value: busy(real), unit: 'cores' },
    { name: `generator busy against empty ${at}`, value: busy(base), unit: 'cores' },
  ];
}
