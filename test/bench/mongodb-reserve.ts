// Benchmark `mongodb-reserve`: new reservations on a replica set of three nodes against an empty handler, and against the
// driver alone, inserting the same documents in the same batches; and one caller against one insert at a time.

import type { ReplicaSet } from '../support/replica-set.js';
import type { TestServer } from '../support/test-server.js';
import { type Benchmark, type Measurement, median, middle, type Progress, ratios } from './benchmark.js';
import { TaskProgram } from './child.js';
import { startGenerator } from './load.js';
import type { RawInserts, RawResult } from './raw-insert-program.js';
import { explain, NO_CALLS, rateOf, valuesOf } from './reserve.js';
import {
  loadTarget,
  Reserver,
  SERVER,
  type ServerResult,
  startEmptyServer,
  startReplicaSet,
  startServers,
  targetOf,
} from './target.js';

const OUTSTANDING = 256;
const ROUNDS = 11;
const CALLS = 6_000;
const LONE_CALLS = 150;
const WARM_UP = 10_000;
const OF_EMPTY = 0.5;
const OF_RAW = 0.6;
const LATENCY = 2;

/** See the top of the file. */
export const mongodbReserve: Benchmark = {
  name: 'mongodb-reserve',
  summary: 'the same on MongoDB, three nodes, also against the driver alone',
  needsMongod: true,
  run,
};

/** What is compared, round by round. */
interface Rounds {
  readonly real: ServerResult[];
  readonly base: ServerResult[];
  readonly raw: number[];
  readonly batches: number[];
  readonly loneReal: ServerResult[];
  readonly loneRaw: number[];
}

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using generator = startGenerator();
  await using set = await startReplicaSet();
  await using cluster = await startServers(set.uri('bench'), [SERVER]);
  await using empty = await startEmptyServer();
  await using raw = await startRaw(set);
  const [server] = cluster.servers;
  const reserver = new Reserver(generator, cluster.client(), targetOf.cluster(cluster, [SERVER]), 'bench', 65_000);
  const callEmpty = (count: number) =>
    loadTarget(generator, targetOf.empty(empty), { calls: NO_CALLS, count, outstanding: OUTSTANDING });

  progress('warming up');
  await reserver.reserve(WARM_UP, OUTSTANDING);
  await callEmpty(WARM_UP);
  await raw.run({ kind: 'batches', count: WARM_UP, batch: OUTSTANDING / 2, inFlight: 2 });
  const rounds: Rounds = { real: [], base: [], raw: [], batches: [], loneReal: [], loneRaw: [] };
  for (let round = 0; round < ROUNDS; round++) {
    rounds.base.push(await callEmpty(CALLS));
    const before = await batchesOf(server);
    rounds.real.push(await reserver.reserve(CALLS, OUTSTANDING));
    const after = await batchesOf(server);
    const batch = Math.round((after.documents - before.documents) / (after.batches - before.batches));
    rounds.batches.push(batch);
    const { seconds } = await raw.run({ kind: 'batches', count: CALLS, batch, inFlight: 2 });
    rounds.raw.push(CALLS / seconds);
  }
  progress(
    `${rateOf(rounds.real)} reserves/s, ${rateOf(rounds.base)} empty calls/s, ${median(rounds.raw).toFixed(0)} raw inserts/s`,
  );
  for (let round = 0; round < ROUNDS; round++) {
    rounds.loneReal.push(await reserver.reserve(LONE_CALLS, 1));
    rounds.loneRaw.push((await raw.run({ kind: 'single', count: LONE_CALLS })).p50Ms);
  }
  return compare(rounds);
}

/** The driver alone, on a collection like the server's: with its indexes. */
async function startRaw(set: ReplicaSet): Promise<TaskProgram<RawInserts, RawResult>> {
  {
    await using _once = await startServers(set.uri('raw'), ['127.0.0.1:7070']);
  }
  const raw = new TaskProgram<RawInserts, RawResult>('raw-insert-program');
  await raw.run({ kind: 'connect', uri: set.uri('raw') });
  return raw;
}

interface Batches {
  readonly documents: number;
  readonly batches: number;
}

/** What a server inserted so far. */
async function batchesOf(server: TestServer): Promise<Batches> {
  const samples = await server.metrics();
  const sample = (suffix: string) => samples.get(`leasehold_store_batch_size_${suffix}{operation="insert"}`) ?? 0;
  return { documents: sample('sum'), batches: sample('count') };
}

function compare({ real, base, raw, batches, loneReal, loneRaw }: Rounds): readonly Measurement[] {
  const speeds = valuesOf(real, 'callsPerSecond');
  const empty = valuesOf(base, 'callsPerSecond');
  const latencies = valuesOf(loneReal, 'p50Ms');
  const lower = empty.map((each, i) => Math.min(OF_EMPTY * each, OF_RAW * (raw[i] ?? Number.NaN)));
  // What fills these cores would do at best: a call that does nothing, and an insert by somebody who does nothing else.
  const both = empty.map((each, i) => 1 / (1 / each + 1 / (raw[i] ?? Number.NaN)));
  return [
    {
      name: `reserve : the lower of ${OF_EMPTY} x empty and ${OF_RAW} x raw, at ${OUTSTANDING} outstanding`,
      ...middle(ratios(speeds, lower)),
      unit: 'x',
      target: { atLeast: 1 },
    },
    {
      name: 'one caller : one raw majority insert, latency',
      ...middle(ratios(latencies, loneRaw)),
      unit: 'x',
      target: { atMost: LATENCY },
    },
    { name: 'reserve : empty, calls/s', ...middle(ratios(speeds, empty)), unit: 'x' },
    { name: 'reserve : raw inserts, calls/s', ...middle(ratios(speeds, raw)), unit: 'x' },
    { name: 'reserve : an empty call and then a raw insert', ...middle(ratios(speeds, both)), unit: 'x' },
    { name: 'an empty call and then a raw insert : that lower one', ...middle(ratios(both, lower)), unit: 'x' },
    ...explain('reserve', real),
    ...explain('empty', base),
    { name: 'raw inserts', ...middle(raw), unit: 'documents/s' },
    { name: 'reservations of a batch', ...middle(batches), unit: '' },
    { name: 'one caller, p50', ...middle(latencies), unit: 'ms' },
    { name: 'one raw majority insert, p50', ...middle(loneRaw), unit: 'ms' },
  ];
}
