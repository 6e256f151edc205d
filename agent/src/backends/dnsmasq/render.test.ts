import { Assignment, TableEntry } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4, type Mac, parseHostname } from '@leasehold/proto/values';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Entry, NetworkTable } from '../../domain/table.js';
import { renderArguments, renderHost, renderOptions, renderTags } from './render.js';
import { hostsFile, tell } from './told.js';

const ENTRY: Entry = {
  reservationId: 'r1',
  address: 0x0a000010 as Ipv4,
  mac: '52:54:00:00:00:01' as Mac,
  hostname: 'vm1',
  options: [],
};

function entryWith(more: object): Entry {
  return { ...ENTRY, ...more };
}

describe('what was measured to be dangerous becomes no line', () => {
  test.each([
    'x\n*:*:*:*:*:*,evil,10.9.0.99',
    '*:*:*:*:*:*',
    ...['infinite', '7d', '86400', '1w', '5', '30s', '2h', '9m'],
    ...['set:evil', 'ignore', 'tag:foo', '"a', '-x', 'x-', 'a,b', 'a b', 'a#b', 'a.b', 'a_b', 'A'.repeat(64), '[::1]'],
    ...['id:*', 'net:x', 'a\0b', 'a\rb', 'ä', '*'],
  ])('the host name %j', (hostname) => {
    expect(renderHost(entryWith({ hostname })).ok).toBe(false);
  });

  test.each([
    '02:*:*:*:*:*',
    '*:*:*:*:*:*',
    '52:54:00:00:00:01,evil',
    '52:54:00:00:00:01\n',
    '53:54:00:00:00:01',
    'id:01',
    '',
  ])('the MAC %j', (mac) => {
    expect(renderHost(entryWith({ mac })).ok).toBe(false);
    expect(renderTags([{ mac: mac as Mac, options: [{ code: 66, value: 'x', bytes: Uint8Array.of(120) }] }]).ok).toBe(
      false,
    );
  });

  test.each([Number.NaN, -1, 1.5, 2 ** 40, Number.POSITIVE_INFINITY])('the address %j', (address) => {
    const rendered = renderHost(entryWith({ address }));
    // Whatever number it is, it prints as an address or as nothing.
    expect(rendered.ok ? rendered.value : 'nothing').toMatch(/^(nothing|52:54:00:00:00:01,(\d{1,3}\.){3}\d{1,3},vm1)$/);
  });

  test.each([
    [66, 'a\nb'],
    [66, ''],
    [3, '10.0.0.1'],
    [51, '99999'],
    [54, '10.0.0.1'],
    [7, '10.9.0.999'],
    [7, '10.0.0.1,evil'],
    [46, '8,1'],
    [6, '10.0.0.1'],
    [12, 'x'],
    [66, 'x'.repeat(256)],
  ])('option %i as %j', (code, value) => {
    const options = [{ code, value, bytes: Buffer.from(value) }];
    expect(renderOptions({ subnets: [], serviceAddress: 0 as Ipv4 }, [{ options }]).ok).toBe(false);
  });

  test.each(['br0,lo', 'br0\n', 'br 0', '', 'a-name-of-16-byt', '*', 'br0=x'])('the interface %j', (interfaceName) => {
    expect(renderArguments({ ...served(), interfaceName }).ok).toBe(false);
  });

  test.each(['/a,b', 'relative', '/a b', '/a\nb', '/ü'])('the directory %j', (directory) => {
    expect(renderArguments({ ...served(), directory }).ok).toBe(false);
  });
});

describe('what is rendered', () => {
  test('lease time, T1 and T2 are those of the builtin backend, for clients that do not ask too', () => {
    const args = renderArguments(served());
    expect(args.ok && args.value.filter((arg) => /range|force|shared/.test(arg))).toEqual([
      '--shared-network=br0,10.0.0.0',
      '--dhcp-range=set:sca978112ca1bbdca,10.0.0.0,static,255.255.0.0,600',
      '--dhcp-option-force=tag:sca978112ca1bbdca,58,300',
      '--dhcp-option-force=tag:sca978112ca1bbdca,59,337',
    ]);
  });

  test('without a gateway the router option is empty: dnsmasq would name itself', () => {
    const rendered = renderOptions(table({ gateway: '' }), []);
    expect(rendered).toEqual({ ok: true, value: 'tag:sca978112ca1bbdca,3\n' });
  });

  test('reservations with the same options share a tag, in any order the same file', () => {
    const own = (mac: string, value: string) => ({
      mac: mac as Mac,
      options: [{ code: 66, value, bytes: Buffer.from(value) }],
    });
    const entries = [own('52:54:00:00:00:01', 'a'), own('52:54:00:00:00:02', 'b'), own('52:54:00:00:00:03', 'a')];
    const [one, other] = [entries, entries.toReversed()].map((each) => renderTags(each));
    expect(one).toEqual(other);
    expect(renderOptions(table({}), entries)).toEqual(renderOptions(table({}), entries.toReversed()));
    const tags = one?.ok ? (one.value?.text.match(/o[0-9a-f]{16}/g) ?? []) : [];
    expect(new Set(tags).size).toBe(2);
  });

  test('0.0.0.0 is left out of lists: dnsmasq would tell its own address', () => {
    const options = [
      { code: 7, value: '10.0.0.7,0.0.0.0', bytes: new Uint8Array() },
      { code: 150, value: '0.0.0.0', bytes: new Uint8Array() },
    ];
    const rendered = renderOptions(table({ dnsServers: ['0.0.0.0', '10.0.0.2'], ntpServers: ['0.0.0.0'] }), [
      { options },
    ]);
    expect(rendered.ok && rendered.value.match(/,(6|42|7|150),.*/g)).toEqual([',6,10.0.0.2', ',7,10.0.0.7']);
  });

  test('a text that would be read as the width of a number is bytes where it can be, and left out elsewhere', () => {
    const options = [66, 252].map((code) => ({ code, value: 'i', bytes: Buffer.from('i') }));
    const rendered = renderOptions(table({ gateway: '10.0.0.1' }), [{ options }]);
    expect(rendered.ok && rendered.value.match(/,(66|252).*/g)).toEqual([',252,105b']);
  });
});

