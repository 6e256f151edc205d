// What stores in memory keep: the documents, their indexes and the order of their changes. Several stores may be open on
// one disk, as several servers share one database; the next one opened on it finds everything again.
//
//   D1. Every change has a position; followers hear it in that order, at once or after their own lag.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { AuditEvent } from '../../domain/audit.js';
import type { Change } from '../../domain/change.js';
import type { HoldStill } from '../../domain/hold-still.js';
import type { Host } from '../../domain/host.js';
import type { HostId, NetworkId, ReservationId, Revision } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { EndedTenure, RequestKey, Slot } from '../../domain/slot.js';
import type { HolderRecord, Position, PositionedChange } from '../../ports/store.js';

type Listener = (changes: readonly PositionedChange[]) => void;

/** The documents of one installation. */
export class MemoryDisk {
  readonly networks = new Map<NetworkId, Network>();
  readonly hosts = new Map<HostId, Host>();
  readonly slots = new Map<NetworkId, Map<Ipv4, Slot>>();
  readonly history = new Map<ReservationId, EndedTenure>();
  /** By id. */
  readonly audit = new Map<string, AuditEvent>();
  /** Every change so far, until `forgetChanges`. */
  log: PositionedChange[] = [];
  starts = 0;
  incarnation = 1;
  authorityS: number | undefined;
  authorityCeilingS = 0;
  holdStill: HoldStill | undefined;
  holder: HolderRecord | undefined;
  /** The addresses that a MAC has in a network. */
  readonly #macs = new Map<string, Set<Ipv4>>();
  readonly #requests = new Map<
    string,
    { readonly networkId: NetworkId; readonly address: Ipv4; readonly id: ReservationId }
  >();
  readonly #listeners = new Set<Listener>();
  #sequence = 0;
  #lost = 0;

  /** Right after the last change. */
  get position(): Position {
    return positionOf(this.#sequence);
  }

  /** Whether the changes after a position are still known. */
  knows(position: Position): boolean {
    return position >= positionOf(this.#lost) && position <= this.position;
  }

  /** Forgets the order of all changes so far. */
  forgetChanges(): void {
    this.#lost = this.#sequence;
    this.log = [];
  }

  /** Calls `listener` with every change from now on. */
  listen(listener: Listener): () => void {
    const own: Listener = (changes) => listener(changes);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Takes over what one write changed. */
  commit(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const positioned = changes.map((change) => ({ ...change, position: positionOf(++this.#sequence) }));
    this.log.push(...positioned);
    for (const listener of [...this.#listeners]) listener(positioned);
  }

  slot(networkId: NetworkId, address: Ipv4): Slot | undefined {
    return this.slots.get(networkId)?.get(address);
  }

  /** Every slot, or those of a network, in order. */
  slotsInOrder(networkId?: NetworkId): Slot[] {
    const networks = networkId === undefined ? [...this.slots.keys()].sort() : [networkId];
    return networks.flatMap((each) => inOrder(this.slots.get(each)?.values() ?? []));
  }

  /** Every slot of a MAC in a network, in order. */
  byMac(networkId: NetworkId, mac: Mac): Slot[] {
    const addresses = [...(this.#macs.get(macName({ networkId, mac })) ?? [])];
    return inOrder(addresses.map((address) => this.slot(networkId, address)).filter((slot) => slot !== undefined));
  }

  /** The tenure that a request made or released. */
  byRequest(key: RequestKey): Slot | EndedTenure | undefined {
    const found = this.#requests.get(requestName(key));
    if (!found) return undefined;
    const slot = this.slot(found.networkId, found.address);
    const tenure = slot?.reservationId === found.id ? slot : this.history.get(found.id);
    return tenure && requestsOf(tenure).some((each) => requestName(each) === requestName(key)) ? tenure : undefined;
  }

  /** Writes a slot over what was there, and answers it with its new revision. */
  putSlot(slot: Slot, changes: Change[]): Slot {
    const written = { ...slot, revision: (slot.revision + 1) as Revision };
    const network = this.slots.get(slot.networkId) ?? new Map<Ipv4, Slot>();
    const before = network.get(slot.address);
    if (before) this.#macs.get(macName(before))?.delete(slot.address);
    this.slots.set(slot.networkId, network.set(slot.address, written));
    this.#macs.set(macName(slot), (this.#macs.get(macName(slot)) ?? new Set()).add(slot.address));
    this.#noteRequests(slot);
    changes.push({ kind: 'slot', slot: written, ...(before ? { before } : {}) });
    return written;
  }

  /** Stores the event of a change, if it has one. */
  putEvent(event: AuditEvent | undefined): void {
    if (event) this.audit.set(event.eventId, event);
  }

  deleteSlot(slot: Slot, changes: Change[]): void {
    const { networkId, address } = slot;
    this.slots.get(networkId)?.delete(address);
    this.#macs.get(macName(slot))?.delete(address);
    changes.push({ kind: 'slot-gone', networkId, address, before: slot });
  }

  putEnded(ended: EndedTenure): void {
    this.history.set(ended.reservationId, ended);
    this.#noteRequests(ended);
  }

  /** Forgets an ended tenure, with the requests it knows. */
  forgetEnded(ended: EndedTenure): void {
    this.history.delete(ended.reservationId);
    for (const key of requestsOf(ended)) this.#requests.delete(requestName(key));
  }

  #noteRequests(tenure: Slot | EndedTenure): void {
    const { networkId, address, reservationId: id } = tenure;
    for (const key of requestsOf(tenure)) this.#requests.set(requestName(key), { networkId, address, id });
  }
}

function positionOf(sequence: number): Position {
  return String(sequence).padStart(12, '0') as Position;
}

function requestsOf({ request, releaseRequest }: Slot | EndedTenure): readonly RequestKey[] {
  return [request, releaseRequest].filter((key) => key !== undefined);
}

function macName({ networkId, mac }: Pick<Slot, 'networkId' | 'mac'>): string {
  return `${networkId} ${mac}`;
}

function requestName({ caller, rpc, id }: RequestKey): string {
  return JSON.stringify([caller, rpc, id]);
}

function inOrder(slots: Iterable<Slot>): Slot[] {
  return [...slots].sort((a, b) => a.address - b.address);
}
