// Reservations found, listed and changed. Made and ended in reserve.ts and release.ts.

import {
  firstAddress,
  formatIpv4,
  type Ipv4,
  lastAddress,
  type Mac,
  parseIpv4,
  parseResourceId,
} from '@leasehold/proto/values';
import { type Author, auditEvent, tenureChange } from '../domain/audit.js';
import {
  invalidPageToken,
  type Result,
  reservationMismatch,
  reservationNotFound,
  reservationReleased,
  success,
} from '../domain/errors.js';
import { reservationEtag } from '../domain/etag.js';
import type { NetworkId, ReservationId, SubnetId } from '../domain/ids.js';
import type { DhcpOption, Labels } from '../domain/network.js';
import { parseReservationId, type SlotKey } from '../domain/reservation-id.js';
import type { EndedTenure, Slot } from '../domain/slot.js';
import type { SlotFilter } from '../ports/store.js';
import { checkEtag, untilNoConflict } from './change.js';
import { type Context, wallTime } from './context.js';
import { makeToken, type Page, type PageRequest, pageSize, readToken } from './paging.js';

/** Names one reservation, in any of three ways. */
export type ReservationKey =
  | { readonly kind: 'id'; readonly reservationId: ReservationId }
  | { readonly kind: 'address'; readonly subnetId: SubnetId; readonly address: Ipv4 }
  | { readonly kind: 'mac'; readonly networkId: NetworkId; readonly mac: Mac };

/** Which reservations to list; what is undefined does not matter. */
export interface ReservationFilter {
  readonly networkId: NetworkId | undefined;
  readonly subnetId: SubnetId | undefined;
  readonly mac: Mac | undefined;
  readonly owner: string | undefined;
  readonly state: Slot['state'] | undefined;
}

/** What can be changed of a reservation. */
export interface ReservationSettings {
  readonly hostname: string;
  readonly owner: string;
  readonly labels: Labels;
  readonly options: readonly DhcpOption[];
}

/** What must be so for a change to be made. */
export interface UpdateGuards {
  /** Undefined: whichever is there. */
  readonly reservationId: ReservationId | undefined;
  /** Empty: however it is. */
  readonly etag: string;
}

/** The use cases. */
export class Reservations {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The reservation a key names, as it is now: an engine may start a guest on this answer. */
  get(key: ReservationKey): Promise<Result<Slot | EndedTenure>> {
    return this.find(key, 'getConfirmed');
  }

  /** The reservation a key names. `read`: how its slot is read, for a write that compares `get` is enough. */
  async find(key: ReservationKey, read: 'get' | 'getConfirmed'): Promise<Result<Slot | EndedTenure>> {
    switch (key.kind) {
      case 'id': {
        const found = await this.findById(key.reservationId, read);
        if (found) return success(found);
        return reservationNotFound(`id ${key.reservationId}`, { reservation_id: key.reservationId });
      }
      case 'address':
        return this.#findByAddress(key, read);
      case 'mac': {
        const slots = await this.#context.store.slots.findByMac(key.networkId, key.mac);
        const slot = slots.find(({ state }) => state === 'reserved');
        if (slot) return success(slot);
        const metadata = { network_id: key.networkId, mac: key.mac };
        return reservationNotFound(`MAC ${key.mac} in network ${key.networkId}`, metadata);
      }
    }
  }

