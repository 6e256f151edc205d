// What is known of a change: who made it, how, of what, from what to what (ADR 22). Of networks, subnets, hosts and
// placements, of the settings of a reservation, and of a word for its guest that came after the release, an event is stored
// with the change; that an address was reserved or released is read from its tenure.
//
//   A1. One write has one event at most. Its id names the document and the revision that it met, which no other write that
//       was made did.
//   A2. An event holds settings: nothing that changes by itself, no revisions, no request's content.

import type { Host } from './host.js';
import type { HostId, NetworkId, ReservationId, Revision, WallTime } from './ids.js';
import type { Network, Subnet } from './network.js';
import { type EndedTenure, isTakenBack, type Slot, type Tenure } from './slot.js';

/** The settings of a network. */
export type AuditedNetwork = Pick<
  Network,
  | 'networkId'
  | 'uid'
  | 'displayName'
  | 'ipamEnabled'
  | 'dhcpServerCount'
  | 'labels'
  | 'createTime'
  | 'updateTime'
  | 'createdBy'
>;

/** The settings of a host. */
export type AuditedHost = Pick<
  Host,
  'hostId' | 'uid' | 'managed' | 'maintenance' | 'failureDomain' | 'labels' | 'fence' | 'createTime' | 'updateTime'
>;

/** A tenure as it began, was changed or ended. */
export type AuditedTenure = Pick<
  Tenure,
  | 'reservationId'
  | 'networkId'
  | 'address'
  | 'subnetId'
  | 'subnetUid'
  | 'mac'
  | 'hostname'
  | 'owner'
  | 'labels'
  | 'options'
  | 'createTime'
  | 'createdBy'
  | 'releaseTime'
  | 'releasedBy'
> & {
  /** Somebody vouched that its guest is stopped. */
  readonly vouched?: boolean;
};

/** The hosts that shall serve a network. */
export interface AuditedServers {
  readonly hostIds: readonly HostId[];
}

/** What a kind of resource is shown as. */
interface AuditedStates {
  readonly network: AuditedNetwork;
  readonly subnet: Subnet;
  readonly host: AuditedHost;
  readonly reservation: AuditedTenure;
  readonly placements: AuditedServers;
}

/** The kinds of what is changed; `placements`: those of a network, all at once. */
export const AUDITED_KINDS = ['network', 'subnet', 'host', 'reservation', 'placements'] as const;
/** A kind of what is changed. */
export type AuditedKind = (typeof AUDITED_KINDS)[number];

/** A change of one kind of resource. */
export interface AuditedChange<K extends AuditedKind> {
  readonly kind: K;
  readonly resourceId: string;
  /** Of placements that of their network; of a reservation its id once more, which is never given again. */
  readonly uid: string;
  /** Absent of a host, which has many. */
  readonly networkId?: NetworkId;
  /** Absent: it is new. */
  readonly before?: AuditedStates[K];
  /** Absent: it is gone. */
  readonly after?: AuditedStates[K];
}

/** Of which changes there are log lines: of settings, or also of reservations. */
export const AUDIT_LOGS = ['settings', 'all'] as const;
/** One of them. */
export type AuditLog = (typeof AUDIT_LOGS)[number];

/** Who changes something, and by which request. */
export interface Author {
  readonly caller: string;
  /** Absent or empty: the request had none. */
  readonly requestId?: string | undefined;
}

/** Who made a change, how and when. */
export interface AuditedDeed {
  readonly eventId: string;
  readonly time: WallTime;
  readonly caller: string;
  /** Name of the RPC. */
  readonly method: string;
  /** Absent: the request had none. */
  readonly requestId?: string;
}

/** A change of any kind. */
export type AnyAuditedChange = { readonly [K in AuditedKind]: AuditedChange<K> }[AuditedKind];

/** An event. */
export type AuditEvent = AuditedDeed & AnyAuditedChange;

/** Where an event stands in lists: the newest first, those of one moment by id. */
export type AuditKey = Pick<AuditEvent, 'time' | 'eventId'>;

/** Compares for the order of lists. */
export function inAuditOrder(a: AuditKey, b: AuditKey): number {
  if (a.time !== b.time) return b.time - a.time;
  return a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0;
}

/** Makes the event of a change that is written over `met`: the document that has it, as it was seen. */
export function auditEvent(
  method: string,
  { caller, requestId }: Author,
  met: { readonly uid: string; readonly revision: Revision },
  time: WallTime,
  change: AnyAuditedChange,
): AuditEvent {
  const request = requestId ? { requestId } : {};
  return { eventId: `${met.uid}.${countedDown(met.revision)}`, time, caller, method, ...request, ...change };
}

// Of one document in one millisecond the later change comes first, as everywhere in lists.
function countedDown(revision: Revision): string {
  return (2 ** 48 - 1 - revision).toString(16).padStart(12, '0');
}

/** What an event shows of a network. */
export function auditedNetwork(network: Network): AuditedNetwork {
  const { networkId, uid, displayName, ipamEnabled, dhcpServerCount, labels } = network;
  const { createTime, updateTime, createdBy } = network;
  return { networkId, uid, displayName, ipamEnabled, dhcpServerCount, labels, createTime, updateTime, createdBy };
}

/** What an event shows of a host. */
export function auditedHost(host: Host): AuditedHost {
  const { hostId, uid, managed, maintenance, failureDomain, labels, fence, createTime, updateTime } = host;
  const known = { hostId, uid, managed, maintenance, failureDomain, labels };
  return { ...known, ...(fence && { fence }), createTime, updateTime };
}

