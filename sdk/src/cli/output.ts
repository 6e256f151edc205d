// What a command gives, and how it is printed: aligned for people, or JSON and YAML of a stable shape for programs.
//
// The shape is that of the API: its field names, times in ISO 8601, spans as `3600s`, enum values with their prefix.
// Unlike in ProtoJSON every number is a number and a field with a default value is there.

import { paint, state, type Toned } from './tones.js';
import { widthOf } from './width.js';
import { isList, type Json, yaml } from './yaml.js';

/** How results are printed. */
export const OUTPUTS = ['table', 'json', 'yaml'] as const;

/** How results are printed. */
export type OutputFormat = (typeof OUTPUTS)[number];

/** What stands in a cell; nothing is shown as a dash. */
export type Cell = string | number | boolean | Date | null | undefined | Toned;

/** A table: each row a list of printable cells. */
export type Rows = readonly (readonly Toned[])[];

/** How resources of a kind are shown. */
export interface View<T> {
  /** Columns of a list: title and what stands in a row. */
  readonly columns: Readonly<Record<string, (item: T) => Cell>>;
  readonly enums?: Enums;
}

/**
 * Prefixes of the enum fields, by the SDK's name of the field: `{ state: 'RESERVATION_STATE_' }`; by that of what it is in,
 * too, where another field has the same name: `{ 'conflict.kind': 'CONFLICT_KIND_' }`.
 */
export type Enums = Readonly<Record<string, string>>;

/** What a command gives. */
export type Output =
  | { readonly kind: 'list'; readonly rows: Rows; readonly json: Json }
  | { readonly kind: 'item'; readonly rows: Rows; readonly json: Json; readonly note?: string }
  /** What was found, under it a line that says what it comes to; `code` is the exit code. */
  | {
      readonly kind: 'report';
      readonly rows: Rows;
      readonly verdict: Toned;
      readonly json: Json;
      readonly code: number;
    }
  | { readonly kind: 'done'; readonly text: string }
  | { readonly kind: 'stream'; readonly lines: (signal: AbortSignal) => AsyncIterable<Line> }
  | { readonly kind: 'usage'; readonly problem: string };

/** One line of a stream, printed as it comes. */
export interface Line {
  /** Undefined: not for people. */
  readonly text: string | undefined;
  readonly json: Json;
}

/** A list of resources. */
export function list<T extends object>(view: View<T>, items: readonly T[]): Output {
  const titles = Object.keys(view.columns).map((text) => ({ text, tone: undefined }));
  const body = items.map((item) => Object.values(view.columns).map((cell) => shown(cell(item))));
  const json = items.map((item) => toJson(item, view.enums ?? {}));
  return { kind: 'list', rows: [titles, ...body], json };
}

/** One resource; `note` is said to people beside it. */
export function item(view: { readonly enums?: Enums }, value: object, note?: string): Output {
  const rest = note === undefined ? {} : { note };
  const enums = view.enums ?? {};
  return { kind: 'item', rows: details(toJson(value, {}), '', enums), json: toJson(value, enums), ...rest };
}

/** One line of a stream; without cells it is not for people. */
export function line(enums: Enums, value: object, cells?: readonly Cell[]): Line {
  return { text: cells?.map(cellText).join('  ').trimEnd(), json: toJson(value, enums) };
}

/** Prints one line of a stream: JSON lines, or YAML documents. */
export function renderLine({ text, json }: Line, format: OutputFormat): string {
  if (format === 'json') return jsonLine(json);
  if (format === 'yaml') return `---\n${serialize(json, format)}`;
  return text === undefined ? '' : `${text}\n`;
}

/** What is printed at once, whole. */
export type Whole = Exclude<Output, { kind: 'usage' | 'stream' }>;

/** Prints what a command gave; colours are for tables only. */
export function render(output: Whole, format: OutputFormat, colours = false): string {
  if (format !== 'table') return serialize(output.kind === 'done' ? {} : output.json, format);
  if (output.kind === 'done') return `${output.text}\n`;
  if (output.kind !== 'report') return align(output.rows, colours, output.kind === 'list');
  const verdict = colours ? paint(output.verdict.text, output.verdict.tone) : output.verdict.text;
  return `${align(output.rows, colours, false)}${verdict}\n`;
}

/** Prints JSON, as JSON or YAML. */
export function serialize(json: Json, format: 'json' | 'yaml'): string {
  return `${escaped(format === 'json' ? JSON.stringify(json, undefined, 2) : yaml(json))}\n`;
}

