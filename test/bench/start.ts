// Benchmarks `start` and `mongodb-start`: a server that begins on a store of a million reservations, and for comparison
// on a store of one, both imported; they are started in turns.
//
//   S1. A start lasts from the creation of the process until it has said that it is ready and then answered a reserve of
//       a new MAC.
//   S2. Memory is what is resident two seconds after that answer, so that garbage of the start had time to go, and
//       before anything else is asked. What a reservation takes is the difference between the two servers.
//   S3. Every start is checked afterwards: the counters of all subnets, and that an imported reservation is found.
//   S4. A server is asked to end, and so gives up its store before the next one starts.
//
// The store's file is in the memory of the kernel or of MongoDB already, as it is after a restart of the server alone.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Leasehold } from '@leasehold/sdk';
import { eventually } from '../support/eventually.js';
import { writeManyReservations } from '../support/many-reservations.js';
import { memoryOf, type ProcessMemory } from '../support/process-memory.js';
import { startProgram } from '../support/processes.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { TestServer } from '../support/test-server.js';
import { type Benchmark, type Measurement, middle, type Progress } from './benchmark.js';
import { cpuSeconds } from './child.js';
import { macOf } from './load.js';
import { startReplicaSet } from './target.js';

const MANY = 1_000_000;
const FEW = 1;
const PER_NETWORK = 60_000;
const STARTS = 5;
const SETTLED_AFTER_MS = 2_000;
const TARGET_BYTES = 300;
const TARGET_SECONDS = 2;
const TARGET_SECONDS_MONGODB = 5;

/** On the embedded store. */
export const start: Benchmark = {
  name: 'start',
  summary: 'start on a million reservations, and memory for each of them, embedded store',
  async run(progress) {
    using directory = temporaryDirectory('start-');
    const uri = (name: string) => `embedded:${join(directory.path, name)}`;
    return await measureStarts({ directory: directory.path, uri, targetSeconds: TARGET_SECONDS }, progress);
  },
};

/** On MongoDB. */
export const mongodbStart: Benchmark = {
  name: 'mongodb-start',
  summary: 'the same on MongoDB, three nodes',
  needsMongod: true,
  async run(progress) {
    await using set = await startReplicaSet();
    using directory = temporaryDirectory('start-');
    const uri = (name: string) => set.uri(name);
    return await measureStarts({ directory: directory.path, uri, targetSeconds: TARGET_SECONDS_MONGODB }, progress);
  },
};

/** Where it happens. */
interface Place {
  readonly directory: string;
  /** The store of a name, as `--store` names it. */
  uri(name: string): string;
  readonly targetSeconds: number;
}

/** What servers are started on. */
interface Imported {
  readonly store: string;
  readonly reservations: number;
  readonly importSeconds: number;
}

/** How a start went. */
interface Start {
  readonly readySeconds: number;
  /** Also answered a reserve. */
  readonly seconds: number;
  /** Of processor time until then. */
  readonly cpuSeconds: number;
  readonly memory: ProcessMemory;
}

async function measureStarts(place: Place, progress: Progress): Promise<readonly Measurement[]> {
  const few = await importInto(place, 'few', FEW, progress);
  const many = await importInto(place, 'many', MANY, progress);
  const starts = { few: [] as Start[], many: [] as Start[] };
  // The first one, on the small store, only warms up what asks here.
  await startOn(few, 0, place.directory);
  for (let n = 1; n <= STARTS; n++) {
    const onFew = await startOn(few, n, place.directory);
    const onMany = await startOn(many, n - 1, place.directory);
    starts.few.push(onFew);
    starts.many.push(onMany);
    const [short, long] = [onFew.seconds.toFixed(2), onMany.seconds.toFixed(2)];
    progress(`start ${n} of ${STARTS}: ${short} s with one reservation, ${long} s with a million`);
  }
  return summarize(starts.few, starts.many, many.importSeconds, place.targetSeconds);
}

