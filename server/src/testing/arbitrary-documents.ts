// Documents as a store may hold them, for properties: every field with anything that it may be.

import type { Cidr, Ipv4, Mac } from '@leasehold/proto/values';
import fc from 'fast-check';
import {
  type AuditEvent,
  hostChange,
  inAuditOrder,
  networkChange,
  placementsChange,
  subnetChange,
  tenureChange,
  vouchChange,
} from '../domain/audit.js';
import { CONFLICT_KINDS, type Conflict } from '../domain/conflict.js';
import type { Attachment, Host } from '../domain/host.js';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../domain/ids.js';
import type { DhcpOption, Mark, Network, Subnet } from '../domain/network.js';
import { makeReservationId } from '../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../domain/slot.js';
import type { Documents } from '../ports/transfer.js';

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const count = fc.nat();
// The first millisecond of 1970 is no time of ours: rows of the embedded store say by it that there is none.
const time = fc.integer({ min: 1, max: 253_402_300_799_999 }) as fc.Arbitrary<WallTime>;
const uid = fc.uuid() as fc.Arbitrary<unknown> as fc.Arbitrary<Uid>;
const id = <T extends string>() =>
  fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/) as fc.Arbitrary<unknown> as fc.Arbitrary<T>;
const ipv4 = fc.nat({ max: 0xffffffff }) as fc.Arbitrary<Ipv4>;
const mac = fc
  .tuple(fc.nat({ max: 127 }), fc.array(fc.nat({ max: 255 }), { minLength: 5, maxLength: 5 }))
  .map(([first, rest]) => [2 * first, ...rest].map((byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac)
  .filter((each) => each !== '00:00:00:00:00:00');
const cidr = fc.tuple(fc.integer({ min: 1, max: 32 }), ipv4).map(([prefixLength, address]): Cidr => {
  return { base: ((address & (0xffffffff << (32 - prefixLength))) >>> 0) as Ipv4, prefixLength };
});
const labels = fc.dictionary(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,9}$/), text, {
  noNullPrototype: true,
  maxKeys: 3,
});
const options: fc.Arbitrary<DhcpOption[]> = fc.array(fc.record({ code: fc.nat({ max: 255 }), value: text }), {
  maxLength: 2,
});
const ranges = fc.array(fc.record({ first: ipv4, last: ipv4 }), { maxLength: 2 });
const revision = fc.integer({ min: 1 }) as fc.Arbitrary<Revision>;

/** A record, some of whose fields may be absent. */
function some<T extends object, O extends object>(always: Arbitraries<T>, sometimes: Arbitraries<O>) {
  return fc
    .tuple(fc.record(always), fc.record(sometimes, { requiredKeys: [] }))
    .map(([a, b]) => ({ ...a, ...b }) as T & Partial<O>);
}
type Arbitraries<T> = { [K in keyof T]: fc.Arbitrary<T[K]> };

const subnet: fc.Arbitrary<Subnet> = some(
  {
    subnetId: id<SubnetId>(),
    uid,
    cidr,
    dnsServers: fc.array(ipv4, { maxLength: 2 }),
    ntpServers: fc.array(ipv4, { maxLength: 2 }),
    domainName: text,
    domainSearch: fc.array(text, { maxLength: 2 }),
    routes: fc.array(fc.record({ destination: cidr, nextHop: ipv4 }), { maxLength: 2 }),
    options,
    leaseTimeS: count,
    leaseTimeCeilingS: count,
    reuseDelayS: count,
    allocationRanges: ranges,
    excludedRanges: ranges,
    labels,
    createTime: time,
    updateTime: time,
    createdBy: text,
  },
  { gateway: ipv4, mtu: count, probeBeforeUse: fc.constant(true as const) },
);

const served = { hostId: id<HostId>(), hostUid: uid, epoch: count, since: time };
const mark: fc.Arbitrary<Mark> = fc.record({
  operationId: text,
  subnetId: id<SubnetId>(),
  forbidden: fc.oneof(ranges, fc.constant('all' as const)),
  since: time,
});

