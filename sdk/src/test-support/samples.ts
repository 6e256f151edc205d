// Resources as a server would send them, for tests. Not published.

import type { AuditEvent } from '../gen/ipam/v1/audit.js';
import type { Host } from '../gen/ipam/v1/host.js';
import type { GetStatusResponse, WatchEventsResponse } from '../gen/ipam/v1/ipam_service.js';
import type { Network } from '../gen/ipam/v1/network.js';
import type { Placement } from '../gen/ipam/v1/placement.js';
import type { Reservation } from '../gen/ipam/v1/reservation.js';
import type { Subnet } from '../gen/ipam/v1/subnet.js';
import type { Loose } from '../values.js';

/** When everything in the samples happened. */
export const NOON = new Date('2026-01-02T12:00:00.000Z');

/** A network that is short of a server. */
export const wireNetwork = {
  networkId: 'red',
  uid: 'n-uid',
  displayName: 'Red',
  ipamEnabled: true,
  dhcpServerCount: 2,
  labels: { teamName: 'a' },
  etag: 'n1',
  status: { subnets: 1, serversWanted: 2, serversServing: 1, shortSince: NOON, shortReason: 'One host is down' },
  createTime: NOON,
  updateTime: NOON,
  createdBy: 'insecure',
} satisfies Loose<Network>;

/** A subnet with every setting. */
export const wireSubnet = {
  subnetId: 'red-a',
  uid: 's-uid',
  networkId: 'red',
  cidr: '10.0.0.0/24',
  gateway: '10.0.0.1',
  dnsServers: ['10.0.0.2', '10.0.0.3'],
  ntpServers: ['10.0.0.4'],
  domainName: 'example.org',
  domainSearch: ['example.org'],
  mtu: 1_400,
  routes: [{ destination: '192.168.0.0/16', nextHop: '10.0.0.9' }],
  options: [{ code: 66, value: 'tftp.example.org' }],
  leaseTime: { seconds: 3_600n, nanos: 0 },
  reuseDelay: { seconds: 60n, nanos: 500_000_000 },
  allocationRanges: [{ first: '10.0.0.10', last: '10.0.0.99' }],
  excludedRanges: [{ first: '10.0.0.50', last: '10.0.0.50' }],
  labels: {},
  etag: 's1',
  usage: { capacity: 89n, reserved: 3n, quarantined: 2n, free: 84n },
  probeBeforeUse: false,
  createTime: NOON,
  updateTime: NOON,
  createdBy: 'insecure',
} satisfies Loose<Subnet>;

/** A reservation that is held. */
export const wireReservation = {
  reservationId: 'r-1',
  networkId: 'red',
  subnetId: 'red-a',
  address: '10.0.0.7',
  mac: '52:54:00:aa:bb:cc',
  hostname: 'web',
  owner: 'vm-42/nic0',
  labels: {},
  options: [],
  state: 1,
  createTime: NOON,
  blockedByHostIds: [],
  readyServers: 2,
  createdBy: 'insecure',
  releasedBy: '',
  guestStopped: false,
  etag: 'r1',
} satisfies Loose<Reservation>;

/** A tenure that is over. */
export const wireTenure = {
  ...wireReservation,
  reservationId: 'r-0',
  state: 3,
  releaseTime: NOON,
  endTime: new Date('2026-01-02T13:00:00.000Z'),
  readyServers: 0,
  releasedBy: 'insecure',
} satisfies Loose<Reservation>;

/** A host that is up. */
export const wireHost = {
  hostId: 'h1',
  uid: 'h-uid',
  liveness: 1,
  managed: true,
  maintenance: false,
  failureDomain: 'rack-1',
  labels: {},
  attachments: [{ networkId: 'red', interface: 'br0', ready: true, reason: '', foreignDhcpServers: [] }],
  backend: 'builtin',
  agentVersion: '0.1.0',
  lastHeartbeatTime: NOON,
  breaker: 3,
  etag: 'h1',
  createTime: NOON,
  updateTime: NOON,
} satisfies Loose<Host>;

/** A placement that serves. */
export const wirePlacement = {
  networkId: 'red',
  hostId: 'h1',
  epoch: 7n,
  state: 2,
  pendingChanges: 0,
  syncedTime: NOON,
  since: NOON,
} satisfies Loose<Placement>;

