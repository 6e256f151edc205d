import { describe, expect, test } from 'vitest';
import { makeError } from '../../errors.js';
import type { Host } from '../../hosts.js';
import type { Network } from '../../networks.js';
import type { Placement } from '../../placements.js';
import type { Reservation } from '../../reservations.js';
import type { Status } from '../../status.js';
import type { Subnet } from '../../subnets.js';
import { examine, type Seen, unreachable } from './checks.js';

const NOON = new Date('2026-01-02T12:00:00.000Z');
const NOW_MS = NOON.getTime() + 600_000;
const LONG_AGO = NOON;
const JUST_NOW = new Date(NOW_MS - 5_000);

const status: Status = {
  version: '0.1.0',
  server: 's1',
  startTime: NOON,
  store: { kind: 'embedded', uid: 'u', incarnation: 1, breaker: 'unknown', unavailableSince: undefined },
  holder: { server: 's1', epoch: 1, isSelf: true, advertise: '', agentAdvertise: '' },
  brakes: [],
  insecureListeners: ['127.0.0.1:7067', 'unix:/run/leasehold.sock'],
  counts: undefined,
  authoritySeconds: 86_400,
  time: undefined,
  certificateEndTime: undefined,
};

const host: Host = {
  hostId: 'h1',
  uid: 'u',
  liveness: 'up',
  managed: true,
  maintenance: false,
  failureDomain: '',
  labels: {},
  attachments: [{ networkId: 'red', interface: 'br0', ready: true, reason: '', foreignDhcpServers: [] }],
  backend: 'builtin',
  agentVersion: '0.1.0',
  lastHeartbeatTime: NOON,
  breaker: 'closed',
  fence: undefined,
  etag: '',
  createTime: NOON,
  updateTime: NOON,
};

const network: Network = {
  networkId: 'red',
  uid: 'u',
  displayName: '',
  ipamEnabled: true,
  dhcpServerCount: 2,
  labels: {},
  etag: '',
  status: { subnets: 1, serversWanted: 2, serversServing: 2, shortSince: undefined, shortReason: '' },
  createTime: NOON,
  updateTime: NOON,
  createdBy: '',
};

const subnet = {
  subnetId: 'red-a',
  networkId: 'red',
  usage: { capacity: 100, reserved: 10, quarantined: 0, free: 90 },
} as unknown as Subnet;

const placement: Placement = {
  networkId: 'red',
  hostId: 'h1',
  epoch: 1,
  state: 'serving',
  pendingChanges: 0,
  syncedTime: NOON,
  since: LONG_AGO,
};

const reservation = { address: '10.0.0.7', subnetId: 'red-a', mac: '52:54:00:00:00:01' } as unknown as Reservation;

const ok = <T>(value: T) => ({ ok: true as const, value });

const well: Seen = {
  nowMs: NOW_MS,
  servers: [{ name: 'a:7067', status: ok(status) }],
  ownCertificateEnd: undefined,
  status,
  hosts: ok([host]),
  networks: ok([network]),
  subnets: ok([subnet]),
  placements: ok([placement]),
  reservations: ok([reservation]),
  staleSince: undefined,
};

/** What is found besides that an area is well, as one line each. */
function found(seen: Partial<Seen>): string[] {
  return examine({ ...well, ...seen })
    .filter(({ severity }) => severity !== 'ok')
    .map(({ check, severity, about }) => `${severity}: ${check}: ${about}`);
}

const withHost = (changes: Partial<Host>) => found({ hosts: ok([{ ...host, ...changes }]) });
const withNetwork = (changes: Partial<Network>) => found({ networks: ok([{ ...network, ...changes }]) });
const withStatus = (changes: Partial<Status>) => {
  const changed = { ...status, ...changes };
  return found({ status: changed, servers: [{ name: 'a:7067', status: ok(changed) }] });
};
const withUsage = (reserved: number, quarantined: number) =>
  found({
    subnets: ok([{ ...subnet, usage: { capacity: 100, reserved, quarantined, free: 100 - reserved - quarantined } }]),
  });

test('an installation that is well has a line for each area and nothing else', () => {
  expect(examine(well).map(({ severity, about, what }) => `${severity} ${about}: ${what}`)).toEqual([
    'ok server: Leasehold 0.1.0, s1, answers',
    'ok store: embedded, usable',
    'ok holder: s1 leads',
    'ok brakes: none is engaged',
    'ok hosts: 1 of 1 are up',
    'ok networks: 1, none short of DHCP servers',
    'ok placements: 1, all confirmed',
    'ok subnets: 1, the fullest is red-a with 10 %',
    'ok reservations: no conflict is known',
  ]);
});

