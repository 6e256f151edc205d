// The agents' process: see many-agents.ts.

import { grpcTransport } from '@leasehold/agent/session/grpc-transport';
import { PLAIN } from '@leasehold/agent/session/security';
import { createLog } from '@leasehold/program/log';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import { LightHost } from '../support/light-host.js';
import { doTasks } from './child.js';
import { type AgentsResult, type AgentsTask, monotonicMs } from './many-agents.js';

const LOOK_EVERY_MS = 5;
const MAX_DIALLING = 100;

const log = createLog({ level: 'error', format: 'json' });
const clock = systemClock();
const entropy = systemEntropy();
const lookup = () => Promise.reject(new Error('There are no names here'));
const ports = {
  clock,
  entropy,
  log,
  nowMs: monotonicMs,
  transport: grpcTransport({ security: () => PLAIN, clock, mayFollow: () => true, lookup }),
};
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

async function start({ first, count, perSecond, networks, servers }: AgentsTask & { kind: 'start' }) {
  const beganMs = monotonicMs();
  for (let i = 0; i < count; i++) {
    await sleep(beganMs + (i / perSecond) * 1_000 - monotonicMs());
    // On a busy machine fewer: those that wait for their first session for long give up, and cost another dial.
    while (hosts.length - openedCount >= MAX_DIALLING) await sleep(LOOK_EVERY_MS);
    const host = new LightHost(`h${first + i}`, [`n${(first + i) % networks}`], servers, ports);
    hosts.push(host);
    host.start();
    void host.opened.then(() => openedCount++);
  }
  return { atMs: [], missing: 0 };
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