/** Networks, and tombstones. */
export const arbitraryNetwork: fc.Arbitrary<Network> = some(
  {
    networkId: id<NetworkId>(),
    uid,
    displayName: text,
    ipamEnabled: fc.boolean(),
    dhcpServerCount: count,
    labels,
    createTime: time,
    updateTime: time,
    createdBy: text,
    subnets: fc.array(subnet, { maxLength: 2 }),
    placements: fc.array(fc.record(served), { maxLength: 2 }),
    formerServers: fc.array(
      some(
        { ...served, counter: count, authorityCeilingS: count },
        { silentForS: count, fenced: fc.constant(true as const) },
      ),
      { maxLength: 2 },
    ),
    placementCounter: count,
    holderEpoch: count,
    revision,
  },
  { mark, deleted: fc.constant(true as const) },
);

const attachment: fc.Arbitrary<Attachment> = some(
  { networkId: id<NetworkId>(), interface: text },
  { foreignServers: fc.array(some({ address: ipv4 }, { mac }), { minLength: 1, maxLength: 2 }) },
);

/** Hosts. */
export const arbitraryHost: fc.Arbitrary<Host> = some(
  {
    hostId: id<HostId>(),
    uid,
    managed: fc.boolean(),
    maintenance: fc.boolean(),
    labels,
    failureDomain: text,
    backend: text,
    agentVersion: text,
    attachments: fc.array(attachment, { maxLength: 2 }),
    createTime: time,
    updateTime: time,
    revision,
  },
  { heardEpoch: count, silentForS: count, fence: fc.record({ reason: text, by: text, time }) },
);

const request: fc.Arbitrary<RequestKey> = fc.record({
  caller: text,
  rpc: fc.constantFrom('ReserveAddress', 'ReleaseAddress'),
  id: text,
  contentHash: text,
});

const conflict: fc.Arbitrary<Conflict> = fc.record({
  time,
  kind: fc.constantFrom(...CONFLICT_KINDS),
  sourceMac: mac,
  hostId: id<HostId>(),
});

const tenure: fc.Arbitrary<Tenure> = some(
  {
    reservationId: text as fc.Arbitrary<unknown> as fc.Arbitrary<ReservationId>,
    networkId: id<NetworkId>(),
    address: ipv4,
    subnetId: id<SubnetId>(),
    subnetUid: uid,
    mac,
    hostname: text,
    owner: text,
    labels,
    options,
    createTime: time,
    createdBy: text,
    vouched: fc.constantFrom('no', 'at once', 'later'),
  },
  { request, releaseTime: time, releasedBy: text, releaseRequest: request, conflict },
).map(({ vouched, ...each }) => ({
  ...each,
  vouched: vouched !== 'no',
  ...(vouched === 'later' && { vouchedLater: true as const }),
}));

/** Slots. */
export const arbitrarySlot: fc.Arbitrary<Slot> = fc
  .tuple(
    tenure,
    some(
      {
        state: fc.constantFrom('reserved' as const, 'quarantined' as const),
        chainCounter: count,
        reuseDelayS: count,
        leaseTimeCeilingS: count,
        revision,
      },
      { chainSoFar: fc.constantFrom('vouched' as const, 'unvouched' as const) },
    ),
  )
  .map(([a, b]) => ({ ...a, ...b }));
/** Ended tenures. */
export const arbitraryEnded: fc.Arbitrary<EndedTenure> = fc
  .tuple(tenure, time)
  .map(([a, endTime]) => ({ ...a, endTime }));

