// The rules of the RFCs that a server of DHCP has to keep, a test each, from bytes to bytes. Replies are read here by a
// reader of their own, so that what encoder and decoder have wrong in common is seen. At the end: what is departed from
// on purpose, and why.

import { type AssignedSubnet, TableDelta, type TableEntry } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4, type Mac, parseIpv4 } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { MESSAGE_TYPE, OPTION } from './dhcp/codes.js';
import { decode, encode } from './dhcp/message.js';
import { ascii, domainSearch, u8, u16, u32 } from './dhcp/option-values.js';
import { type Reply, respond } from './responder.js';
import type { Standing } from './standing.js';
import { NetworkTable } from './table.js';

const MAC = '02:00:00:00:00:01' as Mac;
const STRANGER = '02:00:00:00:00:99' as Mac;
const OURS = '169.254.7.9';
const ADDRESS = '10.0.0.10';
const NONE = '0.0.0.0';

const SUBNET: AssignedSubnet = {
  subnetId: 'red-a',
  cidr: '10.0.0.0/24',
  gateway: '10.0.0.1',
  dnsServers: ['10.0.0.2', '10.0.0.3'],
  ntpServers: ['10.0.0.4'],
  domainName: 'example.org',
  domainSearch: ['a.example.org', 'example.org'],
  mtu: 1_400,
  routes: [],
  options: [],
  leaseSeconds: 3_600,
};
const ENTRY: TableEntry = { reservationId: 'r1', address: ADDRESS, mac: MAC, hostname: 'vm1', options: [] };

function tableOf(subnets: readonly Partial<AssignedSubnet>[], entries: readonly Partial<TableEntry>[]): NetworkTable {
  const table = new NetworkTable();
  const assigned = table.assign({
    networkUid: 'u',
    serviceAddress: OURS,
    subnets: subnets.map((subnet) => ({ ...SUBNET, ...subnet })),
  });
  const replaced = table.replace(entries.map((entry, n) => ({ ...ENTRY, reservationId: `r${n}`, ...entry })));
  if (!assigned.ok) throw new Error(assigned.problem);
  if (!replaced.ok) throw new Error(replaced.problem);
  return table;
}

const tableWith = (subnet: Partial<AssignedSubnet> = {}, entry: Partial<TableEntry> = {}) => tableOf([subnet], [entry]);

/** What a client says, over zeros. */
interface Said {
  readonly mac?: Mac;
  readonly ciaddr?: string;
  readonly giaddr?: string;
  readonly broadcast?: boolean;
  readonly hops?: number;
  readonly secs?: number;
  readonly serverId?: string;
  readonly requested?: string;
  /** Option 55. */
  readonly list?: readonly number[];
  /** Option 61. */
  readonly clientId?: readonly number[];
  readonly more?: readonly (readonly [number, Uint8Array])[];
}

type Type = keyof typeof MESSAGE_TYPE;

function ip(text: string): Ipv4 {
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

function message(type: Type | number, said: Said): Buffer {
  const options: (readonly [number, Uint8Array])[] = [
    [OPTION.messageType, u8(typeof type === 'number' ? type : MESSAGE_TYPE[type])],
  ];
  if (said.serverId) options.push([OPTION.serverId, u32(ip(said.serverId))]);
  if (said.requested) options.push([OPTION.requestedAddress, u32(ip(said.requested))]);
  if (said.list) options.push([OPTION.parameterList, Uint8Array.from(said.list)]);
  if (said.clientId) options.push([OPTION.clientId, Uint8Array.from(said.clientId)]);
  options.push(...(said.more ?? []));
  const { bytes } = encode(
    {
      op: 'request',
      xid: 0xdeadbeef,
      flags: said.broadcast ? 0x8000 : 0,
      ciaddr: ip(said.ciaddr ?? NONE),
      yiaddr: 0 as Ipv4,
      siaddr: 0 as Ipv4,
      giaddr: ip(said.giaddr ?? NONE),
      mac: said.mac ?? MAC,
      options: new Map(options),
    },
    1_472,
  );
  bytes[3] = said.hops ?? 0;
  bytes.writeUInt16BE(said.secs ?? 0, 8);
  return bytes;
}

/** A reply as its bytes say it, read by nothing of the product. */
interface Told {
  readonly type: number;
  readonly to: string;
  readonly delayMs: number;
  readonly bytes: Buffer;
  /** The fields before the options. */
  readonly head: Readonly<Record<string, string | number>>;
  /** By place, as they stand there: code and value. */
  readonly places: Readonly<Record<'options' | 'file' | 'sname', readonly (readonly [number, Buffer])[]>>;
  /** Codes in the order in which a client reads them, once each, without option 52. */
  readonly codes: readonly number[];
  option(code: number): readonly number[] | undefined;
}

function answer(bytes: Buffer, table: NetworkTable, standing: Standing): Reply | string {
  const decoded = decode(bytes);
  if (!decoded.ok) return decoded.reason;
  const result = respond(decoded.message, table, standing);
  return result.kind === 'reply' ? result : result.reason;
}

/** Why nothing is said. */
function silence(type: Type | number, said: Said = {}, table = tableWith(), standing: Standing = 'synchronised') {
  const reply = answer(message(type, said), table, standing);
  return typeof reply === 'string' ? reply : `answered with ${reply.type}`;
}

function ask(type: Type, said: Said = {}, table = tableWith(), standing: Standing = 'synchronised'): Told {
  const reply = answer(message(type, said), table, standing);
  if (typeof reply === 'string') throw new Error(`Silence: ${reply}`);
  return read(reply);
}

function read({ bytes, destination, delayMs }: Reply): Told {
  const address = (at: number) => formatIpv4(bytes.readUInt32BE(at) as Ipv4);
  const options = place(bytes.subarray(240));
  const overload = options.find(([code]) => code === 52)?.[1][0] ?? 0;
  const places = {
    options,
    file: overload & 1 ? place(bytes.subarray(108, 236)) : [],
    sname: overload & 2 ? place(bytes.subarray(44, 108)) : [],
  };
  const all = [...places.options, ...places.file, ...places.sname].filter(([code]) => code !== 52);
  const option = (code: number) => {
    const parts = all.filter(([each]) => each === code).map(([, part]) => part);
    return parts.length ? [...Buffer.concat(parts)] : undefined;
  };
  return {
    type: option(53)?.[0] ?? 0,
    to: destination === 'broadcast' ? 'broadcast' : formatIpv4(destination),
    delayMs,
    bytes,
    head: {
      op: bytes.readUInt8(0),
      htype: bytes.readUInt8(1),
      hlen: bytes.readUInt8(2),
      hops: bytes.readUInt8(3),
      xid: bytes.readUInt32BE(4),
      secs: bytes.readUInt16BE(8),
      flags: bytes.readUInt16BE(10),
      ciaddr: address(12),
      yiaddr: address(16),
      siaddr: address(20),
      giaddr: address(24),
      chaddr: bytes.toString('hex', 28, 44),
      cookie: bytes.toString('hex', 236, 240),
    },
    places,
    codes: [...new Set(all.map(([code]) => code))],
    option,
  };
}

/** The options of a place; there must be an end, and after it only zeros. */
function place(area: Buffer): readonly (readonly [number, Buffer])[] {
  const options: (readonly [number, Buffer])[] = [];
  let at = 0;
  for (let code = area.readUInt8(at); code !== 255; code = area.readUInt8(at)) {
    const length = code === 0 ? -1 : area.readUInt8(at + 1);
    if (code !== 0) options.push([code, area.subarray(at + 2, at + 2 + length)]);
    at += 2 + length;
  }
  if (area.subarray(at + 1).some((byte) => byte !== 0)) throw new Error('There is something after the end');
  return options;
}

/** Reads option 119 (RFC 3397 §2, RFC 1035 §4.1.4). Pointers must go back. */
function readDomains(bytes: readonly number[]): readonly string[] {
  const name = (from: number): { readonly labels: readonly string[]; readonly next: number } => {
    const length = bytes[from] ?? 0;
    if (length === 0) return { labels: [], next: from + 1 };
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | (bytes[from + 1] ?? 0);
      if (target >= from) throw new Error('A pointer goes on');
      return { labels: name(target).labels, next: from + 2 };
    }
    const rest = name(from + 1 + length);
    return { labels: [text(bytes.slice(from + 1, from + 1 + length)), ...rest.labels], next: rest.next };
  };
  const names: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { labels, next } = name(at);
    names.push(labels.join('.'));
    at = next;
  }
  return names;
}