/** What an event shows of a tenure while its address is reserved. */
export function auditedTenure(tenure: Tenure): AuditedTenure {
  const { reservationId, networkId, address, subnetId, subnetUid, mac, hostname, owner, labels, options } = tenure;
  const { createTime, createdBy } = tenure;
  const where = { reservationId, networkId, address, subnetId, subnetUid, mac };
  return { ...where, hostname, owner, labels, options, createTime, createdBy };
}

/** The same once it was released. */
function releasedTenure(tenure: Tenure): AuditedTenure {
  const { releaseTime, releasedBy } = tenure;
  const released = {
    ...(releaseTime !== undefined && { releaseTime }),
    ...(releasedBy !== undefined && { releasedBy }),
  };
  return { ...auditedTenure(tenure), ...released };
}

/** A change of a network's settings. */
export function networkChange(before: Network | undefined, after: Network | undefined): AuditedChange<'network'> {
  const { networkId, uid } = (after ?? before) as Network;
  return { kind: 'network', resourceId: networkId, uid, networkId, ...states(before, after, auditedNetwork) };
}

/** A change of a subnet. */
export function subnetChange(
  networkId: NetworkId,
  before: Subnet | undefined,
  after: Subnet | undefined,
): AuditedChange<'subnet'> {
  const { subnetId, uid } = (after ?? before) as Subnet;
  return { kind: 'subnet', resourceId: subnetId, uid, networkId, ...states(before, after, (subnet) => subnet) };
}

/** A change of a host's settings, or its end. */
export function hostChange(before: Host, after: Host | undefined): AuditedChange<'host'> {
  const { hostId, uid } = before;
  return { kind: 'host', resourceId: hostId, uid, ...states(before, after, auditedHost) };
}

/** A change of a reservation's settings. */
export function tenureChange(before: Tenure, after: Tenure): AuditedChange<'reservation'> {
  return { ...ofTenure(before), before: auditedTenure(before), after: auditedTenure(after) };
}

/** A word, after its release, that the guest of a tenure is stopped. */
export function vouchChange(before: Tenure): AuditedChange<'reservation'> {
  const released = releasedTenure(before);
  return { ...ofTenure(before), before: released, after: { ...released, vouched: true } };
}

/** A move of placements in one network. */
export function placementsChange(before: Network, after: Network): AuditedChange<'placements'> {
  const { networkId, uid } = before;
  const servers = ({ placements }: Network) => ({ hostIds: placements.map(({ hostId }) => hostId) });
  return { kind: 'placements', resourceId: networkId, uid, networkId, ...states(before, after, servers) };
}

function states<T, S>(before: T | undefined, after: T | undefined, show: (value: T) => S) {
  return { ...(before && { before: show(before) }), ...(after && { after: show(after) }) };
}

function ofTenure({ reservationId, networkId }: Tenure) {
  return { kind: 'reservation', resourceId: reservationId, uid: reservationId, networkId } as const;
}

/** The two moments of a tenure that somebody made: its address was reserved, and released. */
export type TenureMoment = 'createTime' | 'releaseTime';

// Greater than every id.
const LAST_ID = '~';
// Of one tenure in one moment, as where nothing takes time, the release is the newer one.
const EVENT_PREFIX = { createTime: 'reserved.', releaseTime: 'released.' } as const;

/** Where in a list by a moment the events after a key begin. */
export function afterInMoment(
  moment: TenureMoment,
  { time, eventId }: AuditKey,
): { readonly time: WallTime; readonly reservationId: ReservationId } {
  const prefix = EVENT_PREFIX[moment];
  if (eventId.startsWith(prefix)) return { time, reservationId: eventId.slice(prefix.length) as ReservationId };
  // All of that time come after it, or none.
  return { time, reservationId: (eventId < prefix ? '' : LAST_ID) as ReservationId };
}

/** Which event a moment of a tenure is. */
export function momentEventId(moment: TenureMoment, { reservationId }: Pick<Tenure, 'reservationId'>): string {
  return `${EVENT_PREFIX[moment]}${reservationId}`;
}

/** The event of a moment of a tenure; undefined: it did not come, or the tenure was promised to nobody. */
export function momentEvent(moment: TenureMoment, tenure: Slot | EndedTenure): AuditEvent | undefined {
  if (isTakenBack(tenure)) return undefined;
  return moment === 'createTime' ? reservedEvent(tenure) : releasedEvent(tenure);
}

function reservedEvent(tenure: Tenure): AuditEvent {
  const { createTime: time, createdBy: caller, request } = tenure;
  const deed = { eventId: momentEventId('createTime', tenure), time, caller, method: 'ReserveAddress' };
  return { ...deed, ...(request && { requestId: request.id }), ...ofTenure(tenure), after: auditedTenure(tenure) };
}

function releasedEvent(tenure: Tenure): AuditEvent | undefined {
  const { releaseTime: time, releasedBy: caller = '', releaseRequest, vouched, vouchedLater } = tenure;
  if (time === undefined) return undefined;
  const deed = { eventId: momentEventId('releaseTime', tenure), time, caller, method: 'ReleaseAddress' };
  const before = auditedTenure(tenure);
  const after = { ...releasedTenure(tenure), ...(vouched && !vouchedLater && { vouched }) };
  return { ...deed, ...(releaseRequest && { requestId: releaseRequest.id }), ...ofTenure(tenure), before, after };
}
