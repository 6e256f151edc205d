// The free space of one subnet, in memory: a hint that is quick, where the store decides.
//
//   F1. An address that was offered is marked used at once: two callers are never offered the same one.
//   F2. Network, broadcast and gateway addresses, exclusions and whatever lies outside the ranges are never offered.
//   F3. Next-fit from an own offset, never lowest-free: servers on one store seldom pick the same address, and a freed
//       address goes to the end of the queue, but where servers meet (docs/adr/0010).
//   F4. Who comes to where another server takes addresses goes on elsewhere: two in a row would pick the same ones until
//       the subnet is full.

import { type Cidr, cidrContains, type Ipv4, lastAddress } from '@leasehold/proto/values';
import { Bitmap } from './bitmap.js';
import type { AddressRange, Subnet } from './network.js';

/** What of a subnet decides which addresses may be offered. */
export type SpaceSettings = Pick<Subnet, 'cidr' | 'gateway' | 'allocationRanges' | 'excludedRanges'>;

/** Why an address may not even be reserved by name. */
export type Unusable = 'outside' | 'network' | 'broadcast' | 'gateway' | 'excluded';

/** Why an address may not be reserved by name; undefined when it may (outside the allocation ranges, too). */
export function unusable(settings: SpaceSettings, address: Ipv4): Unusable | undefined {
  if (!cidrContains(settings.cidr, address)) return 'outside';
  if (address === settings.cidr.base) return 'network';
  if (address === lastAddress(settings.cidr)) return 'broadcast';
  if (address === settings.gateway) return 'gateway';
  return inRanges(settings.excludedRanges, address) ? 'excluded' : undefined;
}

// So far ahead of where others were seen last they may be by now: what they took meanwhile is still on its way here.
const MOST_REACH = 1_024;
const REACH_SHARE = 1 / 16;
const MAX_OTHERS = 8;

/** The free space of one subnet. */
export class SubnetSpace {
  readonly #settings: SpaceSettings;
  readonly #random: () => number;
  /** Set: used, or never to be offered. */
  readonly #taken: Bitmap;
  /** Used addresses that would not be offered anyway: named ones, and those that a change of settings left behind. */
  readonly #usedAside = new Set<Ipv4>();
  readonly #neverOffered: number;
  readonly #reach: number;
  /** Where others were seen to take addresses last. */
  readonly #others: number[] = [];
  #offset: number;
  #changes = 0;

  /** `random`: from 0 (included) to 1 (excluded), where in the subnet to begin; others for every server. */
  constructor(settings: SpaceSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
    this.#taken = offeredSpace(settings);
    this.#neverOffered = this.#taken.count;
    this.#reach = Math.min(MOST_REACH, Math.floor(this.#taken.size * REACH_SHARE));
    this.#offset = this.#anywhere();
  }

  /** How many addresses can be offered when none is used. */
  get capacity(): number {
    return this.#taken.size - this.#neverOffered;
  }

  /** How many addresses are used, named ones outside the ranges included. */
  get used(): number {
    return this.#taken.count - this.#neverOffered + this.#usedAside.size;
  }

  /** How many addresses can be offered now. */
  get free(): number {
    return this.#taken.size - this.#taken.count;
  }

  /** Counts how often an address became used or free: while it stays the same, nothing changed. */
  get changes(): number {
    return this.#changes;
  }

  /** Offers a free address, used from now on; undefined when there is none. */
  next(): Ipv4 | undefined {
    const index = this.#outOfTheWay(this.#taken.nextFree(this.#offset));
    if (index === undefined) return undefined;
    this.#taken.set(index);
    this.#changes++;
    this.#offset = (index + 1) % this.#taken.size;
    return (this.#settings.cidr.base + index) as Ipv4;
  }

  /** A free address, or another one where others are about to take it: about half of what is free is left to them. */
  #outOfTheWay(index: number | undefined): number | undefined {
    if (index === undefined) return undefined;
    const other = this.#others.findIndex((last) => index > last && index - last <= this.#reach);
    if (other === -1) return index;
    // Once for each: who goes on is seen again, and when nothing else is free they must share it.
    this.#others.splice(other, 1);
    return this.#outOfTheWay(this.#taken.nextFree((index + this.#aboutHalf()) % this.#taken.size));
  }

