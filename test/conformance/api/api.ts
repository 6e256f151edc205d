// The API as claims are made of it, whoever carries the calls, and the places where a server of it is found.

import type { IpamServiceClient } from '@leasehold/proto/ipam/v1/ipam_service';
import type {
  HistoryFilter,
  Host,
  HostChanges,
  ItemResult,
  Network,
  NetworkChanges,
  NewNetwork,
  NewSubnet,
  Page,
  Placement,
  PlacementFilter,
  PlacementMove,
  ReleaseRequest,
  ReleaseResult,
  Reservation,
  ReservationChanges,
  ReservationFilter,
  ReservationKey,
  ReserveItem,
  ReserveRequest,
  ReserveResult,
  Status,
  Subnet,
  SubnetChanges,
  SubnetFilter,
  WaitReady,
  WatchEvent,
  WatchOptions,
} from '@leasehold/sdk';

/** Which page of a list; absent: the first one, of the usual size. */
export interface PageOf {
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/** How a call was refused, whoever carried it. */
export interface Refusal {
  /** Name of the status code. */
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: readonly { readonly field: string; readonly description: string }[];
}

/** A refused item of a batch, as the SDK has it. */
type Item<Result> = ItemResult<Result> | { readonly ok: false; readonly error: Refusal };

/** Who changed what, without what it was before and after. */
export interface AuditLine {
  readonly method: string;
  readonly caller: string;
  readonly resourceId: string;
  /** Whether the event has the settings before, and after. */
  readonly states: readonly [boolean, boolean];
}

/** What both drivers show of an event. */
export function toAuditLine(event: {
  readonly method: string;
  readonly caller: string;
  readonly resourceId: string;
  readonly before?: unknown;
  readonly after?: unknown;
}): AuditLine {
  const { method, caller, resourceId, before, after } = event;
  return { method, caller, resourceId, states: [before !== undefined, after !== undefined] };
}

/** A client of a server, in the words of the SDK. A refused call rejects with a `Refusal`. */
export interface Api {
  /** For what only bytes on the wire can say. */
  readonly raw: Pick<IpamServiceClient, 'updateNetwork' | 'updateSubnet' | 'createNetwork' | 'reserveAddress'>;
  createNetwork(network: NewNetwork, requestId?: string): Promise<Network>;
  getNetwork(networkId: string): Promise<Network>;
  listNetworks(page?: PageOf): Promise<Page<Network>>;
  updateNetwork(networkId: string, changes: NetworkChanges, etag?: string): Promise<Network>;
  deleteNetwork(networkId: string, etag?: string): Promise<void>;
  createSubnet(subnet: NewSubnet, requestId?: string): Promise<Subnet>;
  getSubnet(subnetId: string): Promise<Subnet>;
  listSubnets(filter: SubnetFilter, page?: PageOf): Promise<Page<Subnet>>;
  updateSubnet(subnetId: string, changes: SubnetChanges, etag?: string): Promise<Subnet>;
  deleteSubnet(subnetId: string, etag?: string): Promise<void>;
  reserve(request: ReserveRequest): Promise<ReserveResult>;
  reserveMany(requests: readonly ReserveItem[], waitReady?: WaitReady): Promise<readonly Item<ReserveResult>[]>;
  release(request: ReleaseRequest): Promise<Reservation>;
  releaseMany(requests: readonly ReleaseRequest[]): Promise<readonly Item<ReleaseResult>[]>;
  getReservation(key: ReservationKey): Promise<Reservation>;
  listReservations(filter: ReservationFilter, page?: PageOf): Promise<Page<Reservation>>;
  updateReservation(key: ReservationKey, changes: ReservationChanges, etag?: string): Promise<Reservation>;
  history(filter: HistoryFilter, page?: PageOf): Promise<Page<Reservation>>;
  audit(networkId: string, page?: PageOf): Promise<Page<AuditLine>>;
  getHost(hostId: string): Promise<Host>;
  listHosts(networkId: string, page?: PageOf): Promise<Page<Host>>;
  updateHost(hostId: string, changes: HostChanges, etag?: string): Promise<Host>;
  deleteHost(hostId: string, etag?: string): Promise<void>;
  fenceHost(hostId: string, reason: string): Promise<Host>;
  listPlacements(filter: PlacementFilter, page?: PageOf): Promise<Page<Placement>>;
  rebalance(networkId: string, validateOnly: boolean): Promise<readonly PlacementMove[]>;
  watch(options: WatchOptions): AsyncIterable<WatchEvent>;
  status(): Promise<Status>;
  close(): Promise<void>;
}

/** A way to carry calls. */
export interface Driver {
  readonly name: string;
  connect(address: string): Api;
}

/** What not every place can do. */
export interface ApiFeatures {
  /** Time can be put forward. */
  readonly time: boolean;
}

/** Where a server is found. */
export interface ApiPlace {
  /** As `connect` takes it; stays the same over restarts. */
  readonly address: string;
  /** The server stops and is started again, on what it stored. */
  restart(): Promise<void>;
  /** A host on which these networks are set up, alive from now on. */
  addHost(hostId: string, networkIds: readonly string[]): Promise<PlacedHost>;
  /** Puts time forward; only of places with that feature. */
  advance(ms: number): Promise<void>;
  remove(): Promise<void>;
}

/** A host of a place. */
export interface PlacedHost {
  /** It dies. */
  stop(): Promise<void>;
}
