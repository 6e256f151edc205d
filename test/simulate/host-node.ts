// A host: the product's own agent on a machine of the simulation.

import { type Agent, type AgentConfig, type AgentPorts, createAgent } from '@leasehold/agent/agent';
import type { DhcpBackend } from '@leasehold/agent/backends/dhcp-backend';
import type { FrameSockets } from '@leasehold/agent/sentinel/frame-sockets';
import { StateStore } from '@leasehold/agent/state/state-store';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import { MemoryFiles } from '../fakes/memory-files.js';
import { Machine, type VirtualProcess } from './node.js';
import type { Surroundings } from './surroundings.js';
import { TracedLog } from './trace.js';
import { type ServedHere, WatchedBackend } from './watched-backend.js';

/** Makes an agent; a mutant stands in for the product's own. */
export type MakeAgent = (ports: AgentPorts, config: AgentConfig) => Agent;

/** What a host's side of the wire is: made anew for every start of the agent. */
export interface HostWire {
  backend(parts: { readonly clock: VirtualProcess; readonly entropy: Entropy; readonly log: Log }): DhcpBackend;
  frameSockets(process: VirtualProcess): FrameSockets;
  /** The agent's process was killed: its sockets are gone. */
  killed(): void;
  /** The machine has power, or has it no more. */
  powered?(isOn: boolean): void;
  /** The interfaces that are there, by name, with their indices. */
  linked?(links: ReadonlyMap<string, number>): void;
}

/** What a host is. */
export interface HostOptions {
  readonly hostId: string;
  readonly drift: number;
  readonly networkIds: readonly string[];
  readonly servers: readonly string[];
  readonly failureDomain: string;
  readonly wire: HostWire;
  readonly makeAgent?: MakeAgent;
}

const RESTART_MS = 1_000;

/** A host. */
export class HostNode {
  readonly hostId: string;
  readonly machine: Machine;
  readonly #around: Surroundings;
  readonly #options: HostOptions;
  /** Interfaces that are there and up. */
  readonly #links = new Map<string, number>();
  #lastLink = 0;
  #files = new MemoryFiles();
  #process: VirtualProcess | undefined;
  #backend: WatchedBackend | undefined;
  #starts = 0;
  /** Whether what it answers may have changed since it was looked at. */
  isTouched = false;

  constructor(around: Surroundings, options: HostOptions) {
    this.hostId = options.hostId;
    this.#around = around;
    this.#options = options;
    this.machine = new Machine(around.world, options.hostId, options.drift);
    this.plug();
  }

  /** The agent's process, while it runs. */
  get process(): VirtualProcess | undefined {
    return this.#process;
  }

  /** The networks it may answer in now. */
  get served(): Iterable<ServedHere> {
    return this.#backend?.served ?? [];
  }

  /** What is on its disk. */
  get files(): ReadonlyMap<string, Buffer> {
    return this.#files.files;
  }

  /** Starts the agent on what it left on its disk, if it does not run and there is power. */
  start(): void {
    if (this.#process || !this.machine.isUp) return;
    const { chance, sessions, trace, report, world } = this.#around;
    const { hostId, servers, failureDomain, networkIds, wire, makeAgent = createAgent } = this.#options;
    const process = this.machine.start();
    this.#process = process;
    const touch = () => {
      this.isTouched = true;
    };
    process.onTurn = touch;
    const entropy = chance.of(`${hostId} start ${++this.#starts}`);
    const log = new TracedLog(
      (line, message) => {
        if (!process.isAlive) return;
        trace.say(hostId, line);
        trace.count(`agent: ${message}`);
      },
      (line) => process.isAlive && report('defect', `${hostId}: ${line}`),
    );
    const backend = new WatchedBackend(wire.backend({ clock: process, entropy, log }));
    this.#backend = backend;
    trace.say(hostId, 'starts');
    const agent = makeAgent(
      {
        clock: process,
        entropy,
        log,
        transport: sessions.transportOf(process),
        frameSockets: wire.frameSockets(process),
        backend,
        state: new StateStore({ files: this.#files, entropy, log }),
        readLink: (name) => {
          const index = this.#links.get(name);
          return index === undefined ? { absent: `There is no interface ${name}` } : { name, index };
        },
      },
      { hostId, servers, failureDomain, agentVersion: '0', bootId: this.machine.bootId },
    );
    agent.setNetworks(new Map(networkIds.map((networkId) => [networkId, linkOf(networkId)])));
    agent.start().then(touch, (error: Error) => {
      if (!process.isAlive) return;
      trace.say(hostId, `cannot start: ${error.message}`);
      this.kill();
      world.after(RESTART_MS, () => this.start());
    });
  }

  /** `kill -9` of the agent. */
  kill(): void {
    if (!this.#process) return;
    this.#process.kill();
    this.#process = undefined;
    this.#backend = undefined;
    // Its disk is as it was at the moment of the kill.
    this.#files = this.#files.takeOver();
    this.#options.wire.killed();
  }

  /** The power goes: what was not flushed is gone. */
  powerOff(): void {
    this.machine.powerOff();
    this.kill();
    this.#files.loseCache();
    this.#options.wire.powered?.(false);
  }

  /** The machine boots, and the agent with it. */
  boot(): void {
    if (this.machine.isUp) return;
    this.machine.boot();
    this.#options.wire.powered?.(true);
    this.#around.sessions.network.booted(this.machine);
    this.start();
  }

  /** Its interfaces go. */
  unplug(): void {
    this.#links.clear();
    this.#options.wire.linked?.(this.#links);
  }

  /** Its interfaces are there again, as others. */
  plug(): void {
    for (const networkId of this.#options.networkIds) {
      if (!this.#links.has(linkOf(networkId))) this.#links.set(linkOf(networkId), ++this.#lastLink);
    }
    this.#options.wire.linked?.(this.#links);
  }

  /** From now on tables can be written, cannot be (`full`), or are written when the disk is set anew (`slow`). */
  setDisk(disk: 'good' | 'full' | 'slow'): void {
    this.isTouched = true;
    this.#files.setDisk(disk);
  }
}

function linkOf(networkId: string): string {
  return `br-${networkId}`;
}