async function importInto(place: Place, name: string, reservations: number, progress: Progress): Promise<Imported> {
  const input = join(place.directory, `${name}.jsonl`);
  const store = place.uri(name);
  progress(`importing ${reservations.toLocaleString('en')}`);
  writeManyReservations(input, reservations, { perNetwork: PER_NETWORK });
  const beganMs = performance.now();
  await using program = startProgram('leasehold-server', ['import', '--input', input, '--store', store]);
  const code = await program.exited;
  if (code !== 0) throw new Error(`The import ended with ${code}: ${program.lines.at(-1)?.text}`);
  const importSeconds = secondsSince(beganMs);
  rmSync(input);
  return { store, reservations, importSeconds };
}

/** Starts a server, measures and checks it, and ends it; `earlier`: how many did so on this store before. */
async function startOn({ store, reservations }: Imported, earlier: number, directory: string): Promise<Start> {
  await using server = new TestServer(directory, '', store);
  const beganMs = performance.now();
  await server.start();
  const readySeconds = secondsSince(beganMs);
  const leasehold = server.client();
  await leasehold.reservations.reserve({ networkId: 'n000', mac: macOf(earlier) });
  const seconds = secondsSince(beganMs);
  const { pid } = server.process;
  const cpu = cpuSeconds(pid);
  await setTimeout(SETTLED_AFTER_MS);
  const memory = memoryOf(pid);
  await check(leasehold, reservations, earlier + 1);
  await server.process.stop();
  return { readySeconds, seconds, cpuSeconds: cpu, memory };
}

function secondsSince(ms: number): number {
  return (performance.now() - ms) / 1_000;
}

/** Fails unless the imported reservations are served, and those that were made since. */
async function check(leasehold: Leasehold, imported: number, made: number): Promise<void> {
  // Counters follow the watch.
  await eventually(`${imported} and ${made} addresses are reserved`, async () => {
    let reserved = 0;
    for await (const { usage } of leasehold.subnets.list()) reserved += usage?.reserved ?? 0;
    return reserved === imported + made;
  });
  const last = imported - 1;
  const networkId = `n${String(Math.floor(last / PER_NETWORK)).padStart(3, '0')}`;
  const mac = macOf(last).replace('02:00', '52:54');
  const { hostname } = await leasehold.reservations.get({ networkId, mac });
  if (hostname !== `vm-${last}`) throw new Error(`${mac} belongs to ${hostname}`);
}

function summarize(
  few: readonly Start[],
  many: readonly Start[],
  importSeconds: number,
  targetSeconds: number,
): readonly Measurement[] {
  const each = (key: keyof ProcessMemory) =>
    middle(many.map(({ memory }, n) => (memory[key] - (few[n]?.memory[key] ?? Number.NaN)) / (MANY - FEW)));
  const seconds = (starts: readonly Start[], key: 'readySeconds' | 'seconds' | 'cpuSeconds') => ({
    ...middle(starts.map((one) => one[key])),
    unit: 's',
  });
  const megabytes = (starts: readonly Start[]) => ({
    ...middle(starts.map(({ memory }) => memory.resident / 1e6)),
    unit: 'MB',
  });
  return [
    {
      name: 'start with a million, until a reserve is answered',
      ...seconds(many, 'seconds'),
      target: { atMost: targetSeconds },
    },
    { name: 'resident memory for each', ...each('resident'), unit: 'bytes', target: { atMost: TARGET_BYTES } },
    { name: 'of that anonymous', ...each('anonymous'), unit: 'bytes' },
    { name: 'of that pages of mapped files', ...each('mapped'), unit: 'bytes' },
    { name: 'start with a million, until it says that it is ready', ...seconds(many, 'readySeconds') },
    { name: 'server CPU of that start', ...seconds(many, 'cpuSeconds') },
    { name: 'start with one, until a reserve is answered', ...seconds(few, 'seconds') },
    { name: 'server CPU of that start, with one', ...seconds(few, 'cpuSeconds') },
    { name: 'resident with a million', ...megabytes(many) },
    { name: 'resident with one', ...megabytes(few) },
    { name: 'import of a million', value: importSeconds, unit: 's' },
  ];
}
