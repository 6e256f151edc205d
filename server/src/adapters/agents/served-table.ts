// What every server of a network answers with: its subnets and its reservations, as they go over the wire.

import { TableDigest } from '@leasehold/proto/digest';
import { Assignment, type TableEntry, type TableRemoval } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { ProvidedReservation } from '../../ports/dhcp-provider.js';

/** The table of one network. */
export class ServedTable {
  readonly #entries = new Map<Ipv4, TableEntry>();
  #assignment: Assignment | undefined;
  #digest: TableDigest | undefined;

  /** The subnets of the network, as last provided. */
  get assignment(): Assignment | undefined {
    return this.#assignment;
  }

  /** How many reservations it has. */
  get size(): number {
    return this.#entries.size;
  }

  /** The entries now: a copy that later changes do not touch. */
  snapshot(): readonly TableEntry[] {
    return [...this.#entries.values()];
  }

  /** Which reservation has an address. */
  at(address: Ipv4): TableEntry | undefined {
    return this.#entries.get(address);
  }

  /** Takes over the subnets; answers whether they are others than before. */
  assign(assignment: Assignment): boolean {
    if (this.#assignment && sameAssignment(this.#assignment, assignment)) return false;
    if (this.#assignment) this.#digest?.removeAssignment(this.#assignment);
    this.#assignment = assignment;
    this.#digest?.addAssignment(assignment);
    return true;
  }

  /** Adds a reservation in the place of one with its address; answers the entry, undefined when nothing changes. */
  put(reservation: ProvidedReservation): TableEntry | undefined {
    const entry = toEntry(reservation);
    const before = this.#entries.get(reservation.address);
    if (before && sameEntry(before, entry)) return undefined;
    if (before) this.#digest?.removeEntry(before);
    this.#entries.set(reservation.address, entry);
    this.#digest?.addEntry(entry);
    return entry;
  }

  /** Takes a reservation out; answers what was there. */
  remove(address: Ipv4): TableRemoval | undefined {
    const entry = this.#entries.get(address);
    if (!entry) return undefined;
    this.#entries.delete(address);
    this.#digest?.removeEntry(entry);
    return { address: entry.address, reservationId: entry.reservationId };
  }

  // Made when it is first asked for: a network that no host serves needs none.
  /** The digest of the subnets and the reservations. */
  digest(): Buffer {
    if (!this.#digest) {
      this.#digest = new TableDigest();
      if (this.#assignment) this.#digest.addAssignment(this.#assignment);
      for (const entry of this.#entries.values()) this.#digest.addEntry(entry);
    }
    return this.#digest.bytes();
  }
}

const NO_OPTIONS: TableEntry['options'] = [];

function toEntry({ reservationId, address, mac, hostname, options }: ProvidedReservation): TableEntry {
  return {
    reservationId,
    address: formatIpv4(address),
    mac,
    hostname,
    options: options.length === 0 ? NO_OPTIONS : options.map(({ code, value }) => ({ code, value })),
  };
}

function sameEntry(a: TableEntry, b: TableEntry): boolean {
  return (
    a.reservationId === b.reservationId &&
    a.mac === b.mac &&
    a.hostname === b.hostname &&
    JSON.stringify(a.options) === JSON.stringify(b.options)
  );
}

/** Whether two assignments say the same. */
export function sameAssignment(a: Assignment, b: Assignment): boolean {
  return Buffer.compare(Assignment.encode(a).finish(), Assignment.encode(b).finish()) === 0;
}
