// The agents' process: see many-agents.ts. Supervisor, session and tables are the product's; interfaces, disk and DHCP are
// not there, so what is acknowledged is in memory.

import { credentials } from '@grpc/grpc-js';
import { Replica } from '@leasehold/agent/domain/replica';
import { grpcTransport } from '@leasehold/agent/session/grpc-transport';
import type { StoreIdentity } from '@leasehold/agent/session/session';
import { SessionDriver, type SessionHost } from '@leasehold/agent/session/session-driver';
import type { SessionRunner } from '@leasehold/agent/session/session-runner';
import { Supervisor } from '@leasehold/agent/supervisor';
import { createLog } from '@leasehold/program/log';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import type { Delivery, TableState } from '@leasehold/proto/ipam/v1/session';
import { doTasks } from './child.js';
import { type AgentsResult, type AgentsTask, monotonicMs } from './many-agents.js';

const LOOK_EVERY_MS = 5;

const log = createLog({ level: 'error', format: 'json' });
const clock = systemClock();
const entropy = systemEntropy();
const lookup = () => Promise.reject(new Error('There are no names here'));
const transport = grpcTransport({ credentials: credentials.createInsecure(), clock, mayFollow: () => true, lookup });
const hosts: Host[] = [];

/** One host: a session, and the tables it was sent. */
class Host {
  openedMs = Number.NEGATIVE_INFINITY;
  readonly replicas = new Map<string, Replica>();
  /** When it had which reservation. */
  readonly seenMs = new Map<string, number>();
  readonly #driver: SessionDriver;
  readonly #supervisor: Supervisor;
  #identity: StoreIdentity | undefined;
  #isNew = true;

  constructor(hostId: string, networkId: string, servers: readonly string[]) {
    const ports = { clock, entropy, log, transport };
    const about = { hostId, agentInstance: hostId, bootId: hostId, agentVersion: '0', backend: 'builtin' };
    const attachment = { networkId, interface: 'br0', ready: true, reason: '', foreignDhcpServers: [] };
    const attachments = [attachment];
    const host: SessionHost = {
      identity: () => this.#identity,
      attachments: () => attachments,
      beginSession: () => {
        for (const replica of this.replicas.values()) replica.beginSession();
      },
      tableStates: () => Array.from(this.replicas.values(), (replica) => stateOf(replica, 0n)),
      dropTables: () => this.replicas.clear(),
      adopt: async (identity) => {
        this.#identity = identity;
      },
      dictated: () => {
        if (this.#isNew) this.openedMs = monotonicMs();
        this.#isNew = false;
      },
      acknowledged: () => undefined,
      deliver: (delivery) => this.#deliver(delivery),
      probe: async () => ({ usedBy: '', problem: 'There is no network' }),
    };
    this.#driver = new SessionDriver(ports, { ...about, failureDomain: '' }, host);
    const driver = this.#driver;
    const runner: SessionRunner = {
      begin: (channel, control) => {
        this.#isNew = true;
        driver.begin(channel, control);
      },
      receive: (response) => driver.receive(response),
      mayLead: (holder) => driver.mayLead(holder),
      end: () => driver.end(),
    };
    this.#supervisor = new Supervisor(ports, servers, runner);
  }

  start(): void {
    this.#supervisor.start();
  }

  #deliver(delivery: Delivery): void {
    const { networkId, placementEpoch, sequence, action } = delivery;
    if (action?.$case === 'unassignment') {
      this.replicas.delete(networkId);
      this.#driver.sendAck({ ...NOTHING, networkId, placementEpoch, sequence });
      return;
    }
    let replica = this.replicas.get(networkId);
    if (!replica) {
      const uid = action?.$case === 'assignment' ? action.value.networkUid : '';
      replica = new Replica(networkId, uid, placementEpoch);
      this.replicas.set(networkId, replica);
    }
    const outcome = replica.deliver(delivery);
    if (outcome.kind === 'refused') throw new Error(`A delivery was refused: ${outcome.problem}`);
    if (action?.$case === 'tableDelta') {
      for (const { reservationId } of action.value.put) this.seenMs.set(reservationId, monotonicMs());
    }
    if (outcome.kind === 'applied') this.#driver.sendAck(stateOf(replica, sequence));
  }
}

const NOTHING: Omit<TableState, 'networkId' | 'placementEpoch' | 'sequence'> = {
  networkUid: '',
  digest: Buffer.alloc(0),
  entries: 0n,
  serving: false,
  reason: '',
};

function stateOf(replica: Replica, sequence: bigint): TableState {
  const { networkId, networkUid, placementEpoch, confirmed } = replica;
  const digest = replica.digest();
  return { networkId, networkUid, placementEpoch, sequence, digest, entries: 0n, serving: confirmed, reason: '' };
}

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
    const host = new Host(`h${first + i}`, `n${(first + i) % networks}`, servers);
    hosts.push(host);
    host.start();
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