test('whatever tables hold, a strict reader of the files finds exactly that', () => {
  const hostname = fc.oneof(fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/), fc.constant(''));
  const text = fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((c) => String.fromCharCode(c)), minLength: 1 });
  const option = fc.oneof(
    fc.record({ code: fc.constantFrom(17, 66, 67, 100, 101, 209, 210, 252), value: text }),
    fc.record({ code: fc.constantFrom(7, 44, 150), value: fc.constantFrom('10.0.0.7', '1.2.3.4,255.255.255.255') }),
  );
  const entry = fc.record({
    n: fc.nat({ max: 60_000 }),
    hostname: hostname.filter((name) => name === '' || parseHostname(name).ok),
    options: fc.uniqueArray(
      option.filter(({ value }) => value !== 'i' && value !== 's'),
      { selector: ({ code }) => code, maxLength: 3 },
    ),
  });
  fc.assert(
    fc.property(fc.uniqueArray(entry, { selector: ({ n }) => n, maxLength: 20 }), (entries) => {
      const served = table({});
      const wire = entries.map(({ n, ...rest }) =>
        TableEntry.fromPartial({ reservationId: `r${n}`, ...place(n), ...rest }),
      );
      expect(served.replace(wire).ok).toBe(true);
      const told = tell(served);
      if (!told.ok) throw new Error(told.problem);
      expect(readBack(hostsFile(told.value), told.value.options, told.value.tags?.text ?? '')).toEqual(
        new Map(
          wire.map(({ mac, address, hostname, options }) => [mac, { address, hostname, options: sorted(options) }]),
        ),
      );
    }),
    { numRuns: 500 },
  );
});

interface Read {
  readonly address: string;
  readonly hostname: string;
  readonly options: readonly { readonly code: number; readonly value: string }[];
}

/** Reads hosts, and the options of their tags; throws at anything but what is expected. */
function readBack(hosts: string, options: string, tags: string): Map<string, Read> {
  const ofTag = new Map<string, { code: number; value: string }[]>();
  for (const line of linesOf(options)) {
    const [, tag = '', code = '', rest = ''] = /^tag:([so][0-9a-f]{16}),([0-9]+)(?:,(.*))?$/.exec(line) ?? fail(line);
    const value = rest.startsWith('"') ? unquote(rest) : rest;
    ofTag.set(tag, [...(ofTag.get(tag) ?? []), { code: Number(code), value }]);
  }
  const tagOf = new Map<string, string>();
  for (const line of linesOf(tags)) {
    const [, tag = '', mac = ''] = /^dhcp-mac=set:(o[0-9a-f]{16}),([0-9a-f:]{17})$/.exec(line) ?? fail(line);
    expect(tagOf.has(mac)).toBe(false);
    tagOf.set(mac, tag);
  }
  const read = new Map<string, Read>();
  for (const line of linesOf(hosts)) {
    const [, mac = '', address = '', hostname = ''] =
      /^([0-9a-f:]{17}),([0-9.]+)(?:,([a-z0-9-]+))?$/.exec(line) ?? fail(line);
    expect(read.has(mac)).toBe(false);
    read.set(mac, { address, hostname, options: sorted(ofTag.get(tagOf.get(mac) ?? '') ?? []) });
  }
  return read;
}

function linesOf(text: string): readonly string[] {
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text.split('\n').slice(0, -1);
}

function unquote(text: string): string {
  expect(text).toMatch(/^"(?:[^"\\]|\\["\\])*"$/);
  return text.slice(1, -1).replace(/\\(.)/g, '$1');
}

function sorted<T extends { readonly code: number; readonly value: string }>(options: readonly T[]) {
  return options.map(({ code, value }) => ({ code, value })).toSorted((a, b) => a.code - b.code);
}

function fail(line: string): never {
  throw new Error(`Not a line: ${JSON.stringify(line)}`);
}

function place(n: number): { readonly address: string; readonly mac: string } {
  const address = formatIpv4((0x0a000002 + n) as Ipv4);
  return { address, mac: `52:54:00:00:${hex(n >> 8)}:${hex(n & 255)}` };
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

function table(more: object): NetworkTable & { readonly serviceAddress: Ipv4 } {
  const made = new NetworkTable();
  const subnet = { subnetId: 'a', cidr: '10.0.0.0/16', leaseSeconds: 600, ...more };
  const wire = Assignment.fromPartial({ networkUid: 'u', serviceAddress: '169.254.7.9', subnets: [subnet] });
  expect(made.assign(wire).ok).toBe(true);
  return made as NetworkTable & { readonly serviceAddress: Ipv4 };
}

function served() {
  const { subnets, serviceAddress } = table({});
  return { interfaceName: 'br0', serviceAddress, subnets, directory: '/state/dnsmasq/x', tagsFile: undefined };
}
