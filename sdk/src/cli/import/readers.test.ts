// What holds for the readers of files whatever is in them.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCsv } from './csv.js';
import { parseDnsmasq } from './dnsmasq.js';
import type { Entry, Parsed } from './entry.js';

const digits = (max: number) => fc.integer({ min: 0, max });
const mac = fc
  .array(digits(255), { minLength: 5, maxLength: 5 })
  .map((octets) => ['52', ...octets.map((octet) => octet.toString(16).padStart(2, '0'))].join(':'));
const address = fc.tuple(digits(255), digits(255), digits(255)).map((octets) => `10.${octets.join('.')}`);
// With a letter that is in no setting of dnsmasq.
const hostname = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/).map((name) => `q${name}q`);
const id = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/);
// What surrounds a field is no part of it, and an empty one is none.
const words = fc
  .string({ unit: 'grapheme', maxLength: 8 })
  .map((text) => text.replace(/\p{Cc}/gu, '"').trim())
  .filter((text) => text !== '');
const labelKey = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,20}$/);

type Row = Omit<Entry, 'line'>;
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const csvRow: fc.Arbitrary<Row> = fc
  .record({
    mac,
    address: maybe(address),
    hostname: maybe(hostname),
    owner: maybe(words),
    subnetId: maybe(id),
    networkId: maybe(id),
    labels: fc.dictionary(labelKey, words, { maxKeys: 5, noNullPrototype: true }),
  })
  .map(present);

/** Without what is undefined, as an entry is. */
function present<T extends object>(row: T): Row {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as unknown as Row;
}

const HEADER: readonly [string, Exclude<keyof Row, 'labels'>][] = [
  ['mac', 'mac'],
  ['ip', 'address'],
  ['hostname', 'hostname'],
  ['owner', 'owner'],
  ['subnet', 'subnetId'],
  ['network', 'networkId'],
];

function writeCsv(rows: readonly Row[], lineEnd: string): string {
  const keys = [...new Set(rows.flatMap(({ labels }) => Object.keys(labels)))];
  const header = [...HEADER.map(([name]) => name), ...keys.map((key) => `label.${key}`)];
  const records = rows.map((row) => [
    ...HEADER.map(([, field]) => row[field] ?? ''),
    ...keys.map((key) => (Object.hasOwn(row.labels, key) ? (row.labels[key] ?? '') : '')),
  ]);
  return [header, ...records].map((fields) => fields.map(csvField).join(',')).join(lineEnd);
}

function csvField(text: string): string {
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

test('a CSV file that is written as it should be is read as it was meant', () => {
  fc.assert(
    fc.property(fc.array(csvRow, { maxLength: 10 }), fc.constantFrom('\n', '\r\n'), (rows, lineEnd) => {
      const read = parseCsv(writeCsv(rows, lineEnd));
      expect(read).toEqual({ entries: rows.map((row, index) => ({ line: index + 2, ...row })), findings: [] });
    }),
  );
});

test('a file of dnsmasq that is written as it should be is read as it was meant', () => {
  const row = fc
    .record({ mac, address: maybe(address), hostname: maybe(hostname), labels: fc.constant({}) })
    .map(present);
  const orders = fc.infiniteStream(fc.nat());
  fc.assert(
    fc.property(fc.array(row, { maxLength: 10 }), fc.constantFrom('', 'dhcp-host='), orders, (rows, option, order) => {
      const lines = rows.map((each) => {
        const fields = [each.mac, each.address, each.hostname].filter((field) => field !== undefined);
        const first = (order.next().value ?? 0) % fields.length;
        return `${option}${[...fields.slice(first), ...fields.slice(0, first)].join(',')}`;
      });
      const entries = rows.map((each, index) => ({ line: index + 1, ...each }));
      expect(parseDnsmasq(lines.join('\n'))).toEqual({ entries, findings: [] });
    }),
  );
});

// Pieces that mean something to a reader, and anything.
const piece = fc.oneof(
  ...[mac, address, hostname, labelKey].map((arbitrary) => ({ arbitrary, weight: 1 })),
  {
    arbitrary: fc.constantFrom(
      ...['mac', 'ip', 'owner', 'label.', 'network', 'constructor', '__proto__', 'label.constructor', '52:54:00:*:*:*'],
      ...['dhcp-host=', '--dhcp-host = ', 'set:', 'tag:', 'id:*', 'ignore', 'infinite', '12h', '[fd00::1]', '01-'],
    ),
    weight: 4,
  },
  { arbitrary: fc.constantFrom(',', ',', '\n', '\n', '\r\n', '\r', '"', '""', ' ', '#', ';', '\ufeff'), weight: 8 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 5 }), weight: 1 },
);
const text = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));
// Few texts begin with a header row that can be read, and nothing below another one is looked at.
const header = fc
  .shuffledSubarray(['ip', 'hostname', 'owner', 'network', 'label.constructor', 'constructor', '__proto__'], {
    maxLength: 2,
  })
  .map((names) => `${['mac', ...names].join()}\n`);

test.each<[string, (text: string) => Parsed]>([
  ['CSV', (written) => parseCsv(written)],
  ['dnsmasq', parseDnsmasq],
])('whatever text a file of %s has, it is read, and every problem names its line', (_, parse) => {
  fc.assert(
    fc.property(fc.oneof(header, fc.constant('')), text, (columns, body) => {
      const given = `${columns}${body}`;
      const lines = given.split('\n').length;
      const { entries, findings } = parse(given);
      const problems = findings.filter(({ severity }) => severity === 'problem');
      const named = [
        ...problems.map(({ about }) => Number(/^line ([0-9]+)$/.exec(about)?.[1])),
        ...entries.map(({ line }) => line),
      ];
      for (const line of named) expect(line >= 1 && line <= lines, `line ${line} of ${lines}`).toBe(true);
      for (const entry of entries) expect(entry.mac).toMatch(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/);
    }),
    { numRuns: 5_000 },
  );
});