/** Prints JSON on one line. */
export function jsonLine(json: Json): string {
  return `${escaped(JSON.stringify(json))}\n`;
}

// JSON takes them as they are, a terminal would do what they say. They stand in quotes only, where nothing of them is lost.
function escaped(serialized: string): string {
  return serialized.replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const prefixOf = (enums: Enums, within: string, key: string): string | undefined =>
  enums[`${within}.${key}`] ?? enums[key];

// The API's shape of one of the SDK's objects; `within`: the name of the field that it stands in.
function toJson(value: unknown, enums: Enums, within = ''): Json {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((one) => toJson(one, enums, within));
  if (typeof value !== 'object' || value === null) return value as Json;
  const json: Record<string, Json> = {};
  for (const [key, field] of Object.entries(value) as [string, unknown][]) {
    const prefix = prefixOf(enums, within, key);
    if (field === undefined) continue;
    // Labels have keys of their own.
    if (key === 'labels') json[key] = field as Json;
    else if (prefix !== undefined) json[snake(key)] = enumName(prefix, field as string);
    else if (key.endsWith('Seconds')) json[snake(key.slice(0, -'Seconds'.length))] = `${field as number}s`;
    else json[snake(key)] = toJson(field, enums, key);
  }
  return json;
}

function enumName(prefix: string, name: string): string {
  return `${prefix}${name === 'unknown' ? 'UNSPECIFIED' : name.replaceAll('-', '_').toUpperCase()}`;
}

/** What is printed in a cell. */
export function cellText(value: Cell): string {
  return shown(value).text;
}

function shown(value: Cell): Toned {
  if (value === undefined || value === null || value === '') return { text: '-', tone: undefined };
  if (value instanceof Date) return { text: value.toISOString().replace(/\.\d+Z$/, 'Z'), tone: undefined };
  if (typeof value === 'object') return { text: printable(value.text), tone: value.tone };
  return { text: printable(String(value)), tone: undefined };
}

/** What others wrote, as owners and labels, must not drive the terminal, nor show as what it is not, by what is unseen or turns round. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

// One row per field, `usage.free`; a list of objects takes one row each. Fields that are states have their tones.
function details(json: Json, path: string, enums: Enums): Rows {
  if (isList(json)) {
    if (json.some((one) => typeof one === 'object')) return json.map((one) => [shown(path), shown(inline(one))]);
    return [[shown(path), shown(json.map((one) => inline(one)).join(', '))]];
  }
  const [name = '', within = ''] = path.split('.').toReversed();
  if (typeof json !== 'object' || json === null) {
    return [
      [
        shown(path),
        shown(prefixOf(enums, within, name) !== undefined && typeof json === 'string' ? state(json) : json),
      ],
    ];
  }
  if (name === 'labels') return [[shown(path), shown(inline(json, ', '))]];
  return Object.entries(json).flatMap(([key, field]) => details(field, path === '' ? key : `${path}.${key}`, enums));
}

function inline(json: Json, separator = ' '): string {
  if (typeof json !== 'object' || json === null) return cellText(json);
  return Object.entries(json)
    .filter(([, field]) => field !== '' && !(isList(field) && field.length === 0))
    .map(
      ([key, field]) =>
        `${printable(key)}=${printable(typeof field === 'object' ? JSON.stringify(field) : String(field))}`,
    )
    .join(separator);
}

function align(rows: Rows, colours: boolean, titled: boolean): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, { text }] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(text));
  return rows
    .map((row, index) => `${lineOf(row, widths, colours, titled && index === 0 ? 'title' : undefined)}\n`)
    .join('');
}

function lineOf(
  row: readonly Toned[],
  widths: readonly number[],
  colours: boolean,
  title: 'title' | undefined,
): string {
  const padding = row.map(({ text }, column) => ' '.repeat((widths[column] ?? 0) - widthOf(text)));
  if (!colours)
    return row
      .map(({ text }, column) => `${text}${padding[column]}`)
      .join('  ')
      .trimEnd();
  const last = row.findLastIndex(({ text }) => text !== '');
  // The colour ends with its word, so that what is copied from a terminal has no coloured spaces.
  return row
    .slice(0, last + 1)
    .map(({ text, tone }, column) => paint(text, title ?? tone) + (column < last ? padding[column] : ''))
    .join('  ');
}
