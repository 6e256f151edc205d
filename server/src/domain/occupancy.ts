// Which addresses of a network are not free, in memory: per subnet the free space and the counters, per network the
// quarantined addresses and which MAC had which address last.
//
//   O1. It follows the store's watch; a reserver only marks ahead of it which bits are taken, and which MAC has which
//       address. Safety never rests on it.
//   O2. Counters count what the watch showed, never bits that a reserver only marked.
//   O3. A quarantined address stays known when its subnet is gone, and blocks it in any later subnet.

import { cidrContains, type Ipv4, lastAddress, type Mac } from '@leasehold/proto/values';
import { Bitmap } from './bitmap.js';
import type { ReservationId, SubnetId } from './ids.js';
import type { Network, Subnet } from './network.js';
import { NumberTable } from './number-table.js';
import type { SlotSummary } from './slot.js';
import { SubnetSpace } from './subnet-space.js';

/** A quarantined address, as this server saw it. */
export interface Resting {
  readonly address: Ipv4;
  readonly mac: Mac;
  readonly reservationId: ReservationId;
  /** When this server first saw the release, on its monotonic clock. */
  readonly seenMs: number;
  readonly reuseDelayS: number;
  readonly leaseTimeCeilingS: number;
  /** What more of the slot decides when it is free; undefined: the store did not say. */
  readonly chainCounter: number | undefined;
  readonly vouched: boolean | undefined;
  readonly chainSoFar: SlotSummary['chainSoFar'];
}

/** How full a subnet is. */
export interface Usage {
  readonly capacity: number;
  readonly reserved: number;
  readonly quarantined: number;
  readonly free: number;
}

interface Room {
  readonly subnet: Subnet;
  readonly first: Ipv4;
  readonly last: Ipv4;
  readonly space: SubnetSpace;
  /** The addresses that are RESERVED, as the watch showed. */
  readonly reserved: Bitmap;
  /** The addresses that are QUARANTINED, as the watch showed. */
  readonly quarantined: Bitmap;
}

// The memory of who had what is free again is a convenience: a MAC that comes back after this many others may get
// another address.
const MAX_FREED = 65_536;

/** What is known of the addresses of one network. */
export class Occupancy {
  readonly #rooms = new Map<SubnetId, Room>();
  readonly #resting = new Map<Ipv4, Resting>();
  /** The addresses of RESERVED slots whose subnet is gone: nobody was promised those (app/reclaimer.ts). */
  readonly #strays = new Set<Ipv4>();
  /** Of the slots, whose address it is; by the MAC as a number, because a million of them must fit into memory. */
  readonly #addressOf = new NumberTable();
  /** The same of addresses that are free again, the oldest first. */
  readonly #freedFrom = new Map<number, Ipv4>();
  readonly #random: () => number;

  /** `random`: from 0 to 1, where in a subnet to look; others for every server. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The quarantined addresses. */
  get resting(): ReadonlyMap<Ipv4, Resting> {
    return this.#resting;
  }

  /** The addresses of RESERVED slots whose subnet is gone; another one may have them by now. */
  get strays(): ReadonlySet<Ipv4> {
    return this.#strays;
  }

  /** Whether an address outlived its subnet, or its network. */
  get isLeftOver(): boolean {
    return this.#resting.size > 0 || this.#strays.size > 0;
  }

