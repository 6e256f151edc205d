// Benchmark `fill`: a /16 from empty to its very last address. Whether the next address is found as fast when there are
// few left.

import { LeaseholdError } from '@leasehold/sdk';
import { type Benchmark, type Measurement, median, type Progress } from './benchmark.js';
import type { Decile } from './load.js';
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

const ROUNDS = 2;
const WARM_UP = 10_000;
const OUTSTANDING = 128;
const TARGET = 0.8;

/** See the top of the file. */
export const fill: Benchmark = {
  name: 'fill',
  summary: 'throughput by decile while a /16 is filled from 0 to 100 %',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using cluster = await startServer();
  await using empty = await startEmptyServer();
  const leasehold = cluster.client();
  const real: ServerResult[] = [];
  const base: ServerResult[] = [];
  progress('warming up');
  await createSubnet(leasehold, 'warm-up', 0);
  const warmUp = { subnetId: 'warm-up', firstMac: 0, count: WARM_UP, outstanding: OUTSTANDING };
  await loadServer(cluster.server, { ...warmUp, endpoint: SERVER });
  await loadServer(empty, { ...warmUp, endpoint: EMPTY });
  for (let round = 1; round <= ROUNDS; round++) {
    const subnetId = `fill-${round}`;
    const count = await createSubnet(leasehold, subnetId, round);
    const load = { subnetId, firstMac: 0, count, outstanding: OUTSTANDING };
    const filled = await loadServer(cluster.server, { ...load, endpoint: SERVER });
    await expectReserved(leasehold, subnetId, count);
    await expectExhausted(leasehold.reservations.reserve({ subnetId, mac: '02:ff:00:00:00:01' }));
    progress(
      `round ${round} of ${ROUNDS}: ${count} addresses, ${filled.callsPerSecond.toFixed(0)}/s; now the empty handler`,
    );
    real.push(filled);
    base.push(await loadServer(empty, { ...load, endpoint: EMPTY }));
  }
  const speeds = perDecile(real, speedOf);
  const costs = perDecile(real, costOf);
  return [
    {
      name: 'slowest : fastest decile of filling a /16',
      value: leastToMost(speeds),
      unit: 'x',
      target: { atLeast: TARGET },
    },
    {
      name: 'the same of the empty handler: noise of the machine',
      value: leastToMost(perDecile(base, speedOf)),
      unit: 'x',
    },
    { name: 'cheapest : dearest decile, server CPU', value: leastToMost(costs), unit: 'x' },
    { name: 'the same of the empty handler', value: leastToMost(perDecile(base, costOf)), unit: 'x' },
    ...speeds.map((value, i) => ({ name: `${i * 10} to ${i * 10 + 10} % full`, value, unit: 'calls/s' })),
    ...costs.map((value, i) => ({ name: `${i * 10} to ${i * 10 + 10} % full, server CPU`, value, unit: 'us/call' })),
  ];
}

async function expectExhausted(call: Promise<unknown>): Promise<void> {
  const reason = await call.then(
    () => 'an address',
    (error: unknown) => (error instanceof LeaseholdError ? error.reason : String(error)),
  );
  if (reason !== 'SUBNET_EXHAUSTED') throw new Error(`A full subnet answered ${reason}`);
}

type OfDecile = (decile: Decile, calls: number) => number;

const speedOf: OfDecile = ({ seconds }, calls) => calls / seconds;
const costOf: OfDecile = ({ serverCpuSeconds }, calls) => (serverCpuSeconds / calls) * 1e6;

/** The middle of all rounds, of each tenth. */
function perDecile(results: readonly ServerResult[], value: OfDecile): readonly number[] {
  const rounds = results.map(({ deciles, callsPerSecond, seconds }) =>
    deciles.map((decile) => value(decile, (callsPerSecond * seconds) / deciles.length)),
  );
  return Array.from({ length: 10 }, (_, i) => median(rounds.map((round) => round[i] ?? Number.NaN)));
}

function leastToMost(values: readonly number[]): number {
  return Math.min(...values) / Math.max(...values);
}
