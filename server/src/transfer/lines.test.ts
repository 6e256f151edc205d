import type { Cidr, Ipv4, Mac } from '@leasehold/proto/values';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../domain/ids.js';
import type { DhcpOption, Mark, Network, Subnet } from '../domain/network.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../domain/slot.js';
import { type Line, printLine, readLine } from './lines.js';

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const count = fc.nat();
const time = fc.integer({ min: 0, max: 253_402_300_799_999 }) as fc.Arbitrary<WallTime>;
const uid = fc.uuid() as fc.Arbitrary<string> as fc.Arbitrary<Uid>;
const id = <T extends string>() =>
  fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/) as fc.Arbitrary<string> as fc.Arbitrary<T>;
const ipv4 = fc.nat({ max: 0xffffffff }) as fc.Arbitrary<Ipv4>;
const mac = fc
  .tuple(fc.nat({ max: 127 }), fc.array(fc.nat({ max: 255 }), { minLength: 5, maxLength: 5 }))
  .map(([first, rest]) => [2 * first, ...rest].map((byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac)
  .filter((each) => each !== '00:00:00:00:00:00');
const cidr = fc.tuple(fc.integer({ min: 1, max: 32 }), ipv4).map(([prefixLength, address]): Cidr => {
  return { base: ((address & (0xffffffff << (32 - prefixLength))) >>> 0) as Ipv4, prefixLength };
});
const labels = fc.dictionary(text, text, { noNullPrototype: true, maxKeys: 3 });
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
  { gateway: ipv4, mtu: count },
);

const served = { hostId: id<HostId>(), hostUid: uid, epoch: count, since: time };
const mark: fc.Arbitrary<Mark> = fc.record({
  operationId: text,
  subnetId: id<SubnetId>(),
  forbidden: fc.oneof(ranges, fc.constant('all' as const)),
  since: time,
});

const network: fc.Arbitrary<Network> = some(
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
    formerServers: fc.array(fc.record({ ...served, counter: count, authorityCeilingS: count }), { maxLength: 2 }),
    placementCounter: count,
    holderEpoch: count,
    revision,
  },
  { mark, deleted: fc.constant(true as const) },
);

const host: fc.Arbitrary<Host> = fc.record({
  hostId: id<HostId>(),
  uid,
  managed: fc.boolean(),
  maintenance: fc.boolean(),
  labels,
  failureDomain: text,
  backend: text,
  agentVersion: text,
  attachments: fc.array(fc.record({ networkId: id<NetworkId>(), interface: text }), { maxLength: 2 }),
  createTime: time,
  updateTime: time,
  revision,
});

const request: fc.Arbitrary<RequestKey> = fc.record({
  caller: text,
  rpc: fc.constantFrom('ReserveAddress', 'ReleaseAddress'),
  id: text,
  contentHash: text,
});

const tenure: fc.Arbitrary<Tenure> = some(
  {
    reservationId: text as fc.Arbitrary<string> as fc.Arbitrary<ReservationId>,
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
    vouched: fc.boolean(),
  },
  { request, releaseTime: time, releasedBy: text, releaseRequest: request },
);

const slot: fc.Arbitrary<Slot> = fc
  .tuple(
    tenure,
    fc.record({
      state: fc.constantFrom('reserved', 'quarantined'),
      chainCounter: count,
      reuseDelayS: count,
      leaseTimeCeilingS: count,
      revision,
    }),
  )
  .map(([a, b]) => ({ ...a, ...b }));
const ended: fc.Arbitrary<EndedTenure> = fc.tuple(tenure, time).map(([a, endTime]) => ({ ...a, endTime }));

const line: fc.Arbitrary<Line> = fc.oneof(
  network.map((content): Line => ({ kind: 'network', content })),
  host.map((content): Line => ({ kind: 'host', content })),
  slot.map((content): Line => ({ kind: 'slot', content })),
  ended.map((content): Line => ({ kind: 'ended', content })),
);

function problemOf(printed: string): string {
  const read = readLine(printed);
  return read.ok ? 'it was read' : read.problem;
}