const text = (bytes: readonly number[] | undefined) => Buffer.from(bytes ?? []).toString('latin1');
const seconds = (bytes: readonly number[] | undefined) => Buffer.from(bytes ?? []).readUInt32BE(0);

const SELECTING: Said = { serverId: OURS, requested: ADDRESS };
const REBOOTING: Said = { requested: ADDRESS };
const RENEWING: Said = { ciaddr: ADDRESS };
const INFORMING: Said = { ciaddr: ADDRESS };
const WRONG: Said = { requested: '10.0.0.11' };

const REPLIES = [
  ['OFFER', 'discover', {}],
  ['ACK', 'request', SELECTING],
  ['ACK of a renewal', 'request', RENEWING],
  ['ACK of an INFORM', 'inform', INFORMING],
  ['NAK', 'request', WRONG],
] as const satisfies readonly (readonly [string, Type, Said])[];

/** Values that fill a reply: eight options of 202 bytes. */
const LONG = [17, 66, 67, 100, 101, 209, 210, 252].map((code) => ({ code, value: `${code} `.padEnd(200, 'x') }));
const MAX_1500 = [OPTION.maxMessageSize, u16(1_500)] as const;

describe('RFC 2131 §2, the message', () => {
  test.each(REPLIES)(
    '§2, §3: an %s has op BOOTREPLY and begins its options with the cookie 99.130.83.99',
    (_, type, said) => {
      expect(ask(type, said).head).toMatchObject({ op: 2, htype: 1, hlen: 6, cookie: '63825363' });
    },
  );

  test.each(REPLIES)(
    '§2: a client must be ready for options of 312 bytes, and an %s without option 57 has no more',
    (_, type, said) => {
      expect(ask(type, said, tableWith({ options: LONG })).bytes.length).toBeLessThanOrEqual(240 + 308);
    },
  );

  test('§2: bits of flags other than BROADCAST must be zero, and those of a client that sets them are no matter', () => {
    const bytes = message('discover', { broadcast: true });
    expect(typeof answer(bytes, tableWith(), 'synchronised')).toBe('object');
  });
});

describe('RFC 2131 §3, the protocol', () => {
  test('§3.1 (2): an OFFER has an available address in yiaddr', () => {
    expect(ask('discover')).toMatchObject({ type: MESSAGE_TYPE.offer, head: { yiaddr: ADDRESS } });
  });

  test('§3.1 (3): a REQUEST to another server declines the OFFER of this one: nothing is said', () => {
    expect(silence('request', { ...SELECTING, serverId: '10.0.0.250' })).toBe('other-server');
  });

  test('§3.1 (4): what an ACK says does not conflict with the OFFER before it', () => {
    const told = (reply: Told) => reply.codes.filter((code) => code !== 53).map((code) => [code, reply.option(code)]);
    expect(told(ask('request', SELECTING))).toEqual(told(ask('discover')));
  });

  test('§3.1 (4): where the ACK cannot be given there is a NAK', () => {
    expect(ask('request', { serverId: OURS, ...WRONG }).type).toBe(MESSAGE_TYPE.nak);
  });

  test('§3.2 (2): a client that reboots gets an ACK without a new OFFER', () => {
    expect(ask('request', REBOOTING)).toMatchObject({ type: MESSAGE_TYPE.ack, head: { yiaddr: ADDRESS } });
  });

  test('§3.2: of another subnet, a client that reboots gets a NAK', () => {
    expect(ask('request', { requested: '192.168.1.5' }).type).toBe(MESSAGE_TYPE.nak);
  });

  test('§3.3: times are seconds relative to now; no lease is for ever (0xffffffff)', () => {
    expect(ask('discover', {}, tableWith({ leaseSeconds: 604_800 })).option(51)).toEqual([0, 9, 58, 128]);
    const table = new NetworkTable();
    const subnets = [{ ...SUBNET, leaseSeconds: 0xffffffff }];
    expect(table.assign({ networkUid: 'u', serviceAddress: OURS, subnets }).ok).toBe(false);
  });

  test('§3.4: a client with an address of its own gets its parameters by an INFORM', () => {
    expect(ask('inform', INFORMING)).toMatchObject({ type: MESSAGE_TYPE.ack, head: { yiaddr: NONE } });
  });

  test('§3.5: parameters that are asked for and not configured are not told', () => {
    const bare = { gateway: '', dnsServers: [], ntpServers: [], domainName: '', domainSearch: [], mtu: 0 };
    const list = [3, 6, 12, 15, 26, 42, 119, 121, 66, 43, 33, 249];
    const reply = ask('discover', { list }, tableWith(bare, { hostname: '' }));
    expect(reply.codes).toEqual([53, 54, 51, 58, 59, 1]);
  });
});

