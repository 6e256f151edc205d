// A host in this process: the product's own agent on a disk in memory, with interfaces without packets and a DHCP backend that is
// asked instead of answering.

import { type Agent, createAgent } from '@leasehold/agent/agent';
import { StateStore } from '@leasehold/agent/state/state-store';
import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import { FakeDhcpBackend } from '../../test/fakes/fake-dhcp-backend.js';
import { FakeWire } from '../../test/fakes/fake-wire.js';
import { MemoryFiles } from '../../test/fakes/memory-files.js';
import { settle } from '../../test/fakes/virtual-clock.js';
import { type Installed, SessionWire } from './session-wire.js';
import { SILENT } from './silent-log.js';

const RESTART_MS = 1_000;

// What the kernel takes, and so the server.
const MAX_INTERFACE = 15;

/** What a host is in: an installation, time, and what its agents leave to chance. */
export interface Surroundings extends Installed {
  readonly clock: Clock;
  /** Of an agent that starts now. */
  entropy(): Entropy;
}

/** A host. */
export class PlayedHost {
  readonly hostId: string;
  readonly wire: SessionWire;
  /** What passes its interfaces. */
  readonly interfaces = new FakeWire();
  /** Interfaces that are there and up. */
  readonly links = new Map<string, number>();
  readonly #around: Surroundings;
  #files = new MemoryFiles();
  readonly #networks: ReadonlyMap<string, string>;
  readonly #failureDomain: string;
  #backend = new FakeDhcpBackend();
  #agent: Agent | undefined;
  #boot = 1;

  constructor(around: Surroundings, hostId: string, networks: readonly string[], failureDomain: string) {
    this.#around = around;
    this.hostId = hostId;
    this.#failureDomain = failureDomain;
    this.#networks = new Map(networks.map((networkId, i) => [networkId, bridgeOf(networkId, i)]));
    networks.forEach((networkId, i) => {
      this.links.set(bridgeOf(networkId, i), i + 1);
    });
    this.wire = new SessionWire(around);
  }

  /** Starts the agent on what it left on its disk, if it does not run. */
  async start(): Promise<void> {
    if (this.#agent) return;
    const { clock } = this.#around;
    const entropy = this.#around.entropy();
    this.#backend = new FakeDhcpBackend();
    const agent = createAgent(
      {
        clock,
        entropy,
        log: SILENT,
        transport: this.wire,
        frameSockets: this.interfaces,
        backend: this.#backend,
        state: new StateStore({ files: this.#files, entropy, log: SILENT }),
        readLink: (name) => {
          const index = this.links.get(name);
          return index === undefined ? { absent: `There is no interface ${name}` } : { name, index };
        },
      },
      {
        hostId: this.hostId,
        servers: ['server'],
        failureDomain: this.#failureDomain,
        agentVersion: '0',
        bootId: `${this.hostId}-boot-${this.#boot}`,
      },
    );
    this.#agent = agent;
    agent.setNetworks(this.#networks);
    // Not waited for: on a slow disk it takes until the disk is set anew. One that fails is started again.
    const startAgain = () => {
      if (this.#agent !== agent) return;
      this.#agent = undefined;
      void this.start();
    };
    agent.start().catch(() => clock.after(RESTART_MS, startAgain));
    await settle();
  }

  /** `kill -9` of the agent. */
  async kill(): Promise<void> {
    for (const server of this.#backend.servers) server.isClosed = true;
    this.wire.breakStream();
    const agent = this.#agent;
    this.#agent = undefined;
    // Its disk is as it was at the moment of the kill.
    this.#files = this.#files.takeOver();
    // Its timers must not run on in the shared clock. Not waited for: it would wait for a slow disk.
    void agent?.stop();
  }

  /** The machine goes down and comes up again: what was not flushed is gone, nothing the agent knew of time is valid. */
  async reboot(): Promise<void> {
    await this.kill();
    this.#files.loseCache();
    this.#boot++;
    await this.start();
  }

  /** From now on tables can be written, cannot be (`full`), or are written when the disk is set anew (`slow`). */
  setDisk(disk: 'good' | 'full' | 'slow'): void {
    this.#files.setDisk(disk);
  }

  /** What guests of a network get from this host now, as `host MAC=ADDRESS`. */
  answers(networkId: string): readonly string[] {
    return this.#agent ? this.#backend.answers(networkId).map((answer) => `${this.hostId} ${answer}`) : [];
  }
}

function bridgeOf(networkId: string, index: number): string {
  const name = `br-${networkId}`;
  return name.length > MAX_INTERFACE ? `br${index}` : name;
}
