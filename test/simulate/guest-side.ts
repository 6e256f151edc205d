// The guests of an installation, the wires between hosts, and what happens to them.
//
//   G1. A guest is on from the acknowledgement of its reservation until the engine stops it. It is off before the engine says
//       that it is stopped; where the engine says nothing, it may be on for ever.
//   G2. When a host loses its power its guests go down with it, and come up again when it does.
//   G3. In some runs (`leavesGuests`) one of which the engine says nothing is left to itself: it asks nobody any more, and
//       lives on its lease, while its MAC is the next guest's.

import { BuiltinBackend } from '@leasehold/agent/backends/builtin/builtin-backend';
import type { Clock } from '@leasehold/program/clock';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { formatIpv4 } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { DhcpFrame } from './frames.js';
import type { GuestLease, GuestTraits } from './guest.js';
import type { GuestDeed } from './guest-schedule.js';
import { HostNetwork } from './host-network.js';
import type { HostWire } from './host-node.js';
import type { Report } from './invariants/store.js';
import { storeTruth } from './invariants/store-truth.js';
import { WireRules } from './invariants/wire.js';
import { Machine } from './node.js';
import type { Setup } from './schedule.js';
import type { Seeded } from './seeded.js';
import { GOOD_WIRE, Segment, type WireConditions } from './segment.js';
import { SimulatedGuest } from './simulated-guest.js';
import { Stranger } from './stranger.js';
import type { Trace } from './trace.js';
import type { World } from './world.js';

/** What guests are made with. */
export interface GuestSideParts {
  readonly world: World;
  readonly disk: MemoryDisk;
  readonly trace: Trace;
  /** Of guests and wires alone. */
  readonly chance: Seeded;
  readonly setup: Pick<Setup, 'hosts' | 'networks' | 'drift' | 'isApart' | 'leavesGuests'>;
  /** As WireTruth has it. */
  readonly toldSinceMs: () => number | undefined;
  readonly report: Report;
}

/** What is left of a guest that nobody hears of. */
interface Left {
  readonly networkId: string;
  readonly mac: Mac;
  readonly lease: GuestLease;
  readonly clock: Clock;
}

/** Nobody's. */
const STRANGER = '52:54:00:ff:00:01' as Mac;

/** See the top of the file. */
export class GuestSide {
  readonly rules: WireRules;
  readonly segments: ReadonlyMap<string, Segment>;
  readonly #parts: GuestSideParts;
  readonly #guests = new Map<string, SimulatedGuest>();
  readonly #networks = new Map<string, HostNetwork>();
  /** The leases of those that were left to themselves. */
  readonly #left: Left[] = [];
  /** Those that lost their host. */
  readonly #fallen = new Set<SimulatedGuest>();

  constructor(parts: GuestSideParts) {
    const { world, disk, chance, setup, toldSinceMs, report } = parts;
    this.#parts = parts;
    this.rules = new WireRules(world, { ...storeTruth(disk, world), toldSinceMs }, report);
    const conditions = chance.pick<WireConditions>([GOOD_WIRE, { delayMs: [0.1, 2], loss: 0.02, duplication: 0.02 }]);
    this.segments = new Map(
      setup.networks.map(({ name }) => [name, new Segment(name, world, chance.of(`wire ${name}`), conditions)]),
    );
    for (const segment of this.segments.values()) this.rules.follow(segment);
  }

  /** Everybody who was ever on. */
  get guests(): Iterable<SimulatedGuest> {
    return this.#guests.values();
  }

