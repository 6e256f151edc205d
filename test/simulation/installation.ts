// A whole installation in one process and in virtual time: the product's own control plane and agents, on a store in
// memory, with guests that ask the agents' backends. Only gRPC, LMDB and packets are played.

import { type Agent, createAgent } from '@leasehold/agent/agent';
import type { SessionChannel, SessionHandlers, SessionTransport } from '@leasehold/agent/session/session-transport';
import { StateStore } from '@leasehold/agent/state/state-store';
import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { openMemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import type { ReleaseCommand } from '@leasehold/server/app/release';
import type { ReserveCommand } from '@leasehold/server/app/reserve';
import { type ControlPlane, startControlPlane } from '@leasehold/server/control-plane';
import type { Result } from '@leasehold/server/domain/errors';
import type { HostId, NetworkId, SubnetId, WallTime } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import type { SubnetSettings } from '@leasehold/server/domain/subnet-settings';
import { FakeDhcpBackend } from '../fakes/fake-dhcp-backend.js';
import { FakeWire } from '../fakes/fake-wire.js';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { MemoryFiles } from '../fakes/memory-files.js';
import { MemoryLog } from '../fakes/memory-log.js';
import { settle, VirtualClock } from '../fakes/virtual-clock.js';
import { CALL, releaseCommand, reserveCommand, subnetSettings } from './commands.js';

const RESTART_MS = 1_000;

/** What may be other than it is without a flag. */
export interface InstallationOptions {
  /** S. */
  readonly authorityS?: number;
  readonly historyRetentionMs?: number;
}

/** The installation. */
export class Installation {
  readonly clock = new VirtualClock();
  /** Another one while the server is down: the store was moved. */
  disk = new MemoryDisk();
  readonly log = new MemoryLog();
  readonly hosts = new Map<string, SimulatedHost>();
  /** What agents draw wherever they leave something to chance: near 1, every wait is as long as it can be. */
  agentChance = 0.5;
  /** How long the next message takes. Those of one direction of a stream arrive in their order all the same. */
  latencyMs: () => number = () => 1;
  #options: InstallationOptions;
  readonly #entropy = new FixedEntropy();
  #plane: ControlPlane | undefined;
  #store: ReturnType<typeof openMemoryStore> | undefined;

  constructor(options: InstallationOptions = {}) {
    this.#options = options;
  }

  /** An installation with a running server and these hosts, each with the networks given. */
  static async start(
    hosts: Readonly<Record<string, readonly string[]>> = {},
    options: InstallationOptions = {},
  ): Promise<Installation> {
    const installation = new Installation(options);
    await installation.startServer();
    for (const [hostId, networks] of Object.entries(hosts)) await installation.addHost(hostId, networks);
    return installation;
  }

  /** The control plane, while it runs. */
  get plane(): ControlPlane {
    if (!this.#plane) throw new Error('The server is down');
    return this.#plane;
  }

  /** Whether the server runs. */
  get isUp(): boolean {
    return this.#plane !== undefined;
  }

  /** `options`: what is other from now on. */
  async startServer(options: InstallationOptions = {}): Promise<void> {
    const { clock, log } = this;
    this.#options = { ...this.#options, ...options };
    const { authorityS, historyRetentionMs } = this.#options;
    this.#store = openMemoryStore({ disk: this.disk, ...(authorityS !== undefined && { authorityS }) });
    this.#plane = await startControlPlane({
      store: this.#store,
      clock,
      entropy: this.#entropy,
      log,
      makeBreaker: virtualBreakers(clock),
      ...(historyRetentionMs !== undefined && { historyRetentionMs }),
      identity: { version: '0', name: 'sim', startTime: clock.now() as WallTime, insecureListeners: [] },
    });
    await this.advance(0);
  }

  /** The server is killed: nothing of it runs on, its streams break. */
  async killServer(): Promise<void> {
    const plane = this.plane;
    this.#plane = undefined;
    this.#store?.fail(new Error('killed'));
    for (const host of this.hosts.values()) host.wire.breakStream();
    await plane.stop();
  }

  /** The store refuses everything from now on; the server goes on with what it has in memory. */
  failStore(): void {
    this.#store?.fail(new Error('its disk is gone'));
  }

  async addHost(hostId: string, networks: readonly string[], failureDomain = ''): Promise<SimulatedHost> {
    const host = new SimulatedHost(this, hostId, networks, failureDomain);
    this.hosts.set(hostId, host);
    await host.start();
    await this.advance(10);
    return host;
  }

  host(hostId: string): SimulatedHost {
    const host = this.hosts.get(hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    return host;
  }

  /** Moves time forward. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  async createNetwork(
    networkId: string,
    settings: { dhcpServerCount?: number; ipamEnabled?: boolean } = {},
  ): Promise<void> {
    const { dhcpServerCount = 1, ipamEnabled = true } = settings;
    const all = { displayName: '', labels: {}, dhcpServerCount, ipamEnabled };
    accepted(await this.plane.useCases.networks.create(networkId as NetworkId, all, CALL));
  }

  async createSubnet(
    networkId: string,
    subnetId: string,
    cidr: string,
    more: Partial<SubnetSettings> = {},
  ): Promise<void> {
    const settings = subnetSettings(cidr, more);
    accepted(await this.plane.useCases.subnets.create(networkId as NetworkId, subnetId as SubnetId, settings, CALL));
    await this.advance(20);
  }

  /** Reserves, and answers the slot; a refusal is thrown. */
  async reserve(subnetId: string, mac: string, address?: string): Promise<Slot> {
    const { tenure } = accepted(await this.tryReserve(subnetId, mac, address));
    return tenure as Slot;
  }

  /** Reserves; a refusal is an answer. */
  tryReserve(subnetId: string, mac: string, address?: string, more: Partial<ReserveCommand> = {}) {
    return this.plane.useCases.reserve.reserve({ ...reserveCommand(subnetId, mac, address), ...more }, CALL);
  }

  /** Releases by address, or as `more` says; a refusal is an answer. */
  tryRelease(subnetId: string, address: string, more: Partial<ReleaseCommand> = {}) {
    return this.plane.useCases.release.release({ ...releaseCommand(subnetId, address), ...more }, CALL);
  }

  /** Changes settings of a subnet; a refusal is an answer. */
  tryUpdateSubnet(subnetId: string, patch: Partial<SubnetSettings>) {
    return this.plane.useCases.subnets.update(subnetId as SubnetId, { networkId: undefined, patch, etag: '' });
  }

  /** Deletes a subnet; a refusal is an answer. */
  tryDeleteSubnet(subnetId: string) {
    return this.plane.useCases.subnets.delete(subnetId as SubnetId, '');
  }

  /** Deletes a network; a refusal is an answer. */
  tryDeleteNetwork(networkId: string) {
    return this.plane.useCases.networks.delete(networkId as NetworkId, '');
  }

  async updateHost(hostId: string, patch: { managed?: boolean; maintenance?: boolean }): Promise<void> {
    accepted(await this.plane.useCases.hosts.update(hostId as HostId, patch, ''));
  }

  async updateNetwork(networkId: string, patch: { dhcpServerCount?: number; ipamEnabled?: boolean }): Promise<void> {
    accepted(await this.plane.useCases.networks.update(networkId as NetworkId, patch, ''));
  }

  /** A host that was heard once, long ago. */
  async storeHost(hostId: string): Promise<void> {
    const report = { attachments: [], failureDomain: '', backend: 'builtin', agentVersion: '0' };
    await this.plane.useCases.hosts.reported({ hostId: hostId as HostId, ...report });
  }

  /** An operator forgets a host; a refusal is thrown. */
  async deleteHost(hostId: string): Promise<void> {
    accepted(await this.plane.useCases.hosts.delete(hostId as HostId, ''));
  }

  /** The placements of a network as users see them: `host state`, sorted. */
  placements(networkId: string): readonly string[] {
    const filter = { networkId: networkId as NetworkId, hostId: undefined };
    const page = accepted(this.plane.useCases.placements.list(filter, { size: 0, token: '' }));
    return page.items.map(({ hostId, state }) => `${hostId} ${state}`).sort();
  }

  /** Every answer a guest of a network may get, from all hosts it can reach, as `host MAC=ADDRESS`, sorted. */
  answers(networkId: string): readonly string[] {
    return [...this.hosts.values()].flatMap((host) => host.answers(networkId)).sort();
  }

  /** Which hosts answer anybody in a network. */
  answering(networkId: string): readonly string[] {
    return [...this.hosts.values()].flatMap((host) => (host.answers(networkId).length > 0 ? [host.hostId] : [])).sort();
  }

  /** How many tables were found to differ, and were sent again. */
  get drifts(): number {
    return this.log.lines.filter(({ message }) => message === 'table had drifted, sent again').length;
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    for (const host of this.hosts.values()) await host.kill();
    await this.#plane?.stop();
    await this.#store?.close();
  }
}

/** The value of a result; a refusal is thrown. */
export function accepted<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Error(`${result.error.kind}: ${result.error.message}`);
}