  async #findByAddress(
    { subnetId, address }: Extract<ReservationKey, { readonly kind: 'address' }>,
    read: 'get' | 'getConfirmed',
  ): Promise<Result<Slot>> {
    const { store, view } = this.#context;
    const remembered = view.subnet(subnetId)?.network.networkId;
    // Memory may not know the subnet yet, or have it where it was before.
    for (const networkId of [remembered, async () => (await store.networks.findBySubnet(subnetId))?.networkId]) {
      const where = typeof networkId === 'function' ? await networkId() : networkId;
      const slot = where && (await store.slots[read](where, address));
      if (slot && slot.subnetId === subnetId) return success(slot);
    }
    const text = formatIpv4(address);
    return reservationNotFound(`address ${text} of subnet ${subnetId}`, { subnet_id: subnetId, address: text });
  }

  /** The tenure of an id, wherever it is; an id that this software did not make names nothing. */
  async findById(reservationId: ReservationId, read: 'get' | 'getConfirmed'): Promise<Slot | EndedTenure | undefined> {
    const { slots, history } = this.#context.store;
    const place = parseReservationId(reservationId);
    if (!place) return undefined;
    const slot = await slots[read](place.networkId, place.address);
    return slot?.reservationId === reservationId ? slot : history.get(reservationId);
  }

  /** Lists reservations, by network and in address order. */
  async list(filter: ReservationFilter, page: PageRequest): Promise<Result<Page<Slot>>> {
    const { slots } = this.#context.store;
    const list = ['reservations', filter];
    const token = readToken(list, page.token);
    if (!token.ok) return token;
    const after = token.value === undefined ? undefined : parsePosition(token.value);
    if (token.value !== undefined && !after) return invalidPageToken();
    const found = await slots.list(await this.#narrowed(filter), after, pageSize(page));
    return success({ items: found.slots, nextToken: found.next ? makeToken(list, formatPosition(found.next)) : '' });
  }

  // A subnet keeps its CIDR for life, and what is outside of it belongs to an earlier subnet of the same id. Of one that
  // is gone, addresses may rest anywhere.
  async #narrowed(filter: ReservationFilter): Promise<SlotFilter> {
    const { subnetId, networkId } = filter;
    const network = subnetId === undefined ? undefined : await this.#context.store.networks.findBySubnet(subnetId);
    const subnet = network?.subnets.find((each) => each.subnetId === subnetId);
    if (!network || !subnet || (networkId !== undefined && networkId !== network.networkId)) return filter;
    const { cidr } = subnet;
    return { ...filter, networkId: network.networkId, from: firstAddress(cidr), to: lastAddress(cidr) };
  }

  /** Changes settings of what is RESERVED; those that are not in `patch` stay. */
  update(
    key: ReservationKey,
    patch: Partial<ReservationSettings>,
    { reservationId, etag }: UpdateGuards,
    author: Author,
  ): Promise<Result<Slot>> {
    return untilNoConflict<Slot>('The reservation', async () => {
      const found = await this.find(key, 'get');
      if (!found.ok) return found;
      const before = found.value;
      if (reservationId !== undefined && reservationId !== before.reservationId) {
        return reservationMismatch(before, 'reservation_id');
      }
      if (!('state' in before) || before.state !== 'reserved') return reservationReleased(before);
      const guard = checkEtag(`Reservation ${before.reservationId}`, etag, reservationEtag(before));
      if (guard) return guard;
      const after = { ...before, ...patch };
      if (reservationEtag(after) === reservationEtag(before)) return success(before);
      return this.#amend(before, after, author);
    });
  }

  async #amend(before: Slot, after: Slot, author: Author): Promise<Result<Slot> | 'conflict'> {
    const { store, tell } = this.#context;
    const met = { uid: before.reservationId, revision: before.revision };
    const event = auditEvent('UpdateReservation', author, met, wallTime(this.#context), tenureChange(before, after));
    const written = await store.slots.amend(after, event);
    if (written === 'conflict') return 'conflict';
    tell(event);
    return success(written);
  }
}

function formatPosition({ networkId, address }: SlotKey): string {
  return `${networkId}/${formatIpv4(address)}`;
}

function parsePosition(text: string): SlotKey | undefined {
  const slash = text.indexOf('/');
  const networkId = parseResourceId(text.slice(0, slash));
  const address = parseIpv4(text.slice(slash + 1));
  if (!networkId.ok || !address.ok) return undefined;
  return { networkId: networkId.value as NetworkId, address: address.value };
}
