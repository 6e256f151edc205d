// One server, hosts and guests on one wire, in a test's hands: what a run draws from its seed is said here.

import { OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { Result } from '@leasehold/server/domain/errors';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Slot } from '@leasehold/server/domain/slot';
import type { UseCases } from '@leasehold/server/transport/ipam-service';
import { CALL, releaseCommand, reserveCommand } from '../simulation/commands.js';
import { NO_PROMISES } from './engine.js';
import type { GuestTraits } from './guest.js';
import type { GuestSide } from './guest-side.js';
import type { HostNode } from './host-node.js';
import { Installation } from './installation.js';
import { macOf as macIn } from './macs.js';
import type { Setup } from './schedule.js';
import { Seeded } from './seeded.js';
import { GOOD_WIRE, type Segment } from './segment.js';
import type { SimulatedGuest } from './simulated-guest.js';

/** S, in seconds. */
export const AUTHORITY_S = 60;
/** L, in seconds. */
export const LEASE_S = 120;

const GOOD_GUEST: Omit<GuestTraits, 'mac'> = {
  ...{ patience: 'rfc', renewsOnLink: true, probes: false, remembers: true, overstays: false },
};

/** The network `red` on these hosts, which one of them serves. */
export class GuestWorld {
  readonly chance: Seeded;
  readonly side: GuestSide;
  readonly segment: Segment;
  /** What passed the wire, as `PORT TYPE`. */
  readonly frames: string[] = [];
  readonly #installation: Installation;
  #problem: string | undefined;

  constructor(hosts: readonly string[], drift: number) {
    const network = { name: 'red', cidr: '10.0.0.0/24', dhcpServerCount: 1, macs: [] };
    const setup: Setup = {
      ...{ mood: 'any', servers: ['s1'], hosts, authorityS: AUTHORITY_S, drift, hasGuests: true, isEncoded: false },
      ...{ isEmbedded: false, watchLagMs: 1, usualLatencyMs: 1, slowShare: 0, slowLatencyMs: 1 },
      networks: [{ ...network, leaseTimeS: LEASE_S, reuseDelayS: 30 }],
    };
    const nothing = () => undefined;
    this.chance = new Seeded(1);
    this.#installation = new Installation(
      1,
      setup,
      {},
      {
        witness: { said: nothing, told: nothing },
        promises: () => NO_PROMISES,
        report: (rule, what) => {
          this.#problem ??= `${rule}: ${what}`;
        },
      },
    );
    const { guests } = this.#installation;
    const segment = guests?.segments.get('red');
    if (!guests || !segment) throw new Error('There are no guests');
    this.side = guests;
    this.segment = segment;
    segment.conditions = GOOD_WIRE;
    segment.witnesses.push((frame) => {
      const type = frame.kind === 'dhcp' ? frame.message?.options.get(OPTION.messageType)?.[0] : frame.operation;
      this.frames.push(`${frame.kind === 'dhcp' ? frame.port : 'arp'} ${type}`);
    });
  }

  /** With a server that runs, and the network served by one of the hosts. `drift`: of all clocks. */
  static async start({ drift = 0 } = {}): Promise<GuestWorld> {
    const made = new GuestWorld(['h1', 'h2', 'h3'], drift);
    made.#installation.start();
    await made.advance(20_000);
    return made;
  }

  get disk(): MemoryDisk {
    return this.#installation.disk;
  }

  get hosts(): readonly HostNode[] {
    return this.#installation.hosts;
  }

  /** Lets time pass; a rule of the wire that was broken is thrown. */
  async advance(ms: number): Promise<void> {
    const { world } = this.#installation;
    await world.runUntil(world.nowMs + ms, () => this.#problem === undefined);
    if (this.#problem !== undefined) throw new Error(this.#problem);
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
    this.#installation.network.cut(hostId, 's1');
    this.#installation.network.cut('s1', hostId);
  }

  /** Everything passes again. */
  mend(): void {
    this.#installation.network.healAll();
  }

  async #ask<T>(ask: (cases: UseCases) => Promise<Result<T>>): Promise<T> {
    const [server] = this.#installation.servers;
    const plane = server?.plane;
    if (!plane) throw new Error('The server is down');
    const asked = ask(plane.useCases);
    await this.advance(100);
    const result = await asked;
    if (!result.ok) throw new Error(result.error.message);
    return result.value;
  }
}

/** The MAC of a guest. */
export function macOf(n: number): Mac {
  return macIn(0, n - 1) as Mac;
}

/** An address, or what stands for none. */
export function textOf(address: Ipv4 | undefined): string {
  return address === undefined ? 'none' : formatIpv4(address);
}
