// One server, hosts and guests on one wire, in a test's hands: what a run draws from its seed is said here.

import { createAgent } from '@leasehold/agent/agent';
import { formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import { startControlPlane } from '@leasehold/server/control-plane';
import type { Result } from '@leasehold/server/domain/errors';
import type { NetworkId, SubnetId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import type { UseCases } from '@leasehold/server/transport/ipam-service';
import { MemoryDisk } from '../fakes/memory-disk.js';
import { openMemoryStore } from '../fakes/memory-store.js';
import { CALL, releaseCommand, reserveCommand, subnetSettings } from '../simulation/commands.js';
import type { GuestTraits } from './guest.js';
import { GuestSide } from './guest-side.js';
import { HostNode } from './host-node.js';
import type { WireViolation } from './invariants/wire.js';
import { Network } from './network.js';
import { Machine } from './node.js';
import { Seeded } from './seeded.js';
import { GOOD_WIRE, type Segment } from './segment.js';
import { ServerNode } from './server-node.js';
import { SessionNetwork } from './session-network.js';
import type { SimulatedGuest } from './simulated-guest.js';
import type { Surroundings } from './surroundings.js';
import { Trace } from './trace.js';
import { World } from './world.js';

/** S, in seconds. */
export const AUTHORITY_S = 60;
/** L, in seconds. */
export const LEASE_S = 120;

const GOOD_GUEST: Omit<GuestTraits, 'mac'> = {
  ...{ patience: 'rfc', renewsOnLink: true, probes: false, remembers: true, overstays: false },
};

/** The network `red` on these hosts, which one of them serves. */
export class GuestWorld {
  readonly world = new World();
  readonly disk = new MemoryDisk();
  readonly chance: Seeded;
  readonly segment: Segment;
  readonly side: GuestSide;
  readonly hosts: readonly HostNode[];
  /** What passed the wire, as `PORT TYPE`. */
  readonly frames: string[] = [];
  readonly #network: Network;
  readonly #server: ServerNode;
  #violation: WireViolation | undefined;

  constructor(hostIds: readonly string[], { seed = 1, drift = 0 } = {}) {
    const { world, disk } = this;
    const chance = new Seeded(seed);
    this.chance = chance;
    const trace = new Trace(world);
    this.#network = new Network(world, chance.of('network'), { usualMs: 1, slowShare: 0, slowMs: 1 });
    const defect = (what: string) => {
      throw new Error(what);
    };
    const around: Surroundings = {
      ...{ world, trace, chance, defect, watchLagMs: () => 1 },
      sessions: new SessionNetwork(this.#network, { said: () => undefined, told: () => undefined }, false),
      base: openMemoryStore({ disk, shared: true, authorityS: AUTHORITY_S }),
      storePlace: {
        network: this.#network,
        machine: new Machine(world, 'store', 0),
        trouble: { brokenShare: 0, lateShare: 0 },
      },
    };
    this.#server = new ServerNode(around, 's1', 0, startControlPlane);
    const networks = [
      { name: 'red', cidr: '10.0.0.0/24', dhcpServerCount: 1, leaseTimeS: LEASE_S, reuseDelayS: 30, macs: [] },
    ];
    this.side = new GuestSide({
      ...{ world, disk, trace, chance: chance.of('guests'), setup: { hosts: hostIds, networks, drift } },
      report: (violation) => {
        this.#violation ??= violation;
      },
    });
    this.hosts = hostIds.map((hostId) => this.#makeHost(hostId, around));
    const segment = this.side.segments.get('red');
    if (!segment) throw new Error('There is no wire');
    this.segment = segment;
    segment.conditions = GOOD_WIRE;
    segment.witnesses.push((frame) => {
      const type = frame.kind === 'dhcp' ? frame.message?.options.get(53)?.[0] : frame.operation;
      this.frames.push(`${frame.kind === 'dhcp' ? frame.port : 'arp'} ${type}`);
    });
  }

  static async start(hostIds: readonly string[] = ['h1', 'h2', 'h3'], more: { drift?: number } = {}) {
    const made = new GuestWorld(hostIds, more);
    made.#server.start();
    for (const host of made.hosts) host.start();
    await made.advance(8_000);
    const settings = { displayName: '', labels: {}, dhcpServerCount: 1, ipamEnabled: true };
    await made.#ask((cases) => cases.networks.create('red' as NetworkId, settings, CALL));
    const subnet = subnetSettings('10.0.0.0/24', { leaseTimeS: LEASE_S, reuseDelayS: 30 });
    await made.#ask((cases) => cases.subnets.create('red' as NetworkId, 'red' as SubnetId, subnet, CALL));
    await made.advance(5_000);
    return made;
  }

  /** Lets time pass; a rule of the wire that was broken is thrown. */
  async advance(ms: number): Promise<void> {
    await this.world.runUntil(this.world.nowMs + ms, () => this.#violation === undefined);
    if (this.#violation) throw new Error(`${this.#violation.rule}: ${this.#violation.text}`);
  }

  async reserve(n: number, address?: string): Promise<Slot> {
    const { tenure } = await this.#ask((cases) =>
      cases.reserve.reserve(reserveCommand('red', macOf(n), address), CALL),
    );
    return tenure as Slot;
  }

  async release(address: Ipv4 | undefined, guestStopped = false): Promise<void> {
    const command = { ...releaseCommand('red', textOf(address)), guestStopped };
    await this.#ask((cases) => cases.release.release(command, CALL));
  }

  /** A guest on a host, which is off. */
  guest(n: number, place: string, traits: Partial<GuestTraits> = {}): SimulatedGuest {
    const guest = this.side.guest('red', macOf(n), { ...GOOD_GUEST, ...traits });
    guest.migrate(place);
    return guest;
  }

  /** A guest with a reservation, which is started. */
  async boot(n: number, place: string, traits: Partial<GuestTraits> = {}): Promise<SimulatedGuest> {
    await this.reserve(n);
    const guest = this.guest(n, place, traits);
    guest.start();
    await this.advance(2_000);
    return guest;
  }

  host(hostId: string): HostNode {
    const host = this.hosts.find((each) => each.hostId === hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    return host;
  }

  /** The host that is to serve. */
  get placed(): HostNode {
    const [placement] = this.disk.networks.get('red' as NetworkId)?.placements ?? [];
    return this.host(placement?.hostId ?? '');
  }

  /** One of the other hosts. */
  get other(): string {
    const { placed } = this;
    return this.hosts.find((host) => host !== placed)?.hostId ?? '';
  }

  /** From now on nothing passes between a host and the server. */
  cutOff(hostId: string): void {
    this.#network.cut(hostId, 's1');
    this.#network.cut('s1', hostId);
  }

  /** Everything passes again. */
  mend(): void {
    this.#network.healAll();
  }

  async #ask<T>(ask: (cases: UseCases) => Promise<Result<T>>): Promise<T> {
    const { plane } = this.#server;
    if (!plane) throw new Error('The server is down');
    const asked = ask(plane.useCases);
    await this.advance(100);
    const result = await asked;
    if (!result.ok) throw new Error(result.error.message);
    return result.value;
  }

  #makeHost(hostId: string, around: Surroundings): HostNode {
    return new HostNode(around, {
      ...{ hostId, drift: 0, networkIds: ['red'], servers: ['s1'], failureDomain: '' },
      wire: this.side.wireOf(hostId),
      makeAgent: this.side.watched(createAgent),
    });
  }
}

/** The MAC of a guest. */
export function macOf(n: number): Mac {
  return `52:54:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac;
}

/** An address, or what stands for none. */
export function textOf(address: Ipv4 | undefined): string {
  return address === undefined ? 'none' : formatIpv4(address);
}