/** A host with the product's own agent. */
export class SimulatedHost {
  readonly hostId: string;
  readonly wire: Wire;
  /** What passes its interfaces. */
  readonly interfaces = new FakeWire();
  /** Interfaces that are there and up. */
  readonly links = new Map<string, number>();
  readonly #installation: Installation;
  #files = new MemoryFiles();
  readonly #networks: ReadonlyMap<string, string>;
  readonly #failureDomain: string;
  #backend = new FakeDhcpBackend();
  #agent: Agent | undefined;
  #boot = 1;

  constructor(installation: Installation, hostId: string, networks: readonly string[], failureDomain: string) {
    this.#installation = installation;
    this.hostId = hostId;
    this.#failureDomain = failureDomain;
    this.#networks = new Map(networks.map((networkId) => [networkId, `br-${networkId}`]));
    networks.forEach((networkId, i) => {
      this.links.set(`br-${networkId}`, i + 1);
    });
    this.wire = new Wire(installation);
  }

  /** Starts the agent on what it left on its disk. */
  async start(): Promise<void> {
    const { clock, agentChance } = this.#installation;
    const entropy = new FixedEntropy(agentChance);
    const log = new MemoryLog();
    this.#backend = new FakeDhcpBackend();
    const agent = createAgent(
      {
        clock,
        entropy,
        log,
        transport: this.wire,
        frameSockets: this.interfaces,
        backend: this.#backend,
        state: new StateStore({ files: this.#files, entropy, log }),
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
      if (this.#agent === agent) void this.start();
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

/** Sees what the server and one agent say to each other, as the server does. */
export interface WireWitness {
  heard(request: SessionRequest): void;
  said(response: SessionResponse): void;
}

/** The way between one agent and the server. */
export class Wire implements SessionTransport {
  /** Told of everything that arrives at the server, and of everything the server sends, when it does. */
  witness: WireWitness | undefined;
  readonly #installation: Installation;
  #isCut = false;
  #breakNow: (() => void) | undefined;

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  /** From now on nothing arrives any more, and nobody is told. */
  cut(): void {
    this.#isCut = true;
  }

  /** Messages arrive again; a stream that was cut turns out to be broken. */
  heal(): void {
    this.#isCut = false;
    this.breakStream();
  }

  /** The stream breaks, and both ends learn of it. */
  breakStream(): void {
    this.#breakNow?.();
    this.#breakNow = undefined;
  }

  open(_server: string, handlers: SessionHandlers): SessionChannel {
    let isOpen = true;
    const isUp = () => isOpen && !this.#isCut;
    const [toAgent, toServer] = [this.#direction(isUp), this.#direction(isUp)];
    if (!this.#installation.isUp) {
      const refuse = () => {
        if (isOpen) handlers.onClose({ reason: 'connection refused' });
        isOpen = false;
      };
      toAgent(refuse);
      // While it is cut nobody says so, until it heals.
      this.#breakNow = refuse;
      return { send: () => undefined, close: () => (isOpen = false) };
    }
    const close = (reason: string) => {
      if (!isOpen) return;
      isOpen = false;
      handlers.onClose({ reason });
    };
    const stream = this.#installation.plane.agents.open({
      send: (message) => {
        this.witness?.said(message);
        toAgent(() => handlers.onMessage(message));
      },
      end: (error) => toAgent(() => close(error?.message ?? 'ended')),
    });
    this.#breakNow = () => {
      stream.closed();
      close('broken');
    };
    const arrive = (request: SessionRequest) => {
      this.witness?.heard(request);
      stream.receive(request);
    };
    return {
      send: (request) => toServer(() => arrive(request)),
      close: () => {
        isOpen = false;
        if (!this.#isCut) stream.closed();
      },
    };
  }

  /** Delivers after a while, in order. */
  #direction(isUp: () => boolean): (deliver: () => void) => void {
    const { clock } = this.#installation;
    let lastMs = 0;
    return (deliver) => {
      lastMs = Math.max(lastMs, clock.now() + this.#installation.latencyMs());
      clock.after(lastMs - clock.now(), () => {
        if (isUp()) deliver();
      });
    };
  }
}
