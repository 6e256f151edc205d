// The agent: everything but its entry into the operating system, which is handed in.
//
//   A1. What was on the disk is served before any server is reachable, as far as its authority goes on.
//   A2. Authority on the disk is never later than the true one; it may be earlier by STORED_AUTHORITY_LAG.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import { Attachments, type ReadLink } from './attachments.js';
import type { DhcpBackend } from './backends/dhcp-backend.js';
import { Networks } from './networks.js';
import type { FrameSockets } from './sentinel/frame-sockets.js';
import { Sentinel } from './sentinel/sentinel.js';
import type { Acknowledged } from './session/authority.js';
import type { SessionTerms, StoreIdentity } from './session/session.js';
import { SessionDriver } from './session/session-driver.js';
import type { SessionTransport } from './session/session-transport.js';
import type { StoredAuthority } from './state/agent-record.js';
import type { StateStore } from './state/state-store.js';
import { Supervisor } from './supervisor.js';

/** What an agent needs of its surroundings. */
export interface AgentPorts {
  /** Must count suspend, and count from the boot that `bootId` names: authority on the disk is measured on it. */
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly transport: SessionTransport;
  readonly backend: DhcpBackend;
  /** Not loaded yet. */
  readonly state: StateStore;
  readonly readLink: ReadLink;
  readonly frameSockets: FrameSockets;
}

/** Who an agent is and whom it follows. */
export interface AgentConfig {
  readonly hostId: string;
  /** Tried in turn; one at least. */
  readonly servers: readonly string[];
  /** Empty: unknown. */
  readonly failureDomain: string;
  readonly agentVersion: string;
  /** Which boot of the machine it is. */
  readonly bootId: string;
}

/** A running agent. */
export interface Agent {
  /** Serves what is on the disk, then begins its session. */
  start(): Promise<void>;
  /** The interface of every network, from now on. */
  setNetworks(networks: ReadonlyMap<string, string>): void;
  /** Ends the session, closes every DHCP server, ends what is being written; tables and authority stay on the disk. */
  stop(): Promise<void>;
}

const POLL_MS = 500;

// Authority is prolonged with every heartbeat and written this much less often; at most a twentieth of it is lost.
const STORED_AUTHORITY_LAG_MS = 60_000;
const STORED_AUTHORITY_LAG_SHARE = 0.05;

// Until the first welcome says better.
const DEFAULT_INTERVAL_MS = 1_000;

/** Makes an agent. */
export function createAgent(ports: AgentPorts, config: AgentConfig): Agent {
  return new RunningAgent(ports, config);
}

class RunningAgent implements Agent {
  readonly #ports: AgentPorts;
  readonly #config: AgentConfig;
  readonly #attachments: Attachments;
  readonly #networks: Networks;
  readonly #driver: SessionDriver;
  readonly #supervisor: Supervisor;
  readonly #sentinel: Sentinel;
  #identity: StoreIdentity | undefined;
  #terms: SessionTerms | undefined;
  #acknowledged: Acknowledged | undefined;
  #storedAuthority: ReadonlyMap<string, StoredAuthority> = new Map();
  #storing = false;
  #stopped = false;
  #timer: Timer | undefined;

  constructor(ports: AgentPorts, config: AgentConfig) {
    this.#ports = ports;
    this.#config = config;
    this.#attachments = new Attachments(ports.readLink, ports.log);
    this.#sentinel = new Sentinel(ports);
    const context = {
      identity: () => this.#identity,
      intervalMs: () => this.#terms?.intervalMs ?? DEFAULT_INTERVAL_MS,
      acknowledged: () => this.#acknowledged,
      authorityBegan: () => this.#storeAuthority(),
      sendAck: (table: Parameters<SessionDriver['sendAck']>[0]) => this.#driver.sendAck(table),
    };
    this.#networks = new Networks(ports, context, (networkId) => this.#attachments.placeOf(networkId));
    this.#driver = this.#createDriver();
    this.#supervisor = new Supervisor(ports, config.servers, this.#driver);
  }

