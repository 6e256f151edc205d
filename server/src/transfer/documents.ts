// What an export holds of the documents: everything (protocol.md §7), also what no API shows, but what every incarnation
// begins anew. A field that is added to a document, and that must not be lost by a move, is added here; when older servers
// must not read past it, it is a new version of the format (lines.ts).

import { parseResourceId } from '@leasehold/proto/values';
import type {
  AnyAuditedChange,
  AuditEvent,
  AuditedChange,
  AuditedDeed,
  AuditedHost,
  AuditedKind,
  AuditedNetwork,
  AuditedServers,
  AuditedTenure,
} from '../domain/audit.js';
import { CONFLICT_KINDS, type Conflict } from '../domain/conflict.js';
import type { Attachment, Fence, ForeignServer, Host } from '../domain/host.js';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId, Uid } from '../domain/ids.js';
import type {
  AddressRange,
  DhcpOption,
  FormerServer,
  Mark,
  Network,
  Placement,
  Route,
  Subnet,
} from '../domain/network.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../domain/slot.js';
import {
  array,
  arrayOr,
  byKind,
  cidr,
  type Fields,
  type Form,
  integer,
  ipv4,
  mac,
  object,
  oneOf,
  optional,
  parsed,
  text,
  texts,
  time,
  unlessEmpty,
} from './forms.js';

const networkId = parsed<NetworkId>(parseResourceId);
const subnetId = parsed<SubnetId>(parseResourceId);
const hostId = parsed<HostId>(parseResourceId);
const uid = text<Uid>();
const flag = oneOf(true, false);
const yes = oneOf(true);
const revision = integer<Revision>(1);
const labels = unlessEmpty(texts, {});
const options = unlessEmpty(array(object<DhcpOption>({ code: integer(0, 255), value: text() })), []);
const addresses = unlessEmpty(array(ipv4), []);
const range = object<AddressRange>({ first: ipv4, last: ipv4 });

const subnet = object<Subnet>({
  subnetId,
  uid,
  cidr,
  gateway: optional(ipv4),
  dnsServers: addresses,
  ntpServers: addresses,
  domainName: unlessEmpty(text(), ''),
  domainSearch: unlessEmpty(array(text()), []),
  mtu: optional(integer()),
  routes: unlessEmpty(array(object<Route>({ destination: cidr, nextHop: ipv4 })), []),
  options,
  leaseTimeS: integer(),
  leaseTimeCeilingS: integer(),
  reuseDelayS: integer(),
  probeBeforeUse: optional(oneOf(true)),
  allocationRanges: unlessEmpty(array(range), []),
  excludedRanges: unlessEmpty(array(range), []),
  labels,
  createTime: time,
  updateTime: time,
  createdBy: text(),
});

const placement = object<Placement>({ hostId, hostUid: uid, epoch: integer(), since: time });

const formerServer = object<FormerServer>({
  hostId,
  hostUid: uid,
  epoch: integer(),
  counter: integer(),
  authorityCeilingS: integer(),
  silentForS: optional(integer()),
  fenced: optional(oneOf(true)),
  since: time,
});

const mark = object<Mark>({ operationId: text(), subnetId, forbidden: arrayOr(range, 'all'), since: time });

/** A network, or the tombstone of one. */
export const network: Form<Network> = object<Network>({
  networkId,
  uid,
  displayName: unlessEmpty(text(), ''),
  ipamEnabled: flag,
  dhcpServerCount: integer(),
  labels,
  createTime: time,
  updateTime: time,
  createdBy: text(),
  subnets: unlessEmpty(array(subnet), []),
  placements: unlessEmpty(array(placement), []),
  formerServers: unlessEmpty(array(formerServer), []),
  placementCounter: integer(),
  holderEpoch: integer(),
  mark: optional(mark),
  deleted: optional(oneOf(true)),
  revision,
});

