// Benchmark `flood`: how long guests wait for their addresses while another guest of the wire floods it (DISCOVERs of MACs
// that nobody knows, garbage, datagrams of 64 KB), against the same wire when it is quiet. Rounds alternate.
//
// One guest after the other asks, a few milliseconds apart: what is measured is the time of an exchange and not how many
// there can be. What is lost is asked again after 200 ms, and that time counts.

import { Flood, MAD_GUEST } from '../support/flood.js';
import { acceptAnySource } from '../support/guest-socket.js';
import type { Nic } from '../support/netns.js';
import { type Benchmark, type Measurement, middle, type Progress, ratios } from './benchmark.js';
import { cpuSeconds, runChild } from './child.js';
import type { ExchangeResult, ExchangeTask } from './dhcp-contender.js';
import { type ServedNetwork, serveNetwork } from './served-network.js';
import { startServer } from './target.js';

const RESERVATIONS = 60_000;
const ROUNDS = 9;
const EXCHANGES = 1_000;
const PAUSE_MS = 2;

interface Round {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
  readonly repeated: number;
  /** Of the agent's processor time, by the second. */
  readonly agentCores: number;
  /** DISCOVERs of unknown MACs, by the second. */
  readonly strangers: number;
}

/** See the top of the file. */
export const flood: Benchmark = {
  name: 'flood',
  summary: 'how long guests wait for an address while another one floods the wire',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using cluster = await startServer();
  progress(`making ${RESERVATIONS} reservations`);
  const network = await serveNetwork(cluster, 'red', 0, RESERVATIONS);
  const guest = await cluster.guest('red', 'guests', '52:54:00:00:00:01');
  const flooder = await cluster.guest('red', 'flooder', '52:54:00:00:00:02');
  await acceptAnySource(guest.namespace);
  const rounds = { quiet: [] as Round[], flooded: [] as Round[] };
  // The first round warms up.
  for (let n = 0; n <= ROUNDS; n++) {
    const quiet = await exchange(network, guest);
    const flooded = await exchangeInFlood(network, guest, flooder);
    if (n === 0) continue;
    rounds.quiet.push(quiet);
    rounds.flooded.push(flooded);
    progress(`round ${n} of ${ROUNDS}: p99 ${quiet.p99Ms.toFixed(2)} ms quiet, ${flooded.p99Ms.toFixed(2)} ms flooded`);
  }
  return compare(rounds.quiet, rounds.flooded);
}

async function exchangeInFlood(network: ServedNetwork, guest: Nic, flooder: Nic): Promise<Round> {
  await using running = await Flood.start(flooder, MAD_GUEST);
  const [before, beganMs] = [running.sent(), performance.now()];
  const round = await exchange(network, guest);
  const after = await running.stop();
  const seconds = (performance.now() - beganMs) / 1_000;
  return { ...round, strangers: (after.unknown - before.unknown + after.fragmented - before.fragmented) / seconds };
}

async function exchange({ host, reservations }: ServedNetwork, guest: Nic): Promise<Round> {
  const task: ExchangeTask = {
    interfaceName: guest.name,
    macs: reservations,
    exchanges: EXCHANGES,
    outstanding: 1,
    pauseMs: PAUSE_MS,
  };
  const [beganMs, before] = [performance.now(), cpuSeconds(host.agent.pid)];
  const result = await runChild<ExchangeResult>('exchange-program', task, guest.namespace);
  const agentCores = (cpuSeconds(host.agent.pid) - before) / ((performance.now() - beganMs) / 1_000);
  return { ...result, agentCores, strangers: 0 };
}

function compare(quiet: readonly Round[], flooded: readonly Round[]): readonly Measurement[] {
  const of = (rounds: readonly Round[], key: keyof Round) => rounds.map((round) => round[key]);
  const each = (key: keyof Round, unit: string, name: string): readonly Measurement[] => [
    { name: `${name}, quiet`, ...middle(of(quiet, key)), unit },
    { name: `${name}, flooded`, ...middle(of(flooded, key)), unit },
  ];
  const repeated = [...of(quiet, 'repeated'), ...of(flooded, 'repeated')].reduce((sum, count) => sum + count, 0);
  return [
    {
      name: 'exchange, p99, flooded : quiet',
      ...middle(ratios(of(flooded, 'p99Ms'), of(quiet, 'p99Ms'))),
      unit: 'x',
      target: { atMost: 3 },
    },
    {
      name: 'exchange, p50, flooded : quiet',
      ...middle(ratios(of(flooded, 'p50Ms'), of(quiet, 'p50Ms'))),
      unit: 'x',
    },
    ...each('p99Ms', 'ms', 'exchange, p99'),
    ...each('p50Ms', 'ms', 'exchange, p50'),
    ...each('slowestMs', 'ms', 'slowest exchange of a round'),
    ...each('agentCores', 'cores', 'agent'),
    { name: 'DISCOVERs of unknown MACs, flooded', ...middle(of(flooded, 'strangers')), unit: '/s' },
    { name: 'messages sent again by guests', value: repeated, unit: '' },
  ];
}
