// The kinds of flags: what stands behind one on the command line or in the environment, and how it is read.

import { parseServerAddress } from '../server-address.js';

/** A parsed value, or what was expected, for people: no full stop. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** One flag; its name follows from its key: `leaseTime` is `--lease-time`. */
export interface Flag<T> {
  /** What stands for the value in help. Empty: a switch, which needs none. */
  readonly unit: string;
  readonly help: string;
  /** What holds when it is not given, for help. */
  readonly defaultText?: string;
  readonly repeatable: boolean;
  /** Makes the value of at least one text. */
  parse(texts: readonly string[]): Parsed<T>;
}

/** Flags by name. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** What a set of flags gives: only those that were given are there. */
export type FlagValues<F extends Flags> = {
  readonly [K in keyof F]?: F[K] extends Flag<infer T> ? T : never;
};

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (problem: string): { readonly ok: false; readonly problem: string } => ({ ok: false, problem });

function single<T>(unit: string, help: string, parse: (text: string) => Parsed<T>, defaultText?: string): Flag<T> {
  const rest = defaultText === undefined ? {} : { defaultText };
  return { unit, help, repeatable: false, parse: (texts) => parse(texts.at(-1) ?? ''), ...rest };
}

function many<T>(unit: string, help: string, parse: (text: string) => Parsed<T>): Flag<readonly T[]> {
  return { unit, help, repeatable: true, parse: (texts) => every(texts, parse) };
}

function every<T>(texts: readonly string[], parse: (text: string) => Parsed<T>): Parsed<readonly T[]> {
  const values: T[] = [];
  // One empty text is the empty list: how an update clears.
  for (const text of texts.length === 1 && texts[0] === '' ? [] : texts) {
    const parsed = parse(text);
    if (!parsed.ok) return parsed;
    values.push(parsed.value);
  }
  return ok(values);
}

/** Any text, also the empty one: for settings only, which it clears. */
export function text(unit: string, help: string, defaultText?: string): Flag<string> {
  return single(unit, help, ok, defaultText);
}

/**
 * A text that is not empty: for what names, filters or guards. To the server an empty one is none, so that a variable of a
 * script that is not set would widen what is changed without a word.
 */
export function someText(unit: string, help: string, defaultText?: string): Flag<string> {
  return single(unit, help, (given) => (given === '' ? bad(`expected ${unit}`) : ok(given)), defaultText);
}

/** Any text; the empty one is null, which clears. */
export function clearableText(unit: string, help: string): Flag<string | null> {
  return single(unit, `${help}; empty: none`, (given) => ok(given === '' ? null : given));
}

/** Addresses of servers, as `connect` takes them; repeat the flag, or put commas between. */
export function servers(help: string, defaultText: string): Flag<readonly string[]> {
  const flag = many('SERVER', `${help} (repeat, or put commas between)`, (given): Parsed<string> => {
    const parsed = parseServerAddress(given);
    return parsed.ok ? ok(given) : parsed;
  });
  return { ...flag, defaultText, parse: (given) => flag.parse(given.flatMap((one) => one.split(','))) };
}

/** A whole number from `min` to `max`. */
export function integer(help: string, min: number, max: number, defaultText?: string): Flag<number> {
  return single('N', help, (given) => parseInteger(given, min, max), defaultText);
}

/** A whole number from `min` to `max`; the empty text is null, which clears. */
export function clearableInteger(help: string, min: number, max: number): Flag<number | null> {
  return single('N', `${help}; empty: none`, (given) => (given === '' ? ok(null) : parseInteger(given, min, max)));
}

function parseInteger(given: string, min: number, max: number): Parsed<number> {
  const value = Number(given);
  const fits = /^[0-9]{1,15}$/.test(given) && value >= min && value <= max;
  return fits ? ok(value) : bad(`expected a whole number from ${min} to ${max}`);
}

const DAY_MS = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS };

/** How long to wait, like `30s`, as milliseconds; not zero, at most a day. */
export function milliseconds(help: string, defaultText: string): Flag<number> {
  const parse = (given: string): Parsed<number> => {
    const parsed = parseMs(given);
    return parsed.ok && parsed.value > DAY_MS ? bad('expected at most 1d') : parsed;
  };
  return single('DURATION', help, parse, defaultText);
}

