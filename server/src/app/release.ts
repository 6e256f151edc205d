// Takes an address back from a MAC, and answers which reservation a key names.
//
//   R1. A release names one tenure: the short form is resolved to a reservation id once, and only that is released, so
//       that a late or repeated release of an older tenure frees nothing (protocol.md §2.6).
//   R2. A released address is QUARANTINED, never free at once.

import { formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import { type Result, requestIdReused, reservationMismatch, reservationNotFound, success } from '../domain/errors.js';
import type { NetworkId, ReservationId, SubnetId } from '../domain/ids.js';
import { parseReservationId } from '../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot } from '../domain/slot.js';
import { untilNoConflict } from './change.js';
import type { Call, Context } from './context.js';
import { released } from './tenure.js';

/** Names one reservation, in any of three ways. */
export type ReservationKey =
  | { readonly kind: 'id'; readonly reservationId: ReservationId }
  | { readonly kind: 'address'; readonly subnetId: SubnetId; readonly address: Ipv4 }
  | { readonly kind: 'mac'; readonly networkId: NetworkId; readonly mac: Mac };

/** What to release. */
export interface ReleaseCommand {
  readonly key: ReservationKey;
  /** Guards: release only this tenure, only of this MAC. */
  readonly reservationId: ReservationId | undefined;
  readonly mac: Mac | undefined;
  /** The engine vouches that the guest no longer uses the address. */
  readonly guestStopped: boolean;
  readonly request: RequestKey | undefined;
}

/** The use case. */
export class Release {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Releases, or answers the tenure that was released before. */
  async release(command: ReleaseCommand, call: Call): Promise<Result<Slot | EndedTenure>> {
    const { request } = command;
    const earlier = request && (await this.#context.store.slots.findByRequest(request));
    if (earlier) {
      if (earlier.releaseRequest?.contentHash === request.contentHash) return success(earlier);
      return requestIdReused(request.id, earlier.reservationId);
    }
    const named = await this.find(command.key);
    if (!named.ok) return (await this.#endedBefore(command)) ?? named;
    const tenure = named.value;
    if (command.reservationId !== undefined && command.reservationId !== tenure.reservationId) {
      return (await this.#endedBefore(command)) ?? reservationMismatch(tenure, 'reservation_id');
    }
    if (command.mac !== undefined && command.mac !== tenure.mac) return reservationMismatch(tenure, 'mac');
    return this.#releaseTenure(tenure, command, call);
  }

  /** The guard may name a tenure of this key that is over: then the release was done before, and stays done. */
  async #endedBefore({ reservationId, key }: ReleaseCommand): Promise<Result<EndedTenure> | undefined> {
    const ended = reservationId && (await this.#ended(reservationId));
    return ended && isOf(ended, key) ? success(ended) : undefined;
  }

  #releaseTenure(tenure: Slot | EndedTenure, command: ReleaseCommand, call: Call): Promise<Result<Slot | EndedTenure>> {
    const { reservationId } = tenure;
    let current: Slot | EndedTenure | undefined = tenure;
    return untilNoConflict<Slot | EndedTenure>(`Reservation ${reservationId}`, async () => {
      current ??= await this.#findById(reservationId);
      if (!current) return reservationNotFound(`id ${reservationId}`, { reservation_id: reservationId });
      const next = this.#next(current, command, call);
      if (next === undefined) return success(current);
      const { outcome } = await this.#context.store.slots.replace(next);
      current = undefined;
      return outcome.kind === 'replaced' ? success(outcome.slot) : 'conflict';
    });
  }

  /** What the slot becomes; undefined when it stays as it is. */
  #next(current: Slot | EndedTenure, command: ReleaseCommand, call: Call): Slot | undefined {
    if (!('state' in current)) return undefined;
    if (current.state === 'quarantined') {
      const vouch = command.guestStopped && !current.vouched;
      const { request } = command;
      // The request is remembered also when it changes nothing: repeated later, it must not find another tenure.
      const remember = request !== undefined && current.releaseRequest === undefined;
      if (!vouch && !remember) return undefined;
      return { ...current, vouched: current.vouched || vouch, ...(remember ? { releaseRequest: request } : {}) };
    }
    const subnet = this.#context.view.subnet(current.subnetId)?.subnet;
    return released(this.#context, current, subnet, call.caller, command.guestStopped, command.request);
  }

  /** The reservation a key names. */
  async find(key: ReservationKey): Promise<Result<Slot | EndedTenure>> {
    const { store, view } = this.#context;
    switch (key.kind) {
      case 'id': {
        const found = await this.#findById(key.reservationId);
        return found
          ? success(found)
          : reservationNotFound(`id ${key.reservationId}`, { reservation_id: key.reservationId });
      }
      case 'address': {
        const network = view.subnet(key.subnetId)?.network ?? (await store.networks.findBySubnet(key.subnetId));
        const slot = network && (await store.slots.get(network.networkId, key.address));
        if (slot?.subnetId === key.subnetId) return success(slot);
        const address = formatIpv4(key.address);
        return reservationNotFound(`address ${address} of subnet ${key.subnetId}`, {
          subnet_id: key.subnetId,
          address,
        });
      }
      case 'mac': {
        const slots = await store.slots.findByMac(key.networkId, key.mac);
        const slot = slots.find(({ state }) => state === 'reserved');
        if (slot) return success(slot);
        const metadata = { network_id: key.networkId, mac: key.mac };
        return reservationNotFound(`MAC ${key.mac} in network ${key.networkId}`, metadata);
      }
    }
  }

  async #findById(reservationId: ReservationId): Promise<Slot | EndedTenure | undefined> {
    const { store } = this.#context;
    const place = parseReservationId(reservationId);
    const slot = place && (await store.slots.get(place.networkId, place.address));
    return slot?.reservationId === reservationId ? slot : this.#ended(reservationId);
  }

  // Only of ids this software made: anything else names nothing.
  async #ended(reservationId: ReservationId): Promise<EndedTenure | undefined> {
    return parseReservationId(reservationId) && this.#context.store.slots.getEnded(reservationId);
  }
}

function isOf(tenure: EndedTenure, key: ReservationKey): boolean {
  switch (key.kind) {
    case 'id':
      return tenure.reservationId === key.reservationId;
    case 'address':
      return tenure.subnetId === key.subnetId && tenure.address === key.address;
    case 'mac':
      return tenure.networkId === key.networkId && tenure.mac === key.mac;
  }
}