describe('RFC 2131 §4.1, constructing and sending messages', () => {
  test.each(REPLIES)('§4.1: the options of an %s end with option 255, and what follows are zeros', (_, type, said) => {
    expect(() => ask(type, said)).not.toThrow();
  });

  test('§4.1: giaddr 0 and ciaddr set: an ACK is unicast to ciaddr', () => {
    expect(ask('request', RENEWING).to).toBe(ADDRESS);
  });

  test('§4.1: giaddr 0, ciaddr set and the broadcast bit: ciaddr goes before it', () => {
    expect(ask('request', { ...RENEWING, broadcast: true }).to).toBe(ADDRESS);
  });

  test.each([
    ['OFFER', 'discover', {}],
    ['ACK', 'request', SELECTING],
  ] as const)('§4.1: giaddr and ciaddr 0 and the broadcast bit set: an %s is broadcast', (_, type, said) => {
    expect(ask(type, { ...said, broadcast: true }).to).toBe('broadcast');
  });

  test.each([
    ['SELECTING', { serverId: OURS, ...WRONG }],
    ['INIT-REBOOT', WRONG],
    ['RENEWING', { ciaddr: '10.0.0.11' }],
  ])('§4.1: giaddr 0: a NAK is broadcast, in state %s', (_, said) => {
    expect(ask('request', said)).toMatchObject({ type: MESSAGE_TYPE.nak, to: 'broadcast' });
  });

  test.each(REPLIES)('§4.1: an %s has the xid of its request', (_, type, said) => {
    expect(ask(type, said).head['xid']).toBe(0xdeadbeef);
  });

  test('§4.1: a client that may be met by several addresses of a server gets the one it can reach in option 54', () => {
    const codes = REPLIES.map(([, type, said]) => ask(type, said).option(54));
    expect(codes).toEqual(REPLIES.map(() => [169, 254, 7, 9]));
  });

  test('§4.1: options go to sname and file only when option 52 says so', () => {
    const reply = ask('discover');
    expect(reply.places.options.some(([code]) => code === 52)).toBe(false);
    expect(reply.bytes.subarray(44, 236).every((byte) => byte === 0)).toBe(true);
  });
});

describe('RFC 2131 §4.2, server administrative controls', () => {
  test('§4.2: the client identifier is opaque: none, an odd or an empty one change nothing', () => {
    const addresses = [undefined, [], [0], [255, 0, 1], Array<number>(255).fill(255)].map(
      (clientId) => ask('discover', clientId ? { clientId } : {}).head['yiaddr'],
    );
    expect(new Set(addresses)).toEqual(new Set([ADDRESS]));
  });
});

describe('RFC 2131 §4.3.1, DISCOVER', () => {
  test("§4.3.1: the client's address before, and one that it wishes for, are no matter where its address is fixed", () => {
    expect(ask('discover', { requested: '10.0.0.77' }).head['yiaddr']).toBe(ADDRESS);
  });

  test('§4.3.1: an OFFER tells lease time, message type and server identifier', () => {
    const reply = ask('discover');
    expect([51, 53, 54].map((code) => reply.option(code)?.length)).toEqual([4, 1, 4]);
  });

  test('§4.3.1: T1 and T2 are told, 0 < T1 < T2 < lease time', () => {
    const reply = ask('discover', {}, tableWith({ leaseSeconds: 121 }));
    const times = [58, 59, 51].map((code) => seconds(reply.option(code)));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(new Set([0, ...times]).size).toBe(4);
  });

  test('§4.3.1: where the subnet says something, the guest is told that and not a default of the host requirements', () => {
    expect(ask('discover', { list: [26] }, tableWith({ mtu: 9_000 })).option(26)).toEqual([35, 40]);
  });

  test('§4.3.1: parameters of the very client win over those of its subnet', () => {
    const table = tableWith({ options: [{ code: 66, value: 'subnet' }] }, { options: [{ code: 66, value: 'own' }] });
    expect(text(ask('discover', {}, table).option(66))).toBe('own');
  });
});

