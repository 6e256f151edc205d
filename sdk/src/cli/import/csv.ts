// Reservations from CSV (RFC 4180): a header row names the columns, in any order.

import {
  MAX_LABELS,
  type Parsed as ParsedValue,
  parseHostname,
  parseLabelKey,
  parseLabelValue,
  parseMac,
  parseOwner,
  parseResourceId,
} from '../../gen/values.js';
import type { Finding } from '../findings.js';
import { nearest } from '../nearest.js';
import { type Entry, type Parsed, parseAddress, problem } from './entry.js';

/** A record and the line on which it begins. */
interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

type Field = 'mac' | 'address' | 'hostname' | 'owner' | 'subnetId' | 'networkId';

/** What a column holds. */
type Column =
  | { readonly kind: 'field'; readonly name: Field }
  | { readonly kind: 'label'; readonly key: string }
  | { readonly kind: 'ignored' };

// A map: an object has a `constructor` as well.
const FIELDS: ReadonlyMap<string, Field> = new Map([
  ['mac', 'mac'],
  ['mac_address', 'mac'],
  ['address', 'address'],
  ['ip', 'address'],
  ['ip_address', 'address'],
  ['hostname', 'hostname'],
  ['name', 'hostname'],
  ['owner', 'owner'],
  ['subnet', 'subnetId'],
  ['subnet_id', 'subnetId'],
  ['network', 'networkId'],
  ['network_id', 'networkId'],
]);

const PARSERS: Readonly<Record<Field, (text: string) => ParsedValue<string>>> = {
  mac: parseMac,
  address: parseAddress,
  hostname: parseHostname,
  owner: parseNamedOwner,
  subnetId: parseResourceId,
  networkId: parseResourceId,
};

// Of owners alone it is not seen from the text what was wrong with it.
function parseNamedOwner(text: string): ParsedValue<string> {
  const parsed = parseOwner(text);
  return parsed.ok ? parsed : { ok: false, problem: `Owner: ${parsed.problem}` };
}

const LABEL_PREFIX = 'label.';

/** Reads reservations; columns named in `ignored` are passed over. */
export function parseCsv(text: string, ignored: readonly string[] = []): Parsed {
  const { records, findings } = readRecords(text);
  const [header, ...rows] = records;
  if (!header) return { entries: [], findings: [...findings, problem(1, 'There is no header row', NAMES)] };
  const columns = header.fields.map((name) => columnOf(name.trim(), header.line, ignored));
  const wrong = [...findings, ...columns.flatMap((column) => ('severity' in column ? [column] : []))];
  const known = columns.flatMap((column) => ('severity' in column ? [] : [column]));
  if (wrong.length === 0) wrong.push(...wrongTogether(known, header.line));
  // Rows below a header that cannot be read would only repeat what is wrong with it.
  if (wrong.length > 0) return { entries: [], findings: wrong };
  const read = rows.map((row) => toEntry(row, known));
  return {
    entries: read.flatMap((one) => ('mac' in one ? [one] : [])),
    findings: read.flatMap((one) => ('mac' in one ? [] : one)),
  };
}

const NAMES = `The first row names the columns: mac (required), address, hostname, owner, subnet, network, ${LABEL_PREFIX}KEY`;

function columnOf(name: string, line: number, ignored: readonly string[]): Column | Finding {
  if (ignored.includes(name)) return { kind: 'ignored' };
  const field = FIELDS.get(name.toLowerCase());
  if (field !== undefined) return { kind: 'field', name: field };
  const key = name.toLowerCase().startsWith(LABEL_PREFIX) ? name.slice(LABEL_PREFIX.length) : undefined;
  if (key !== undefined && parseLabelKey(key).ok) return { kind: 'label', key };
  if (name.includes(';')) return problem(line, 'Its columns are separated by semicolons', 'Export it with commas');
  // Passed over in silence, a mistyped `address` would let the system choose all of them.
  const guess = nearest(name.toLowerCase(), [...FIELDS.keys()]);
  const meant = guess === undefined ? '' : `, did you mean ${guess}?`;
  return problem(
    line,
    `unknown column ${JSON.stringify(name)}${meant}`,
    `${NAMES}; or pass it over with --ignore-column`,
  );
}

function wrongTogether(columns: readonly Column[], line: number): readonly Finding[] {
  const names = columns.map((column) =>
    column.kind === 'field' ? column.name : column.kind === 'label' ? column.key : '',
  );
  const seen = new Set<string>();
  const twice = names.find((name) => name !== '' && seen.size === seen.add(name).size);
  if (twice !== undefined) return [problem(line, `two columns say ${twice}`, 'Leave one of them')];
  return names.includes('mac') ? [] : [problem(line, 'There is no column mac', NAMES)];
}

function toEntry({ line, fields }: CsvRecord, columns: readonly Column[]): Entry | readonly Finding[] {
  if (fields.length !== columns.length) {
    return [problem(line, `has ${fields.length} fields, the header ${columns.length}`)];
  }
  const values: Partial<Record<Field, string>> = {};
  const labels: Record<string, string> = {};
  const findings: Finding[] = [];
  const take = (parsed: ParsedValue<string>, keep: (value: string) => void) => {
    if (parsed.ok) keep(parsed.value);
    else findings.push(problem(line, parsed.problem));
  };
  for (const [index, column] of columns.entries()) {
    const text = (fields[index] ?? '').trim();
    if (text === '' || column.kind === 'ignored') continue;
    if (column.kind === 'label') {
      take(parseLabelValue(column.key, text), (value) => {
        labels[column.key] = value;
      });
    } else {
      take(PARSERS[column.name](text), (value) => {
        values[column.name] = value;
      });
    }
  }
  if (Object.keys(labels).length > MAX_LABELS) findings.push(problem(line, `has more than ${MAX_LABELS} labels`));
  const { mac } = values;
  if (findings.length > 0) return findings;
  return mac === undefined ? [problem(line, 'has no MAC')] : { line, ...values, mac, labels };
}

/** Splits the text into records; blank lines are none. */
function readRecords(text: string): { readonly records: readonly CsvRecord[]; readonly findings: readonly Finding[] } {
  const records: CsvRecord[] = [];
  let rest = text;
  let line = 1;
  while (rest !== '') {
    const begin = line;
    const fields: string[] = [];
    for (;;) {
      const quoted = quotedField(rest);
      const [bare = ''] = quoted === undefined ? (BARE.exec(rest) ?? []) : [];
      fields.push(quoted?.slice(1, -1).replaceAll('""', '"') ?? bare);
      line += (quoted?.split('\n').length ?? 1) - 1;
      rest = rest.slice((quoted ?? bare).length);
      if (!rest.startsWith(',')) break;
      rest = rest.slice(1);
    }
    const [end] = /^(?:\r?\n|$)/.exec(rest) ?? [];
    if (end === undefined) {
      const finding = problem(
        line,
        'a quote is not closed, or stands in the midst of a field',
        'Quote the field, "a ""b"" c"',
      );
      return { records, findings: [finding] };
    }
    line++;
    rest = rest.slice(end.length);
    if (fields.length > 1 || fields[0] !== '') records.push({ line: begin, fields });
  }
  return { records, findings: [] };
}

// A field without quotes, commas and line ends.
const BARE = /^[^",\r\n]*/;

/** The quoted field with which a text begins, in which a quote is doubled; an expression would take a stack of its size. */
function quotedField(text: string): string | undefined {
  if (!text.startsWith('"')) return undefined;
  let end = text.indexOf('"', 1);
  while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
  return end < 0 ? undefined : text.slice(0, end + 1);
}
