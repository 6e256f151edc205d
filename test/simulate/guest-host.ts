// A host of the simulator: the product's agent with its builtin backend and sentinel, on a machine that can fail in every
// way a machine does.
//
//   H1. The agent gets nothing but this machine: its clock, disk, interfaces and sessions.
//   H2. What a process that was killed began is never finished: not by a timer, a message, a socket or its disk.
//   H3. A frozen agent runs nothing, and its machine goes on without it: time passes, the kernel answers ARP, sockets fill.

import { type Agent, createAgent } from '@leasehold/agent/agent';
import { BuiltinBackend } from '@leasehold/agent/backends/builtin/builtin-backend';
import type { SessionChannel, SessionHandlers, SessionTransport } from '@leasehold/agent/session/session-transport';
import { StateStore } from '@leasehold/agent/state/state-store';
import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import { MemoryFiles } from '../fakes/memory-files.js';
import { seededEntropy } from './entropy.js';
import { HostNetwork, type SocketWitness } from './host-network.js';
import { MachineClock, ProcessClock } from './machine.js';
import type { Segment } from './segment.js';

const RESTART_MS = 1_000;
const TABLE_FILES = /\.(table|journal)$/;

/** What a host is made of. */
export interface GuestHostParts {
  readonly hostId: string;
  /** Makes its MACs. */
  readonly number: number;
  /** The networks that it has, each on a bridge. */
  readonly segments: ReadonlyMap<string, Segment>;
  /** The world's. */
  readonly clock: Clock;
  /** How fast the machine's clock runs; 1: right. */
  readonly rate?: number;
  readonly chance: () => number;
  readonly log: Log;
  readonly transport: SessionTransport;
  readonly servers?: readonly string[];
  readonly failureDomain?: string;
  readonly witness?: HostWitness;
}

/** Sees what a host does, at the moment it does it. */
export interface HostWitness {
  /** Between the agent and its gate to the network: what the agent sends and gets, on the machine's clock. */
  watch(hostId: string, clock: Clock, transport: SessionTransport): SessionTransport;
  /** A DHCP question reached the socket of the agent. */
  readonly asked: (hostId: string, ...question: Parameters<SocketWitness>) => void;
  /** The agent, its machine or its interfaces were meddled with. */
  meddled(hostId: string): void;
  /** The agent ended, or the whole machine did. */
  ended(hostId: string, what: 'process' | 'machine'): void;
}

/** See the top of the file. */
export class GuestHost {
  readonly hostId: string;
  readonly network: HostNetwork;
  readonly #parts: GuestHostParts;
  #files = new MemoryFiles();
  #endHold = () => {};
  #boot = 0;
  #machine: MachineClock;
  #process: ProcessClock | undefined;
  #channels = new Set<SessionChannel>();

  constructor(parts: GuestHostParts) {
    const { hostId, number, segments, witness } = parts;
    this.hostId = hostId;
    this.#parts = parts;
    this.#machine = this.#newBoot();
    const asked =
      witness && ((networkId: string, frame: Parameters<SocketWitness>[1]) => witness.asked(hostId, networkId, frame));
    this.network = new HostNetwork(hostId, number, segments, asked);
  }

  /** Whether the agent runs. */
  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** Whether the agent is stopped by SIGSTOP. */
  get isFrozen(): boolean {
    return this.#process?.isStalled ?? false;
  }