const attachment = object<Attachment>({
  networkId,
  interface: text(),
  foreignServers: optional(array(object<ForeignServer>({ address: ipv4, mac: optional(mac) }))),
});

const fence = object<Fence>({ reason: text(), by: text(), time });

/** A host. Which incarnation it met says nothing in the next one. */
export const host: Form<Host> = object<Omit<Host, 'metIncarnation'>>({
  hostId,
  uid,
  managed: flag,
  maintenance: flag,
  labels,
  failureDomain: unlessEmpty(text(), ''),
  backend: unlessEmpty(text(), ''),
  agentVersion: unlessEmpty(text(), ''),
  attachments: unlessEmpty(array(attachment), []),
  heardEpoch: optional(integer()),
  silentForS: optional(integer()),
  fence: optional(fence),
  createTime: time,
  updateTime: time,
  revision,
});

const request = object<RequestKey>({
  caller: text(),
  rpc: oneOf('ReserveAddress', 'ReleaseAddress'),
  id: text(),
  contentHash: text(),
});

const conflict = object<Conflict>({ time, kind: oneOf(...CONFLICT_KINDS), sourceMac: mac, hostId });

const tenure: Fields<Tenure> = {
  reservationId: text<ReservationId>(),
  networkId,
  address: ipv4,
  subnetId,
  subnetUid: uid,
  mac,
  hostname: unlessEmpty(text(), ''),
  owner: unlessEmpty(text(), ''),
  labels,
  options,
  createTime: time,
  createdBy: text(),
  request: optional(request),
  releaseTime: optional(time),
  releasedBy: optional(text()),
  releaseRequest: optional(request),
  vouched: flag,
  vouchedLater: optional(yes),
  conflict: optional(conflict),
};

/** A slot: an address that is not free, with its tenure. */
export const slot: Form<Slot> = object<Slot>({
  ...tenure,
  state: oneOf('reserved', 'quarantined'),
  chainCounter: integer(),
  chainSoFar: optional(oneOf('vouched', 'unvouched')),
  reuseDelayS: integer(),
  leaseTimeCeilingS: integer(),
  revision,
});

/** A tenure that is over. */
export const ended: Form<EndedTenure> = object<EndedTenure>({ ...tenure, endTime: time });

const auditedNetwork = object<AuditedNetwork>({
  networkId,
  uid,
  displayName: unlessEmpty(text(), ''),
  ipamEnabled: flag,
  dhcpServerCount: integer(),
  labels,
  createTime: time,
  updateTime: time,
  createdBy: text(),
});

const auditedHost = object<AuditedHost>({
  hostId,
  uid,
  managed: flag,
  maintenance: flag,
  failureDomain: unlessEmpty(text(), ''),
  labels,
  fence: optional(fence),
  createTime: time,
  updateTime: time,
});

const { request: _, releaseRequest: _1, vouched: _2, vouchedLater: _3, conflict: _4, ...shownOfTenure } = tenure;
const auditedTenure = object<AuditedTenure>({ ...shownOfTenure, vouched: optional(flag) });
const auditedServers = object<AuditedServers>({ hostIds: unlessEmpty(array(hostId), []) });

function auditedAs<K extends AuditedKind>(kind: K, state: Form<NonNullable<AuditedChange<K>['after']>>) {
  return object<AuditedDeed & AuditedChange<K>>({
    eventId: text(),
    time,
    caller: text(),
    method: text(),
    requestId: optional(text()),
    kind: oneOf(kind),
    resourceId: text(),
    uid: text(),
    networkId: optional(networkId),
    before: optional(state),
    after: optional(state),
  });
}

/** An audit event that was stored with its change. */
export const audit: Form<AuditEvent> = byKind<AuditedDeed & AnyAuditedChange>({
  network: auditedAs('network', auditedNetwork),
  subnet: auditedAs('subnet', subnet),
  host: auditedAs('host', auditedHost),
  reservation: auditedAs('reservation', auditedTenure),
  placements: auditedAs('placements', auditedServers),
});
