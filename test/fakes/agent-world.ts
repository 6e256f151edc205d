// The surroundings of one agent: its host, and the control plane as a test plays it.

import { FakeDhcpBackend } from './fake-dhcp-backend.js';
import { FakeWire } from './fake-wire.js';
import { FixedEntropy } from './fixed-entropy.js';
import { MemoryFiles } from './memory-files.js';
import { MemoryLog } from './memory-log.js';
import { assignmentOf, entryOf, ScriptedServer, type ScriptedSession, type ScriptedTerms } from './scripted-server.js';
import { VirtualClock } from './virtual-clock.js';

interface Agent {
  start(): Promise<void>;
  setNetworks(networks: ReadonlyMap<string, string>): void;
  stop(): Promise<void>;
}

/** A host with the network `red` on `br-red` and `blue` on `br-blue`, both up. */
export class AgentWorld {
  readonly clock = new VirtualClock();
  readonly entropy = new FixedEntropy();
  readonly files = new MemoryFiles();
  readonly server = new ScriptedServer();
  readonly wire = new FakeWire();
  readonly links = new Map([
    ['br-red', 1],
    ['br-blue', 2],
  ]);
  networks: ReadonlyMap<string, string> = new Map([
    ['red', 'br-red'],
    ['blue', 'br-blue'],
  ]);
  /** Of the present process. */
  log = new MemoryLog();
  backend = new FakeDhcpBackend();
  bootId = 'boot-1';
  agent: Agent;
  readonly #make: (world: AgentWorld) => Agent;

  /** `make` makes an agent of what the world has. */
  constructor(make: (world: AgentWorld) => Agent) {
    this.#make = make;
    this.agent = make(this);
  }

  readonly readLink = (name: string): { name: string; index: number } | { absent: string } => {
    const index = this.links.get(name);
    return index === undefined ? { absent: `There is no interface ${name}` } : { name, index };
  };

  async start(): Promise<void> {
    this.agent.setNetworks(this.networks);
    await this.agent.start();
    await this.clock.advance(0);
  }

  /** The process is killed and started again, on what it left on the disk. */
  async crash(): Promise<void> {
    const dead = this.server.session;
    dead.channel.close();
    // Nothing of the killed process runs on: it has neither disk nor servers any more.
    for (const server of this.backend.servers) server.isClosed = true;
    this.log = new MemoryLog();
    this.backend = new FakeDhcpBackend();
    this.agent = this.#make(this);
    await this.start();
  }

  get session(): ScriptedSession {
    return this.server.session;
  }

  /** The session opens. */
  async welcome(terms: Partial<ScriptedTerms> = {}): Promise<void> {
    this.session.welcome(terms);
    await this.clock.advance(0);
  }

  /** A whole table of `red` with 10.0.0.10 and 10.0.0.11. */
  async deliverRed(placementEpoch = 1n): Promise<bigint> {
    const sequence = this.session.deliverTable('red', placementEpoch, assignmentOf('u1'), [entryOf(10), entryOf(11)]);
    await this.clock.advance(0);
    return sequence;
  }

  /** Welcomed, `red` delivered, answering. */
  async serveRed(terms: Partial<ScriptedTerms> = {}): Promise<void> {
    await this.start();
    await this.welcome(terms);
    await this.deliverRed();
  }
}