  /** Starts the agent on what it left on its disk. */
  start(): void {
    if (this.#process) return;
    const process = new ProcessClock(this.#machine);
    this.#process = process;
    const agent = this.#makeAgent(process);
    agent.setNetworks(this.network.networks);
    // Not waited for: on a slow disk it takes until the disk is set anew. One that fails is started again.
    agent.start().catch((error: unknown) => {
      if (this.#process !== process) return;
      this.#parts.log.warn('Agent ended', { host: this.hostId, problem: String(error) });
      this.kill();
      this.#machine.after(RESTART_MS, () => this.start());
    });
  }

  /** `kill -9` of the agent: its service addresses stay on the interfaces. */
  kill(): void {
    this.#process?.kill();
    this.#process = undefined;
    this.network.closeSockets();
    // The kernel ends its connections.
    for (const channel of this.#channels) channel.close();
    this.#channels.clear();
    // Its disk is as it was at the moment of the kill.
    this.#files = this.#files.takeOver();
    this.#parts.witness?.ended(this.hostId, 'process');
  }

  /** SIGSTOP. */
  freeze(): void {
    this.#process?.stall();
    this.#parts.witness?.meddled(this.hostId);
  }

  /** SIGCONT. */
  thaw(): void {
    this.#process?.resume();
    this.#parts.witness?.meddled(this.hostId);
  }

  /** The machine loses its power; what was not flushed is gone. Its guests are the caller's. */
  powerOff(): void {
    this.kill();
    this.#files.loseCache();
    this.network.forget();
    for (const segment of this.#parts.segments.values()) segment.setBridge(this.hostId, false);
    this.#parts.witness?.ended(this.hostId, 'machine');
  }

  /** It comes up again: another boot, whose clock begins anew. */
  powerOn(): void {
    this.#machine = this.#newBoot();
    for (const networkId of this.#parts.segments.keys()) this.network.setUp(networkId, true);
    this.start();
  }

  /** From now on tables can be written, cannot be (`full`), or are written when the disk is set anew (`slow`). */
  setDisk(disk: 'good' | 'full' | 'slow'): void {
    this.#endHold();
    this.#files.affected = TABLE_FILES;
    this.#files.failure = disk === 'full' ? 'ENOSPC' : undefined;
    this.#files.hold = undefined;
    this.#parts.witness?.meddled(this.hostId);
    if (disk !== 'slow') return;
    this.#files.hold = new Promise((resolve) => {
      this.#endHold = resolve;
    });
  }

  /** What is done to the interface of a network. */
  setLink(networkId: string, link: 'up' | 'down' | 'renamed' | 'made-again'): void {
    if (link === 'made-again') this.network.makeAgain(networkId);
    else {
      this.network.rename(networkId, link === 'renamed' ? `old-${networkId}` : undefined);
      this.network.setUp(networkId, link !== 'down');
    }
    this.#parts.witness?.meddled(this.hostId);
  }

  #newBoot(): MachineClock {
    const { clock, rate, chance } = this.#parts;
    this.#boot += 1;
    return new MachineClock(clock, rate, Math.floor(5_000 + chance() * 20_000));
  }

  #makeAgent(process: ProcessClock): Agent {
    const { hostId, chance, log, failureDomain = '', servers = ['server'], witness } = this.#parts;
    const entropy = seededEntropy(chance);
    const gate = this.#gate(process);
    const network = this.network;
    return createAgent(
      {
        ...{ clock: process, entropy, log, readLink: network.readLink },
        transport: witness ? witness.watch(hostId, this.#machine, gate) : gate,
        frameSockets: network.frameSockets(process),
        backend: new BuiltinBackend({
          ...{ clock: process, log },
          sockets: network.dhcpSockets(process),
          serviceAddresses: network.serviceAddresses(process),
        }),
        state: new StateStore({ files: this.#files, entropy, log }),
      },
      { hostId, servers, failureDomain, agentVersion: '0', bootId: `${hostId}-boot-${this.#boot}` },
    );
  }

  /** What arrives waits while the process is frozen; a process that was killed says and hears nothing. */
  #gate(process: ProcessClock): SessionTransport {
    return {
      open: (server: string, handlers: SessionHandlers): SessionChannel => {
        // After its end no handler is called, whatever still waits for the process to go on.
        let isOpen = true;
        const inner = this.#parts.transport.open(server, {
          onMessage: (response) =>
            process.arrive(() => {
              if (isOpen) handlers.onMessage(response);
            }),
          onClose: (reason) => {
            this.#channels.delete(channel);
            process.arrive(() => {
              if (isOpen) handlers.onClose(reason);
              isOpen = false;
            });
          },
        });
        const channel: SessionChannel = {
          send: (request) => {
            if (process.isAlive && isOpen) inner.send(request);
          },
          close: () => {
            isOpen = false;
            this.#channels.delete(channel);
            inner.close();
          },
        };
        this.#channels.add(channel);
        return channel;
      },
    };
  }
}
