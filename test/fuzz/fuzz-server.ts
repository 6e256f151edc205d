// A server under attack: it must stay up, remember nothing of it, and keep what it had.
//
//   F1. What the attack may change has ids of its own (`fuzz-0` to `fuzz-3`); everything else is the same after it.
//   F2. Input n of a seed is the same in every run, whatever came before it.

import type { Leasehold } from '@leasehold/sdk';
import { seededNumbers } from '../fakes/seeded-numbers.js';
import { memoryOf } from '../support/process-memory.js';
import type { WatchedProcess } from '../support/processes.js';
import type { TestServer } from '../support/test-server.js';
import { AgentAttack, type Attack, Http2Attack, RpcAttack } from './attacks.js';
import { pick } from './hostile-message.js';

/** How much, and from which seed. */
export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: number;
  /** Only the attack of this name; absent: all of them. */
  readonly only?: string;
  /** Told now and then how many were sent. */
  readonly progress?: (sent: number) => void;
}

/** What came of it. */
export interface FuzzReport {
  /** Inputs by attack. */
  readonly sent: ReadonlyMap<string, number>;
  /** What must not be; empty: nothing. */
  readonly problems: readonly string[];
  /** Resident memory when half was sent, and at the end. */
  readonly settledMb: number;
  readonly residentMb: number;
}

const API = ['ipam.v1.IpamService', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection'];
const AGENTS = ['ipam.v1.HostAgentService', 'grpc.health.v1.Health'];
const LOOK_EVERY = 1_000;
// What is left is native: buffers and sessions of HTTP/2, of which the allocator gives nothing back.
const MB = 1_024 * 1_024;
/** More than this, between half of the inputs and all of them, is memory that is kept. */
export const GROWTH_MB = 64;

/** What a program is started with: what it keeps shows soon, because garbage is collected early; and too much ends it. */
export const SMALL_HEAP = { env: { NODE_OPTIONS: '--max-old-space-size=96 --max-semi-space-size=4' } };

/** Attacks a server that is up. */
export async function fuzzServer(
  server: TestServer,
  { inputs, seed, only, progress }: FuzzOptions,
): Promise<FuzzReport> {
  const leasehold = server.client();
  await makeWhatStays(leasehold);
  const before = await whatStays(leasehold);
  const attacks = attacksOn(server, only);
  const sent = new Map<string, number>();
  let settledMb = 0;
  for (let n = 0; n < inputs && server.process.exitCode === undefined; n++) {
    const chance = seededNumbers(seed + n);
    // The first number of neighbouring seeds is alike.
    chance();
    const attack = pick(chance, attacks);
    sent.set(attack.name, (sent.get(attack.name) ?? 0) + 1);
    await attack.send(chance);
    if (n % LOOK_EVERY === LOOK_EVERY - 1) {
      progress?.(n + 1);
      // Waits until the server came so far, so that what it has not read yet does not pile up.
      await leasehold.status();
    }
    if (n === Math.floor(inputs / 2)) settledMb = residentMb(server.process);
  }
  for (const attack of new Set(attacks)) attack.close();
  const problems = [...defectsOf(server.process)];
  if (server.process.exitCode !== undefined) {
    return {
      sent,
      settledMb,
      residentMb: 0,
      problems: [...problems, `The server exited with ${server.process.exitCode}`],
    };
  }
  if ((await whatStays(leasehold)) !== before) problems.push('Something changed that no input may change');
  const now = residentMb(server.process);
  if (now - settledMb > GROWTH_MB) problems.push(`The server grew from ${settledMb} to ${now} MB`);
  return { sent, settledMb, residentMb: now, problems };
}

/** The names of all attacks. */
export const ATTACKS = ['rpc', 'agent', 'http2'] as const;

/** Most inputs are RPCs. */
function attacksOn(server: TestServer, only: string | undefined): readonly [Attack, ...Attack[]] {
  const [api, agents] = [pathOf(server.apiEndpoint), pathOf(server.agentEndpoint)];
  const rpc = new RpcAttack(api, API);
  const agent = new AgentAttack(agents);
  const http2 = [new Http2Attack(api, API), new Http2Attack(agents, AGENTS)];
  const all = [rpc, rpc, rpc, rpc, rpc, agent, agent, agent, ...http2];
  const [first, ...others] = all.filter(({ name }) => only === undefined || name === only);
  if (!first) throw new Error(`There is no attack ${only}`);
  return [first, ...others];
}

function pathOf(endpoint: string): string {
  return endpoint.slice('unix:'.length);
}

async function makeWhatStays(leasehold: Leasehold): Promise<void> {
  await leasehold.networks.create({ networkId: 'kept', labels: { of: 'somebody' } });
  await leasehold.subnets.create({ subnetId: 'kept-a', networkId: 'kept', cidr: '10.8.0.0/24', gateway: '10.8.0.1' });
  for (let n = 10; n < 30; n++) {
    await leasehold.reservations.reserve({ subnetId: 'kept-a', mac: `52:54:00:08:00:${n}`, owner: `vm-${n}` });
  }
}

async function whatStays(leasehold: Leasehold): Promise<string> {
  const { status: _, ...network } = await leasehold.networks.get('kept');
  const subnet = await leasehold.subnets.get('kept-a');
  const reservations = await leasehold.reservations.list({ networkId: 'kept' }).toArray();
  return JSON.stringify([network, subnet, reservations]);
}

/** Lines in which a program says that it has a defect. */
export function defectsOf({ lines }: WatchedProcess): readonly string[] {
  const bad = lines.filter(
    ({ stream, fields }) => fields['level'] === 'error' || (stream === 'stderr' && !fields['msg']),
  );
  return [...new Set(bad.map(({ text }) => text))];
}

/** What a program has of memory. */
export function residentMb({ pid }: WatchedProcess): number {
  return Math.round(memoryOf(pid).resident / MB);
}
