import { TableDigest } from '@leasehold/proto/digest';
import { type AssignedSubnet, type Assignment, TableEntry } from '@leasehold/proto/ipam/v1/session';
import { type Ipv4, type Mac, parseIpv4 } from '@leasehold/proto/values';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NetworkTable } from './table.js';

const SUBNET: AssignedSubnet = {
  subnetId: 'red-1',
  cidr: '10.0.0.0/24',
  gateway: '10.0.0.1',
  dnsServers: [],
  ntpServers: [],
  domainName: '',
  domainSearch: [],
  mtu: 0,
  routes: [],
  options: [],
  leaseSeconds: 3_600,
};

const assignment = (...subnets: Partial<AssignedSubnet>[]): Assignment => ({
  networkUid: 'uid-1',
  serviceAddress: '169.254.7.9',
  subnets: subnets.map((subnet) => ({ ...SUBNET, ...subnet })),
});

const entry = (n: number, host: number, more: Partial<TableEntry> = {}): TableEntry =>
  TableEntry.fromPartial({ reservationId: `r${n}`, address: `10.0.0.${host}`, mac: mac(n), ...more });

const mac = (n: number) => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac;

function ip(text: string): Ipv4 {
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

function tableOf(...entries: TableEntry[]): NetworkTable {
  const table = new NetworkTable();
  expect(table.assign(assignment({}))).toEqual(DONE);
  expect(table.replace(entries)).toEqual(DONE);
  return table;
}

/** What the digest must be by T3, from scratch. */
function digestOf(table: NetworkTable): Buffer {
  const digest = new TableDigest();
  if (table.assignment) digest.addAssignment(table.assignment);
  for (const each of table.entries()) digest.addEntry(each);
  return digest.bytes();
}

const contents = (table: NetworkTable) => [...table.entries()].map((e) => `${e.reservationId} ${e.address} ${e.mac}`);

const DONE = { ok: true, value: undefined };

describe('assign', () => {
  test.each<[string, Assignment]>([
    ['no network uid', { ...assignment({}), networkUid: '' }],
    ['the metadata service as its service address', { ...assignment({}), serviceAddress: '169.254.169.254' }],
    ['a service address that is not link-local', { ...assignment({}), serviceAddress: '10.0.0.1' }],
    ['the broadcast address as its service address', { ...assignment({}), serviceAddress: '169.254.255.255' }],
    ['overlapping subnets', assignment({}, { subnetId: 'red-2', cidr: '10.0.0.128/25', gateway: '' })],
    ['a subnet id of other letters', assignment({ subnetId: 'Red\n' })],
    ['host bits', assignment({ cidr: '10.0.0.7/24' })],
    ['a netmask where a prefix length is canonical', assignment({ cidr: '10.0.0.0/255.255.255.0' })],
    ['a prefix of 31 bits', assignment({ cidr: '10.0.0.0/31', gateway: '' })],
    ['a gateway outside', assignment({ gateway: '10.0.1.1' })],
    ['the network address as gateway', assignment({ gateway: '10.0.0.0' })],
    ['the broadcast address as gateway', assignment({ gateway: '10.0.0.255' })],
    ['a DNS server by name', assignment({ dnsServers: ['dns.example'] })],
    ['nine DNS servers', assignment({ dnsServers: Array(9).fill('10.0.0.2') })],
    ['an NTP server with a leading zero', assignment({ ntpServers: ['10.0.0.02'] })],
    ['a domain with a newline', assignment({ domainName: 'example.org\n' })],
    ['a domain in upper case', assignment({ domainName: 'Example.org' })],
    ['an empty search domain', assignment({ domainSearch: [''] })],
    ['an MTU of 575', assignment({ mtu: 575 })],
    ['a default route among the routes', assignment({ routes: [{ destination: '0.0.0.0/0', nextHop: '10.0.0.2' }] })],
    ['a next hop outside', assignment({ routes: [{ destination: '10.9.0.0/16', nextHop: '10.9.0.1' }] })],
    ['a lease time by option', assignment({ options: [{ code: 51, value: '7' }] })],
    ['one option twice', assignment({ options: ['a', 'b'].map((value) => ({ code: 66, value })) })],
    ['an option in another form', assignment({ options: [{ code: 7, value: '10.0.0.1, 10.0.0.2' }] })],
    ['a lease of 119 s', assignment({ leaseSeconds: 119 })],
    ['a lease of more than 7 days', assignment({ leaseSeconds: 604_801 })],
  ])('%s is refused and changes nothing', (_what, wrong) => {
    const table = tableOf(entry(1, 10));
    const before = table.digest();
    expect(table.assign(wrong)).toMatchObject({ ok: false, problem: expect.stringMatching(/./) });
    expect(table.digest()).toEqual(before);
    expect(table.findByMac(mac(1))).toBeDefined();
  });

  test('again, it replaces the subnets and keeps the entries', () => {
    const table = tableOf(entry(1, 10));
    expect(table.assign(assignment({ cidr: '10.0.0.0/25', leaseSeconds: 7_200 }))).toEqual(DONE);
    expect(table.findByMac(mac(1))?.subnet.leaseSeconds).toBe(7_200);
    expect(table.size).toBe(1);
    expect(table.digest()).toEqual(digestOf(table));
  });

  test("another network's assignment is refused: its table is another one", () => {
    expect(tableOf().assign({ ...assignment({}), networkUid: 'uid-2' })).toMatchObject({ ok: false });
  });

  test('what the caller changes afterwards does not reach the table', () => {
    const table = new NetworkTable();
    const given = assignment({});
    table.assign(given);
    const before = table.digest();
    given.subnets.pop();
    table.assign(assignment({}));
    expect(table.digest()).toEqual(before);
  });
});

describe('replace and apply', () => {
  test.each<[string, TableEntry]>([
    ['no reservation id', entry(1, 10, { reservationId: '' })],
    ['an address with a leading zero', entry(1, 10, { address: '10.0.0.010' })],
    ['a MAC in upper case', entry(1, 10, { mac: '02:00:00:00:00:AA' })],
    ['a multicast MAC', entry(1, 10, { mac: '03:00:00:00:00:01' })],
    ['a host name with a newline', entry(1, 10, { hostname: 'a\n*:*:*:*:*:*' })],
    ['a host name that is a setting', entry(1, 10, { hostname: 'infinite' })],
    ['an option of the exchange', entry(1, 10, { options: [{ code: 54, value: '10.0.0.9' }] })],
  ])('an entry with %s is refused, and nothing of its batch is taken', (_what, wrong) => {
    const table = tableOf(entry(5, 50));
    const before = table.digest();
    expect(table.replace([entry(2, 20), wrong])).toMatchObject({ ok: false });
    expect(
      table.apply({ put: [entry(2, 20), wrong], remove: [{ address: '10.0.0.50', reservationId: 'r5' }] }),
    ).toMatchObject({
      ok: false,
    });
    expect(contents(table)).toEqual(contents(tableOf(entry(5, 50))));
    expect(table.digest()).toEqual(before);
  });

  test('a removal with a bad address is refused, and the puts beside it are not taken', () => {
    const table = tableOf();
    expect(table.apply({ put: [entry(1, 10)], remove: [{ address: 'x', reservationId: 'r' }] })).toMatchObject({
      ok: false,
    });
    expect(table.size).toBe(0);
  });

  test.each([
    ['address', [entry(1, 10), entry(2, 10)]],
    ['MAC', [entry(1, 10), entry(1, 11)]],
  ])('a whole table with one %s twice is refused', (_what, entries) => {
    expect(tableOf().replace(entries)).toMatchObject({ ok: false });
  });

  test('a removal of another tenure than the one in the table removes nothing', () => {
    const table = tableOf(entry(1, 10));
    table.apply({ put: [], remove: [{ address: '10.0.0.10', reservationId: 'older' }] });
    expect(table.size).toBe(1);
    table.apply({ put: [], remove: [{ address: '10.0.0.10', reservationId: 'r1' }] });
    expect(table.size).toBe(0);
  });

  test('removals come first: an address goes from one MAC to another in one delta', () => {
    const table = tableOf(entry(1, 10));
    table.apply({ put: [entry(2, 10)], remove: [{ address: '10.0.0.10', reservationId: 'r1' }] });
    expect(contents(table)).toEqual([`r2 10.0.0.10 ${mac(2)}`]);
    expect(table.findByMac(mac(1))).toBeUndefined();
  });

  test('a put takes the place of the entry at its address', () => {
    const table = tableOf(entry(1, 10));
    table.apply({ put: [entry(2, 10)], remove: [] });
    expect(contents(table)).toEqual([`r2 10.0.0.10 ${mac(2)}`]);
    expect(table.findByMac(mac(1))).toBeUndefined();
  });

  test('a MAC that is put at another address loses the one it had', () => {
    const table = tableOf(entry(1, 10));
    table.apply({ put: [entry(1, 11, { reservationId: 'r9' })], remove: [] });
    expect(contents(table)).toEqual([`r9 10.0.0.11 ${mac(1)}`]);
  });

  test('T2 and T3 hold after any changes', () => {
    const small = fc.integer({ min: 1, max: 4 });
    const put = fc.tuple(small, small).map(([n, host]) => entry(n, host + 9, { reservationId: `r${n}-${host}` }));
    const removal = fc
      .tuple(small, small)
      .map(([n, host]) => ({ address: `10.0.0.${host + 9}`, reservationId: `r${n}-${host}` }));
    const delta = fc.record({ put: fc.array(put, { maxLength: 3 }), remove: fc.array(removal, { maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(delta, { maxLength: 8 }), (deltas) => {
        const table = tableOf();
        for (const each of deltas) table.apply(each);
        const entries = [...table.entries()];
        expect(new Set(entries.map((e) => e.address)).size).toBe(entries.length);
        expect(new Set(entries.map((e) => e.mac)).size).toBe(entries.length);
        for (const each of entries) expect(table.findByMac(each.mac as Mac)?.entry.address).toBe(ip(each.address));
        expect(table.digest()).toEqual(digestOf(table));
      }),
    );
  });

  test('what entries() gives makes an equal table', () => {
    const one = tableOf(entry(1, 10, { hostname: 'vm1', options: [{ code: 66, value: 'tftp' }] }), entry(2, 20));
    const two = tableOf(...one.entries());
    expect(two.digest()).toEqual(one.digest());
    expect([...two.entries()]).toEqual([...one.entries()]);
  });
});

describe('findByMac', () => {
  test('an entry in no subnet is kept, unanswered, until a subnet holds it', () => {
    const table = tableOf(entry(1, 10, { address: '10.0.9.10' }));
    expect(table.size).toBe(1);
    expect(table.findByMac(mac(1))).toBeUndefined();
    table.assign(assignment({}, { subnetId: 'red-9', cidr: '10.0.9.0/24', gateway: '' }));
    expect(table.findByMac(mac(1))?.subnet.subnetId).toBe('red-9');
  });

  test.each(['10.0.0.0', '10.0.0.1', '10.0.0.255'])('%s is never answered: no guest may have it', (address) => {
    expect(tableOf(entry(1, 10, { address })).findByMac(mac(1))).toBeUndefined();
  });

  test('without an assignment nobody is answered', () => {
    const table = new NetworkTable();
    table.replace([entry(1, 10)]);
    expect(table.findByMac(mac(1))).toBeUndefined();
    expect(table.assignment).toBeUndefined();
    expect(table.serviceAddress).toBeUndefined();
  });
});