/** A span of time like `30s`, as seconds; not zero. */
export function seconds(help: string, defaultText?: string): Flag<number> {
  const parse = (given: string): Parsed<number> => {
    const parsed = parseMs(given);
    return parsed.ok ? ok(parsed.value / 1_000) : parsed;
  };
  return single('DURATION', help, parse, defaultText);
}

function parseMs(given: string): Parsed<number> {
  const [, digits, unit = ''] = /^([0-9]{1,15})(ms|s|m|h|d)$/.exec(given) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? 0);
  return ms > 0 ? ok(ms) : bad('expected a duration like 500ms, 30s, 5m, 1h or 7d');
}

/** A point in time, which may count back from now. */
export type Moment = (nowMs: number) => Date;

const ISO_TIME =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?$/;

/** A point in time: in ISO 8601, a day (in UTC), or how long ago, like `24h`. */
export function moment(help: string): Flag<Moment> {
  const expected = 'expected a time like 2026-01-02T12:00:00Z, a day like 2026-01-02 or a span back from now like 24h';
  const parse = (given: string): Parsed<Moment> => {
    const span = parseMs(given);
    // Not before 1970: a Date cannot go back without end, and nothing here is that old.
    if (span.ok) return ok((nowMs) => new Date(Math.max(0, nowMs - span.value)));
    const [, day = ''] = ISO_TIME.exec(given) ?? [];
    const time = new Date(given);
    return isDay(day) && !Number.isNaN(time.getTime()) ? ok(() => time) : bad(expected);
  };
  return single('TIME', help, parse);
}

// JavaScript takes the 30th of February for the 2nd of March.
function isDay(day: string): boolean {
  const midnight = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}

/** On or off: `--name`, `--name=false` or `--no-name`; also `1` and `0`. */
export function toggle(help: string, defaultText?: string): Flag<boolean> {
  return single('', help, parseToggle, defaultText);
}

function parseToggle(given: string): Parsed<boolean> {
  if (given === 'true' || given === '1') return ok(true);
  if (given === 'false' || given === '0') return ok(false);
  return bad('expected true or false');
}

/** One of a few words. */
export function oneOf<const Word extends string>(words: readonly Word[], help: string, defaultText?: string) {
  const parse = (given: string): Parsed<Word> => {
    const found = words.find((word) => word === given);
    return found === undefined ? bad(`expected ${words.join(', ')}`) : ok(found);
  };
  return single(words.join('|'), help, parse, defaultText);
}

/** Texts; repeat the flag, or put commas between. */
export function texts(unit: string, help: string): Flag<readonly string[]> {
  const flag = many(unit, `${help} (repeat, or put commas between)`, ok<string>);
  return { ...flag, parse: (given) => flag.parse(given.flatMap((one) => one.split(','))) };
}

/** Pairs like `a=b`, each made into a value; repeat the flag. */
export function pairs<T>(
  unit: string,
  separator: string,
  help: string,
  make: (left: string, right: string) => T | undefined,
): Flag<readonly T[]> {
  return many(unit, `${help} (repeat)`, (given) => {
    const at = given.indexOf(separator);
    const value = at > 0 ? make(given.slice(0, at), given.slice(at + 1)) : undefined;
    return value === undefined ? bad(`expected ${unit}`) : ok(value);
  });
}

/** Labels as `KEY=VALUE`. */
export function labels(help: string): Flag<Readonly<Record<string, string>>> {
  const flag = pairs('KEY=VALUE', '=', help, (key, value) => [key, value] as const);
  return {
    ...flag,
    parse: (given) => {
      const parsed = flag.parse(given);
      return parsed.ok ? ok(Object.fromEntries(parsed.value)) : parsed;
    },
  };
}

const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The name of a flag on the command line: `leaseTime` is `lease-time`. */
export function flagName(key: string): string {
  return kebab(key);
}

/** The name of the environment variable of a flag that every command has: `insecureNetwork` is `LEASEHOLD_INSECURE_NETWORK`. */
export function environmentName(key: string): string {
  return `LEASEHOLD_${kebab(key).replaceAll('-', '_').toUpperCase()}`;
}
