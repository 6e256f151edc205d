// What hosts shall serve, and the tables from which they do. A change of a table goes out to every session of a host that
// serves its network. A table that is empty is kept only while somebody shall serve its network.
//
//   P1. A table has one entry of a MAC, as those of the agents have: one that had two, if only for a moment, would be another
//       table than theirs, and no snapshot of it would be taken. While the store is read again a MAC may be shown at its new
//       address before the end at the old one: what is new waits until everything was shown.

import type { Ipv4 } from '@leasehold/proto/values';
import type { HostId, NetworkId, ReservationId } from '../../domain/ids.js';
import type { IsUndecided, ProvidedNetwork, ProvidedReservation } from '../../ports/dhcp-provider.js';
import { ServedTable } from './served-table.js';
import type { AgentSession } from './session.js';

/** What a host shall serve, as the manager said last. */
export interface Provision {
  readonly networks: ReadonlyMap<NetworkId, ProvidedNetwork>;
  readonly undecided: IsUndecided | undefined;
}

/** All of it. */
export class Provisions {
  readonly #sessionOf: (hostId: HostId) => AgentSession | undefined;
  readonly #hosts = new Map<HostId, Provision & { readonly networks: Map<NetworkId, ProvidedNetwork> }>();
  /** The hosts that were told to serve a network. */
  readonly #servers = new Map<NetworkId, Set<HostId>>();
  readonly #tables = new Map<NetworkId, ServedTable>();
  readonly #unflushed = new Set<NetworkId>();
  /** What waits until the store was read again; undefined: it is not. */
  #late: Map<NetworkId, Map<Ipv4, ProvidedReservation>> | undefined;

  constructor(sessionOf: (hostId: HostId) => AgentSession | undefined) {
    this.#sessionOf = sessionOf;
  }

  /** What a host shall serve; undefined: the manager did not say yet. */
  of(hostId: HostId): Provision | undefined {
    return this.#hosts.get(hostId);
  }

  /** A host shall serve exactly these from now on. */
  set(hostId: HostId, networks: readonly ProvidedNetwork[], undecided?: IsUndecided): void {
    const before = this.#hosts.get(hostId)?.networks.keys() ?? [];
    const after = new Map(networks.map((network) => [network.networkId, network]));
    this.#hosts.set(hostId, { networks: after, undecided });
    for (const network of networks) this.#serves(hostId, network);
    for (const networkId of before) if (!after.has(networkId)) this.#servesNoMore(hostId, networkId);
  }

  /** A host shall serve this network so from now on, or no more; nothing when it was not said what it shall serve. */
  setNetwork(hostId: HostId, networkId: NetworkId, network: ProvidedNetwork | undefined): void {
    const networks = this.#hosts.get(hostId)?.networks;
    if (network) {
      if (networks?.set(networkId, network)) this.#serves(hostId, network);
    } else if (networks?.delete(networkId)) {
      this.#servesNoMore(hostId, networkId);
    }
  }

  /** The host is gone. */
  forget(hostId: HostId): void {
    this.set(hostId, []);
    this.#hosts.delete(hostId);
  }

  /** No host shall serve anything, as long as nobody says so again; tables that hold something stay. */
  clear(): void {
    this.#hosts.clear();
    this.#servers.clear();
    for (const networkId of this.#tables.keys()) this.#dropIfIdle(networkId);
  }

  #serves(hostId: HostId, network: ProvidedNetwork): void {
    const { networkId } = network;
    this.table(networkId).assign(network);
    const servers = this.#servers.get(networkId) ?? new Set();
    this.#servers.set(networkId, servers.add(hostId));
  }

  #servesNoMore(hostId: HostId, networkId: NetworkId): void {
    const servers = this.#servers.get(networkId);
    servers?.delete(hostId);
    if (servers?.size === 0) this.#servers.delete(networkId);
    this.#dropIfIdle(networkId);
  }

  /** It says nothing, and is made again when it is asked for: most likely its network is gone. */
  #dropIfIdle(networkId: NetworkId): void {
    if (!this.#servers.has(networkId) && this.#tables.get(networkId)?.size === 0) this.#tables.delete(networkId);
  }

  /** The table of a network. */
  table(networkId: NetworkId): ServedTable {
    let table = this.#tables.get(networkId);
    if (!table) {
      table = new ServedTable(networkId);
      this.#tables.set(networkId, table);
    }
    return table;
  }

  /** The sessions of the hosts that shall serve a network. */
  *sessionsOf(networkId: NetworkId): Iterable<AgentSession> {
    for (const hostId of this.#servers.get(networkId) ?? []) {
      const session = this.#sessionOf(hostId);
      if (session) yield session;
    }
  }

  /** Whether a host shall serve a network, and its table answers with this reservation. */
  isServed(networkId: NetworkId, address: Ipv4, reservationId: ReservationId): boolean {
    if (!this.#servers.has(networkId)) return false;
    return this.#tables.get(networkId)?.at(address)?.reservationId === reservationId;
  }

  add(networkId: NetworkId, reservation: ProvidedReservation): void {
    const { address, reservationId } = reservation;
    if (this.#late && this.#tables.get(networkId)?.at(address)?.reservationId !== reservationId) {
      this.remove(networkId, address);
      const late = this.#late.get(networkId) ?? new Map<Ipv4, ProvidedReservation>();
      this.#late.set(networkId, late.set(address, reservation));
      return;
    }
    const table = this.table(networkId);
    if (!this.#servers.has(networkId)) {
      table.fill(reservation);
      return;
    }
    const before = table.at(reservation.address);
    const put = table.put(reservation);
    if (!put) return;
    // The end of the tenure before was missed. Who is sent removals alone would go on with it, and ignore that of this one.
    if (before && before.reservationId !== put.reservationId) {
      this.#spread(networkId, { remove: { address: before.address, reservationId: before.reservationId } });
    }
    this.#spread(networkId, { put });
  }

  remove(networkId: NetworkId, address: Ipv4): void {
    this.#late?.get(networkId)?.delete(address);
    const remove = this.#tables.get(networkId)?.remove(address);
    if (!remove) return;
    this.#spread(networkId, { remove });
    this.#dropIfIdle(networkId);
  }

  /** The store is read again. */
  beginReread(): void {
    this.#late ??= new Map();
  }

  /** Everything that is over was shown. */
  endReread(): void {
    const late = this.#late ?? [];
    this.#late = undefined;
    for (const [networkId, reservations] of late) {
      for (const reservation of reservations.values()) this.add(networkId, reservation);
    }
  }

  #spread(networkId: NetworkId, change: Parameters<AgentSession['change']>[1]): void {
    let needed = false;
    for (const session of this.sessionsOf(networkId)) {
      if (session.change(networkId, change)) needed = true;
    }
    if (!needed) return;
    // Changes that became true in one turn of the event loop go out in one delivery.
    if (this.#unflushed.size === 0) queueMicrotask(() => this.#flush());
    this.#unflushed.add(networkId);
  }

  #flush(): void {
    for (const networkId of this.#unflushed) {
      for (const session of this.sessionsOf(networkId)) session.flush(networkId);
    }
    this.#unflushed.clear();
  }
}
