// Benchmark `sdk-reserve`: what one process of an engine reserves through the SDK on the embedded store, against a plain
// grpc-js client, in alternating rounds.

import type { Leasehold } from '@leasehold/sdk';
import { type Benchmark, type BenchmarkOptions, type Measurement, middle, type Progress, ratios } from './benchmark.js';
import { cpuSeconds, TaskProgram } from './child.js';
import { createSubnet, expectReserved, SERVER, startServer } from './target.js';

/** What an engine's process does. */
export interface EngineLoad {
  readonly by: 'sdk' | 'grpc';
  readonly server: string;
  readonly subnetId: string;
  readonly firstMac: number;
  readonly count: number;
  /** How many callers wait for an answer at a time. */
  readonly outstanding: number;
}

/** How it went. */
export interface EngineResult {
  readonly perSecond: number;
  readonly cpuPerCallUs: number;
}

interface Round extends EngineResult {
  readonly serverCpuPerCallUs: number;
}

const CALLERS = 1_000;
const SIZES = {
  full: { rounds: 15, sdk: 40_000, grpc: 8_000 },
  quick: { rounds: 2, sdk: 10_000, grpc: 2_000 },
} as const;
const TARGET_PER_SECOND = 20_000;

/** See the top of the file. */
export const sdkReserve: Benchmark = {
  name: 'sdk-reserve',
  summary: 'reserves of one process through the SDK on the embedded store against a plain grpc-js client',
  run,
};

async function run(progress: Progress, { size }: BenchmarkOptions): Promise<readonly Measurement[]> {
  const { rounds, ...counts } = SIZES[size];
  await using engine = new TaskProgram<EngineLoad, EngineResult>('sdk-load-program');
  await using cluster = await startServer();
  const leasehold = cluster.client();
  const pid = cluster.server.pid;
  let subnets = 0;
  const round = async (by: EngineLoad['by']): Promise<Round> => {
    const subnetId = `bench-${++subnets}`;
    await createSubnet(leasehold, subnetId, subnets);
    return reserveIn(engine, leasehold, pid, { by, server: SERVER, subnetId, firstMac: 0, count: counts[by] });
  };

  progress('warming up');
  await round('grpc');
  await round('sdk');
  const ofGrpc: Round[] = [];
  const ofSdk: Round[] = [];
  for (let n = 0; n < rounds; n++) {
    ofGrpc.push(await round('grpc'));
    ofSdk.push(await round('sdk'));
    progress(`${ofSdk.at(-1)?.perSecond.toFixed(0)} reserves/s, grpc-js ${ofGrpc.at(-1)?.perSecond.toFixed(0)}`);
  }
  return report(ofSdk, ofGrpc);
}

async function reserveIn(
  engine: TaskProgram<EngineLoad, EngineResult>,
  leasehold: Leasehold,
  serverPid: number,
  load: Omit<EngineLoad, 'outstanding'>,
): Promise<Round> {
  const before = cpuSeconds(serverPid);
  const result = await engine.run({ ...load, outstanding: CALLERS });
  const serverCpuPerCallUs = ((cpuSeconds(serverPid) - before) / load.count) * 1e6;
  await expectReserved(leasehold, load.subnetId, load.count);
  return { ...result, serverCpuPerCallUs };
}

function report(ofSdk: readonly Round[], ofGrpc: readonly Round[]): readonly Measurement[] {
  const rates = (all: readonly Round[]) => all.map(({ perSecond }) => perSecond);
  return [
    {
      name: 'sdk, reserves/s',
      ...middle(rates(ofSdk)),
      unit: 'calls/s',
      target: { atLeast: TARGET_PER_SECOND },
    },
    { name: 'sdk : grpc-js, reserves/s', ...middle(ratios(rates(ofSdk), rates(ofGrpc))), unit: 'x' },
    { name: 'grpc-js, reserves/s', ...middle(rates(ofGrpc)), unit: 'calls/s' },
    ...explain('sdk', ofSdk),
    ...explain('grpc-js', ofGrpc),
  ];
}

function explain(name: string, rounds: readonly Round[]): readonly Measurement[] {
  const own = middle(rounds.map(({ cpuPerCallUs }) => cpuPerCallUs));
  const servers = middle(rounds.map(({ serverCpuPerCallUs }) => serverCpuPerCallUs));
  return [
    { name: `${name}, client CPU`, ...own, unit: 'us/call' },
    { name: `${name}, server CPU`, ...servers, unit: 'us/call' },
  ];
}
