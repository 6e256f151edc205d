// Names, options and labels made to break out of their place, through all that reads them: the server's requests, the
// agent's assignments and entries, the DHCP message, and the files for dnsmasq. What the server lets in the agent lets in;
// what gets through is in the message exactly as given, in its own option, and no other byte of the message has changed;
// and the files have the one line that says it, and no other.

import { hostsFile, tell } from '@leasehold/agent/backends/dnsmasq/told';
import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import type { DhcpMessage } from '@leasehold/agent/domain/dhcp/message';
import { u8, u16 } from '@leasehold/agent/domain/dhcp/option-values';
import { respond } from '@leasehold/agent/domain/responder';
import { NetworkTable } from '@leasehold/agent/domain/table';
import { ALLOWED_OPTION_CODES } from '@leasehold/proto/dhcp-options';
import { ReserveAddressRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { AssignedSubnet, Assignment, TableDelta } from '@leasehold/proto/ipam/v1/session';
import { type DhcpOption, Subnet } from '@leasehold/proto/ipam/v1/subnet';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { fromReserve } from '@leasehold/server/transport/convert/reservation';
import { fromCreateSubnet } from '@leasehold/server/transport/convert/subnet';
import { afterEach, expect, test } from 'vitest';
import { seededNumbers } from '../fakes/seeded-numbers.js';

const SEED = Number(process.env['SEED'] ?? 1);
const CASES = 20_000;
const MAC = '02:00:00:00:00:01' as Mac;

const SUBNET = { subnetId: 's', cidr: '10.0.0.0/24' };
const ENTRY = { reservationId: 'r', address: '10.0.0.10', mac: MAC };

const DISCOVER: DhcpMessage = {
  op: 'request',
  xid: 1,
  flags: 0,
  ciaddr: 0 as Ipv4,
  yiaddr: 0 as Ipv4,
  siaddr: 0 as Ipv4,
  giaddr: 0 as Ipv4,
  mac: MAC,
  options: new Map([
    [OPTION.messageType, u8(MESSAGE_TYPE.discover)],
    [OPTION.maxMessageSize, u16(1_500)],
  ]),
};

/** What a guest is told: the bytes before the options in hex, and each option in hex by its code. */
interface Told {
  readonly head: string;
  readonly options: ReadonlyMap<number, string>;
}

/** A reader of its own, so that nothing is hidden by what encoder and decoder have in common. */
function read(bytes: Buffer): Told {
  const options = new Map<number, string>();
  let at = 240;
  while (bytes[at] !== 255) {
    const [code, length] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)];
    options.set(code, (options.get(code) ?? '') + bytes.toString('hex', at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (bytes.subarray(at + 1).some((byte) => byte !== 0)) throw new Error('There is something after the end');
  return { head: bytes.toString('hex', 0, 240), options };
}

function told(table: NetworkTable): Told {
  const answer = respond(DISCOVER, table, 'synchronised');
  if (answer.kind === 'silence') throw new Error(answer.reason);
  expect(answer.leftOut).toEqual([]);
  return read(answer.bytes);
}

const table = new NetworkTable();
const assign = (subnet: Partial<AssignedSubnet>): boolean =>
  table.assign(
    Assignment.fromPartial({
      networkUid: 'u',
      serviceAddress: '169.254.7.9',
      subnets: [AssignedSubnet.fromPartial({ ...SUBNET, leaseSeconds: 3_600, ...subnet })],
    }),
  ).ok;
const put = (entry: { readonly hostname?: string; readonly options?: DhcpOption[] }): boolean =>
  table.apply(TableDelta.fromPartial({ put: [{ ...ENTRY, ...entry }] })).ok;

assign({});
put({});
const PLAIN = told(table);

/** What a table tells, less what it always tells; the bytes before the options must be as always. */
function toldAnew(): ReadonlyMap<number, string> {
  const { head, options } = told(table);
  if (head !== PLAIN.head) throw new Error('The fields before the options have changed');
  for (const [code, value] of PLAIN.options) {
    if (options.get(code) !== value) throw new Error(`Option ${code} has changed`);
  }
  return new Map([...options].filter(([code]) => !PLAIN.options.has(code)));
}

/** All lines that dnsmasq would read, each tag as `TAG`. */
function lines(): readonly string[] {
  const told = tell(table);
  if (!told.ok) throw new Error(told.problem);
  const files = [hostsFile(told.value), told.value.options, told.value.tags?.text ?? ''];
  for (const file of files) if (file !== '' && !file.endsWith('\n')) throw new Error('A line has no end');
  const all = files.flatMap((file) => file.split('\n').slice(0, -1));
  return all.map((line) => line.replace(/^(tag:|dhcp-mac=set:)[so][0-9a-f]{16},/, '$1TAG,'));
}

const PLAIN_LINES = lines();

/** Lines that are not always there; the others must be, but for one of the reservation that says more. */
function linesAnew(): readonly string[] {
  const all = lines();
  const gone = PLAIN_LINES.filter((line) => !all.includes(line) && !all.some((each) => each.startsWith(`${line},`)));
  if (gone.length > 0) throw new Error(`There is no more ${gone.join('; ')}`);
  return all.filter((line) => !PLAIN_LINES.includes(line));
}

const HOSTILE = [
  ...[
    '\n',
    '\r\n',
    '\0',
    '\t',
    ' ',
    ',',
    ';',
    '#',
    '"',
    "'",
    '\\',
    '$(id)',
    '`id`',
    '%0a',
    '*',
    ':',
    '/',
    '..',
    '=',
    '|',
  ],
  ...['set:evil', 'tag:evil', 'ignore', 'infinite', '7d', '86400', '-x', '--', '_', '.', '\u007f', '\u0085', '\u2028'],
  ...['\u212a', '\u0130', '\u017f', 'é', 'ö', '例', '\u{1f600}', '\ud800', '\uff21', '\u200b', '\u00a0', '\u202e'],
  ...['\u00ff', '\u0136', '\u0433', '\n*:*:*:*:*:*,evil,10.0.0.99', '\u0035\u0001', '__proto__', 'constructor'],
];
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCKIS0123456789-';

/** Draws values by a seed; half of them have something hostile in them. */
class Draw {
  readonly #random = seededNumbers(SEED);

  number(below: number): number {
    return Math.floor(this.#random() * below);
  }

  of<T>(items: readonly T[]): T {
    return items[this.number(items.length)] as T;
  }

  word(most: number): string {
    return Array.from({ length: 1 + this.number(most) }, () => LETTERS[this.number(LETTERS.length)]).join('');
  }

  /** `text`, with something hostile in it half of the time. */
  spoil(text: string): string {
    if (this.number(2)) return text;
    const at = this.number(text.length + 1);
    return text.slice(0, at) + this.of(HOSTILE) + text.slice(this.number(2) ? at : at + 1);
  }

  /** Mostly short; sometimes about as long as is allowed. */
  hostname(): string {
    return this.spoil(this.number(10) ? this.word(12) : this.word(66));
  }

  domain(): string {
    const labels = Array.from({ length: 1 + this.number(this.number(10) ? 3 : 8) }, () =>
      this.word(this.number(20) ? 10 : 66),
    );
    return this.spoil(labels.join('.'));
  }

  option(): DhcpOption {
    const code = this.number(20) ? this.of(ALLOWED_OPTION_CODES) : this.number(300);
    const address = () => Array.from({ length: 4 }, () => this.number(this.number(20) ? 256 : 300)).join('.');
    const value = this.of([
      () => Array.from({ length: 1 + this.number(this.number(20) ? 4 : 66) }, address).join(','),
      () => this.word(this.number(20) ? 40 : 260),
      () => `https://${this.word(10)}/${this.word(10)}`,
      () => String(this.number(10)),
    ]);
    return { code, value: this.spoil(value()) };
  }
}

const lower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
const hex = (text: string) => Buffer.from(text, 'utf8').toString('hex');

const isList = (code: number) => [7, 44, 150].includes(code);

/** What option values become on the wire, found without the product's code. */
function wireOf(code: number, value: string): string {
  if (isList(code)) {
    return value
      .split(',')
      .map((address) => Buffer.from(address.split('.').map(Number)).toString('hex'))
      .join('');
  }
  return code === 46 ? Buffer.of(Number(value)).toString('hex') : hex(value);
}

/** How dnsmasq is told of an option, found without the product's code; undefined: it cannot be. */
function lineOf(code: number, value: string): string | undefined {
  if (isList(code)) {
    // It would tell its own address for 0.0.0.0.
    const addresses = value.split(',').filter((address) => address !== '0.0.0.0');
    return addresses.length > 0 ? `tag:TAG,${code},${addresses.join(',')}` : undefined;
  }
  if (code === 46) return `tag:TAG,46,${value}`;
  // These two it reads as the width of a number, also in quotes.
  if (value === 'i' || value === 's') {
    return [17, 66, 67, 100, 101].includes(code) ? undefined : `tag:TAG,${code},${value === 'i' ? 105 : 115}b`;
  }
  return `tag:TAG,${code},"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** Reads option 119 without its compression. */
function domainsOf(value: string | undefined): readonly string[] {
  const bytes = Buffer.from(value ?? '', 'hex');
  const labelsAt = (from: number): { readonly labels: readonly string[]; readonly next: number } => {
    const length = bytes.readUInt8(from);
    if (length === 0) return { labels: [], next: from + 1 };
    if (length >= 0xc0) return { labels: labelsAt(bytes.readUInt16BE(from) & 0x3fff).labels, next: from + 2 };
    const rest = labelsAt(from + 1 + length);
    return { labels: [bytes.toString('latin1', from + 1, from + 1 + length), ...rest.labels], next: rest.next };
  };
  const domains: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { labels, next } = labelsAt(at);
    domains.push(labels.join('.'));
    at = next;
  }
  return domains;
}

const RESERVE = ReserveAddressRequest.fromPartial({ subnetId: 's', mac: MAC });
const reserve = (request: Partial<ReserveAddressRequest>) => {
  const read = fromReserve({ ...RESERVE, ...request }, 'caller');
  return read.ok ? read.value.command : undefined;
};
const createSubnet = (subnet: Parameters<typeof Subnet.fromPartial>[0]) => {
  const read = fromCreateSubnet({
    subnet: Subnet.fromPartial({ ...SUBNET, networkId: 'n', ...subnet }),
    requestId: '',
  });
  return read.ok ? read.value.settings : undefined;
};

/** Runs cases; how many got through. Both many and not all must: else nothing was tested. */
function run(through: (draw: Draw) => boolean): void {
  const draw = new Draw();
  let passed = 0;
  for (let n = 0; n < CASES; n++) if (through(draw)) passed++;
  expect(passed).toBeGreaterThan(CASES / 20);
  expect(passed).toBeLessThan(CASES);
}

afterEach(() => {
  assign({});
  put({});
  expect(told(table)).toEqual(PLAIN);
  expect(lines()).toEqual(PLAIN_LINES);
});

test('host names', () => {
  run((draw) => {
    const given = draw.hostname();
    const accepted = reserve({ hostname: given })?.hostname;
    expect(put({ hostname: given })).toBe(accepted === given);
    if (accepted === undefined) return false;
    expect(accepted).toBe(lower(given));
    expect(put({ hostname: accepted })).toBe(true);
    expect(toldAnew()).toEqual(new Map([[OPTION.hostname, hex(lower(given))]]));
    expect(linesAnew()).toEqual([`${MAC},${ENTRY.address},${lower(given)}`]);
    return true;
  });
});

test('domain names', () => {
  run((draw) => {
    const given = draw.domain();
    const accepted = createSubnet({ domainName: given })?.domainName;
    expect(assign({ domainName: given })).toBe(accepted === given);
    if (accepted === undefined) return false;
    expect(accepted).toBe(lower(given));
    expect(assign({ domainName: accepted })).toBe(true);
    expect(toldAnew()).toEqual(new Map([[OPTION.domainName, hex(lower(given))]]));
    expect(linesAnew()).toEqual([`tag:TAG,15,"${lower(given)}"`]);
    return true;
  });
});

test('search domains', () => {
  run((draw) => {
    const given = Array.from({ length: 1 + draw.number(3) }, () => draw.domain());
    // What two end in alike is written once.
    if (draw.number(2)) given.push(`x.${given[0]}`);
    const accepted = createSubnet({ domainSearch: given })?.domainSearch;
    const isAsGiven = accepted !== undefined && accepted.join() === given.join();
    expect(assign({ domainSearch: given })).toBe(isAsGiven);
    if (accepted === undefined) return false;
    expect(accepted).toEqual(given.map(lower));
    expect(assign({ domainSearch: [...accepted] })).toBe(true);
    const got = toldAnew();
    expect([...got.keys()]).toEqual([OPTION.domainSearch]);
    expect(domainsOf(got.get(OPTION.domainSearch))).toEqual(given.map(lower));
    expect(linesAnew()).toEqual([`tag:TAG,119,${given.map(lower).join(',')}`]);
    return true;
  });
});

test('options of reservations and of subnets', () => {
  run((draw) => {
    const given = Array.from({ length: 1 + draw.number(2) }, () => draw.option());
    const accepted = reserve({ options: given })?.options;
    expect(createSubnet({ options: given })?.options).toEqual(accepted);
    const isAsGiven = accepted?.every(({ value }, i) => value === given[i]?.value) ?? false;
    const isOfSubnet = draw.number(2) === 1;
    const set = (options: DhcpOption[]) => (isOfSubnet ? assign({ options }) : put({ options }));
    expect(set(given)).toBe(isAsGiven);
    if (!accepted) return false;
    // Lists of addresses may have blanks around the commas.
    expect(accepted).toEqual(
      given.map(({ code, value }) => ({ code, value: isList(code) ? value.replaceAll(' ', '') : value })),
    );
    expect(set([...accepted])).toBe(true);
    expect(toldAnew()).toEqual(new Map(accepted.map(({ code, value }) => [code, wireOf(code, value)])));
    const tag = isOfSubnet ? [] : [`dhcp-mac=set:TAG,${MAC}`];
    const told = accepted.flatMap(({ code, value }) => lineOf(code, value) ?? []);
    expect(linesAnew()).toEqual([...told, ...tag]);
    assign({});
    put({});
    return true;
  });
});

test('labels and owners reach no guest', () => {
  run((draw) => {
    const labels = Object.fromEntries(
      Array.from({ length: 1 + draw.number(2) }, () => [draw.spoil(draw.word(10)), draw.spoil(draw.word(20))]),
    );
    const owner = draw.spoil(draw.word(20));
    const accepted = reserve({ labels, owner });
    if (!accepted) return false;
    expect(Object.entries(accepted.labels)).toEqual(Object.entries(labels));
    expect(accepted.owner).toBe(owner);
    expect([accepted.hostname, accepted.options]).toEqual(['', []]);
    return true;
  });
});