describe('RFC 2131 §4.3.2, REQUEST', () => {
  test('§4.3.2: SELECTING (option 54, ciaddr 0, option 50 as offered) is answered with the address', () => {
    expect(ask('request', SELECTING)).toMatchObject({ type: MESSAGE_TYPE.ack, head: { yiaddr: ADDRESS } });
  });

  test('§4.3.2: INIT-REBOOT (no option 54, option 50, ciaddr 0) with the right address is answered with it', () => {
    expect(ask('request', REBOOTING)).toMatchObject({ type: MESSAGE_TYPE.ack, head: { yiaddr: ADDRESS } });
  });

  test.each([
    ['on the wrong network', '172.16.0.9'],
    ['with an address that is not its own', '10.0.0.11'],
  ])('§4.3.2: INIT-REBOOT %s gets a NAK', (_, requested) => {
    expect(ask('request', { requested }).type).toBe(MESSAGE_TYPE.nak);
  });

  test('§4.3.2: INIT-REBOOT of a client without a record: the server MUST remain silent', () => {
    expect(silence('request', { ...REBOOTING, mac: STRANGER })).toBe('unknown-mac');
  });

  test('§4.3.2: RENEWING and REBINDING (no options 50 and 54, ciaddr) are answered with ciaddr in yiaddr', () => {
    const { type, head } = ask('request', RENEWING);
    expect({ type, ...head }).toMatchObject({ type: MESSAGE_TYPE.ack, ciaddr: ADDRESS, yiaddr: ADDRESS });
  });

  test('§4.3.2: REBINDING is answered by a server that did not give the lease, if it knows the client', () => {
    const never = tableWith();
    expect(ask('request', RENEWING, never).type).toBe(MESSAGE_TYPE.ack);
  });

  test('§4.3.2: RENEWING with an address that is not its own gets a NAK', () => {
    expect(ask('request', { ciaddr: '10.0.0.11' }).type).toBe(MESSAGE_TYPE.nak);
  });

  test('§4.3.2: a REQUEST that names no address in any field is none of the states', () => {
    expect(silence('request', { serverId: OURS })).toBe('no-address');
    expect(silence('request')).toBe('no-address');
  });
});

describe('RFC 2131 §4.3.3 to §4.3.5, DECLINE, RELEASE, INFORM', () => {
  test('§4.3.3: a DECLINE is not answered', () => {
    expect(silence('decline', SELECTING)).toBe('decline');
  });

  test('§4.3.4: a RELEASE is not answered', () => {
    expect(silence('release', { ...RENEWING, serverId: OURS })).toBe('release');
  });

  test('§4.3.5: the ACK of an INFORM is unicast to ciaddr, also with the broadcast bit', () => {
    expect(ask('inform', { ...INFORMING, broadcast: true }).to).toBe(ADDRESS);
  });

  test('§4.3.5: the ACK of an INFORM has no lease time, no T1, no T2, and yiaddr 0', () => {
    const reply = ask('inform', INFORMING);
    expect([51, 58, 59].map((code) => reply.option(code))).toEqual([undefined, undefined, undefined]);
    expect(reply.head['yiaddr']).toBe(NONE);
  });

  test('§4.3.5: the ACK of an INFORM tells the parameters that are asked for', () => {
    expect(ask('inform', { ...INFORMING, list: [6, 15] }).codes).toEqual([53, 54, 1, 6, 15]);
  });
});

describe('RFC 2131 §4.3.6, table 4: client messages', () => {
  test.each([
    ['INIT-REBOOT: broadcast, option 50, no option 54, ciaddr 0', REBOOTING, 'broadcast'],
    ['SELECTING: broadcast, options 50 and 54, ciaddr 0', SELECTING, 'broadcast'],
    ['RENEWING and REBINDING: no options 50 and 54, ciaddr', RENEWING, ADDRESS],
  ])('%s', (_, said, to) => {
    expect(ask('request', said)).toMatchObject({ type: MESSAGE_TYPE.ack, to, head: { yiaddr: ADDRESS } });
  });
});

describe('RFC 2131 table 3, fields and options of a server', () => {
  const said = { hops: 3, secs: 9, broadcast: true };
  const common = { op: 2, htype: 1, hlen: 6, hops: 0, xid: 0xdeadbeef, secs: 0, siaddr: NONE, flags: 0x8000 };
  const chaddr = '020000000001'.padEnd(32, '0');

  test.each([
    ['OFFER', 'discover', {}, NONE, ADDRESS],
    ['ACK', 'request', SELECTING, NONE, ADDRESS],
    ['ACK of a renewal', 'request', RENEWING, ADDRESS, ADDRESS],
    ['ACK of an INFORM', 'inform', INFORMING, ADDRESS, NONE],
    ['NAK', 'request', WRONG, NONE, NONE],
    ['NAK of a renewal', 'request', { ciaddr: '10.0.0.11' }, NONE, NONE],
  ] as const)('table 3: the fields of an %s', (_, type, state, ciaddr, yiaddr) => {
    const { head } = ask(type, { ...said, ...state });
    expect(head).toEqual({ ...common, giaddr: NONE, chaddr, ciaddr, yiaddr, cookie: '63825363' });
  });

  test.each(REPLIES)('table 3: options 50, 55 and 57 MUST NOT be in an %s', (_, type, state) => {
    const reply = ask(type, { ...state, list: [50, 55, 57, 1, 3], more: [MAX_1500] });
    expect(reply.codes.filter((code) => [50, 55, 57].includes(code))).toEqual([]);
  });

  test.each(REPLIES)('table 3: options 53 and 54 MUST be in an %s', (_, type, state) => {
    expect(ask(type, { ...state, list: [] }).codes.slice(0, 2)).toEqual([53, 54]);
  });

  test('table 3: a NAK has options 53, 54, 56 and 61, all others MUST NOT', () => {
    expect(ask('request', { ...WRONG, clientId: [1, 2], list: [1, 3, 6, 51] }).codes).toEqual([53, 54, 56, 61]);
  });
});

