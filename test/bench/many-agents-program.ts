// The agents' process: see many-agents.ts.

import { createSecureContext } from 'node:tls';
import { grpcTransport } from '@leasehold/agent/session/grpc-transport';
import { PLAIN, type Security, tlsSecurity } from '@leasehold/agent/session/security';
import { createLog } from '@leasehold/program/log';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import { TLS_VERSION } from '@leasehold/program/tls-files';
import { whyNoServer } from '@leasehold/proto/identity';
import { TestAuthority } from '@leasehold/server/testing/test-authority';
import { LightHost } from '../support/light-host.js';
import { doTasks } from './child.js';
import { type AgentsResult, type AgentsTask, monotonicMs } from './many-agents.js';

const LOOK_EVERY_MS = 5;
const MAX_DIALLING = 100;

const log = createLog({ level: 'error', format: 'json' });
const clock = systemClock();
const entropy = systemEntropy();
const lookup = () => Promise.reject(new Error('There are no names here'));
const transportOf = (security: (server: string) => Security) =>
  grpcTransport({ security, clock, mayFollow: () => true, lookup });
const ports = { clock, entropy, log, nowMs: monotonicMs, transport: transportOf(() => PLAIN) };
const hosts: LightHost[] = [];
let openedCount = 0;

/** Looks until each of them is there. */
async function until<T>(
  all: readonly T[],
  patienceMs: number,
  at: (each: T) => number | undefined,
): Promise<AgentsResult> {
  const deadlineMs = monotonicMs() + patienceMs;
  let missing = all.filter((each) => at(each) === undefined);
  while (missing.length > 0 && monotonicMs() < deadlineMs) {
    await sleep(LOOK_EVERY_MS);
    missing = missing.filter((each) => at(each) === undefined);
  }
  return { atMs: all.map((each) => at(each) ?? Number.NaN), missing: missing.length };
}

async function start({ first, count, perSecond, networks, servers, authority }: AgentsTask & { kind: 'start' }) {
  const vouching = authority && (await TestAuthority.read(authority));
  const beganMs = monotonicMs();
  for (let i = 0; i < count; i++) {
    await sleep(beganMs + (i / perSecond) * 1_000 - monotonicMs());
    // On a busy machine fewer: those that wait for their first session for long give up, and cost another dial.
    while (hosts.length - openedCount >= MAX_DIALLING) await sleep(LOOK_EVERY_MS);
    const hostId = `h${first + i}`;
    const own = vouching ? { ...ports, transport: transportOf(await securityOf(hostId, vouching)) } : ports;
    const host = new LightHost(hostId, [`n${(first + i) % networks}`], servers, own);
    hosts.push(host);
    host.start();
    void host.opened.then(() => openedCount++);
  }
  return { atMs: [], missing: 0 };
}

/** As an agent has it from its files. */
async function securityOf(hostId: string, authority: TestAuthority): Promise<(server: string) => Security> {
  const { certificate: cert, key } = await authority.issue(`host/${hostId}`);
  const context = createSecureContext({ cert, key, ca: authority.pem, minVersion: TLS_VERSION });
  return tlsSecurity({
    files: { current: { cert, key, ca: authority.pem, notAfterMs: Number.POSITIVE_INFINITY, context } },
    isSecure: () => true,
    serverName: undefined,
    whyNoServer: (names) => whyNoServer(names, 'leasehold'),
  });
}

function sleep(ms: number): Promise<void> {
  return ms <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}

doTasks<AgentsTask, AgentsResult>((task) => {
  switch (task.kind) {
    case 'start':
      return start(task);
    case 'open':
      return until(hosts, task.patienceMs, ({ openedMs }) => (openedMs > task.sinceMs ? openedMs : undefined));
    case 'has': {
      const serving = hosts.filter(({ replicas }) => replicas.has(task.networkId));
      return until(serving, task.patienceMs, ({ seenMs }) => seenMs.get(task.reservationId));
    }
  }
});
