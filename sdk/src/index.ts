// The public face of the SDK: what is named here is kept stable.

export type { Audit, AuditEvent, AuditFilter, AuditPlacements, AuditResourceKind } from './audit.js';
export type { ItemResult } from './batches.js';
export type { CallOptions } from './calls.js';
export { type ConnectOptions, connect, DEFAULT_SERVER, DEFAULT_TIMEOUT_MS, type Leasehold } from './connect.js';
export {
  AbortedError,
  AlreadyExistsError,
  DeadlineExceededError,
  ExhaustedError,
  FailedPreconditionError,
  type FieldViolation,
  InvalidArgumentError,
  LeaseholdError,
  NotFoundError,
  OutOfRangeError,
  PermissionDeniedError,
  type StatusCode,
  UnauthenticatedError,
  UnavailableError,
} from './errors.js';
export type {
  HistoryOptions,
  HostHandle,
  NetworkHandle,
  ReleaseOptions,
  ReservationHandle,
  ReservationListOptions,
  ReserveOptions,
  SubnetHandle,
} from './handles.js';
export type {
  BreakerState,
  ForeignDhcpServer,
  Host,
  HostAttachment,
  HostChanges,
  HostFence,
  HostFilter,
  HostLiveness,
  Hosts,
} from './hosts.js';
export type { LogFields, Logger } from './logger.js';
export type { Network, NetworkChanges, NetworkStatus, Networks, NewNetwork } from './networks.js';
export type { List, ListOptions, Page } from './pages.js';
export type {
  Placement,
  PlacementFilter,
  PlacementMove,
  PlacementState,
  Placements,
  RebalanceOptions,
} from './placements.js';
export type { ReservationKey } from './reservation-keys.js';
export type {
  BatchWaitOptions,
  ConflictKind,
  HistoryFilter,
  ReleaseRequest,
  ReleaseResult,
  Reservation,
  ReservationChanges,
  ReservationConflict,
  ReservationFilter,
  ReservationState,
  Reservations,
  ReserveItem,
  ReserveRequest,
  ReserveResult,
  WaitReady,
} from './reservations.js';
export type { Brake, Counts, HolderStatus, Status, StoreStatus } from './status.js';
export type {
  AddressRange,
  DhcpOption,
  NewSubnet,
  Route,
  Subnet,
  SubnetChanges,
  SubnetFilter,
  Subnets,
  SubnetUsage,
} from './subnets.js';
export type { TlsOptions } from './tls.js';
export type { CreateOptions, GuardOptions, Labels } from './values.js';
export type { Change, WatchEvent, WatchOptions } from './watch.js';