describe('RFC 2132, options', () => {
  const raw = (...options: readonly number[]) =>
    Buffer.concat([message('discover', {}).subarray(0, 240), Buffer.from(options)]);
  const offered = (bytes: Buffer) => {
    const reply = answer(bytes, tableWith(), 'synchronised');
    return typeof reply === 'string' ? reply : reply.type;
  };

  test('§2: options of unknown codes are skipped by their length', () => {
    expect(offered(raw(224, 2, 53, 9, 53, 1, 1, 255))).toBe('offer');
  });

  test('§2: no string ends with a zero byte', () => {
    const reply = ask('discover', {}, tableWith({ options: LONG.slice(0, 1) }));
    for (const code of [12, 15, 17]) expect(reply.option(code)?.at(-1)).not.toBe(0);
  });

  test('§3.1: pad options of one byte are skipped', () => {
    expect(offered(raw(0, 0, 0, 53, 1, 1, 0, 255))).toBe('offer');
  });

  test('§3.2: the end option ends the options, whatever comes after it', () => {
    expect(offered(raw(53, 1, 1, 255, 53, 1, 3, 12, 99))).toBe('offer');
  });

  test.each([
    ['asked for last', [3, 1]],
    ['not asked for', [3]],
  ])('§3.3: the subnet mask comes before the router, %s', (_, list) => {
    const { codes } = ask('discover', { list });
    expect(codes.indexOf(1)).toBeGreaterThanOrEqual(0);
    expect(codes.indexOf(1)).toBeLessThan(codes.indexOf(3));
  });

  test('§3.3: the subnet mask comes before the router where options overflow', () => {
    const { codes } = ask('discover', {}, tableWith({ options: LONG }));
    expect(codes.indexOf(1)).toBeLessThan(codes.indexOf(3));
  });

  test.each([
    ['§3.3', 1, [255, 255, 255, 0]],
    ['§3.5', 3, [10, 0, 0, 1]],
    ['§3.8', 6, [10, 0, 0, 2, 10, 0, 0, 3]],
    ['§3.14', 12, [...Buffer.from('vm1')]],
    ['§3.17', 15, [...Buffer.from('example.org')]],
    ['§5.1', 26, [5, 120]],
    ['§5.3', 28, [10, 0, 0, 255]],
    ['§8.3', 42, [10, 0, 0, 4]],
    ['§9.2', 51, [0, 0, 14, 16]],
    ['§9.6', 53, [2]],
    ['§9.7', 54, [169, 254, 7, 9]],
    ['§9.11', 58, [0, 0, 7, 8]],
    ['§9.12', 59, [0, 0, 7, 233]],
  ])('%s: option %i has the length and the value that it should', (_, code, value) => {
    expect(ask('discover', { list: [code] }).option(code)).toEqual(value);
  });

  test.each([
    ['§3.9', 7, '10.0.0.7,10.0.0.8', [10, 0, 0, 7, 10, 0, 0, 8]],
    ['§3.19', 17, '/srv/root', [...Buffer.from('/srv/root')]],
    ['§8.5', 44, '10.0.0.7', [10, 0, 0, 7]],
    ['§8.7', 46, '8', [8]],
    ['§9.4', 66, 'tftp.example', [...Buffer.from('tftp.example')]],
    ['§9.5', 67, 'pxe/boot.0', [...Buffer.from('pxe/boot.0')]],
    ['RFC 4833 §2', 100, 'CET-1CEST', [...Buffer.from('CET-1CEST')]],
    ['RFC 4833 §2', 101, 'Europe/Vienna', [...Buffer.from('Europe/Vienna')]],
    ['RFC 8910 §2.1', 114, 'https://portal.example/', [...Buffer.from('https://portal.example/')]],
    ['RFC 5859 §2', 150, '10.0.0.7,10.0.0.8', [10, 0, 0, 7, 10, 0, 0, 8]],
    ['RFC 5071 §4', 209, 'linux.cfg', [...Buffer.from('linux.cfg')]],
    ['RFC 5071 §5', 210, '/tftp/', [...Buffer.from('/tftp/')]],
    ['WPAD', 252, 'http://wpad/', [...Buffer.from('http://wpad/')]],
  ])('%s: option %i set by number has the length and the value that it should', (_, code, value, bytes) => {
    const options = [{ code, value }];
    expect(ask('discover', { list: [code] }, tableWith({ options })).option(code)).toEqual(bytes);
    expect(ask('discover', { list: [code] }, tableWith({}, { options })).option(code)).toEqual(bytes);
  });

  test.each([1, 2, 3])('§9.3: the value %i of option 52 says which fields hold options', (fields) => {
    const bytes = raw(52, 1, fields, 53, 1, 1, 255);
    bytes.set([50, 4, 10, 0, 0, 77, 255], 108);
    bytes.set([61, 2, 1, 9, 255], 44);
    const decoded = decode(bytes);
    const has = (code: number) => decoded.ok && decoded.message.options.has(code);
    expect([has(50), has(61)]).toEqual([(fields & 1) !== 0, (fields & 2) !== 0]);
  });

  test.each([0, 4, 255])('§9.3: a message whose option 52 is %i is refused', (fields) => {
    expect(offered(raw(52, 1, fields, 53, 1, 1, 255))).toBe('bad-options');
  });

  test.each([
    ['no byte', []],
    ['two bytes', [1, 1]],
  ])('§9.6: option 53 of %s is no type', (_, value) => {
    expect(offered(raw(53, value.length, ...value, 255))).toBe('unknown-type');
  });

  test('§9.6: a type that no server is asked with is not answered', () => {
    expect([0, 2, 5, 6, 9, 10, 18, 255].map((type) => silence(type))).toEqual(Array(8).fill('unknown-type'));
  });

  test('§9.7: the server identifier is four bytes; any other length is not ours', () => {
    const more = [[OPTION.serverId, u16(1)]] as const;
    expect(silence('request', { requested: ADDRESS, more })).toBe('other-server');
  });

  test('§9.8: options come in the order in which option 55 asks for them', () => {
    expect(ask('discover', { list: [42, 15, 6, 3, 28] }).codes).toEqual([53, 54, 51, 58, 59, 1, 42, 15, 6, 3, 28]);
  });

  test('§9.8: options that option 55 does not ask for are not told, beside those of the lease', () => {
    expect(ask('discover', { list: [6] }).codes).toEqual([53, 54, 51, 58, 59, 1, 6]);
  });

  test('§9.8: an option that is asked for twice is told once', () => {
    expect(ask('discover', { list: [6, 6, 6] }).places.options.filter(([code]) => code === 6)).toHaveLength(1);
  });

  test.each([
    ['not told', undefined, 548],
    ['576, the least that is legal', 576, 548],
    ['below 576, which is not legal', 300, 548],
    ['800', 800, 772],
    ['1500', 1_500, 1_472],
    ['65535, more than the link carries', 65_535, 1_472],
  ])('§9.10: option 57 bounds the datagram with its headers: %s', (_, size, most) => {
    const more = size === undefined ? [] : [[OPTION.maxMessageSize, u16(size)] as const];
    const reply = ask('discover', { more }, tableWith({ mtu: 0, options: LONG }));
    expect(reply.bytes.length).toBeLessThanOrEqual(most);
    // Not one more of 202 bytes would have fitted.
    expect(reply.bytes.length).toBeGreaterThan(most - 202);
  });

  test('§9.3, §9.10: what does not fit into the options goes to file, then sname, and option 52 says so', () => {
    const options = [
      { code: 66, value: 'a'.repeat(200) },
      { code: 67, value: 'b'.repeat(60) },
      { code: 17, value: 'c'.repeat(60) },
      { code: 100, value: 'd'.repeat(50) },
    ];
    const reply = ask('discover', {}, tableWith({ options }));
    expect(reply.places.options.find(([code]) => code === 52)?.[1]).toEqual(Buffer.of(3));
    expect(reply.places.file.map(([code]) => code)).toEqual([67, 17]);
    expect(reply.places.sname.map(([code]) => code)).toEqual([100]);
    expect([66, 67, 17, 100].map((code) => text(reply.option(code)))).toEqual(options.map(({ value }) => value));
  });

  test('§9.10: what fits by no means is left out whole, the least important first', () => {
    const reply = ask('discover', {}, tableWith({ options: LONG }));
    const whole = LONG.filter(({ code }) => reply.option(code));
    expect(whole.map(({ code }) => text(reply.option(code)))).toEqual(whole.map(({ value }) => value));
    expect(reply.codes.slice(0, 6)).toEqual([53, 54, 51, 58, 59, 1]);
    expect([3, 6].every((code) => reply.codes.includes(code))).toBe(true);
  });
});