/** A subnet's lease time that was lengthened, and what came before: newest first. */
export const wireAudit = [
  {
    ...{ eventId: 'n-uid.2', time: NOON, caller: 'engine/ovirt', method: 'UpdateSubnet', requestId: '' },
    ...{ resourceKind: 2, resourceId: 'red-a', resourceUid: 's-uid', networkId: 'red' },
    before: { state: { $case: 'subnet', value: { ...wireSubnet, usage: undefined } } },
    after: {
      state: {
        $case: 'subnet',
        value: { ...wireSubnet, usage: undefined, leaseTime: { seconds: 7_200n, nanos: 0 }, etag: 's2' },
      },
    },
  },
  {
    ...{ eventId: 'reserved.r-1', time: NOON, caller: 'insecure', method: 'ReserveAddress', requestId: 'q' },
    ...{ resourceKind: 4, resourceId: 'r-1', resourceUid: 'r-1', networkId: 'red' },
    after: { state: { $case: 'reservation', value: { ...wireReservation, readyServers: 0 } } },
  },
  {
    ...{ eventId: 'h-uid.9', time: NOON, caller: 'insecure', method: 'DeleteHost', requestId: '' },
    ...{ resourceKind: 3, resourceId: 'h1', resourceUid: 'h-uid', networkId: '' },
    before: { state: { $case: 'host', value: { ...wireHost, liveness: 0, breaker: 0, attachments: [] } } },
  },
  {
    ...{ eventId: 'n-uid.1', time: NOON, caller: 'insecure', method: 'RebalancePlacements', requestId: '' },
    ...{ resourceKind: 5, resourceId: 'red', resourceUid: 'n-uid', networkId: 'red' },
    before: { state: { $case: 'placements', value: { hostIds: ['h1'] } } },
    after: { state: { $case: 'placements', value: { hostIds: ['h2'] } } },
  },
] satisfies Loose<AuditEvent>[];

/** An installation with one brake on. */
export const wireStatus = {
  version: '0.1.0',
  server: 's1',
  startTime: NOON,
  store: { kind: 'mongodb', uid: 'st-uid', incarnation: 1n, breaker: 2, unavailableSince: NOON },
  holder: { server: 's1', epoch: 3n, isSelf: true, advertise: '10.9.0.1:7067', agentAdvertise: '10.9.0.1:7069' },
  brakes: [{ kind: 'START', reason: 'The server has just started', since: NOON }],
  insecureListeners: ['127.0.0.1:7067'],
  counts: {
    networks: 1n,
    subnets: 1n,
    reservations: 3n,
    quarantined: 2n,
    hosts: 1n,
    hostsUp: 1n,
    placements: 1n,
    placementsServing: 1n,
  },
  authority: { seconds: 86_400n, nanos: 0 },
  time: NOON,
  certificateEndTime: new Date('2026-04-02T12:00:00.000Z'),
} satisfies Loose<GetStatusResponse>;

/** An installation that is well. */
export const wireWell = {
  ...wireStatus,
  store: { kind: 'mongodb', uid: 'st-uid', incarnation: 1n, breaker: 1 },
  brakes: [],
} satisfies Loose<GetStatusResponse>;

/** How a watch with a snapshot begins. */
export const wireSnapshot = [
  { event: { $case: 'network', value: { change: 1, network: { ...wireNetwork, status: undefined } } } },
  { resumeToken: 't1', event: { $case: 'snapshotEnd', value: {} } },
] satisfies Loose<WatchEventsResponse>[];

/** How one from now on begins, and what follows in any. */
export const wireChanges = [
  { resumeToken: 't2', event: { $case: 'bookmark', value: {} } },
  { resumeToken: 't3', event: { $case: 'subnet', value: { change: 2, subnet: { ...wireSubnet, usage: undefined } } } },
  { resumeToken: 't4', event: { $case: 'reservation', value: { change: 3, reservation: wireReservation } } },
  { resumeToken: 't5', event: { $case: 'host', value: { change: 4, host: { ...wireHost, liveness: 0, breaker: 0 } } } },
  { resumeToken: 't6', event: { $case: 'placement', value: { change: 2, placement: wirePlacement } } },
] satisfies Loose<WatchEventsResponse>[];