describe('a line', () => {
  test('reads back as what was printed, on one line', () => {
    fc.assert(
      fc.property(line, (each) => {
        const printed = printLine(each);
        expect(printed).not.toContain('\n');
        expect(readLine(printed)).toEqual({ ok: true, value: each });
      }),
    );
  });

  test('makes objects whose fields come in the order of the documents, on which etags rest', () => {
    fc.assert(
      fc.property(network, (content) => {
        const read = readLine(printLine({ kind: 'network', content }));
        const subnets = (value: Network) => value.subnets.map(({ cidr: c, routes, options: o }) => [c, routes, o]);
        expect(JSON.stringify(read.ok && subnets(read.value.content as Network))).toBe(
          JSON.stringify(subnets(content)),
        );
      }),
    );
  });

  test('with any field taken out is refused, or means that the field is empty', () => {
    fc.assert(
      fc.property(line, fc.nat(), (each, n) => {
        const members = Object.entries(JSON.parse(printLine(each)) as object)[0] as [string, object];
        const names = Object.keys(members[1]);
        const gone = names[n % names.length] as string;
        const rest = Object.fromEntries(Object.entries(members[1]).filter(([name]) => name !== gone));
        const read = readLine(JSON.stringify({ [members[0]]: rest }));
        if (read.ok) expect(Object.keys(JSON.parse(printLine(read.value))[members[0]] as object)).not.toContain(gone);
        else expect(read.problem).toBe(`${members[0]}: field ${gone} is missing`);
      }),
    );
  });

  const SLOT = printLine({ kind: 'slot', content: fc.sample(slot, { seed: 1, numRuns: 1 })[0] as Slot });
  const changed = (change: (slot: Record<string, unknown>) => void) => {
    const { slot: content } = JSON.parse(SLOT) as { slot: Record<string, unknown> };
    change(content);
    return JSON.stringify({ slot: content });
  };

  test.each([
    ['no JSON', '{"slot":', 'not a line of JSON: the file is damaged'],
    ['nothing', '', 'not a line of JSON: the file is damaged'],
    ['a number', '7', 'expected an object with one of leasehold_export, network, host, slot, ended, end'],
    ['an unknown kind', '{"slott":{}}', 'expected an object with one of'],
    ['two kinds', '{"slot":{},"ended":{}}', 'expected an object with one of'],
    ['no content', '{"slot":null}', 'slot: expected an object, not "null"'],
    ['an unknown field', changed((each) => Object.assign(each, { colour: 'red' })), 'slot: unknown field "colour"'],
    ['a MAC in capitals', changed((each) => Object.assign(each, { mac: '52:54:00:AA:BB:CC' })), 'slot.mac: '],
    ['a MAC of a group', changed((each) => Object.assign(each, { mac: '01:54:00:aa:bb:cc' })), 'slot.mac: '],
    ['an address that is none', changed((each) => Object.assign(each, { address: '10.0.0.256' })), 'slot.address: '],
    ['an address as a number', changed((each) => Object.assign(each, { address: 7 })), 'slot.address: expected a text'],
    ['an id that is none', changed((each) => Object.assign(each, { network_id: 'a b' })), 'slot.network_id: '],
    [
      'a time without its zone',
      changed((each) => Object.assign(each, { create_time: '2026-01-01' })),
      'slot.create_time: ',
    ],
    [
      'a state that is none',
      changed((each) => Object.assign(each, { state: 'free' })),
      'slot.state: expected "reserved" or',
    ],
    ['a revision of nothing', changed((each) => Object.assign(each, { revision: 0 })), 'slot.revision: '],
    ['half a number', changed((each) => Object.assign(each, { chain_counter: 0.5 })), 'slot.chain_counter: '],
    [
      'labels that are no texts',
      changed((each) => Object.assign(each, { labels: { a: 1 } })),
      'slot.labels: "a" is "1"',
    ],
    ['a list that is none', changed((each) => Object.assign(each, { options: {} })), 'slot.options: expected a list'],
    [
      'an option without its value',
      changed((each) => Object.assign(each, { options: [{ code: 7 }] })),
      'slot.options.[0]: field value is missing',
    ],
    [
      'a header of a newer format, whatever else is in it',
      '{"leasehold_export":{"version":2,"new":true}}',
      'the export was made by a newer leasehold-server (format 2, this one knows 1): import it with that one',
    ],
  ])('is refused with %s', (_, printed, problem) => {
    expect(problemOf(printed)).toContain(problem);
  });
});
