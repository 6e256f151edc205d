// Hosts and guests on wires under the control plane of an `Installation`, with the rules of the wire watched at every
// frame. Everything is drawn from one seed.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import { formatIpv4 } from '@leasehold/proto/values';
import { MemoryLog } from '../fakes/memory-log.js';
import { seededNumbers } from '../fakes/seeded-numbers.js';
import { Installation, Wire } from '../simulation/installation.js';
import type { GuestTraits } from './guest.js';
import { GuestHost } from './guest-host.js';
import { storeTruth } from './invariants/store-truth.js';
import { WireRules } from './invariants/wire.js';
import { MachineClock } from './machine.js';
import { GOOD_WIRE, Segment, type WireConditions } from './segment.js';
import { SimulatedGuest } from './simulated-guest.js';

/** What may be other than it is. */
export interface GuestWorldOptions {
  readonly seed?: number;
  /** S, in seconds. */
  readonly authorityS?: number;
  /** L, in seconds. */
  readonly leaseTimeS?: number;
  readonly dhcpServerCount?: number;
  readonly conditions?: WireConditions;
  /** The rates of the hosts' clocks, in turn. */
  readonly rates?: readonly number[];
}

/** A guest that does what RFC 2131 says. */
export const GOOD_GUEST: Omit<GuestTraits, 'mac'> = {
  ...{ patience: 'rfc', renewsOnLink: true, probes: false, remembers: true, overstays: false },
};

/** One network, `red`, on these hosts. */
export class GuestWorld {
  readonly installation: Installation;
  readonly segment: Segment;
  readonly rules: WireRules;
  readonly hosts = new Map<string, GuestHost>();
  readonly wires = new Map<string, Wire>();
  readonly guests: SimulatedGuest[] = [];
  readonly logs = new Map<string, MemoryLog>();
  /** What was seen, in order: two runs of a seed see the same. */
  readonly trace: string[] = [];
  readonly #seed: number;
  #streams = 0;

  constructor({ seed = 1, authorityS = 60, conditions = GOOD_WIRE }: GuestWorldOptions) {
    this.#seed = seed;
    this.installation = new Installation({ authorityS });
    const { clock, disk } = this.installation;
    this.segment = new Segment('red', clock, this.numbers(), conditions);
    const changed = (networkId: string, mac: Mac) => this.rules.changed(networkId, mac);
    this.rules = new WireRules(clock, storeTruth(disk, clock, changed));
    this.rules.follow(this.segment);
    this.segment.witnesses.push((frame, from) => {
      const what = frame.kind === 'dhcp' ? `${frame.port} ${frame.message?.options.get(53)?.[0]}` : frame.operation;
      this.trace.push(`${clock.now().toFixed(3)} ${from.place} ${frame.sourceMac} ${what}`);
    });
  }

  /** A running server, these hosts, and the network with a subnet, served by one host or as many as are said. */
  static async start(hostIds: readonly string[], options: GuestWorldOptions = {}): Promise<GuestWorld> {
    const world = new GuestWorld(options);
    const { installation } = world;
    await installation.startServer();
    for (const [i, hostId] of hostIds.entries()) world.addHost(hostId, options.rates?.[i]);
    await installation.advance(100);
    await installation.createNetwork('red', { dhcpServerCount: options.dhcpServerCount ?? 1 });
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24', {
      ...{ leaseTimeS: options.leaseTimeS ?? 120, reuseDelayS: 30 },
    });
    await installation.advance(5_000);
    return world;
  }

  addHost(hostId: string, rate = 1): GuestHost {
    const wire = new Wire(this.installation);
    const log = new MemoryLog();
    const host = new GuestHost({
      ...{ hostId, rate, log, transport: wire, witness: this.rules, chance: this.numbers() },
      number: this.hosts.size + 1,
      segments: new Map([['red', this.segment]]),
      clock: this.installation.clock,
    });
    this.logs.set(hostId, log);
    this.wires.set(hostId, wire);
    this.hosts.set(hostId, host);
    host.start();
    return host;
  }

  /** A guest of this MAC on a host, which is off; `rate`: of its clock. */
  addGuest(n: number, place: string, traits: Partial<GuestTraits> = {}, rate = 1): SimulatedGuest {
    const guest = new SimulatedGuest({
      traits: { ...GOOD_GUEST, ...traits, mac: macOf(n) },
      ...{ place, segment: this.segment, chance: this.numbers() },
      clock: new MachineClock(this.installation.clock, rate),
      onLease: (leased) => this.rules.leased(leased),
    });
    this.guests.push(guest);
    return guest;
  }

  /** A guest with a reservation, which starts. */
  async boot(n: number, place: string, traits: Partial<GuestTraits> = {}): Promise<SimulatedGuest> {
    await this.installation.reserve('red-a', macOf(n));
    await this.advance(100);
    const guest = this.addGuest(n, place, traits);
    guest.start();
    await this.advance(2_000);
    return guest;
  }

  host(hostId: string): GuestHost {
    const host = this.hosts.get(hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    return host;
  }

  /** The only host whose agent serves now, by its placement. */
  get serving(): GuestHost {
    const [line = ''] = this.installation.placements('red').filter((each) => each.endsWith(' serving'));
    return this.host(line.split(' ')[0] ?? '');
  }

  /** Moves time forward; what was broken meanwhile is thrown. */
  async advance(ms: number): Promise<void> {
    await this.installation.advance(ms);
    this.rules.settle();
    const [first] = this.rules.violations;
    if (first) throw new Error(`${first.rule} at ${first.atMs}: ${first.text}`);
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    for (const host of this.hosts.values()) host.kill();
    await this.installation.stop();
  }

  /** Another row of numbers of this seed. */
  numbers(): () => number {
    return seededNumbers(this.#seed * 1_000 + ++this.#streams);
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