/** Audit events of every kind. */
export const arbitraryAudit: fc.Arbitrary<AuditEvent> = fc
  .tuple(
    some({ eventId: fc.uuid(), time, caller: text, method: text }, { requestId: text }),
    fc.oneof(
      fc.tuple(fc.option(arbitraryNetwork, { nil: undefined }), arbitraryNetwork).map((each) => networkChange(...each)),
      fc.tuple(subnet, fc.option(subnet, { nil: undefined })).map((each) => subnetChange('n' as NetworkId, ...each)),
      fc.tuple(arbitraryHost, fc.option(arbitraryHost, { nil: undefined })).map((each) => hostChange(...each)),
      fc.tuple(tenure, tenure).map((each) => tenureChange(...each)),
      tenure.map(vouchChange),
      fc.tuple(arbitraryNetwork, arbitraryNetwork).map((each) => placementsChange(...each)),
    ),
  )
  .map(([deed, change]) => ({ ...deed, ...change }));

/** Everything that a store may hold together, as an import is given it. */
export const arbitraryStore: fc.Arbitrary<readonly Documents[]> = fc
  .record({
    networks: fc.uniqueArray(arbitraryNetwork, { selector: ({ networkId }) => networkId, maxLength: 4 }),
    hosts: fc.uniqueArray(arbitraryHost, { selector: ({ hostId }) => hostId, maxLength: 4 }),
    slots: fc.array(fc.tuple(arbitrarySlot, fc.nat()), { maxLength: 20 }),
    history: fc.array(arbitraryEnded, { maxLength: 20 }),
    audit: fc.array(arbitraryAudit, { maxLength: 8 }),
  })
  .map(({ networks, hosts, slots, history, audit }) => [
    { kind: 'networks', documents: fitNetworks(networks) },
    { kind: 'hosts', documents: byKey(hosts, ({ hostId }) => hostId) },
    { kind: 'slots', documents: fitSlots(networks, slots) },
    { kind: 'history', documents: byKey(history.map(named), ({ reservationId }) => reservationId) },
    { kind: 'audit', documents: audit.toSorted(inAuditOrder) },
  ]);

/** What the store above is of. */
export const ARBITRARY_IDENTITY = {
  storeUid: 'e5a3',
  incarnation: 4,
  authorityS: 3_600,
  authorityCeilingS: 86_400,
  holderEpoch: Number.MAX_SAFE_INTEGER,
};

function fitNetworks(networks: readonly Network[]): readonly Network[] {
  const subnets = new Set<string>();
  const fitting = networks.map((network) => ({
    ...network,
    placementCounter: Number.MAX_SAFE_INTEGER,
    subnets: network.subnets.filter(({ subnetId }) => !subnets.has(subnetId) && subnets.add(subnetId)),
  }));
  return byKey(fitting, ({ networkId }) => networkId);
}

/** Most of them in the networks that are there; one RESERVED slot of a MAC in each, and requests of their own. */
function fitSlots(networks: readonly Network[], slots: readonly (readonly [Slot, number])[]): readonly Slot[] {
  const macs = new Set<string>();
  const fitting = slots.map(([slot, n], i): Slot => {
    const { networkId = slot.networkId } = networks[n % (networks.length + 1)] ?? {};
    const key = `${networkId} ${slot.mac}`;
    const isFree = !macs.has(key) && networks.some((network) => network.networkId === networkId);
    if (slot.state === 'reserved' && isFree) macs.add(key);
    const { request, releaseRequest } = slot;
    return named({
      ...slot,
      networkId,
      state: slot.state === 'reserved' && isFree ? 'reserved' : 'quarantined',
      ...(request ? { request: { ...request, id: `${request.id}-${i}` } } : {}),
      ...(releaseRequest ? { releaseRequest: { ...releaseRequest, id: `${releaseRequest.id}+${i}` } } : {}),
    });
  });
  return byKey(fitting, ({ networkId, address }) => `${networkId} ${address.toString(16).padStart(8, '0')}`);
}

let drawn = 0;

function named<T extends Tenure>(tenure: T): T {
  const bytes = (length: number) => Buffer.from(String(++drawn).padStart(length));
  return { ...tenure, reservationId: makeReservationId(tenure.networkId, tenure.address, { random: () => 0, bytes }) };
}

function byKey<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  const keyed = new Map(items.map((item) => [keyOf(item), item]));
  return [...keyed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
