// Benchmarks `agents` and `agents-tls`: ten thousand agent sessions on one server, by plain connections or by mutual TLS, each
// host with a certificate of its own: what they cost while nothing happens, and how they come back when the server was
// killed and started again.
//
//   G1. The server's processor time is counted over STEADY_MS, after all sessions were open for a while; memory is what is
//       resident then, on average, less what was before the first agent: it rises and falls as garbage is left and collected.
//   G2. They are back when the last of them has a session with the new process. The delay of the event loop is the
//       server's own measure, from its start until then.
//   G3. The agents' processes run on the same machine, and what they take is not counted.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Leasehold } from '@leasehold/sdk';
import { TestAuthority } from '@leasehold/server/testing/test-authority';
import { memoryOf } from '../support/process-memory.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { TestServer } from '../support/test-server.js';
import {
  type Benchmark,
  type BenchmarkOptions,
  type Measurement,
  NotMeasuredError,
  type Progress,
  percentile,
} from './benchmark.js';
import { cpuSeconds } from './child.js';
import { ManyAgents, monotonicMs } from './many-agents.js';

const AGENTS = { full: 10_000, quick: 500 } as const;
const STEADY_MS = { full: 60_000, quick: 5_000 } as const;
const MEMORY_LOOKS = 20;
const SETTLED_AFTER_MS = 10_000;
// A network for every hundred of them, each served by two.
const PER_NETWORK = 100;
const STARTED_PER_S = 150;
const PATIENCE_MS = 300_000;
const TARGET_CORES = 0.3;
const TARGET_KB = 100;
const TARGET_BACK_S = 90;
const TARGET_DELAY_MS = 250;

/** See the top of the file. */
export const agents: Benchmark = {
  name: 'agents',
  summary: '10,000 agent sessions on one server: what they cost, and how they come back after a restart',
  run: (progress, options) => measure(progress, options),
};

/** See the top of the file. */
export const agentsByTls: Benchmark = {
  name: 'agents-tls',
  summary: 'the same by mutual TLS',
  run: async (progress, options) => measure(progress, options, await TestAuthority.make()),
};

async function measure(
  progress: Progress,
  { size }: BenchmarkOptions,
  authority?: TestAuthority,
): Promise<readonly Measurement[]> {
  const count = AGENTS[size];
  expectDescriptors(count);
  using directory = temporaryDirectory('agents-');
  await using server = new TestServer(directory.path, '', `embedded:${join(directory.path, 'data')}`);
  if (authority) server.secure(authority.flags(directory.path, 'server', await authority.issue('server/s')));
  await server.start();
  const networks = Math.ceil(count / PER_NETWORK);
  await makeNetworks(await clientOf(server, authority), networks);
  const before = memoryOf(server.process.pid).resident;
  progress(`starting ${count} agents`);
  await using hosts = await ManyAgents.start(count, {
    perSecond: STARTED_PER_S,
    networks,
    servers: [server.agentEndpoint],
    authority: authority?.made,
  });
  await hosts.open(Number.NEGATIVE_INFINITY, PATIENCE_MS);
  await setTimeout(SETTLED_AFTER_MS);
  progress('all are there, counting what they cost');
  const { cores, resident } = await watch(server.process.pid, STEADY_MS[size]);
  const sessionKb = (bytes: number) => (bytes - before) / count / 1_024;
  progress('killing the server, and starting it again');
  await server.kill();
  const killedMs = monotonicMs();
  await server.start();
  const readyMs = monotonicMs();
  const backMs = await hosts.open(killedMs, PATIENCE_MS);
  const scraped = await server.metrics();
  const seconds = (share: number) => (percentile(backMs, share) - readyMs) / 1_000;
  const delayMs = (name: string) => (scraped.get(`nodejs_eventloop_lag_${name}_seconds`) ?? Number.NaN) * 1_000;
  const of = `${count} sessions`;
  return [
    { name: `${of}, server while nothing happens`, value: cores, unit: 'cores', target: { atMost: TARGET_CORES } },
    { name: `${of}, memory for each`, value: sessionKb(mean(resident)), unit: 'kB', target: { atMost: TARGET_KB } },
    { name: `${of}, ready to the last one back`, value: seconds(1), unit: 's', target: { atMost: TARGET_BACK_S } },
    {
      name: 'event loop meanwhile, p99',
      value: delayMs('p99'),
      unit: 'ms',
      target: { atMost: TARGET_DELAY_MS },
    },
    { name: 'memory for each, most', value: sessionKb(Math.max(...resident)), unit: 'kB' },
    { name: 'event loop meanwhile, longest', value: delayMs('max'), unit: 'ms' },
    { name: 'ready to half of them back', value: seconds(0.5), unit: 's' },
    {
      name: 'connections refused meanwhile',
      value: scraped.get('leasehold_agent_connections_refused_total') ?? 0,
      unit: '',
    },
  ];
}

async function clientOf(server: TestServer, authority: TestAuthority | undefined): Promise<Leasehold> {
  if (!authority) return server.client();
  const { certificate: cert, key } = await authority.issue('engine/bench');
  return server.client({ tls: { ca: authority.pem, cert, key } });
}

async function makeNetworks(leasehold: Leasehold, networks: number): Promise<void> {
  for (let n = 0; n < networks; n++) {
    await leasehold.networks.create({ networkId: `n${n}`, dhcpServerCount: 2 });
    await leasehold.subnets.create({ subnetId: `n${n}`, networkId: `n${n}`, cidr: '10.0.0.0/24' });
    await leasehold.reservations.reserve({ subnetId: `n${n}`, mac: '02:00:00:00:00:01' });
  }
}

/** Fails where a process may not have as many connections. */
function expectDescriptors(count: number): void {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const most = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  if (most < count + 1_000) throw new NotMeasuredError(`A process may have only ${most} open files here`);
}

/** What a process takes meanwhile: of the processors all along, of memory now and then. */
async function watch(
  pid: number,
  ms: number,
): Promise<{ readonly cores: number; readonly resident: readonly number[] }> {
  const [beganMs, before] = [monotonicMs(), cpuSeconds(pid)];
  const resident: number[] = [];
  for (let n = 0; n < MEMORY_LOOKS; n++) {
    await setTimeout(ms / MEMORY_LOOKS);
    resident.push(memoryOf(pid).resident);
  }
  return { cores: (cpuSeconds(pid) - before) / ((monotonicMs() - beganMs) / 1_000), resident };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
