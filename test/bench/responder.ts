// Benchmark `responder`: four-way exchanges (DISCOVER, OFFER, REQUEST, ACK) with the builtin responder, with few and with
// many reservations, against a program that sends every datagram straight back.

import type { Cluster } from '../support/cluster.js';
import type { Namespace } from '../support/netns.js';
import type { WatchedProcess } from '../support/processes.js';
import { type Benchmark, type Measurement, middle, type Progress, ratios } from './benchmark.js';
import { startChild } from './child.js';
import { type Contender, contender, exchange } from './dhcp-contender.js';
import { serveNetwork } from './served-network.js';
import { startServer } from './target.js';

const FEW = 1_000;
const MANY = 60_000;
const ROUNDS = 5;

/** See the top of the file. */
export const responder: Benchmark = {
  name: 'responder',
  summary: 'four-way DHCP exchanges of the builtin responder, against an echo',
  run,
};

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await using cluster = await startServer();
  await using echoProgram = await startEcho(cluster);
  const echo = await contender(cluster, 'echo', echoProgram, MANY);
  progress(`making ${FEW} and ${MANY} reservations`);
  const few = await served(cluster, FEW, 0);
  const many = await served(cluster, MANY, 1);
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const each of [echo, few, many]) await exchange(each, round > 0);
    progress(
      `round ${round} of ${ROUNDS}: ${[echo, few, many].map(({ perSecond }) => perSecond.at(-1)?.toFixed(0) ?? '-').join(', ')} exchanges/s`,
    );
  }
  return compare(echo, few, many);
}

/** A program that answers like a responder in the same surroundings, but decides nothing. */
async function startEcho(cluster: Cluster): Promise<WatchedProcess> {
  const namespace: Namespace = await cluster.lab.namespace('echo');
  await cluster.lab.bridge(namespace, 'br-echo', await cluster.wire('echo'));
  await namespace.addAddress('br-echo', '169.254.1.1/32');
  const program = startChild('echo-program', { interfaceName: 'br-echo' }, namespace);
  await program.waitForLine('is ready');
  return program;
}

async function served(cluster: Cluster, reservations: number, n: number): Promise<Contender> {
  const { networkId, host } = await serveNetwork(cluster, `net-${reservations}`, n, reservations);
  return contender(cluster, networkId, host.agent, reservations);
}

function compare(echo: Contender, few: Contender, many: Contender): readonly Measurement[] {
  return [
    {
      name: `exchanges per core second, ${MANY} reservations`,
      ...middle(many.perCoreSecond),
      unit: '/s',
      target: { atLeast: 8_000 },
    },
    {
      name: `exchanges per core second, ${MANY} : ${FEW} reservations`,
      ...middle(ratios(many.perCoreSecond, few.perCoreSecond)),
      unit: 'x',
      target: { atLeast: 0.9 },
    },
    { name: `exchanges per core second, ${FEW} reservations`, ...middle(few.perCoreSecond), unit: '/s' },
    { name: 'exchanges per core second, echo', ...middle(echo.perCoreSecond), unit: '/s' },
    {
      name: `per core second, ${MANY} reservations : echo`,
      ...middle(ratios(many.perCoreSecond, echo.perCoreSecond)),
      unit: 'x',
    },
    { name: `on the wire, ${MANY} reservations`, ...middle(many.perSecond), unit: '/s' },
    { name: `on the wire, ${FEW} reservations`, ...middle(few.perSecond), unit: '/s' },
    { name: 'on the wire, echo', ...middle(echo.perSecond), unit: '/s' },
    {
      name: 'messages sent again by guests, of all three',
      value: echo.repeated + few.repeated + many.repeated,
      unit: '',
    },
  ];
}
