// Handles: an id with the verbs that go with it. They ask nobody before a verb is called and keep nothing: what they answer
// is the plain resource of the classes that they pass calls on to.

import type { CallOptions } from './calls.js';
import type { Host, HostChanges, Hosts } from './hosts.js';
import type { Network, NetworkChanges, Networks } from './networks.js';
import type { List, ListOptions } from './pages.js';
import type {
  Reservation,
  ReservationChanges,
  ReservationFilter,
  Reservations,
  ReserveRequest,
  ReserveResult,
} from './reservations.js';
import type { NewSubnet, Subnet, SubnetChanges, Subnets } from './subnets.js';
import type { CreateOptions, GuardOptions } from './values.js';
import type { WatchEvent, WatchOptions } from './watch.js';

/** What handles pass calls on to. */
export interface Verbs {
  readonly networks: Networks;
  readonly subnets: Subnets;
  readonly reservations: Reservations;
  readonly hosts: Hosts;
  watch(options?: WatchOptions): AsyncIterable<WatchEvent>;
}

/** What can be asked for with a reserve, besides who gets it and where; and how the call is made. */
export type ReserveOptions = Omit<ReserveRequest, 'subnetId' | 'networkId' | 'mac'> & CallOptions;

/** Under which conditions an address is given back, and how the call is made. */
export interface ReleaseOptions extends CallOptions {
  /** You vouch that the guest no longer uses the address. Otherwise the lease time is added before anyone else may have it. */
  readonly guestStopped?: boolean | undefined;
  /** Guard: only this tenure. Makes the call safe to retry. */
  readonly reservationId?: string | undefined;
  /** Guard: only if it is promised to this MAC. */
  readonly mac?: string | undefined;
  /** Names this request: repeated, it answers what the first one released. Makes the call safe to retry. */
  readonly requestId?: string | undefined;
}

/** Which of its reservations to list, and how. */
export type ReservationListOptions = Omit<ReservationFilter, 'networkId' | 'subnetId'> & ListOptions;

/** Which tenures of an address to list, and how. */
export interface HistoryOptions extends ListOptions {
  /** Only tenures that were not over by then. */
  readonly startTime?: Date | undefined;
  /** Only tenures that had begun before then. */
  readonly endTime?: Date | undefined;
}

/** A network by its id. */
export class NetworkHandle {
  readonly networkId: string;
  readonly #verbs: Verbs;

  constructor(networkId: string, verbs: Verbs) {
    this.networkId = networkId;
    this.#verbs = verbs;
  }

  /** Answers it. */
  get(options?: CallOptions): Promise<Network> {
    return this.#verbs.networks.get(this.networkId, options);
  }

  /** Changes settings. */
  update(changes: NetworkChanges, options?: CallOptions & GuardOptions): Promise<Network> {
    return this.#verbs.networks.update(this.networkId, changes, options);
  }

  /** Deletes it, when it has no subnets. */
  delete(options?: CallOptions & GuardOptions): Promise<void> {
    return this.#verbs.networks.delete(this.networkId, options);
  }

