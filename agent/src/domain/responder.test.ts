import type { AssignedSubnet, TableEntry } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4, type Mac, parseIpv4 } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { MESSAGE_TYPE, OPTION } from './dhcp/codes.js';
import { type DhcpMessage, decode } from './dhcp/message.js';
import { addresses, u8, u16, u32 } from './dhcp/option-values.js';
import { respond } from './responder.js';
import type { Standing } from './standing.js';
import { NetworkTable } from './table.js';

const KNOWN = '02:00:00:00:00:01' as Mac;
const UNKNOWN = '02:00:00:00:00:99' as Mac;
const OURS = '169.254.7.9';

function ip(text: string): Ipv4 {
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

function tableWith(subnet: Partial<AssignedSubnet> = {}, entry: Partial<TableEntry> = {}): NetworkTable {
  const table = new NetworkTable();
  const assigned = table.assign({
    networkUid: 'u',
    serviceAddress: OURS,
    subnets: [
      {
        subnetId: 'red-1',
        cidr: '10.0.0.0/24',
        gateway: '10.0.0.1',
        dnsServers: ['10.0.0.2', '10.0.0.3'],
        ntpServers: ['10.0.0.4'],
        domainName: 'example.org',
        domainSearch: ['a.example.org'],
        mtu: 1_400,
        routes: [],
        options: [{ code: 66, value: 'subnet' }],
        leaseSeconds: 3_600,
        ...subnet,
      },
    ],
  });
  const replaced = table.replace([
    { reservationId: 'r1', address: '10.0.0.10', mac: KNOWN, hostname: 'vm1', options: [], ...entry },
  ]);
  if (!assigned.ok || !replaced.ok) throw new Error('bad fixture');
  return table;
}

interface Said {
  readonly mac?: Mac;
  readonly ciaddr?: string;
  readonly giaddr?: string;
  readonly flags?: number;
  readonly op?: 'request' | 'reply';
  readonly serverId?: string;
  readonly requested?: string;
  readonly more?: readonly (readonly [number, Uint8Array])[];
}

function message(type: keyof typeof MESSAGE_TYPE, said: Said = {}): DhcpMessage {
  const options = new Map<number, Uint8Array>([[OPTION.messageType, u8(MESSAGE_TYPE[type])]]);
  if (said.serverId) options.set(OPTION.serverId, u32(ip(said.serverId)));
  if (said.requested) options.set(OPTION.requestedAddress, u32(ip(said.requested)));
  for (const [code, value] of said.more ?? []) options.set(code, value);
  return {
    op: said.op ?? 'request',
    xid: 0xdeadbeef,
    flags: said.flags ?? 0,
    ciaddr: ip(said.ciaddr ?? '0.0.0.0'),
    yiaddr: 0 as Ipv4,
    siaddr: 0 as Ipv4,
    giaddr: ip(said.giaddr ?? '0.0.0.0'),
    mac: said.mac ?? KNOWN,
    options,
  };
}

/** An answer in short: `ack 10.0.0.10 to broadcast`, `nak to broadcast after 1000`, `silence behind`. */
function shown(request: DhcpMessage, standing: Standing = 'synchronised', table = tableWith()): string {
  const answer = respond(request, table, standing);
  if (answer.kind === 'silence') return `silence ${answer.reason}`;
  const { yiaddr } = replyTo(request, standing, table);
  const to = answer.destination === 'broadcast' ? 'broadcast' : formatIpv4(answer.destination);
  const given = yiaddr === 0 ? '' : ` ${formatIpv4(yiaddr)}`;
  return `${answer.type}${given} to ${to}${answer.delayMs ? ` after ${answer.delayMs}` : ''}`;
}

function replyTo(request: DhcpMessage, standing: Standing = 'synchronised', table = tableWith()): DhcpMessage {
  const answer = respond(request, table, standing);
  if (answer.kind === 'silence') throw new Error(answer.reason);
  const decoded = decode(answer.bytes);
  if (!decoded.ok) throw new Error(decoded.reason);
  return decoded.message;
}

const option = (reply: DhcpMessage, code: number) => {
  const value = reply.options.get(code);
  return value && [...value];
};

describe('REQUEST in each state', () => {
  const selecting = (requested: string) => ({ serverId: OURS, requested });
  const rebooting = (requested: string) => ({ requested });
  const renewing = (ciaddr: string) => ({ ciaddr });

  test.each<[string, Said, string, string]>([
    ['SELECTING, right', selecting('10.0.0.10'), 'ack 10.0.0.10 to broadcast', 'ack 10.0.0.10 to broadcast'],
    ['SELECTING, wrong', selecting('10.0.0.11'), 'nak to broadcast after 1000', 'silence behind'],
    [
      'SELECTING, other server',
      { serverId: '10.0.0.5', requested: '10.0.0.10' },
      'silence other-server',
      'silence other-server',
    ],
    [
      'SELECTING, other server, wrong',
      { serverId: '10.0.0.5', requested: '10.0.0.11' },
      'silence other-server',
      'silence other-server',
    ],
    ['SELECTING, no address', { serverId: OURS }, 'silence no-address', 'silence no-address'],
    ['INIT-REBOOT, right', rebooting('10.0.0.10'), 'ack 10.0.0.10 to broadcast', 'ack 10.0.0.10 to broadcast'],
    ['INIT-REBOOT, wrong', rebooting('10.0.0.11'), 'nak to broadcast after 1000', 'silence behind'],
    ['INIT-REBOOT, other network', rebooting('192.168.1.5'), 'nak to broadcast after 1000', 'silence behind'],
    [
      'RENEWING and REBINDING, right',
      renewing('10.0.0.10'),
      'ack 10.0.0.10 to 10.0.0.10',
      'ack 10.0.0.10 to 10.0.0.10',
    ],
    ['RENEWING and REBINDING, wrong', renewing('10.0.0.11'), 'nak to broadcast after 1000', 'silence behind'],
    ['no address at all', {}, 'silence no-address', 'silence no-address'],
  ])('%s', (_state, said, synchronised, behind) => {
    expect(shown(message('request', said), 'synchronised')).toBe(synchronised);
    expect(shown(message('request', said), 'behind')).toBe(behind);
    expect(shown(message('request', said), 'silent')).toBe('silence no-authority');
    expect(shown(message('request', { ...said, mac: UNKNOWN }))).toBe('silence unknown-mac');
    expect(shown(message('request', { ...said, giaddr: '10.0.0.1' }))).toBe('silence relayed');
  });

  test('an option of a wrong length is no address and no server of ours', () => {
    const short = (code: number) => message('request', { ciaddr: '10.0.0.10', more: [[code, u16(1)]] });
    expect(shown(short(OPTION.requestedAddress))).toBe('silence no-address');
    expect(shown(short(OPTION.serverId))).toBe('silence other-server');
  });
});

describe('the other messages', () => {
  test.each<[string, DhcpMessage, string, string]>([
    ['DISCOVER', message('discover'), 'offer 10.0.0.10 to broadcast', 'offer 10.0.0.10 to broadcast after 1000'],
    [
      'DISCOVER that wishes',
      message('discover', { requested: '10.0.0.77' }),
      'offer 10.0.0.10 to broadcast',
      'offer 10.0.0.10 to broadcast after 1000',
    ],
    ['INFORM', message('inform', { ciaddr: '10.0.0.10' }), 'inform to 10.0.0.10', 'inform to 10.0.0.10'],
    [
      'INFORM with another address',
      message('inform', { ciaddr: '10.0.0.11' }),
      'silence wrong-address',
      'silence wrong-address',
    ],
    ['INFORM without', message('inform'), 'silence no-address', 'silence no-address'],
    ['RELEASE', message('release', { ciaddr: '10.0.0.10', serverId: OURS }), 'silence release', 'silence release'],
    ['DECLINE', message('decline', { requested: '10.0.0.10', serverId: OURS }), 'silence decline', 'silence decline'],
    [
      'DECLINE of another address',
      message('decline', { requested: '10.0.0.11', serverId: OURS }),
      'silence wrong-address',
      'silence wrong-address',
    ],
    [
      'DECLINE to another server',
      message('decline', { requested: '10.0.0.10', serverId: '169.254.9.9' }),
      'silence other-server',
      'silence other-server',
    ],
    ['OFFER', message('offer'), 'silence unknown-type', 'silence unknown-type'],
    ['BOOTP', { ...message('discover'), options: new Map() }, 'silence unknown-type', 'silence unknown-type'],
    ['a reply', message('discover', { op: 'reply' }), 'silence not-a-request', 'silence not-a-request'],
    ['relayed', message('discover', { giaddr: '10.9.9.9' }), 'silence relayed', 'silence relayed'],
    ['unknown MAC', message('discover', { mac: UNKNOWN }), 'silence unknown-mac', 'silence unknown-mac'],
  ])('%s', (_what, request, synchronised, behind) => {
    expect(shown(request, 'synchronised')).toBe(synchronised);
    expect(shown(request, 'behind')).toBe(behind);
    expect(shown(request, 'silent')).toMatch(/^silence/);
  });

  test('RELEASE and DECLINE leave the reservation: the next DISCOVER gets the same', () => {
    const table = tableWith();
    shown(message('release', { ciaddr: '10.0.0.10', serverId: OURS }), 'synchronised', table);
    shown(message('decline', { requested: '10.0.0.10', serverId: OURS }), 'synchronised', table);
    expect(shown(message('discover'), 'synchronised', table)).toBe('offer 10.0.0.10 to broadcast');
  });

  test('before an assignment nobody is answered', () => {
    expect(shown(message('discover'), 'synchronised', new NetworkTable())).toBe('silence unassigned');
  });
});

describe('replies', () => {
  test('xid, flags and chaddr are echoed, siaddr and giaddr are 0', () => {
    expect(replyTo(message('request', { ciaddr: '10.0.0.10', flags: 0x8000 }))).toMatchObject({
      op: 'reply',
      xid: 0xdeadbeef,
      flags: 0x8000,
      mac: KNOWN,
      ciaddr: ip('10.0.0.10'),
      yiaddr: ip('10.0.0.10'),
      siaddr: 0,
      giaddr: 0,
    });
  });

  test('without a parameter list all settings are told', () => {
    const reply = replyTo(message('discover'));
    expect(Object.fromEntries([...reply.options].map(([code, value]) => [code, [...value]]))).toEqual({
      1: [255, 255, 255, 0],
      3: [10, 0, 0, 1],
      6: [10, 0, 0, 2, 10, 0, 0, 3],
      12: [...Buffer.from('vm1')],
      15: [...Buffer.from('example.org')],
      26: [5, 120],
      28: [10, 0, 0, 255],
      42: [10, 0, 0, 4],
      51: [0, 0, 14, 16],
      53: [2],
      54: [169, 254, 7, 9],
      58: [0, 0, 7, 8],
      59: [0, 0, 7, 233],
      66: [...Buffer.from('subnet')],
      119: [...Buffer.from('\x01a\x07example\x03org\x00', 'latin1')],
    });
  });

  test('with a parameter list only what it names is told, beside what every lease needs', () => {
    const list = Uint8Array.of(28, 3, 3, 200, 82, 51);
    const reply = replyTo(message('discover', { more: [[OPTION.parameterList, list]] }));
    expect([...reply.options.keys()]).toEqual([53, 54, 51, 58, 59, 1, 28, 3]);
  });

  test.each([120, 121, 3_600, 604_800])('of a lease of %i s, 0 < T1 < T2 < lease', (leaseSeconds) => {
    const reply = replyTo(message('discover'), 'synchronised', tableWith({ leaseSeconds }));
    const seconds = (code: number) => Buffer.from(option(reply, code) ?? []).readUInt32BE(0);
    expect(seconds(51)).toBe(leaseSeconds);
    expect(seconds(58)).toBe(Math.floor(leaseSeconds / 2));
    expect(seconds(59)).toBeGreaterThan(seconds(58));
    expect(seconds(59)).toBeLessThan(leaseSeconds);
  });

  test('with routes, option 121 repeats the default route and makes the server reachable', () => {
    const table = tableWith({ routes: [{ destination: '192.168.0.0/16', nextHop: '10.0.0.254' }] });
    expect(option(replyTo(message('discover'), 'synchronised', table), 121)).toEqual([
      ...[32, 169, 254, 7, 9, 0, 0, 0, 0],
      ...[16, 192, 168, 10, 0, 0, 254],
      ...[0, 10, 0, 0, 1],
    ]);
  });

  test('with routes and no gateway, no default route is told', () => {
    const table = tableWith({ gateway: '', routes: [{ destination: '192.168.0.0/16', nextHop: '10.0.0.254' }] });
    const reply = replyTo(message('discover'), 'synchronised', table);
    expect(option(reply, 121)).toHaveLength(16);
    expect(reply.options.has(OPTION.router)).toBe(false);
  });

  test("a reservation's options win over its subnet's", () => {
    const table = tableWith(
      {},
      {
        options: [
          { code: 66, value: 'own' },
          { code: 67, value: 'boot' },
        ],
      },
    );
    const reply = replyTo(message('discover'), 'synchronised', table);
    expect(option(reply, 66)).toEqual([...Buffer.from('own')]);
    expect(option(reply, 67)).toEqual([...Buffer.from('boot')]);
  });

  test.each(['discover', 'request', 'inform'] as const)('the client id of a %s is echoed, option 82 is not', (type) => {
    const more = [
      [OPTION.clientId, Uint8Array.of(1, 2, 3)],
      [82, Uint8Array.of(1, 1, 1)],
    ] as const;
    const reply = replyTo(message(type, { ciaddr: '10.0.0.10', more }));
    expect(option(reply, OPTION.clientId)).toEqual([1, 2, 3]);
    expect(reply.options.has(82)).toBe(false);
  });

  test('a NAK gives no address and no setting', () => {
    const reply = replyTo(message('request', { requested: '10.0.0.99', more: [[OPTION.clientId, Uint8Array.of(1)]] }));
    expect(reply).toMatchObject({ yiaddr: 0, ciaddr: 0 });
    expect([...reply.options.keys()]).toEqual([53, 54, 56, 61]);
  });

  test('an INFORM is told settings, no lease and no address', () => {
    const reply = replyTo(message('inform', { ciaddr: '10.0.0.10' }));
    expect(reply).toMatchObject({ yiaddr: 0, ciaddr: ip('10.0.0.10') });
    expect(option(reply, OPTION.messageType)).toEqual([MESSAGE_TYPE.ack]);
    for (const code of [51, 58, 59]) expect(reply.options.has(code)).toBe(false);
    expect(option(reply, OPTION.dnsServers)).toEqual([...addresses([ip('10.0.0.2'), ip('10.0.0.3')])]);
  });

  const long = { options: [17, 66, 67, 100, 101, 209, 210, 252].map((code) => ({ code, value: 'x'.repeat(200) })) };

  test.each([
    ['no limit told', [], {}, 548],
    ['576', [[57, u16(576)]], {}, 548],
    ['1500', [[57, u16(1_500)]], { mtu: 0 }, 1_472],
    ['65535, on an MTU of 1000', [[57, u16(65_535)]], { mtu: 1_000 }, 972],
    ['less than allowed', [[57, u16(100)]], {}, 548],
  ] as const)('the size of a reply keeps to the limit: %s', (_what, more, subnet, most) => {
    const answer = respond(message('discover', { more }), tableWith({ ...long, ...subnet }), 'synchronised');
    if (answer.kind === 'silence') throw new Error(answer.reason);
    expect(answer.bytes.length).toBeLessThanOrEqual(most);
    // Not one more of the options of 202 bytes would fit.
    expect(answer.bytes.length).toBeGreaterThan(most - 202);
    expect(answer.leftOut).not.toEqual([]);
  });

  test('what does not fit is left out from the end: lease, netmask, router and DNS are always told', () => {
    const reply = replyTo(message('discover'), 'synchronised', tableWith(long));
    for (const code of [53, 54, 51, 58, 59, 1, 3, 6]) expect(reply.options.has(code)).toBe(true);
  });
});
