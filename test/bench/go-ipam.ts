// Benchmark `go-ipam`: Leasehold beside go-ipam on one replica set, for one caller and for ten, the fuller a /16 becomes.

import { type Benchmark, type Measurement, middle, type Progress, ratios } from './benchmark.js';
import { GoIpam } from './go-ipam-server.js';
import { startGenerator } from './load.js';
import { valuesOf } from './reserve.js';
import { Reserver, SERVER, type ServerResult, startReplicaSet, startServers, targetOf } from './target.js';

const CAPACITY = 65_534;
const ROUNDS = 3;
// The fuller the prefix is, the longer go-ipam takes: at 99 % ten callers wait for up to 20 s each.
const FILLS = [
  { percent: 0, acquires: 200 },
  { percent: 10, acquires: 100 },
  { percent: 50, acquires: 40 },
  { percent: 90, acquires: 30 },
  { percent: 99, acquires: 30 },
] as const;
// At 99 %, 655 addresses are left.
const CALLERS = [
  { callers: 1, reserves: 200 },
  { callers: 10, reserves: 400 },
] as const;
const WARM_UP = 10_000;
const OUTSTANDING = 256;

/** See the top of the file. */
export const goIpam: Benchmark = {
  name: 'go-ipam',
  summary: 'ReserveAddress beside AcquireIP of go-ipam on the same three MongoDB nodes, by how full a /16 is',
  needsMongod: true,
  onlyByName: true,
  run,
};

/** One fill and number of callers. */
interface Cell {
  readonly percent: number;
  readonly callers: number;
  readonly acquires: number;
  readonly reserves: number;
  readonly ours: ServerResult[];
  readonly theirs: ServerResult[];
}

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using generator = startGenerator();
  await using set = await startReplicaSet();
  await using theirs = await GoIpam.start(set, generator);
  await using cluster = await startServers(set.uri('leasehold'), [SERVER]);
  const target = targetOf.cluster(cluster, [SERVER]);
  const reserver = (name: string) => new Reserver(generator, cluster.client(), target, name, CAPACITY);

  progress('warming up');
  await reserver('warm-up').reserve(WARM_UP, OUTSTANDING);
  await theirs.fill(0);
  await theirs.acquire(200, 1);
  const cells = FILLS.flatMap((fill) => CALLERS.map((each): Cell => ({ ...fill, ...each, ours: [], theirs: [] })));
  for (let round = 1; round <= ROUNDS; round++) {
    await runRound(cells, reserver(`fill-${round}`), theirs, round);
    progress(`round ${round} of ${ROUNDS}`);
  }
  return summarize(cells);
}

/** Every cell once: both fill up as it goes. */
async function runRound(cells: readonly Cell[], ours: Reserver, theirs: GoIpam, round: number): Promise<void> {
  let reserved = 0;
  const reserve = (count: number, outstanding: number) => {
    reserved += count;
    return ours.reserve(count, outstanding);
  };
  for (const { percent } of FILLS) {
    const wanted = Math.floor((CAPACITY * percent) / 100);
    await theirs.fill(wanted);
    if (wanted > reserved) await reserve(wanted - reserved, OUTSTANDING);
    for (const cell of cells.filter((each) => each.percent === percent)) {
      const both = [
        async () => cell.ours.push(await reserve(cell.reserves, cell.callers)),
        async () => cell.theirs.push(await theirs.acquire(cell.acquires, cell.callers)),
      ];
      // Taking turns in who is first.
      for (const each of round % 2 === 0 ? both : both.toReversed()) await each();
    }
  }
}

function summarize(cells: readonly Cell[]): readonly Measurement[] {
  return [
    ...cells.map(({ ours, theirs, ...cell }) => ({
      name: `Leasehold : go-ipam, calls/s, ${nameOf(cell)}`,
      ...middle(ratios(valuesOf(ours, 'callsPerSecond'), valuesOf(theirs, 'callsPerSecond'))),
      unit: 'x',
      target: { atLeast: 1 },
    })),
    ...cells.flatMap(({ ours, theirs, ...cell }) => [
      ...describe(`Leasehold, ${nameOf(cell)}`, ours),
      ...describe(`go-ipam, ${nameOf(cell)}`, theirs),
    ]),
  ];
}

function nameOf({ percent, callers }: Pick<Cell, 'percent' | 'callers'>): string {
  return `${percent} % full, ${callers === 1 ? '1 caller' : `${callers} callers`}`;
}

function describe(name: string, results: readonly ServerResult[]): readonly Measurement[] {
  return [
    { name, ...middle(valuesOf(results, 'callsPerSecond')), unit: 'calls/s' },
    { name: `${name}, p50`, ...middle(valuesOf(results, 'p50Ms')), unit: 'ms' },
    { name: `${name}, slowest`, value: Math.max(...valuesOf(results, 'slowestMs')), unit: 'ms' },
  ];
}
