import { createHash } from 'node:crypto';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { type AuditEvent, networkChange } from '../domain/audit.js';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import { makeReservationId } from '../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot } from '../domain/slot.js';
import type { Documents } from '../ports/transfer.js';
import { ExportPrinter } from './export.js';
import { Ledger } from './ledger.js';

const WHEN = 1_700_000_000_000 as WallTime;
const IDENTITY = { storeUid: 'u', incarnation: 1, authorityS: 60, authorityCeilingS: 60, holderEpoch: 5 };
let drawn = 0;
const entropy = { random: () => 0, bytes: (length: number) => Buffer.alloc(length, ++drawn) };

const NETWORK: Network = {
  networkId: 'red' as NetworkId,
  uid: 'u-red' as Uid,
  displayName: '',
  ipamEnabled: true,
  dhcpServerCount: 1,
  labels: {},
  createTime: WHEN,
  updateTime: WHEN,
  createdBy: 'test',
  subnets: [],
  placements: [],
  formerServers: [],
  placementCounter: 3,
  holderEpoch: 5,
  revision: 1 as Revision,
};

const SUBNET: Subnet = {
  subnetId: 'red-a' as SubnetId,
  uid: 'u-red-a' as Uid,
  cidr: { base: 0x0a000000 as Ipv4, prefixLength: 24 },
  dnsServers: [],
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

const network = (id: string, more: Partial<Network> = {}): Network => ({
  ...NETWORK,
  networkId: id as NetworkId,
  ...more,
});

function host(id: string): Host {
  return {
    ...{ hostId: id as HostId, uid: 'u' as Uid, managed: true, maintenance: false, labels: {}, failureDomain: '' },
    ...{ backend: '', agentVersion: '', attachments: [], createTime: WHEN, updateTime: WHEN, revision: 1 as Revision },
  };
}

function slot(networkId: string, n: number, mac: number, more: Partial<Slot> = {}): Slot {
  const address = (0x0a000000 + n) as Ipv4;
  return {
    reservationId: makeReservationId(networkId as NetworkId, address, entropy),
    networkId: networkId as NetworkId,
    address,
    subnetId: 'red-a' as SubnetId,
    subnetUid: 'u-red-a' as Uid,
    mac: `52:54:00:00:00:${String(mac).padStart(2, '0')}` as Mac,
    hostname: '',
    owner: '',
    labels: {},
    options: [],
    createTime: WHEN,
    createdBy: 'test',
    vouched: false,
    state: 'reserved',
    chainCounter: 0,
    reuseDelayS: 0,
    leaseTimeCeilingS: 0,
    revision: 1 as Revision,
    ...more,
  };
}

function ended({ state: _, chainCounter: _1, reuseDelayS: _2, leaseTimeCeilingS: _3, revision: _4, ...tenure }: Slot) {
  return { ...tenure, endTime: WHEN } satisfies EndedTenure;
}

function deed(eventId: string, n: number): AuditEvent {
  const change = networkChange(undefined, NETWORK);
  return { eventId, time: (WHEN + n) as WallTime, caller: 'me', method: 'CreateNetwork', ...change };
}

const SAME = makeReservationId('red' as NetworkId, 0x0a000001 as Ipv4, entropy);

const request = (id: string): RequestKey => ({ caller: 'c', rpc: 'ReserveAddress', id, contentHash: 'h' });

/** An export, as lines. */
function exported(content: {
  readonly networks?: readonly Network[];
  readonly hosts?: readonly Host[];
  readonly slots?: readonly Slot[];
  readonly history?: readonly EndedTenure[];
  readonly audit?: readonly AuditEvent[];
}): string[] {
  const printer = new ExportPrinter(IDENTITY, WHEN);
  for (const [kind, documents] of Object.entries(content)) printer.add({ kind, documents } as Documents);
  printer.end();
  return printer.take().trimEnd().split('\n');
}

/** Why lines are refused; undefined: they are a whole export. */
function refusalOf(lines: readonly string[], ledger = new Ledger()): string | undefined {
  for (const line of lines) {
    const taken = ledger.take(line);
    if (!taken.ok) return taken.problem;
  }
  const end = ledger.end();
  return end.ok ? undefined : end.problem;
}

const GOOD = exported({
  networks: [network('blue', { deleted: true }), network('red', { subnets: [SUBNET] }), network('red-b')],
  hosts: [host('h1'), host('h2')],
  slots: [
    slot('blue', 9, 1, { state: 'quarantined' }),
    slot('gone', 9, 1, { state: 'quarantined' }),
    slot('red', 1, 1, { request: request('r1') }),
    slot('red', 2, 2),
    slot('red', 3, 1, { state: 'quarantined' }),
    slot('red-b', 1, 1),
  ],
  history: [ended(slot('blue', 9, 1)), ended(slot('red', 9, 1))],
  audit: [deed('u-red.1', 1), deed('u-red.0', 0)],
});

/** The lines with one of them changed. */
function withLine(number: number, change: (line: string) => string): string[] {
  return GOOD.map((line, i) => (i === number - 1 ? change(line) : line));
}

describe('an export', () => {
  test('that is whole is taken, and counted', () => {
    const ledger = new Ledger();
    expect(refusalOf(GOOD, ledger)).toBeUndefined();
    expect(ledger.counts).toEqual({ networks: 3, hosts: 2, slots: 6, history: 2, audit: 2 });
    expect(ledger.end()).toMatchObject({ ok: true, value: { ...IDENTITY, version: 2 } });
  });

  test('of version 1, which knows no audit events, is taken', () => {
    const lines = GOOD.map((line) => line.replace('"version":2', '"version":1').replace(',"audit":2', ''));
    const whole = lines.filter((line) => !line.startsWith('{"audit"'));
    const sha256 = createHash('sha256')
      .update(
        whole
          .slice(0, -1)
          .map((line) => `${line}\n`)
          .join(''),
      )
      .digest('hex');
    const last = (whole.at(-1) ?? '').replace(/"sha256":"[0-9a-f]+"/, `"sha256":"${sha256}"`);
    const ledger = new Ledger();
    expect(refusalOf([...whole.slice(0, -1), last], ledger)).toBeUndefined();
    expect(ledger.counts).toMatchObject({ history: 2, audit: 0 });
  });

  test('of nothing is one, too', () => {
    expect(refusalOf(exported({}))).toBeUndefined();
  });

  test('that was cut short is refused after its last line, wherever it was cut', () => {
    for (let length = 0; length < GOOD.length; length++) {
      const refusal = refusalOf(GOOD.slice(0, length));
      expect(refusal).toBe(`line ${length + 1}: the file ends before the export does: it was cut short`);
    }
  });

  test('that was cut in the middle of a line is refused at that line', () => {
    const cut = [...GOOD.slice(0, 7), (GOOD[7] as string).slice(0, 40)];
    expect(refusalOf(cut)).toBe('line 8: not a line of JSON: the file is damaged');
  });

  test('with any one character changed is refused, at that line or by the checksum', () => {
    for (const [i, line] of GOOD.entries()) {
      for (let at = 0; at < line.length; at += 3) {
        const other = line[at] === '7' ? '8' : '7';
        const refusal = refusalOf(withLine(i + 1, () => `${line.slice(0, at)}${other}${line.slice(at + 1)}`));
        expect(Number(/^line (\d+): /.exec(refusal ?? '')?.[1])).toBeGreaterThanOrEqual(i + 1);
      }
    }
  });

  test('with a line taken out, put in twice, or moved is refused', () => {
    for (let i = 0; i < GOOD.length - 1; i++) {
      expect(refusalOf(GOOD.toSpliced(i, 1))).toMatch(/^line \d+: /);
      expect(refusalOf(GOOD.toSpliced(i, 0, GOOD[i] as string))).toMatch(/^line \d+: /);
    }
    expect(refusalOf(GOOD.toSpliced(6, 2, GOOD[7] as string, GOOD[6] as string))).toMatch(
      /^line 8: .* is not in its place: lines are in the order of their keys/,
    );
  });

  test.each<readonly [string, readonly string[], string]>([
    ['anything before its header', GOOD.slice(1), 'line 1: expected the header of an export'],
    ['a second header', [GOOD[0] as string, ...GOOD], 'line 2: a header does not come here'],
    ['anything after its end', [...GOOD, GOOD[1] as string], `line ${GOOD.length + 1}: the end came before it`],
    ['a network after a host', GOOD.toSpliced(5, 0, GOOD[1] as string), 'line 6: a network does not come here'],
    [
      'a changed word',
      withLine(10, (line) => line.replace('"test"', '"toast"')),
      `line ${GOOD.length}: the checksum is another`,
    ],
    [
      'a count that is not true',
      withLine(GOOD.length, (line) => line.replace('"slots":6', '"slots":7')),
      'lines are missing',
    ],
    ['a network twice', exported({ networks: [network('red'), network('red')] }), 'line 3: network red comes twice'],
    ['a host twice', exported({ hosts: [host('h'), host('h')] }), 'line 3: host h comes twice'],
    [
      'a subnet in two networks',
      exported({ networks: [network('a', { subnets: [SUBNET] }), network('b', { subnets: [SUBNET] })] }),
      'line 3: subnet red-a comes twice',
    ],
    [
      'an address twice',
      exported({ networks: [network('red')], slots: [slot('red', 1, 1), slot('red', 1, 2)] }),
      'line 4: 10.0.0.1 of network red comes twice',
    ],
    [
      'a MAC with two reservations in a network',
      exported({ networks: [network('red')], slots: [slot('red', 1, 1), slot('red', 2, 1)] }),
      'line 4: 10.0.0.2 of network red: MAC 52:54:00:00:00:01 has another reservation in its network',
    ],
    [
      'a request of two reservations',
      exported({
        networks: [network('red')],
        slots: [slot('red', 1, 1, { request: request('r') }), slot('red', 2, 2, { request: request('r') })],
      }),
      'line 4: 10.0.0.2 of network red: request r made or released another reservation',
    ],
    [
      'a reservation without its network',
      exported({ networks: [network('red')], slots: [slot('blue', 1, 1)] }),
      'line 3: 10.0.0.1 of network blue is reserved in a network that is not there',
    ],
    [
      'a reservation id of another address',
      exported({
        networks: [network('red')],
        slots: [slot('red', 1, 1, { reservationId: slot('red', 2, 1).reservationId })],
      }),
      'line 3: 10.0.0.1 of network red has the reservation id of another address',
    ],
    [
      'a reservation id that is none',
      exported({
        networks: [network('red')],
        history: [ended(slot('red', 1, 1, { reservationId: 'x' as ReservationId }))],
      }),
      'line 3: 10.0.0.1 of network red has the reservation id of another address',
    ],
    [
      'an ended tenure twice',
      exported({
        history: [ended(slot('red', 1, 1, { reservationId: SAME })), ended(slot('red', 1, 1, { reservationId: SAME }))],
      }),
      'line 3: ended tenure',
    ],
    [
      'a holder epoch that was never given',
      exported({ networks: [network('red', { holderEpoch: 6 })] }),
      'line 2: network red was claimed in holder epoch 6, after 5',
    ],
    [
      'a placement that was never made',
      exported({
        networks: [
          network('red', { placements: [{ hostId: 'h' as HostId, hostUid: 'u' as Uid, epoch: 4, since: WHEN }] }),
        ],
      }),
      'line 2: network red has a placement it never made',
    ],
  ])('is refused with %s', (_, lines, problem) => {
    expect(refusalOf(lines)).toContain(problem);
  });

  test('that is read a second time is checked the same but for what comes twice', () => {
    expect(refusalOf(GOOD, new Ledger(false))).toBeUndefined();
    const changed = withLine(10, (line) => line.replace('"test"', '"toast"'));
    expect(refusalOf(changed, new Ledger(false))).toContain('the checksum is another');
  });
});