describe('RFC 3396, long options', () => {
  const search = Array.from({ length: 6 }, (_, i) => `${String(i).repeat(60)}.${'x'.repeat(40 + i)}.example`);

  test('§5: a value over 255 bytes is split into options of the same code, one after the other, all full but the last', () => {
    const reply = ask('discover', { list: [119, 3], more: [MAX_1500] }, tableWith({ mtu: 0, domainSearch: search }));
    const codes = reply.places.options.map(([code]) => code);
    const lengths = reply.places.options.filter(([code]) => code === 119).map(([, part]) => part.length);
    expect(lengths.length).toBeGreaterThan(1);
    expect(lengths.slice(0, -1).every((length) => length === 255)).toBe(true);
    expect(codes.lastIndexOf(119) - codes.indexOf(119)).toBe(lengths.length - 1);
  });

  test('§7: the parts together are the value', () => {
    const reply = ask('discover', { list: [119], more: [MAX_1500] }, tableWith({ mtu: 0, domainSearch: search }));
    expect(readDomains(reply.option(119) ?? [])).toEqual(search);
  });

  test('§7: the parts of an option of a client are joined, through options, file and sname in this order', () => {
    const bytes = message('request', {});
    bytes.fill(0, 240);
    bytes.set([53, 1, 3, 50, 1, 10, 0, 52, 1, 3, 50, 1, 0, 255], 240);
    bytes.set([50, 1, 0, 255], 108);
    bytes.set([50, 1, 10, 255], 44);
    expect(answer(bytes, tableWith(), 'synchronised')).toMatchObject({ type: 'ack' });
  });
});

describe('RFC 3397, domain search', () => {
  test('§2: names are those of DNS, and a client reads what was set', () => {
    const domains = ['eng.apple.com', 'marketing.apple.com', 'com', 'a.eng.apple.com'];
    expect(readDomains(ask('discover', {}, tableWith({ domainSearch: domains })).option(119) ?? [])).toEqual(domains);
  });

  test('§2: the example of the RFC is encoded as in the RFC', () => {
    const value = ask('discover', {}, tableWith({ domainSearch: ['eng.apple.com', 'marketing.apple.com'] })).option(
      119,
    );
    expect(text(value)).toBe('\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04');
  });

  test('§2: pointers count from the start of the value, also in its second part', () => {
    const far = Array.from({ length: 5 }, (_, i) => `${String(i).repeat(63)}.${String(i).repeat(20)}.example`);
    const domains = [...far, `z.${far[4]}`];
    const value = domainSearch(domains);
    expect(value.length).toBeGreaterThan(255);
    expect(readDomains([...value])).toEqual(domains);
  });

  test('§2: compression is there where it saves bytes, and only whole labels count', () => {
    expect(domainSearch(['ab.example', 'b.example']).length).toBe(1 + 2 + 1 + 7 + 1 + (1 + 1 + 2));
    expect(domainSearch(['a.example', 'b.test']).length).toBe(11 + 8);
  });
});

describe('RFC 3442, classless routes', () => {
  const routes = [
    { destination: '192.168.0.0/16', nextHop: '10.0.0.254' },
    { destination: '10.27.129.128/25', nextHop: '10.0.0.253' },
    { destination: '172.16.0.1/32', nextHop: '10.0.0.252' },
  ];

  test('a destination is its prefix length and the bytes of it that matter, then the router', () => {
    expect(
      ask('discover', {}, tableWith({ gateway: '', routes }))
        .option(121)
        ?.slice(9),
    ).toEqual([
      ...[16, 192, 168, 10, 0, 0, 254],
      ...[25, 10, 27, 129, 128, 10, 0, 0, 253],
      ...[32, 172, 16, 0, 1, 10, 0, 0, 252],
    ]);
  });

  test('a router of 0.0.0.0 means the link: the server is told as such, because a renewal goes to it', () => {
    expect(ask('discover', {}, tableWith({ routes })).option(121)?.slice(0, 9)).toEqual([
      32, 169, 254, 7, 9, 0, 0, 0, 0,
    ]);
  });

  test('a client with option 121 ignores option 3, so the default route is in option 121 too', () => {
    const reply = ask('discover', {}, tableWith({ routes }));
    expect(reply.option(121)?.slice(-5)).toEqual([0, 10, 0, 0, 1]);
    expect(reply.option(3)).toEqual([10, 0, 0, 1]);
  });

  test('option 121 comes before the rest of the settings, so that it is not what is left out', () => {
    const reply = ask('discover', {}, tableWith({ routes, options: LONG }));
    expect(reply.codes.indexOf(121)).toBe(reply.codes.indexOf(1) + 1);
  });
});

