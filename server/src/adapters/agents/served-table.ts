// What every server of a network answers with: its subnets and its reservations, as they go over the wire.

import { TableDigest } from '@leasehold/proto/digest';
import { Assignment, type TableEntry, type TableRemoval } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { NetworkId } from '../../domain/ids.js';
import type { Subnet } from '../../domain/network.js';
import { commonPart, ownPart } from '../../domain/reservation-id.js';
import type { ProvidedNetwork, ProvidedReservation } from '../../ports/dhcp-provider.js';
import { TextTable } from './text-table.js';
import { toAssignment } from './wire.js';

/** The table of one network. */
export class ServedTable {
  readonly #commonPart: string;
  /** Printed, by their addresses: a million of them must fit into memory. */
  readonly #entries = new TextTable();
  /** What the assignment was made from. */
  #subnets: readonly Subnet[] | undefined;
  #assignment: Assignment | undefined;
  #digest: TableDigest | undefined;

  constructor(networkId: NetworkId) {
    this.#commonPart = commonPart(networkId);
  }

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
    return Array.from(this.#entries.entries(), ([address, printed]) => this.#read(address, printed));
  }

  /** Which reservation has an address. */
  at(address: Ipv4): TableEntry | undefined {
    const printed = this.#entries.get(address);
    return printed === undefined ? undefined : this.#read(address, printed);
  }

  /** Takes over the subnets. */
  assign(network: ProvidedNetwork): void {
    // Documents are never changed: the same subnets say the same.
    if (this.#subnets === network.subnets && this.#assignment?.networkUid === network.uid) return;
    this.#subnets = network.subnets;
    const assignment = toAssignment(network);
    if (this.#assignment && sameAssignment(this.#assignment, assignment)) return;
    if (this.#assignment) this.#digest?.removeAssignment(this.#assignment);
    this.#assignment = assignment;
    this.#digest?.addAssignment(assignment);
  }

  /** Adds a reservation in the place of one with its address; answers the entry, undefined when nothing changes. */
  put(reservation: ProvidedReservation): TableEntry | undefined {
    const { address } = reservation;
    const printed = this.#print(reservation);
    const before = this.#entries.get(address);
    if (before === printed) return undefined;
    this.#entries.set(address, printed);
    const entry = this.#read(address, printed);
    if (before !== undefined) this.#digest?.removeEntry(this.#read(address, before));
    this.#digest?.addEntry(entry);
    return entry;
  }

  /** Adds a reservation without saying whether that changes anything: while a server starts, millions come. */
  fill(reservation: ProvidedReservation): void {
    if (this.#digest) this.put(reservation);
    else this.#entries.set(reservation.address, this.#print(reservation));
  }

  /** Takes a reservation out; answers what was there. */
  remove(address: Ipv4): TableRemoval | undefined {
    const entry = this.at(address);
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
      for (const [address, printed] of this.#entries.entries()) this.#digest.addEntry(this.#read(address, printed));
    }
    return this.#digest.bytes();
  }

  #print({ reservationId, mac, hostname, options }: ProvidedReservation): string {
    const own = ownPart(reservationId, this.#commonPart) ?? `${reservationId}${WHOLE}`;
    // Of an address nothing but ASCII is ever provided.
    const printed = `${mac}${own}${END}${hostname}`;
    if (options.length === 0) return printed;
    return `${printed}${END}${JSON.stringify(options.map(({ code, value }) => [code, value]))}`;
  }

  #read(address: Ipv4, printed: string): TableEntry {
    const [head = '', hostname = '', options = ''] = printed.split(END);
    const id = head.slice(MAC_LENGTH);
    return {
      reservationId: id.endsWith(WHOLE) ? id.slice(0, -WHOLE.length) : `${id}${this.#commonPart}`,
      address: formatIpv4(address),
      mac: head.slice(0, MAC_LENGTH),
      hostname,
      options: options === '' ? NO_OPTIONS : readOptions(options),
    };
  }
}

function readOptions(printed: string): TableEntry['options'] {
  return (JSON.parse(printed) as readonly [number, string][]).map(([code, value]) => ({ code, value }));
}

const NO_OPTIONS: TableEntry['options'] = [];
const MAC_LENGTH = 17;
const END = '\n';
// In no base64url.
const WHOLE = '.';

/** Whether two assignments say the same. */
export function sameAssignment(a: Assignment, b: Assignment): boolean {
  return a === b || Buffer.compare(Assignment.encode(a).finish(), Assignment.encode(b).finish()) === 0;
}