describe('a host', () => {
  test.each<[string, Partial<Host>, string[]]>([
    ['that is down', { liveness: 'down' }, ['problem: host-down: host h1']],
    [
      'that is down in maintenance',
      { liveness: 'down', maintenance: true },
      ['warning: host-down: host h1', 'note: host-maintenance: host h1'],
    ],
    [
      'that is down and fenced',
      { liveness: 'down', fence: { reason: 'r', fencedBy: 'x', time: NOON } },
      ['note: host-fenced: host h1'],
    ],
    ['that is silent', { liveness: 'suspect' }, ['warning: host-suspect: host h1']],
    ['not heard yet', { liveness: 'unknown' }, ['warning: host-unknown: host h1']],
    ['with an open breaker', { breaker: 'open' }, ['warning: host-breaker: host h1']],
    ['that is not managed', { managed: false, maintenance: true }, ['note: host-unmanaged: host h1']],
    ['of another version', { agentVersion: '0.0.9' }, ['note: host-version: host h1']],
    [
      'whose interface is down and whose network has a foreign server',
      {
        attachments: [
          {
            networkId: 'red',
            interface: 'br0',
            ready: false,
            reason: 'br0 is down',
            foreignDhcpServers: [{ address: '10.0.0.9', mac: '' }],
          },
        ],
      },
      ['problem: foreign-dhcp: network red', 'warning: attachment: host h1'],
    ],
  ])('%s', (_, changes, expected) => {
    expect(withHost(changes)).toEqual(expected);
  });

  test('that there is none is a warning', () => {
    expect(found({ hosts: ok([]) })).toEqual(['warning: hosts-none: hosts']);
  });
});

describe('a network', () => {
  const short = { subnets: 1, serversWanted: 2, serversServing: 1, shortSince: NOON, shortReason: 'One host is down' };

  test('short of a server is a warning that says why, one without any a problem', () => {
    expect(withNetwork({ status: short })).toEqual(['warning: network-short: network red']);
    expect(withNetwork({ status: { ...short, serversServing: 0 } })).toEqual(['problem: network-short: network red']);
    const [finding] = examine({ ...well, networks: ok([{ ...network, status: short }]) }).filter(
      ({ check }) => check === 'network-short',
    );
    expect(finding?.what).toBe('1 of 2 DHCP servers since 2026-01-02T12:00:00Z: One host is down');
  });

  test('that nobody shall serve is worth a note', () => {
    expect(withNetwork({ ipamEnabled: false })).toEqual(['note: network-disabled: network red']);
    const empty = { subnets: 0, serversWanted: 0, serversServing: 0, shortSince: undefined, shortReason: '' };
    expect(withNetwork({ status: empty })).toEqual(['note: network-empty: network red']);
    expect(withNetwork({ dhcpServerCount: 0 })).toEqual(['note: network-unserved: network red']);
  });
});

test.each<[number, number, string[]]>([
  [79, 0, []],
  [40, 40, ['warning: subnet-full: subnet red-a']],
  [94, 0, ['warning: subnet-full: subnet red-a']],
  [0, 95, ['problem: subnet-full: subnet red-a']],
  [100, 0, ['problem: subnet-full: subnet red-a']],
])('a subnet with %i reserved and %i quarantined of a hundred addresses', (reserved, quarantined, expected) => {
  expect(withUsage(reserved, quarantined)).toEqual(expected);
});

