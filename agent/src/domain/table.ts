// The reservations of one network on this host, with the subnets they live in: everything an answer depends on.
//
//   T1. Every value was parsed from the wire and is printed from the parsed form; what does not parse is refused whole.
//   T2. One entry per address and one per MAC.
//   T3. The digest always covers exactly what is in the table.

import type { ParsedDhcpOption } from '@leasehold/proto/dhcp-options';
import { TableDigest } from '@leasehold/proto/digest';
import {
  type Assignment,
  Assignment as AssignmentCodec,
  type TableDelta,
  type TableEntry,
} from '@leasehold/proto/ipam/v1/session';
import {
  cidrContains,
  firstAddress,
  formatIpv4,
  type Ipv4,
  lastAddress,
  type Mac,
  type Parsed,
  parseHostname,
  parseIpv4,
  parseMac,
  quote,
} from '@leasehold/proto/values';
import {
  canonical,
  each,
  parseAssignment,
  parseOptions,
  type ServedNetwork,
  type ServedSubnet,
  within,
} from './assignment.js';

/** A reservation, parsed. */
export interface Entry {
  /** The tenure; opaque. */
  readonly reservationId: string;
  readonly address: Ipv4;
  readonly mac: Mac;
  /** Empty: none. */
  readonly hostname: string;
  /** Win over the subnet's. */
  readonly options: readonly ParsedDhcpOption[];
}

/** What a MAC is answered with. */
export interface Lease {
  readonly entry: Entry;
  readonly subnet: ServedSubnet;
}

interface Assigned {
  readonly wire: Assignment;
  readonly network: ServedNetwork;
}

const DONE: Parsed<void> = { ok: true, value: undefined };

/** The table of one network. A reader between two calls sees the whole of a change or nothing of it. */
export class NetworkTable {
  #assigned: Assigned | undefined;
  #byAddress = new Map<Ipv4, Entry>();
  #byMac = new Map<Mac, Entry>();
  #digest = new TableDigest();

  /** Replaces the subnets and keeps the entries. Another network's uid is refused: its table is another one. */
  assign(assignment: Assignment): Parsed<void> {
    const network = parseAssignment(assignment);
    if (!network.ok) return network;
    const before = this.#assigned;
    if (before && before.network.networkUid !== network.value.networkUid) {
      return bad(`Assignment is of network uid ${quote(assignment.networkUid)}, the table is of another`);
    }
    if (before) this.#digest.removeAssignment(before.wire);
    // A copy: the caller's object may change later, the digest must not.
    this.#assigned = { wire: AssignmentCodec.fromPartial(assignment), network: network.value };
    this.#digest.addAssignment(this.#assigned.wire);
    return DONE;
  }