describe('RFC 6842 and RFC 4361, client identifier', () => {
  test.each(REPLIES)('RFC 6842 §3: an %s has the client identifier of its request, unchanged', (_, type, said) => {
    const clientId = [255, 0, 0, 0, 1, 0, 2, 0, 0, 171, 17, 9, 9];
    expect(ask(type, { ...said, clientId, list: [1] }).option(61)).toEqual(clientId);
  });

  test.each(REPLIES)(
    'RFC 6842 §3: an %s has none if the request had none, also when it asks for it',
    (_, type, said) => {
      expect(ask(type, { ...said, list: [61] }).option(61)).toBeUndefined();
    },
  );

  test('RFC 4361 §4, §6.1: a client keeps its address by what identifies it: its MAC, whatever the identifier is', () => {
    const duid = [255, 1, 2, 3, 4, 0, 3, 0, 1, 2, 0, 0, 0, 0, 2];
    const table = tableOf([{}], [{}, { mac: '02:00:00:00:00:02', address: '10.0.0.20' }]);
    const other = '02:00:00:00:00:02' as Mac;
    expect(ask('discover', { clientId: duid }, table).head['yiaddr']).toBe(ADDRESS);
    expect(ask('discover', { clientId: duid, mac: other }, table).head['yiaddr']).toBe('10.0.0.20');
    expect(silence('discover', { clientId: [1, 2, 0, 0, 0, 0, 1], mac: STRANGER }, table)).toBe('unknown-mac');
  });
});

describe('what one network tells', () => {
  const two = () =>
    tableOf(
      [
        {},
        { subnetId: 'red-b', cidr: '10.0.4.0/22', gateway: '10.0.4.1', dnsServers: ['10.0.4.2'], leaseSeconds: 600 },
      ],
      [{}, { mac: '02:00:00:00:00:02', address: '10.0.7.20', hostname: '' }],
    );

  test('RFC 2131 §4.3.1: of several subnets on one wire each client is told its own', () => {
    const [a, b] = [ask('discover', {}, two()), ask('discover', { mac: '02:00:00:00:00:02' as Mac }, two())];
    const told = ({ option }: Told) => [1, 3, 6, 28, 51].map(option);
    expect(told(a)).toEqual([
      [255, 255, 255, 0],
      [10, 0, 0, 1],
      [10, 0, 0, 2, 10, 0, 0, 3],
      [10, 0, 0, 255],
      [0, 0, 14, 16],
    ]);
    expect(told(b)).toEqual([
      [255, 255, 252, 0],
      [10, 0, 4, 1],
      [10, 0, 4, 2],
      [10, 0, 7, 255],
      [0, 0, 2, 88],
    ]);
    expect([a.option(12), b.option(12)]).toEqual([[...Buffer.from('vm1')], undefined]);
  });

  test('RFC 2131 §4.3.2: a client that moved to another subnet of the wire is refused the old address at its renewal', () => {
    expect(ask('request', { mac: '02:00:00:00:00:02' as Mac, ciaddr: '10.0.0.20' }, two()).type).toBe(MESSAGE_TYPE.nak);
  });

  test('RFC 2131 §4.4.5: what has changed reaches a client at its next renewal', () => {
    const table = tableWith();
    const before = ask('request', RENEWING, table);
    const subnets = [{ ...SUBNET, dnsServers: ['10.0.0.9'], gateway: '10.0.0.254', mtu: 1_300, leaseSeconds: 120 }];
    table.assign({ networkUid: 'u', serviceAddress: OURS, subnets });
    table.apply(
      TableDelta.fromPartial({ put: [{ ...ENTRY, hostname: 'new', options: [{ code: 66, value: 'tftp' }] }] }),
    );
    const after = ask('request', RENEWING, table);
    const told = ({ option }: Told) => [3, 6, 26, 51].map(option);
    expect(told(before)).toEqual([
      [10, 0, 0, 1],
      [10, 0, 0, 2, 10, 0, 0, 3],
      [5, 120],
      [0, 0, 14, 16],
    ]);
    expect(told(after)).toEqual([
      [10, 0, 0, 254],
      [10, 0, 0, 9],
      [5, 20],
      [0, 0, 0, 120],
    ]);
    expect([12, 66].map((code) => text(after.option(code)))).toEqual(['new', 'tftp']);
  });
});

describe('what a client says is not told again', () => {
  const SAID = 'said-by-a-client';
  const ownWords = [
    12, 14, 15, 17, 40, 43, 60, 62, 66, 67, 77, 81, 82, 93, 94, 97, 116, 118, 119, 121, 124, 125, 145, 224, 252,
  ];

  test.each(REPLIES)('in an %s there is nothing of its options, but its client identifier', (_, type, said) => {
    const more = ownWords.map((code) => [code, ascii(SAID)] as const);
    const reply = ask(type, { ...said, list: ownWords, more }, tableWith({}, { hostname: '' }));
    expect(reply.bytes.toString('latin1')).not.toContain(SAID);
  });

  test.each(REPLIES)('in an %s there is nothing of its sname, its file and the rest of its chaddr', (_, type, said) => {
    const bytes = message(type, said);
    bytes.fill(0x5a, 34, 44).fill(0x5a, 44, 236);
    const reply = answer(bytes, tableWith(), 'synchronised');
    if (typeof reply === 'string') throw new Error(reply);
    expect(reply.bytes.toString('latin1')).not.toContain('ZZ');
  });

  test('RFC 4702 §4: a server that does not do DNS updates does not return option 81', () => {
    expect(ask('discover', { list: [81], more: [[81, ascii('\x01\0\0vm.example')]] }).option(81)).toBeUndefined();
  });

  test('RFC 4039 §3.2: a server without rapid commit answers option 80 with an OFFER', () => {
    const reply = ask('discover', { list: [80], more: [[80, new Uint8Array()]] });
    expect([reply.type, reply.option(80)]).toEqual([MESSAGE_TYPE.offer, undefined]);
  });

  test('RFC 2563 §2: a server that knows nothing of auto-configuration does not answer option 116', () => {
    expect(ask('discover', { list: [116], more: [[116, u8(1)]] }).option(116)).toBeUndefined();
  });

  test('RFC 3011 §2: a server that does not support subnet selection does not echo option 118', () => {
    expect(ask('discover', { more: [[118, u32(ip('10.9.9.0'))]] }).option(118)).toBeUndefined();
  });
});