  /** One of its subnets. */
  subnet(subnetId: string): SubnetHandle {
    return new SubnetHandle(subnetId, this.networkId, this.#verbs);
  }

  /** Its subnets, by id. */
  subnets(options?: ListOptions): List<Subnet> {
    return this.#verbs.subnets.list({ networkId: this.networkId }, options);
  }

  /** Creates a subnet of it. */
  createSubnet(subnet: Omit<NewSubnet, 'networkId'>, options?: CallOptions & CreateOptions): Promise<Subnet> {
    return this.#verbs.subnets.create({ ...subnet, networkId: this.networkId }, options);
  }

  /** Promises an address to a MAC, in any of its subnets that has room. */
  reserve(mac: string, options?: ReserveOptions): Promise<ReserveResult> {
    return reserve(this.#verbs, { networkId: this.networkId, mac }, options);
  }

  /** Its reservations, in address order. */
  reservations(options?: ReservationListOptions): List<Reservation> {
    return listReservations(this.#verbs, { networkId: this.networkId }, options);
  }

  /** Changes of it and all that is in it. */
  watch(options?: Omit<WatchOptions, 'networkId'>): AsyncIterable<WatchEvent> {
    return this.#verbs.watch({ ...options, networkId: this.networkId });
  }
}

/** A subnet by its id. */
export class SubnetHandle {
  readonly subnetId: string;
  /** Of which it must be to reserve in it. Undefined: of any. */
  readonly networkId: string | undefined;
  readonly #verbs: Verbs;

  constructor(subnetId: string, networkId: string | undefined, verbs: Verbs) {
    this.subnetId = subnetId;
    this.networkId = networkId;
    this.#verbs = verbs;
  }

  /** Answers it. */
  get(options?: CallOptions): Promise<Subnet> {
    return this.#verbs.subnets.get(this.subnetId, options);
  }

  /** Changes settings. */
  update(changes: SubnetChanges, options?: CallOptions & GuardOptions): Promise<Subnet> {
    return this.#verbs.subnets.update(this.subnetId, changes, options);
  }

  /** Deletes it, when nothing in it is reserved. */
  delete(options?: CallOptions & GuardOptions): Promise<void> {
    return this.#verbs.subnets.delete(this.subnetId, options);
  }

  /** Promises an address of it to a MAC. */
  reserve(mac: string, options?: ReserveOptions): Promise<ReserveResult> {
    return reserve(this.#verbs, { subnetId: this.subnetId, networkId: this.networkId, mac }, options);
  }

  /** Gives an address of it back; better by the reservation, whose tenure is meant and no other. */
  release(address: string, options: ReleaseOptions = {}): Promise<Reservation> {
    const { guestStopped, reservationId, mac, requestId, ...call } = options;
    const release = { subnetId: this.subnetId, address, guestStopped, reservationId, mac, requestId };
    return this.#verbs.reservations.release(release, call);
  }

  /** Its reservations, in address order. */
  reservations(options?: ReservationListOptions): List<Reservation> {
    return listReservations(this.#verbs, { subnetId: this.subnetId }, options);
  }

  /** Who had an address of it: tenures, newest first. */
  history(address: string, { startTime, endTime, ...list }: HistoryOptions = {}): List<Reservation> {
    return this.#verbs.reservations.history({ subnetId: this.subnetId, address, startTime, endTime }, list);
  }
}

/** A reservation by its id, which names this tenure for ever. */
export class ReservationHandle {
  readonly reservationId: string;
  readonly #reservations: Reservations;

  constructor(reservationId: string, { reservations }: Verbs) {
    this.reservationId = reservationId;
    this.#reservations = reservations;
  }

  /** Answers it, also when it is over. */
  get(options?: CallOptions): Promise<Reservation> {
    return this.#reservations.get(this, options);
  }

  /** Changes settings. */
  update(changes: ReservationChanges, options?: CallOptions & GuardOptions): Promise<Reservation> {
    return this.#reservations.update(this, changes, options);
  }

  /** Gives its address back. Safe to retry: it never hits a newer tenure. */
  release(options: Omit<ReleaseOptions, 'reservationId'> = {}): Promise<Reservation> {
    const { guestStopped, mac, requestId, ...call } = options;
    return this.#reservations.release({ reservationId: this.reservationId, guestStopped, mac, requestId }, call);
  }
}

/** A host by its id. */
export class HostHandle {
  readonly hostId: string;
  readonly #hosts: Hosts;

  constructor(hostId: string, { hosts }: Verbs) {
    this.hostId = hostId;
    this.#hosts = hosts;
  }

  /** Answers it. */
  get(options?: CallOptions): Promise<Host> {
    return this.#hosts.get(this.hostId, options);
  }

  /** Changes settings. */
  update(changes: HostChanges, options?: CallOptions & GuardOptions): Promise<Host> {
    return this.#hosts.update(this.hostId, changes, options);
  }

  /** Forgets it, when it is not connected. */
  delete(options?: CallOptions & GuardOptions): Promise<void> {
    return this.#hosts.delete(this.hostId, options);
  }

  /** Vouches that it is dead and cannot answer any guest (see Hosts.fence). */
  fence(reason: string, options?: CallOptions): Promise<Host> {
    return this.#hosts.fence(this.hostId, reason, options);
  }
}

function reserve(verbs: Verbs, where: ReserveRequest, options: ReserveOptions = {}): Promise<ReserveResult> {
  const { signal, timeoutMs, onStale, ...what } = options;
  return verbs.reservations.reserve({ ...what, ...where }, { signal, timeoutMs, onStale });
}

function listReservations(
  verbs: Verbs,
  where: ReservationFilter,
  { mac, owner, state, ...list }: ReservationListOptions = {},
): List<Reservation> {
  return verbs.reservations.list({ ...where, mac, owner, state }, list);
}