describe('the server', () => {
  const store = { kind: 'mongodb', uid: 'u', incarnation: 1, unavailableSince: undefined };

  test('whose store is away, or may be', () => {
    expect(withStatus({ store: { ...store, breaker: 'open', unavailableSince: NOON } })).toEqual([
      'problem: store-away: store mongodb',
    ]);
    expect(found({ staleSince: NOON })).toEqual(['problem: store-away: store embedded']);
    expect(withStatus({ store: { ...store, breaker: 'open' } })).toEqual(['problem: store-breaker: store mongodb']);
    expect(withStatus({ store: { ...store, breaker: 'half-open' } })).toEqual([
      'warning: store-breaker: store mongodb',
    ]);
  });

  const inDays = (days: number) => new Date(NOW_MS + days * 86_400_000);

  test.each([
    [15, undefined],
    [14, 'warning'],
    [3, 'warning'],
    [2, 'problem'],
    [-1, 'problem'],
  ])('whose certificate ends in %i days, or ours, is a %s', (days, severity) => {
    const expected = (line: string) => (severity === undefined ? [] : [`${severity}: ${line}`]);
    expect(withStatus({ certificateEndTime: inDays(days) })).toEqual(
      expected('server-certificate: certificate of the server'),
    );
    expect(found({ ownCertificateEnd: inDays(days) })).toEqual(expected('own-certificate: own certificate'));
  });

  test('of several are looked at each by itself', () => {
    const error = makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message: 'No connection' });
    const other = { ...status, certificateEndTime: inDays(-1), store: { ...store, breaker: 'open' as const } };
    const servers = [
      { name: 'a:7067', status: ok(status) },
      { name: 'b:7067', status: ok({ ...other, insecureListeners: ['0.0.0.0:7067'] }) },
      { name: 'c:7067', status: { ok: false as const, error } },
    ];
    expect(found({ servers })).toEqual([
      'warning: listener-insecure: listener 0.0.0.0:7067 of b:7067',
      'problem: server-certificate: certificate of b:7067',
      'problem: server-unreachable: server c:7067',
      'problem: store-breaker: store mongodb of b:7067',
    ]);
    const { what } = examine({ ...well, servers: servers.slice(0, 1).concat(servers.slice(0, 1)) })[0] ?? {};
    expect(what).toBe('all 2 answer');
  });

  test('without a holder', () => {
    expect(withStatus({ holder: undefined })).toEqual(['problem: holder-missing: holder']);
  });

  test('that listens to the network without TLS', () => {
    expect(withStatus({ insecureListeners: ['127.0.0.1:7067', '0.0.0.0:7069', '[::]:7067'] })).toEqual([
      'warning: listener-insecure: listener 0.0.0.0:7069',
      'warning: listener-insecure: listener [::]:7067',
    ]);
  });

  test.each<[string, Date, string]>([
    ['START', JUST_NOW, 'note'],
    ['START', LONG_AGO, 'problem'],
    ['STALL', JUST_NOW, 'warning'],
    ['BUDGET', LONG_AGO, 'problem'],
    ['MASS_SILENCE', JUST_NOW, 'problem'],
    ['HOLD_STILL', JUST_NOW, 'problem'],
    ['NEWER_KIND', JUST_NOW, 'warning'],
  ])('with the brake %s engaged since %s is a %s', (kind, since, severity) => {
    expect(withStatus({ brakes: [{ kind, reason: 'Why', since }] })).toEqual([`${severity}: brake: brake ${kind}`]);
  });
});

test('a placement that nobody confirms is a warning, one that is former a note', () => {
  const assigned = { ...placement, state: 'assigned' as const };
  expect(found({ placements: ok([assigned]) })).toEqual(['warning: placement-unconfirmed: host h1']);
  expect(found({ placements: ok([{ ...assigned, since: JUST_NOW }]) })).toEqual([]);
  expect(found({ placements: ok([{ ...placement, state: 'former' }]) })).toEqual([
    'note: placement-former: host h1 in red',
  ]);
});

test('a conflict is a warning; too many reservations to look at is said', () => {
  const conflict = { time: NOON, kind: 'address-in-use', sourceMac: '52:54:00:00:00:09', hostId: 'h1' } as const;
  expect(found({ reservations: ok([{ ...reservation, conflict }]) })).toEqual(['warning: conflict: 10.0.0.7 of red-a']);
  const released = { ...conflict, kind: 'released' } as const;
  expect(found({ reservations: ok([{ ...reservation, conflict: released }]) })).toEqual([]);
  expect(examine({ ...well, reservations: undefined }).at(-1)?.what).toContain('too many');
});

test('what cannot be read is a problem, and says so', () => {
  const error = makeError({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', message: 'The store is away' });
  expect(found({ hosts: { ok: false, error }, reservations: { ok: false, error } })).toEqual([
    'problem: hosts-unread: hosts',
    'problem: reservations-unread: reservations',
  ]);
});

test('every warning and every problem says what to do next', () => {
  const ill = {
    ...status,
    certificateEndTime: NOON,
    holder: undefined,
    insecureListeners: ['0.0.0.0:1'],
    brakes: ['START', 'STALL', 'STORE', 'MASS_SILENCE', 'BUDGET', 'HOLD_STILL', 'X'].map((kind) => ({
      kind,
      reason: '',
      since: NOON,
    })),
  };
  const everything: Seen = {
    ...well,
    servers: [{ name: 'a:7067', status: ok(ill) }],
    ownCertificateEnd: NOON,
    status: ill,
    hosts: ok([
      { ...host, liveness: 'down', breaker: 'open' },
      { ...host, liveness: 'suspect' },
    ]),
    networks: ok([
      { ...network, status: { subnets: 1, serversWanted: 1, serversServing: 0, shortSince: NOON, shortReason: '' } },
    ]),
    staleSince: NOON,
  };
  const error = makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message: 'No connection (ECONNREFUSED)' });
  const findings = [...examine(everything), ...unreachable({ name: 'a:7067', status: { ok: false, error } }, false)];
  const silent = findings.filter(({ severity, next }) => (severity === 'warning' || severity === 'problem') && !next);
  expect(silent).toEqual([]);
});