  /** Takes over the subnets of the network as they are now. */
  setSubnets({ subnets }: Pick<Network, 'subnets'>): void {
    const present = new Set(subnets.map((subnet) => subnet.uid));
    for (const room of [...this.#rooms.values()]) if (!present.has(room.subnet.uid)) this.#close(room);
    for (const subnet of subnets) this.#setSubnet(subnet);
  }

  #close({ subnet: { subnetId, cidr }, reserved }: Room): void {
    this.#rooms.delete(subnetId);
    for (const index of reserved.ones()) this.#strays.add((cidr.base + index) as Ipv4);
  }

  #setSubnet(subnet: Subnet): void {
    const room = this.#rooms.get(subnet.subnetId);
    if (room?.subnet === subnet) return;
    if (room?.subnet.uid === subnet.uid) {
      const space = sameSpace(room.subnet, subnet) ? room.space : room.space.withSettings(subnet);
      this.#rooms.set(subnet.subnetId, { ...room, subnet, space });
      return;
    }
    const created = emptyRoom(subnet, this.#random);
    this.#rooms.set(subnet.subnetId, created);
    for (const { address } of this.#resting.values())
      if (cidrContains(subnet.cidr, address)) note(created, address, 'quarantined');
  }

  /** Takes over a slot that the watch showed. */
  setSlot(slot: SlotSummary, nowMs: number): void {
    const { address, mac, subnetUid } = slot;
    const room = this.#roomOf(address);
    note(room, address, slot.state);
    if (slot.state === 'reserved' && room?.subnet.uid !== subnetUid) this.#strays.add(address);
    else this.#strays.delete(address);
    this.#addressOf.set(macNumber(mac), address);
    if (slot.state === 'reserved') {
      this.#resting.delete(address);
      return;
    }
    const known = this.#resting.get(address);
    const { reservationId, reuseDelayS, leaseTimeCeilingS, chainCounter, vouched, chainSoFar } = slot;
    const seenMs = known?.reservationId === reservationId ? known.seenMs : nowMs;
    const rest = { reuseDelayS, leaseTimeCeilingS, chainCounter, vouched, chainSoFar };
    this.#resting.set(address, { address, mac, reservationId, seenMs, ...rest });
  }

  /** Takes over that the watch showed an address free. */
  removeSlot(address: Ipv4): void {
    const rested = this.#resting.get(address);
    if (rested) this.#freed(rested);
    this.#resting.delete(address);
    this.#strays.delete(address);
    note(this.#roomOf(address), address, 'free');
  }

  #freed({ mac, address }: Resting): void {
    const number = macNumber(mac);
    if (this.#addressOf.get(number) === address) this.#addressOf.delete(number);
    this.#freedFrom.delete(number);
    this.#freedFrom.set(number, address);
    if (this.#freedFrom.size <= MAX_FREED) return;
    const oldest = this.#freedFrom.keys().next();
    if (!oldest.done) this.#freedFrom.delete(oldest.value);
  }

  /** Forgets every slot, before a rescan shows them all again; keeps since when quarantined ones rest. */
  rescanned(slots: Iterable<SlotSummary>, nowMs: number): void {
    const resting = new Map(this.#resting);
    this.#resting.clear();
    this.#strays.clear();
    this.#addressOf.clear();
    for (const { subnet } of this.#rooms.values()) {
      this.#rooms.set(subnet.subnetId, emptyRoom(subnet, this.#random));
    }
    for (const slot of slots) {
      const known = resting.get(slot.address);
      if (known && slot.state === 'quarantined') this.#resting.set(slot.address, known);
      this.setSlot(slot, nowMs);
    }
  }

  /** Every address of which the watch showed a slot, in the subnets or not; some may come twice. */
  *occupied(): Iterable<Ipv4> {
    for (const { subnet, reserved } of this.#rooms.values()) {
      for (const index of reserved.ones()) yield (subnet.cidr.base + index) as Ipv4;
    }
    yield* this.#resting.keys();
    yield* this.#strays;
  }

  /** The address this MAC has, or had last, if this server remembers. */
  lastAddressOf(mac: Mac): Ipv4 | undefined {
    const number = macNumber(mac);
    return (this.#addressOf.get(number) as Ipv4 | undefined) ?? this.#freedFrom.get(number);
  }

  /** Forgets whose address this was last: it turned out to be another's. */
  forgetLast(mac: Mac): void {
    const number = macNumber(mac);
    this.#addressOf.delete(number);
    this.#freedFrom.delete(number);
  }

  /** Notes whose address it is, before the watch shows it: who releases it and comes back at once gets it again. */
  markHeld({ mac, address }: { readonly mac: Mac; readonly address: Ipv4 }): void {
    this.#addressOf.set(macNumber(mac), address);
    this.#roomOf(address)?.space.take(address);
  }

  /** Notes that the watch is about to show an address that is not free: another server took it, if this one did not. */
  markSeen(address: Ipv4): void {
    this.#roomOf(address)?.space.markSeen(address);
  }

  /** Notes that an address that was offered is another's, before the watch shows it. */
  markLost(address: Ipv4): void {
    this.#roomOf(address)?.space.markLost(address);
  }

  /** Notes that an address that was offered was not taken. */
  markFree(address: Ipv4): void {
    this.#roomOf(address)?.space.markFree(address);
  }

  /** The free space of a subnet. */
  spaceOf(subnetId: SubnetId): SubnetSpace | undefined {
    return this.#rooms.get(subnetId)?.space;
  }

  /** How full a subnet is. */
  usageOf(subnetId: SubnetId): Usage {
    const room = this.#rooms.get(subnetId);
    if (!room) return { capacity: 0, reserved: 0, quarantined: 0, free: 0 };
    const { space, reserved, quarantined } = room;
    return { capacity: space.capacity, reserved: reserved.count, quarantined: quarantined.count, free: space.free };
  }

  /** How many addresses of all subnets are reserved. */
  get reserved(): number {
    let count = 0;
    for (const room of this.#rooms.values()) count += room.reserved.count;
    return count;
  }

  #roomOf(address: Ipv4): Room | undefined {
    for (const room of this.#rooms.values()) {
      if (address >= room.first && address <= room.last) return room;
    }
    return undefined;
  }
}

// By hand: parsing the text without its colons takes ten times as long, and every reservation needs it three times.
function macNumber(mac: Mac): number {
  let number = 0;
  for (let i = 0; i < mac.length; i += 3) {
    number = number * 256 + digit(mac.charCodeAt(i)) * 16 + digit(mac.charCodeAt(i + 1));
  }
  return number;
}

/** The value of a hexadecimal digit in lower case. */
function digit(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}

function emptyRoom(subnet: Subnet, random: () => number): Room {
  const size = 2 ** (32 - subnet.cidr.prefixLength);
  return {
    subnet,
    first: subnet.cidr.base,
    last: lastAddress(subnet.cidr),
    space: new SubnetSpace(subnet, random),
    reserved: new Bitmap(size),
    quarantined: new Bitmap(size),
  };
}

function note(room: Room | undefined, address: Ipv4, state: SlotSummary['state'] | 'free'): void {
  if (!room) return;
  const index = address - room.subnet.cidr.base;
  if (state === 'free') room.space.markFree(address);
  else room.space.markUsed(address);
  if (state === 'reserved') room.reserved.set(index);
  else room.reserved.clear(index);
  if (state === 'quarantined') room.quarantined.set(index);
  else room.quarantined.clear(index);
}

function sameSpace(a: Subnet, b: Subnet): boolean {
  return (
    a.gateway === b.gateway &&
    JSON.stringify([a.allocationRanges, a.excludedRanges]) === JSON.stringify([b.allocationRanges, b.excludedRanges])
  );
}
