// A whole installation in one process and in virtual time: the product's own control plane and agents, on a store in
// memory, with guests that ask the agents' backends. Only gRPC, LMDB and packets are played.

import { PlayedHost, type Surroundings } from '@leasehold/fake/played-host';
import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { openMemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import type { ReleaseCommand } from '@leasehold/server/app/release';
import type { ReserveCommand } from '@leasehold/server/app/reserve';
import { type ControlPlane, startControlPlane } from '@leasehold/server/control-plane';
import type { AuditLog } from '@leasehold/server/domain/audit';
import type { Result } from '@leasehold/server/domain/errors';
import type { HostId, NetworkId, SubnetId, WallTime } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import type { SubnetSettings } from '@leasehold/server/domain/subnet-settings';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { MemoryLog } from '../fakes/memory-log.js';
import { VirtualClock } from '../fakes/virtual-clock.js';
import { CALL, releaseCommand, reserveCommand, subnetSettings } from './commands.js';

/** What may be other than it is without a flag. */
export interface InstallationOptions {
  /** S. */
  readonly authorityS?: number;
  readonly historyRetentionMs?: number;
  readonly auditLog?: AuditLog;
}

/** The installation. */
export class Installation {
  readonly clock = new VirtualClock();
  /** Another one while the server is down: the store was moved. */
  disk = new MemoryDisk();
  readonly log = new MemoryLog();
  readonly hosts = new Map<string, PlayedHost>();
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

  /** What hosts are in. */
  get surroundings(): Surroundings {
    return {
      clock: this.clock,
      entropy: () => new FixedEntropy(this.agentChance),
      agents: () => this.#plane?.agents,
      way: () => this.#way(),
    };
  }

  #way(): (deliver: () => void) => void {
    let lastMs = 0;
    return (deliver) => {
      lastMs = Math.max(lastMs, this.clock.now() + this.latencyMs());
      this.clock.after(lastMs - this.clock.now(), deliver);
    };
  }

  /** `options`: what is other from now on. */
  async startServer(options: InstallationOptions = {}): Promise<void> {
    const { clock, log } = this;
    this.#options = { ...this.#options, ...options };
    const { authorityS, historyRetentionMs, auditLog } = this.#options;
    this.#store = openMemoryStore({ disk: this.disk, ...(authorityS !== undefined && { authorityS }) });
    this.#plane = await startControlPlane({
      store: this.#store,
      clock,
      entropy: this.#entropy,
      log,
      makeBreaker: virtualBreakers(clock),
      ...(historyRetentionMs !== undefined && { historyRetentionMs }),
      ...(auditLog !== undefined && { auditLog }),
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

  async addHost(hostId: string, networks: readonly string[], failureDomain = ''): Promise<PlayedHost> {
    const host = new PlayedHost(this.surroundings, hostId, networks, failureDomain);
    this.hosts.set(hostId, host);
    await host.start();
    await this.advance(10);
    return host;
  }

  host(hostId: string): PlayedHost {
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
    return this.plane.useCases.subnets.update(subnetId as SubnetId, { networkId: undefined, patch, etag: '' }, CALL);
  }

  /** Deletes a subnet; a refusal is an answer. */
  tryDeleteSubnet(subnetId: string) {
    return this.plane.useCases.subnets.delete(subnetId as SubnetId, '', CALL);
  }

  /** Deletes a network; a refusal is an answer. */
  tryDeleteNetwork(networkId: string) {
    return this.plane.useCases.networks.delete(networkId as NetworkId, '', CALL);
  }

  async updateHost(hostId: string, patch: { managed?: boolean; maintenance?: boolean }): Promise<void> {
    accepted(await this.plane.useCases.hosts.update(hostId as HostId, patch, '', CALL));
  }

  async updateNetwork(networkId: string, patch: { dhcpServerCount?: number; ipamEnabled?: boolean }): Promise<void> {
    accepted(await this.plane.useCases.networks.update(networkId as NetworkId, patch, '', CALL));
  }

  /** A host that was heard once, long ago. */
  async storeHost(hostId: string): Promise<void> {
    const report = { attachments: [], failureDomain: '', backend: 'builtin', agentVersion: '0' };
    await this.plane.useCases.hosts.reported({ hostId: hostId as HostId, ...report });
  }

  /** An operator forgets a host; a refusal is thrown. */
  async deleteHost(hostId: string): Promise<void> {
    accepted(await this.plane.useCases.hosts.delete(hostId as HostId, '', CALL));
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