  // Of two that come to the same place at the same time each goes to another one.
  #aboutHalf(): number {
    return Math.floor(this.free * (0.25 + this.#random() / 2));
  }

  #anywhere(): number {
    return Math.floor(this.#random() * this.#taken.size);
  }

  /** Takes one address, used from now on, if it could be offered; else changes nothing. */
  take(address: Ipv4): boolean {
    if (!this.#isOffered(address) || this.#taken.has(this.#index(address))) return false;
    this.#taken.set(this.#index(address));
    this.#changes++;
    return true;
  }

  /** Why an address may not even be reserved by name; undefined when it may. */
  isUsable(address: Ipv4): Unusable | undefined {
    return unusable(this.#settings, address);
  }

  /** Whether an address is used. */
  isUsed(address: Ipv4): boolean {
    return this.#isOffered(address) ? this.#taken.has(this.#index(address)) : this.#usedAside.has(address);
  }

  /** Whether an address is one that may be chosen now. */
  isFree(address: Ipv4): boolean {
    return this.#isOffered(address) && !this.isUsed(address);
  }

  /** Notes that an address is used; without effect on one outside the subnet. */
  markUsed(address: Ipv4): void {
    if (this.#isOffered(address)) {
      if (this.#taken.set(this.#index(address))) this.#changes++;
    } else if (cidrContains(this.#settings.cidr, address) && !this.#usedAside.has(address)) {
      this.#usedAside.add(address);
      this.#changes++;
    }
  }

  /** Notes that an address was just seen to be used: by another server, if it was not used here before. */
  markSeen(address: Ipv4): void {
    if (!this.isUsed(address)) this.markLost(address);
  }

  /** Notes that another server took an address. */
  markLost(address: Ipv4): void {
    this.markUsed(address);
    const index = this.#index(address);
    const known = this.#others.findIndex((last) => Math.abs(index - last) <= this.#reach);
    if (known !== -1) this.#others[known] = index;
    else if (this.#others.push(index) > MAX_OTHERS) this.#others.shift();
  }

  /** Notes that an address is free. */
  markFree(address: Ipv4): void {
    const wasUsed = this.#isOffered(address)
      ? this.#taken.clear(this.#index(address))
      : this.#usedAside.delete(address);
    if (wasUsed) this.#changes++;
  }

  /** The space under other settings: the same addresses are used, the same one is next. */
  withSettings(settings: SpaceSettings): SubnetSpace {
    const space = new SubnetSpace(settings, this.#random);
    for (const address of this.#usedAside) space.markUsed(address);
    for (let index = 0; index < this.#taken.size; index++) {
      const address = (this.#settings.cidr.base + index) as Ipv4;
      if (this.#taken.has(index) && this.#isOffered(address)) space.markUsed(address);
    }
    const next = (this.#settings.cidr.base + this.#offset) as Ipv4;
    if (cidrContains(settings.cidr, next)) space.#offset = space.#index(next);
    return space;
  }

  #index(address: Ipv4): number {
    return address - this.#settings.cidr.base;
  }

  #isOffered(address: Ipv4): boolean {
    if (unusable(this.#settings, address) !== undefined) return false;
    const { allocationRanges } = this.#settings;
    return allocationRanges.length === 0 || inRanges(allocationRanges, address);
  }
}

/** A bitmap of the subnet in which exactly the addresses that may be offered are clear. */
function offeredSpace({ cidr, gateway, allocationRanges, excludedRanges }: SpaceSettings): Bitmap {
  const space = new Bitmap(2 ** (32 - cidr.prefixLength));
  if (allocationRanges.length > 0) space.setRange(0, space.size - 1);
  for (const range of allocationRanges) withinSubnet(cidr, range, (first, last) => space.clearRange(first, last));
  for (const range of excludedRanges) withinSubnet(cidr, range, (first, last) => space.setRange(first, last));
  if (gateway !== undefined && cidrContains(cidr, gateway)) space.set(gateway - cidr.base);
  space.set(0);
  space.set(space.size - 1);
  return space;
}

function withinSubnet(cidr: Cidr, range: AddressRange, apply: (first: number, last: number) => void): void {
  const first = Math.max(range.first, cidr.base) - cidr.base;
  const last = Math.min(range.last, lastAddress(cidr)) - cidr.base;
  if (first <= last) apply(first, last);
}

function inRanges(ranges: readonly AddressRange[], address: Ipv4): boolean {
  return ranges.some((range) => address >= range.first && address <= range.last);
}
