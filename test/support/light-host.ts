// An agent without a host below it, for thousands of them in a process: supervisor, session and tables are the product's;
// interfaces, disk and DHCP are not there, so what is acknowledged is in memory.

import { Replica } from '@leasehold/agent/domain/replica';
import type { StoreIdentity } from '@leasehold/agent/session/session';
import { SessionDriver, type SessionHost } from '@leasehold/agent/session/session-driver';
import type { SessionRunner } from '@leasehold/agent/session/session-runner';
import type { SessionTransport } from '@leasehold/agent/session/session-transport';
import { Supervisor } from '@leasehold/agent/supervisor';
import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { Delivery, TableState } from '@leasehold/proto/ipam/v1/session';

/** What its surroundings are. */
export interface LightHostPorts {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly transport: SessionTransport;
  /** What its times are on; absent: the clock. */
  readonly nowMs?: () => number;
}

/** One host. */
export class LightHost {
  /** When its present session opened. */
  openedMs = Number.NEGATIVE_INFINITY;
  #firstOpened = () => {};
  /** Resolves when its first session opened. */
  readonly opened = new Promise<void>((resolve) => {
    this.#firstOpened = resolve;
  });
  /** The tables it was sent. */
  readonly replicas = new Map<string, Replica>();
  /** When it had which reservation. */
  readonly seenMs = new Map<string, number>();
  readonly hostId: string;
  readonly #nowMs: () => number;
  readonly #driver: SessionDriver;
  readonly #supervisor: Supervisor;
  #identity: StoreIdentity | undefined;
  #isNew = true;

  /** `servers`: whom it follows. Nothing is dialled yet. */
  constructor(hostId: string, networkIds: readonly string[], servers: readonly string[], ports: LightHostPorts) {
    this.hostId = hostId;
    this.#nowMs = ports.nowMs ?? (() => ports.clock.now());
    const about = { hostId, agentInstance: hostId, bootId: hostId, agentVersion: '0', backend: 'builtin' };
    const attachments = networkIds.map((networkId) => ({ ...ATTACHED, networkId }));
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
        if (this.#isNew) this.openedMs = this.#nowMs();
        this.#isNew = false;
        this.#firstOpened();
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
      greet: (channel) => {
        const greeting = driver.greet(channel);
        const answered: typeof greeting.answered = (response, control) => {
          const answer = greeting.answered(response, control);
          if (answer === 'taken') this.#isNew = true;
          return answer;
        };
        return { answered };
      },
      mayLead: (holder) => driver.mayLead(holder),
      leadsLater: (holder) => driver.leadsLater(holder),
      end: () => driver.end(),
    };
    this.#supervisor = new Supervisor(ports, servers, runner);
  }

  /** Begins to dial. */
  start(): void {
    this.#supervisor.start();
  }

  /** Ends its session, and dials no more. */
  async stop(): Promise<void> {
    this.#supervisor.stop();
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
      for (const { reservationId } of action.value.put) this.seenMs.set(reservationId, this.#nowMs());
    }
    if (outcome.kind === 'applied') this.#driver.sendAck(stateOf(replica, sequence));
  }
}

const ATTACHED = { interface: 'br0', ready: true, reason: '', foreignDhcpServers: [] };

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