  /** Replaces all entries. Bad input changes nothing. */
  replace(entries: readonly TableEntry[]): Parsed<void> {
    const parsed = each(entries, parseEntry);
    if (!parsed.ok) return parsed;
    const byAddress = new Map<Ipv4, Entry>();
    const byMac = new Map<Mac, Entry>();
    const digest = new TableDigest();
    for (const entry of parsed.value) {
      if (byAddress.has(entry.address)) return bad(`Address ${formatIpv4(entry.address)} is in the table twice`);
      if (byMac.has(entry.mac)) return bad(`MAC ${entry.mac} is in the table twice`);
      byAddress.set(entry.address, entry);
      byMac.set(entry.mac, entry);
      digest.addEntry(toWire(entry));
    }
    if (this.#assigned) digest.addAssignment(this.#assigned.wire);
    this.#byAddress = byAddress;
    this.#byMac = byMac;
    this.#digest = digest;
    return DONE;
  }

  /** Becomes what `other` holds, all at once and without looking at an entry again; `other` is no more of use. */
  takeOver(other: NetworkTable): void {
    this.#assigned = other.#assigned;
    this.#byAddress = other.#byAddress;
    this.#byMac = other.#byMac;
    this.#digest = other.#digest;
  }

  /**
   * Applies removals, then puts in their order. A removal of another tenure than the table's removes nothing; a MAC
   * that had another address loses it. Bad input changes nothing.
   */
  apply(delta: TableDelta): Parsed<void> {
    const puts = each(delta.put, parseEntry);
    if (!puts.ok) return puts;
    const removals = each(delta.remove, (removal) => canonical(removal.address, parseIpv4, formatIpv4));
    if (!removals.ok) return removals;
    for (const [i, address] of removals.value.entries()) {
      const there = this.#byAddress.get(address);
      if (there && there.reservationId === delta.remove[i]?.reservationId) this.#remove(there);
    }
    for (const entry of puts.value) this.#put(entry);
    return DONE;
  }

  /** Of the subnets and all entries, 32 bytes; compared with the server's. */
  digest(): Buffer {
    return this.#digest.bytes();
  }

  /** How many entries there are. */
  get size(): number {
    return this.#byAddress.size;
  }

  /** The assignment as it came, for writing to disk. */
  get assignment(): Assignment | undefined {
    return this.#assigned?.wire;
  }

  /** Uid of the network, once assigned. */
  get networkUid(): string | undefined {
    return this.#assigned?.network.networkUid;
  }

  /** The server identifier (option 54), once assigned. */
  get serviceAddress(): Ipv4 | undefined {
    return this.#assigned?.network.serviceAddress;
  }

  /** All entries as on the wire, for writing to disk. */
  *entries(): Iterable<TableEntry> {
    for (const entry of this.#byAddress.values()) yield toWire(entry);
  }

  /** What a MAC is answered with; nothing while its address is in no subnet, or is one that no guest may have. */
  findByMac(mac: Mac): Lease | undefined {
    const entry = this.#byMac.get(mac);
    const subnet = entry && this.subnetOf(entry.address);
    return subnet && isForGuests(entry.address, subnet) ? { entry, subnet } : undefined;
  }

  /** The reservation of an address. */
  at(address: Ipv4): Entry | undefined {
    return this.#byAddress.get(address);
  }

  /** All that any MAC is answered with, in no order that means anything. */
  *leases(): Iterable<Lease> {
    for (const entry of this.#byAddress.values()) {
      const subnet = this.subnetOf(entry.address);
      if (subnet && isForGuests(entry.address, subnet)) yield { entry, subnet };
    }
  }

  /** The assigned subnets; none before the first assignment. */
  get subnets(): readonly ServedSubnet[] {
    return this.#assigned?.network.subnets ?? [];
  }

  /** The assigned subnet that holds an address. */
  subnetOf(address: Ipv4): ServedSubnet | undefined {
    return this.#assigned?.network.subnets.find((subnet) => cidrContains(subnet.cidr, address));
  }

  #put(entry: Entry): void {
    for (const replaced of [this.#byAddress.get(entry.address), this.#byMac.get(entry.mac)]) {
      if (replaced && this.#byAddress.get(replaced.address) === replaced) this.#remove(replaced);
    }
    this.#byAddress.set(entry.address, entry);
    this.#byMac.set(entry.mac, entry);
    this.#digest.addEntry(toWire(entry));
  }

  #remove(entry: Entry): void {
    this.#byAddress.delete(entry.address);
    this.#byMac.delete(entry.mac);
    this.#digest.removeEntry(toWire(entry));
  }
}

// The server never reserves these. Handed out all the same, they would break the whole subnet and not one guest.
function isForGuests(address: Ipv4, subnet: ServedSubnet): boolean {
  return address !== firstAddress(subnet.cidr) && address !== lastAddress(subnet.cidr) && address !== subnet.gateway;
}

const RESERVATION_ID = /^[\x21-\x7e]{1,512}$/;

function parseEntry(wire: TableEntry): Parsed<Entry> {
  if (!RESERVATION_ID.test(wire.reservationId)) return bad(`${quote(wire.reservationId)} is not a reservation id`);
  const address = canonical(wire.address, parseIpv4, formatIpv4);
  if (!address.ok) return address;
  const mac = canonical(wire.mac, parseMac, String);
  if (!mac.ok) return within(`Entry ${wire.address}`, mac);
  const hostname =
    wire.hostname === '' ? { ok: true as const, value: '' } : canonical(wire.hostname, parseHostname, String);
  if (!hostname.ok) return within(`Entry ${wire.address}`, hostname);
  const options = parseOptions(wire.options);
  if (!options.ok) return within(`Entry ${wire.address}`, options);
  return {
    ok: true,
    value: {
      reservationId: wire.reservationId,
      address: address.value,
      mac: mac.value,
      hostname: hostname.value,
      options: options.value,
    },
  };
}

function toWire(entry: Entry): TableEntry {
  return {
    reservationId: entry.reservationId,
    address: formatIpv4(entry.address),
    mac: entry.mac,
    hostname: entry.hostname,
    options: entry.options.map(({ code, value }) => ({ code, value })),
  };
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