  async start(): Promise<void> {
    const { agent, tables } = await this.#ports.state.load();
    if (this.#stopped) return;
    this.#identity = agent?.identity;
    const attached = this.#attachments.poll();
    this.#networks.restore(tables, agent, this.#config.bootId);
    this.#tidy(attached);
    this.#poll();
    this.#supervisor.start();
  }

  setNetworks(networks: ReadonlyMap<string, string>): void {
    this.#attachments.configure(networks);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#supervisor.stop();
    this.#sentinel.close();
    await this.#networks.suspend();
    const authority = this.#networks.authorities();
    if (this.#identity) await this.#saveRecord(this.#identity, authority);
  }

  #createDriver(): SessionDriver {
    const { hostId, failureDomain, agentVersion, bootId } = this.#config;
    const agentInstance = Buffer.from(this.#ports.entropy.bytes(16)).toString('hex');
    const backend = this.#ports.backend.name;
    const networks = this.#networks;
    return new SessionDriver(
      this.#ports,
      { hostId, failureDomain, agentVersion, bootId, agentInstance, backend },
      {
        identity: () => this.#identity,
        attachments: () => this.#attachments.list((networkId) => this.#sentinel.foreignServers(networkId)),
        beginSession: () => networks.beginSession(),
        tableStates: () => networks.tableStates(),
        dropTables: () => networks.dropAll(),
        adopt: (identity) => this.#adopt(identity),
        dictated: (terms) => {
          this.#terms = terms;
        },
        acknowledged: (ack, placements) => {
          this.#acknowledged = ack;
          networks.acknowledged(ack, placements);
          this.#storeAuthority();
        },
        deliver: (delivery) => networks.deliver(delivery),
        probe: async ({ networkId, address }) => {
          const probed = await this.#sentinel.probe(networkId, address);
          return 'problem' in probed ? { usedBy: '', ...probed } : { usedBy: probed.usedBy ?? '', problem: '' };
        },
      },
    );
  }

  async #adopt(identity: StoreIdentity): Promise<void> {
    // Known from now on, should this session end before the disk has it: a later one is measured by it.
    this.#identity = identity;
    await this.#saveRecord(identity, this.#networks.authorities());
  }

  #poll(): void {
    this.#timer = this.#ports.clock.after(POLL_MS, () => this.#poll());
    const changed = this.#attachments.poll();
    for (const networkId of changed) this.#networks.attach(networkId);
    this.#tidy(changed);
    this.#driver.sendSightings(this.#sentinel.look(this.#networks.watched(), this.#driver.isOpen));
    this.#driver.attachmentsChanged();
    this.#networks.observe();
    this.#storeAuthority();
  }

  /** What an agent that was killed left on the interfaces of these networks is of no table any more. */
  #tidy(networkIds: readonly string[]): void {
    const links = networkIds.flatMap((networkId) => this.#attachments.placeOf(networkId).link ?? []);
    if (links.length === 0) return;
    void this.#ports.backend.tidy(links, (link, address) => this.#networks.isServiceAddressOn(link, address));
  }

  /** Writes authority when what is on the disk is later than the true one, or so much earlier that it matters. */
  #storeAuthority(): void {
    const identity = this.#identity;
    if (!identity || this.#storing) return;
    const authority = this.#networks.authorities();
    const share = (this.#terms?.authorityMs ?? 0) * STORED_AUTHORITY_LAG_SHARE;
    if (!isWorthWriting(this.#storedAuthority, authority, Math.min(STORED_AUTHORITY_LAG_MS, share))) return;
    this.#storing = true;
    this.#saveRecord(identity, authority)
      .catch((error: unknown) => {
        const problem = error instanceof Error ? error.message : String(error);
        this.#ports.log.error('Authority could not be written to the state directory', { problem });
      })
      .finally(() => {
        this.#storing = false;
      });
  }

  async #saveRecord(identity: StoreIdentity, authority: ReadonlyMap<string, StoredAuthority>): Promise<void> {
    await this.#ports.state.saveAgent({ identity, bootId: this.#config.bootId, authority });
    this.#storedAuthority = authority;
  }
}

function isWorthWriting(
  stored: ReadonlyMap<string, StoredAuthority>,
  now: ReadonlyMap<string, StoredAuthority>,
  lagMs: number,
): boolean {
  for (const [networkId, { placementEpoch, untilMs }] of stored) {
    const authority = now.get(networkId);
    if (authority?.placementEpoch !== placementEpoch || authority.untilMs < untilMs) return true;
  }
  for (const [networkId, { untilMs }] of now) {
    if (untilMs >= (stored.get(networkId)?.untilMs ?? Number.NEGATIVE_INFINITY) + lagMs) return true;
  }
  return false;
}
