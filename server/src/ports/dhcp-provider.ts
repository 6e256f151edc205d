// The seam between the control plane and whatever makes hosts serve DHCP.
//
// The provider decides nothing: which host serves which network is the manager's decision, which address a MAC has is
// the store's. It keeps the tables it was told, and brings a host that is added later up to date by itself.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Contact } from '../domain/contact.js';
import type { ForeignServer } from '../domain/host.js';
import type { HostId, NetworkId, ReservationId, Uid } from '../domain/ids.js';
import type { DhcpOption, Subnet } from '../domain/network.js';

/** Makes hosts serve. */
export interface DhcpProvider {
  /**
   * The host serves exactly these networks from now on; an empty list turns it off. Remembered while the host is away.
   * Resolves when the connected host took all of it in, and at once when it is not connected; rejects when it goes away
   * or does not answer within `commandTimeoutMs`. With networks that are `undecided`, now or when it connects, it goes on
   * as it does.
   */
  provide(hostId: HostId, networks: readonly ProvidedNetwork[], undecided?: IsUndecided): Promise<void>;
  /**
   * The host serves this network so from now on, or no more; all others as it was told by `provide`, before which nothing
   * is done. Resolves and rejects as that, for this network. It costs as much however many networks the host has.
   */
  provideNetwork(hostId: HostId, networkId: NetworkId, network: ProvidedNetwork | undefined): Promise<void>;
  /** The host serves nothing any more. */
  dontProvide(hostId: HostId): Promise<void>;
  /** Hands over what the store decided, to every host that serves the network, now and later. */
  addReservation(subnet: SubnetRef, reservation: ProvidedReservation): void;
  /** The address is not to be answered with any more. */
  removeReservation(subnet: SubnetRef, address: Ipv4): void;
  /**
   * Until `endReread` the store is read again: a reservation may be handed over before the end of one that came before it,
   * of the same MAC at another address. New ones are told when that is over, and ends at once.
   */
  beginReread(): void;
  endReread(): void;
}

/** Whether nobody decided yet who serves a network. */
export type IsUndecided = (networkId: NetworkId) => boolean;

/** A network for a host to serve. */
export interface ProvidedNetwork {
  readonly networkId: NetworkId;
  readonly uid: Uid;
  readonly placementEpoch: number;
  readonly subnets: readonly Subnet[];
  /**
   * A former server that shall go on answering until others do: it is sent only removals (protocol.md §3.2), and only
   * in the session in which it was assigned; a host that connects anew is stopped.
   */
  readonly removalsOnly: boolean;
}

/** Names a subnet. Tables are kept by network: its subnets share the wire. */
export interface SubnetRef {
  readonly networkId: NetworkId;
}

/** A reservation as hosts need it. */
export interface ProvidedReservation {
  readonly reservationId: ReservationId;
  readonly address: Ipv4;
  readonly mac: Mac;
  readonly hostname: string;
  readonly options: readonly DhcpOption[];
}

/** What the provider sees of the hosts. All spans are on this machine's monotonic clock. */
export interface HostObserver {
  /** When the first host showed since this server leads that it hears this server, too. */
  readonly firstShownMs: number | undefined;
  /** A host that was heard since this server leads. */
  host(hostId: HostId): ObservedHost | undefined;
  /** What of a network was seen before this moment, the host has taken in since this server leads: table and disk. */
  takenInMs(hostId: HostId, networkId: NetworkId): number;
  /** When a host last gave any sign of life since this server leads. */
  lastSignMs(hostId: HostId): number | undefined;
  /**
   * Since when a host is about to begin a session: its hello waits, or was refused because of this server's own trouble;
   * undefined: it has one, was refused for what it is, or was not there lately.
   */
  atTheDoorMs(hostId: HostId): number | undefined;
  /** Whether it has a session, or one is about to begin. */
  isPresent(hostId: HostId): boolean;
  /** The host is not stored any more: ends its session, if it has one, so that it says hello and is stored anew. */
  forget(hostId: HostId): void;
  /** Every table a connected host has, or was told to have, by network; empty while it is not connected. */
  tables(hostId: HostId): ReadonlyMap<NetworkId, ObservedTable>;
  /** One of them. */
  table(hostId: HostId, networkId: NetworkId): ObservedTable | undefined;
  /** Calls `listener` when something changed that a plan may depend on; not for every acknowledged reservation. */
  onChange(listener: () => void): { close(): void };
  /**
   * Asks a host that serves the network who uses an address, by ARP: half a second; a host that does not say within 2 s is
   * passed over for another one.
   */
  probe(networkId: NetworkId, address: Ipv4): Promise<Probed>;
  /** How many live, connected hosts confirmed that they answer with this reservation. */
  readyServers(networkId: NetworkId, address: Ipv4, reservationId: ReservationId): number;
  /** Resolves with the number of ready servers once it reached `servers`, or when `signal` is aborted. */
  waitReady(
    networkId: NetworkId,
    address: Ipv4,
    reservationId: ReservationId,
    servers: number,
    signal: AbortSignal,
  ): Promise<number>;
}

/** Who uses an address; undefined: nobody answered. `unknown`: nobody could be asked. */
export type Probed = Mac | undefined | 'unknown';

/** A host as its session shows it. */
export interface ObservedHost {
  readonly hostId: HostId;
  readonly connected: boolean;
  /** When its last heartbeat or hello arrived. */
  readonly lastHeardMs: number;
  /** How often it may be sending heartbeats, by what it was told and said that it knows. */
  readonly intervalMs: number;
  /** When its session broke; undefined while connected. */
  readonly brokenSinceMs: number | undefined;
  /** How long after that its agent may wait, as it was told, and then be waiting to be let in. */
  readonly returnMs: number;
  /** Whether it hears this server, too; undefined: not known yet. */
  readonly contact: Contact | undefined;
  readonly attachments: ReadonlyMap<NetworkId, ObservedAttachment>;
}

/** An attachment of a connected host. */
export interface ObservedAttachment {
  readonly interface: string;
  readonly ready: boolean;
  readonly reason: string;
  /** Other DHCP servers that it noticed there. */
  readonly foreignServers: readonly ForeignServer[];
}

/** A table on a connected host, as it confirmed it in its present session. */
export interface ObservedTable {
  readonly networkUid: Uid;
  readonly placementEpoch: number;
  readonly serving: boolean;
  readonly reason: string;
  /** Deliveries sent and not yet acknowledged. */
  readonly pendingChanges: number;
  /** Wall-clock time, in milliseconds, when nothing was pending last. */
  readonly syncedTime: number | undefined;
}
