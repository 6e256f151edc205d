// The kinds of values that stand behind flags: spans of time, sizes, addresses to listen on or to dial, choices, numbers.
//
// A parser takes the text as an operator wrote it, whether on the command line, in the environment or in a file, and
// says in one clause what it expected. It never guesses. The SDK and its command line, which depend on nothing of the
// repository, read the same texts the same way (test/conformance/option-values.test.ts).

import { isIPv4, isIPv6 } from 'node:net';

/** A parsed value, or what is wrong with the text, for people: no full stop. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** Makes a value of the text of one option. */
export type Parse<T> = (text: string) => Parsed<T>;

/** Where to listen, or what to dial. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Both ends included, in milliseconds. */
export interface DurationRange {
  readonly min: number;
  readonly max: number;
}

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (problem: string): { readonly ok: false; readonly problem: string } => ({ ok: false, problem });

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** Parses `500ms`, `30s`, `15m`, `24h` or `90d` into milliseconds, within `range`. */
export function parseDuration(
  text: string,
  range: DurationRange = { min: 0, max: Number.MAX_SAFE_INTEGER },
): Parsed<number> {
  const match = /^([0-9]{1,15})(ms|s|m|h|d)$/.exec(text);
  const unit = UNITS.find(([name]) => name === match?.[2]);
  if (!match || !unit) return bad('expected a duration like 500ms, 30s, 15m, 24h or 90d');
  const value = Number(match[1]) * unit[1];
  if (value < range.min) return bad(`must be at least ${formatDuration(range.min)}`);
  if (value > range.max) return bad(`must be at most ${formatDuration(range.max)}`);
  return ok(value);
}

/** Prints milliseconds in the largest unit that divides them: `24h` is printed `1d`. */
export function formatDuration(ms: number): string {
  const [name, size] = UNITS.find(([, size]) => ms >= size && ms % size === 0) ?? (['ms', 1] as const);
  return `${ms / size}${name}`;
}

/** A parser of durations within a range. */
export function durationWithin(range: DurationRange): Parse<number> {
  return (text) => parseDuration(text, range);
}

const SIZE_UNITS = [
  ['MiB', 1_048_576],
  ['KiB', 1_024],
  ['', 1],
] as const;

/** A parser of `1MiB`, `256KiB` or plain bytes into bytes, both ends included. */
export function sizeWithin(min: number, max: number): Parse<number> {
  return (text) => {
    const match = /^([0-9]{1,15})(MiB|KiB|)$/.exec(text);
    const unit = SIZE_UNITS.find(([name]) => name === match?.[2]);
    if (!match || !unit) return bad('expected a size like 65536, 256KiB or 1MiB');
    const value = Number(match[1]) * unit[1];
    if (value < min) return bad(`must be at least ${formatSize(min)}`);
    if (value > max) return bad(`must be at most ${formatSize(max)}`);
    return ok(value);
  };
}

/** Prints bytes in the largest unit that divides them. */
export function formatSize(bytes: number): string {
  const [name, size] = SIZE_UNITS.find(([, size]) => bytes >= size && bytes % size === 0) ?? (['', 1] as const);
  return `${bytes / size}${name}`;
}

/** A parser of whole numbers, both ends included. */
export function integerWithin(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^-?[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
    if (value === undefined || value < min || value > max) return bad(`expected a whole number from ${min} to ${max}`);
    return ok(value);
  };
}

/** A parser of one of a few words. */
export function oneOf<const T extends string>(choices: readonly T[]): Parse<T> {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    return found === undefined
      ? bad(`expected ${choices.join(' or ')}, the nearest is ${nearest(text, choices)}`)
      : ok(found);
  };
}

/** Any text but the empty one. */
export function parseText(text: string): Parsed<string> {
  return text === '' ? bad('must not be empty') : ok(text);
}

/** Parses where to listen: `127.0.0.1:7067`, `[::1]:0`, `localhost:7067` or `unix:PATH`. Port 0 lets the system choose. */
export function parseListen(text: string): Parsed<Endpoint> {
  const endpoint = parseEndpoint(text);
  if (!endpoint.ok || endpoint.value.kind === 'unix') return endpoint;
  const { host } = endpoint.value;
  // A name may resolve to several addresses, or later to another one: which interface listens must be plain.
  if (isIPv4(host) || isIPv6(host) || host === 'localhost') return endpoint;
  return bad('expected an IP address to listen on, not a name (0.0.0.0 is every interface)');
}

/** Parses what to dial: like `parseListen`, but a host name will do and port 0 will not. */
export function parseTarget(text: string): Parsed<Endpoint> {
  const endpoint = parseEndpoint(text);
  if (endpoint.ok && endpoint.value.kind === 'tcp' && endpoint.value.port === 0) return bad('port 0 cannot be dialled');
  return endpoint;
}

function parseEndpoint(text: string): Parsed<Endpoint> {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    // sun_path holds 108 bytes with its final NUL (unix(7)); a longer path is cut by the kernel or refused.
    // A comma would end it wherever addresses are a list in one text.
    if (path === '' || path.includes(',') || Buffer.byteLength(path) > 107) {
      return bad('expected unix:PATH with a path of 1 to 107 bytes and no comma');
    }
    return ok({ kind: 'unix', path });
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (!match || !host || port > 65_535) return bad('expected HOST:PORT, [IPV6]:PORT or unix:PATH');
  if (match[1] !== undefined ? isIPv6(host) && !host.includes('%') : isIPv4(host) || isHostName(host)) {
    return ok({ kind: 'tcp', host, port });
  }
  return bad(`${JSON.stringify(host)} is neither an IP address nor a host name`);
}

function isHostName(host: string): boolean {
  // RFC 1123 §2.1. An all-numeric last label would be an address, and a mistyped one: 10.0.0.999 is no name.
  const labels = host.split('.');
  if (host.length > 253 || /^[0-9]+$/.test(labels.at(-1) ?? '')) return false;
  return labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
}

/** Prints an endpoint as it is written: `127.0.0.1:7067`, `[::1]:7067`, `unix:/run/leasehold.sock`. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  return isIPv6(endpoint.host) ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** Whether only this machine can reach the endpoint: 127.0.0.0/8, ::1, localhost and unix sockets. */
export function isLoopback(endpoint: Endpoint): boolean {
  if (endpoint.kind === 'unix' || endpoint.host === 'localhost') return true;
  if (isIPv4(endpoint.host)) return endpoint.host.startsWith('127.');
  // Every spelling of ::1, and nothing else: 0:0:0:0:0:0:0:1, ::0:1 …
  return isIPv6(endpoint.host) && new URL(`http://[${endpoint.host}]`).hostname === '[::1]';
}

/** The candidate with the fewest edits from `text`; the first of equals. There must be a candidate. */
export function nearest(text: string, candidates: readonly string[]): string {
  const ranked = candidates.map((candidate) => ({ candidate, distance: editDistance(text, candidate) }));
  return ranked.reduce((best, next) => (next.distance < best.distance ? next : best)).candidate;
}

/** How many letters must be put in, taken out, replaced or swapped with their neighbour. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(at(row, j) + 1, at(next, j - 1) + 1, at(row, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, at(before, j - 2) + 1);
      next.push(edits);
    }
    before = row;
    row = next;
  }
  return at(row, b.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? 0;