  /** The wire of a host: the product's builtin backend on its segments. */
  wireOf(hostId: string): HostWire {
    const asked = (networkId: string, frame: DhcpFrame) => this.rules.asked(hostId, networkId, frame);
    const network = new HostNetwork(hostId, this.#networks.size + 1, this.segments, asked);
    this.#networks.set(hostId, network);
    return {
      backend: ({ clock, log }) =>
        new BuiltinBackend({
          ...{ clock, log },
          sockets: network.dhcpSockets(clock),
          serviceAddresses: network.serviceAddresses(clock),
        }),
      frameSockets: (process) => network.frameSockets(process),
      killed: () => network.closeSockets(),
      powered: (isOn) => {
        network.setPower(isOn);
        this.#powered(hostId, isOn);
      },
      linked: (links) => network.setLinks(links),
    };
  }

  /** The interfaces of a host. */
  network(hostId: string): HostNetwork {
    const network = this.#networks.get(hostId);
    if (!network) throw new Error(`There is no host ${hostId}`);
    return network;
  }

  /** The guest of a MAC; it is off until it is started first. */
  guest(networkId: string, mac: string, traits?: Partial<GuestTraits>): SimulatedGuest {
    const key = `${networkId} ${mac}`;
    const known = this.#guests.get(key);
    if (known) return known;
    const { world, trace, chance, setup } = this.#parts;
    const segment = this.segments.get(networkId);
    if (!segment) throw new Error(`There is no network ${networkId}`);
    const own = chance.of(`guest ${key}`);
    const drift = setup.isApart ? -setup.drift : own.between(-setup.drift, setup.drift);
    const guest = new SimulatedGuest({
      traits: { ...traitsOf(mac as Mac, own), ...traits },
      ...{ segment, place: own.pick(setup.hosts), chance: () => own.random() },
      clock: new Machine(world, mac, drift).start(),
      onLease: (leased) => {
        trace.count('seen: guest got an address');
        trace.say(leased.mac.slice(-5), `has ${textOf(leased.lease?.address)} of ${networkId}`);
        this.rules.leased(leased);
      },
    });
    this.#guests.set(key, guest);
    return guest;
  }

  /** The engine starts the machine of a MAC. */
  start(networkId: string, mac: string): void {
    const guest = this.guest(networkId, mac);
    if (!guest.isOn && !this.#fallen.has(guest)) guest.start();
  }

  /** The engine stops it. */
  stop(networkId: string, mac: string): void {
    const guest = this.guest(networkId, mac);
    this.#fallen.delete(guest);
    if (guest.isOn) guest.stop(this.#parts.chance.chance(0.5));
  }

  /** Nobody says what became of it. */
  leave(networkId: string, mac: string): void {
    const guest = this.#guests.get(`${networkId} ${mac}`);
    if (!this.#parts.setup.leavesGuests || !guest?.isOn) return;
    const { lease } = guest;
    if (lease) this.#left.push({ networkId, mac: guest.mac, lease, clock: guest.clock });
    guest.stop();
  }

  /** What happens to guests and wires; what undoes it, if anything does. */
  suffer(deed: GuestDeed): (() => void) | undefined {
    const { setup, chance } = this.#parts;
    const network = setup.networks[deed.network];
    const segment = network && this.segments.get(network.name);
    if (!segment) return undefined;
    switch (deed.kind) {
      case 'reboot-guest':
      case 'move-guest': {
        const mac = network.macs[deed.mac];
        const guest = mac === undefined ? undefined : this.#guests.get(`${network.name} ${mac}`);
        if (!guest?.isOn) return undefined;
        if (deed.kind === 'reboot-guest') guest.reboot();
        else guest.migrate(deed.host);
        return undefined;
      }
      case 'cut-wire':
        for (const to of deed.to) segment.cut(deed.from, to);
        return () => {
          for (const to of deed.to) segment.mend(deed.from, to);
        };
      case 'bad-wire': {
        const before = segment.conditions;
        segment.conditions = deed.conditions;
        return () => {
          segment.conditions = before;
        };
      }
      case 'strange-talk': {
        const mac = (deed.as === undefined ? undefined : network.macs[deed.as]) ?? STRANGER;
        const own = chance.of(`stranger ${this.#parts.world.nowMs}`);
        const stranger = new Stranger(mac as Mac, deed.host, segment, () => own.random());
        const addresses = [...this.#guests.values()].flatMap(({ lease }) =>
          lease ? [lease.address, lease.server] : [],
        );
        for (let i = 0; i < deed.times; i++) stranger.say([...addresses, (2 ** 32 - 1) as Ipv4, 0 as Ipv4]);
        return () => segment.unplug(stranger);
      }
    }
  }

  /** Guests that are on and do not have what is reserved for them. */
  unserved(): readonly string[] {
    return [...this.#guests.values()].flatMap(({ isOn, mac, segment: { networkId }, lease }) => {
      const slots = this.#parts.disk.byMac(networkId as NetworkId, mac);
      const reserved = slots.find(({ state }) => state === 'reserved');
      if (!isOn || !reserved || lease?.address === reserved.address) return [];
      return [
        `${mac} of ${networkId} has ${textOf(lease?.address)}, and ${textOf(reserved.address)} is reserved for it`,
      ];
    });
  }

  /** The MAC of a guest that is on and has a lease of an address; undefined: there is none. */
  userOf(networkId: string, address: Ipv4): Mac | undefined {
    for (const { isOn, mac, segment, lease } of this.#guests.values()) {
      if (isOn && segment.networkId === networkId && lease?.address === address) return mac;
    }
    const isIts = ({ networkId: where, lease, clock }: Left) =>
      where === networkId && lease.address === address && clock.now() < lease.expiresMs;
    return this.#left.find(isIts)?.mac;
  }

  /** Every wire is whole again. */
  heal(): void {
    for (const segment of this.segments.values()) {
      segment.heal();
      segment.conditions = GOOD_WIRE;
    }
  }

  #powered(hostId: string, isOn: boolean): void {
    for (const guest of this.#guests.values()) {
      if (guest.place !== hostId) continue;
      if (!isOn && guest.isOn) {
        this.#fallen.add(guest);
        guest.stop();
      } else if (isOn && this.#fallen.delete(guest)) guest.start();
    }
  }
}

function traitsOf(mac: Mac, chance: Seeded): GuestTraits {
  return {
    mac,
    patience: chance.pick(['rfc', 'eager'] as const),
    renewsOnLink: chance.chance(0.6),
    probes: chance.chance(0.3),
    remembers: chance.chance(0.7),
    overstays: false,
  };
}

function textOf(address: Ipv4 | undefined): string {
  return address === undefined ? 'nothing' : formatIpv4(address);
}
