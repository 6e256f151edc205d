// Documents for the stores under test, short to name: network `red`, address 7, MAC 1.

import type { Cidr, Ipv4, Mac } from '@leasehold/proto/values';
import {
  type AuditEvent,
  auditEvent,
  hostChange,
  networkChange,
  placementsChange,
  subnetChange,
  tenureChange,
  vouchChange,
} from '@leasehold/server/domain/audit';
import type { Host } from '@leasehold/server/domain/host';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '@leasehold/server/domain/ids';
import type { Network, Subnet } from '@leasehold/server/domain/network';
import type { EndedTenure, Slot } from '@leasehold/server/domain/slot';

const BASE = 0x0a000000;
const WHEN = 1_700_000_000_000 as WallTime;

/** A network's id. */
export const networkId = (id: string): NetworkId => id as NetworkId;
/** The nth address of 10.0.0.0/8. */
export const address = (n: number): Ipv4 => (BASE + n) as Ipv4;
/** The nth MAC. */
export const mac = (n: number): Mac =>
  `52:54:00:${[n >> 16, (n >> 8) & 255, n & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}` as Mac;

/** A network without subnets. */
export function network(id: string, revision = 0): Network {
  return {
    networkId: networkId(id),
    uid: `uid-${id}` as Uid,
    displayName: 'Ünïcode "name"\n',
    ipamEnabled: true,
    dhcpServerCount: 1,
    labels: { tier: 'gold' },

    createTime: WHEN,
    updateTime: WHEN,
    createdBy: 'test',
    subnets: [],
    placements: [],
    formerServers: [],
    placementCounter: 0,
    holderEpoch: 0,
    revision: revision as Revision,
  };
}

/** A /24. */
export function subnet(id: string): Subnet {
  return {
    subnetId: id as SubnetId,
    uid: `uid-${id}` as Uid,
    cidr: { base: address(0), prefixLength: 24 } satisfies Cidr,
    gateway: address(1),
    dnsServers: [address(2)],
    ntpServers: [],
    domainName: '',
    domainSearch: [],
    routes: [],
    options: [],
    leaseTimeS: 3_600,
    leaseTimeCeilingS: 3_600,
    reuseDelayS: 60,
    allocationRanges: [],
    excludedRanges: [],
    labels: {},
    createTime: WHEN,
    updateTime: WHEN,
    createdBy: 'test',
  };
}

/** A managed host. */
export function host(id: string, revision = 0): Host {
  return {
    hostId: id as HostId,
    uid: `uid-${id}` as Uid,
    managed: true,
    maintenance: false,
    labels: {},
    failureDomain: 'rack-1',
    backend: 'builtin',
    agentVersion: '0.1.0',
    attachments: [{ networkId: networkId('red'), interface: 'br-red' }],
    createTime: WHEN,
    updateTime: WHEN,
    revision: revision as Revision,
  };
}

/** A RESERVED slot: in a network, of the nth address, for the nth MAC. */
export function reservation(id: string, n: number, macNumber: number, revision = 0): Slot {
  return {
    reservationId: `${id}/${n}/${macNumber}` as ReservationId,
    networkId: networkId(id),
    address: address(n),
    subnetId: 's1' as SubnetId,
    subnetUid: 'uid-s1' as Uid,
    mac: mac(macNumber),
    hostname: `vm-${macNumber}`,
    owner: 'vm/nic "0"',
    labels: { role: 'ünit' },
    options: [{ code: 42, value: '10.0.0.9' }],
    createTime: WHEN,
    createdBy: 'test',
    vouched: false,
    state: 'reserved',
    chainCounter: 3,
    reuseDelayS: 0,
    leaseTimeCeilingS: 0,
    revision: revision as Revision,
  };
}

/** The slot, released. */
export function quarantined(slot: Slot): Slot {
  return {
    ...slot,
    state: 'quarantined',
    releaseTime: (WHEN + 5) as WallTime,
    releasedBy: 'test',
    vouched: true,
    reuseDelayS: 60,
    leaseTimeCeilingS: 3_600,
  };
}

/** The slot's tenure, ended. */
export function ended(slot: Slot): EndedTenure {
  const { state: _, chainCounter: _1, reuseDelayS: _2, leaseTimeCeilingS: _3, revision: _4, ...tenure } = slot;
  return { ...tenure, endTime: (WHEN + 9) as WallTime };
}

/** Who changed what; the nth millisecond. */
const by = (method: string, met: { readonly uid: Uid; readonly revision: Revision }, n: number, requestId = '') =>
  [method, { caller: 'engine/ü "x"', requestId }, met, (WHEN + n) as WallTime] as const;

/** The event of a network's change from a revision, 0: its creation. */
export function networkEvent(id: string, revision = 0, n = revision): AuditEvent {
  const [before, after] = [revision === 0 ? undefined : network(id, revision), network(id, revision)];
  return auditEvent(...by(before ? 'UpdateNetwork' : 'CreateNetwork', after, n, 'r "1"'), networkChange(before, after));
}

/** An event of every kind, each of another millisecond. */
export function eventsOfAllKinds(): readonly AuditEvent[] {
  const fence = { reason: 'pulled its plug', by: 'me', time: WHEN };
  const bare: Subnet = {
    ...subnet('s2'),
    mtu: 1_500,
    routes: [{ destination: subnet('s1').cidr, nextHop: address(9) }],
  };
  const served = {
    ...network('red', 7),
    placements: [{ hostId: 'h1' as HostId, hostUid: 'u' as Uid, epoch: 1, since: WHEN }],
  };
  const slot = reservation('red', 7, 7, 1);
  const reserved = { uid: slot.reservationId as string as Uid, revision: slot.revision };
  const released = { ...quarantined(slot), vouched: false };
  return [
    networkEvent('red'),
    auditEvent(...by('CreateSubnet', network('red', 1), 1), subnetChange(networkId('red'), undefined, subnet('s1'))),
    auditEvent(...by('UpdateSubnet', network('red', 2), 2), subnetChange(networkId('red'), subnet('s1'), bare)),
    auditEvent(...by('FenceHost', host('h1', 1), 3), hostChange(host('h1', 1), { ...host('h1', 1), fence })),
    auditEvent(...by('DeleteHost', host('h1', 2), 4), hostChange({ ...host('h1', 2), fence }, undefined)),
    auditEvent(...by('UpdateReservation', reserved, 5), tenureChange(slot, { ...slot, hostname: '', options: [] })),
    auditEvent(...by('RebalancePlacements', served, 6), placementsChange(network('red', 6), served)),
    auditEvent(...by('ReleaseAddress', { ...reserved, revision: 2 as Revision }, 7), vouchChange(released)),
  ];
}

/** Everything an async iterable yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