describe('departures on purpose', () => {
  test('RFC 2131 §4.3.1 lets a server offer any free address: an unknown MAC gets silence, since only reservations count', () => {
    expect(silence('discover', { mac: STRANGER })).toBe('unknown-mac');
  });

  test('RFC 2131 §4.3.2 asks for a NAK on the wrong network: an unknown MAC gets silence, since another server may know it', () => {
    expect(silence('request', { mac: STRANGER, requested: '192.168.1.5' })).toBe('unknown-mac');
    expect(silence('request', { mac: STRANGER, ciaddr: '192.168.1.5' })).toBe('unknown-mac');
  });

  test('servers in authoritative mode NAK what is asked of others: here it is silence, or two servers refuse the clients of each other', () => {
    expect(silence('request', { serverId: '10.0.0.250', requested: '10.0.0.11' })).toBe('other-server');
  });

  test('RFC 2131 §4.3.2 asks for a NAK at once: it comes a second later and never while behind, since the table may be old', () => {
    expect(ask('request', WRONG).delayMs).toBe(1_000);
    expect(silence('request', WRONG, tableWith(), 'behind')).toBe('behind');
  });

  test('RFC 2131 §4.1 unicasts to yiaddr without the broadcast bit: here it is broadcast, or guests fill the neighbour table', () => {
    expect(ask('discover').to).toBe('broadcast');
    expect(ask('request', SELECTING).to).toBe('broadcast');
  });

  test('RFC 2131 §4.1 unicasts to any ciaddr: here only to the reserved address, for the same reason', () => {
    expect(ask('discover', { ciaddr: '10.0.0.200' }).to).toBe('broadcast');
    expect(ask('request', { ...SELECTING, ciaddr: '10.0.0.200' }).to).toBe('broadcast');
  });

  test('RFC 2131 §4.3.3 marks a declined address as not available: here nothing changes, since a MAC is easily forged', () => {
    const table = tableWith();
    expect(silence('decline', SELECTING, table)).toBe('decline');
    expect(ask('discover', {}, table).head['yiaddr']).toBe(ADDRESS);
  });

  test('RFC 2131 §4.3.4 frees a released address: here nothing changes, since only the engine ends a reservation', () => {
    const table = tableWith();
    expect(silence('release', { ...RENEWING, serverId: OURS }, table)).toBe('release');
    expect(ask('request', REBOOTING, table).type).toBe(MESSAGE_TYPE.ack);
  });

  test('RFC 2131 §4.3.5 answers an INFORM without looking for a lease: here only from the reserved address, or it is a way to unicast anywhere', () => {
    expect(silence('inform', { ciaddr: '10.0.0.11' })).toBe('wrong-address');
    expect(silence('inform', { ciaddr: ADDRESS, mac: STRANGER })).toBe('unknown-mac');
  });

  test('RFC 2131 §4.3.1 lets a client propose a lease time: it is not heard, since how long an address rests is counted from ours', () => {
    const more = [51, 58, 59].map((code) => [code, u32(0xffffffff)] as const);
    expect(seconds(ask('discover', { more }).option(51))).toBe(3_600);
  });

  test('RFC 2131 §4.4.5 puts T2 at 7/8 of the lease: here it is at 9/16, since most guests cannot reach the server by unicast', () => {
    expect(seconds(ask('discover').option(59))).toBe((3_600 * 9) / 16);
  });

  test('RFC 2131 §4.3.1 lets a server probe an address before it offers it: there is no probe, since the store decided', () => {
    expect(ask('discover').delayMs).toBe(0);
  });

  test('RFC 2131 §4.1 and RFC 3046 serve relays: a server bound to one interface cannot answer them', () => {
    expect(silence('discover', { giaddr: '10.0.0.1' })).toBe('relayed');
    expect(silence('discover', { giaddr: '10.0.0.1', mac: STRANGER })).toBe('relayed');
  });

  test('RFC 1534 lets a server answer BOOTP: a client without option 53 cannot be told how long its address is good', () => {
    const bytes = message('discover', {});
    bytes.set([255], 240);
    expect(answer(bytes, tableWith(), 'synchronised')).toBe('unknown-type');
  });

  test('RFC 4361 §4.2 has servers find clients by their identifier: here by MAC, which is what the engine knows', () => {
    const table = tableWith();
    expect(silence('discover', { mac: STRANGER, clientId: [1, 2, 0, 0, 0, 0, 1] }, table)).toBe('unknown-mac');
  });

  test('RFC 3442 lets option 121 stand without routes: it is told only when the subnet has some, since a client that mishandles it loses its default route', () => {
    expect(ask('discover', { list: [121, 3] }).codes).not.toContain(121);
  });

  test('RFC 3396 §5 lets an option go on in file and sname: one that fits no place whole is left out, as few clients join them', () => {
    const search = Array.from({ length: 6 }, (_, i) => `${String(i).repeat(60)}.example`);
    const reply = ask('discover', {}, tableWith({ domainSearch: search }));
    expect(reply.codes).not.toContain(119);
  });
});
