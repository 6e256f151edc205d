// What values look like in an export, and how they are read back.
//
//   F1. What was printed reads back as what it was.
//   F2. Reading is strict: a field too many, one that is missing, or a value that is not spelled as it is printed is
//       refused, and the refusal names the field.

import { formatCidr, formatIpv4, type Parsed, parseCidr, parseIpv4, parseMac, quote } from '@leasehold/proto/values';
import type { WallTime } from '../domain/ids.js';

/** Prints and reads one kind of value. */
export interface Form<T> {
  print(value: T): unknown;
  /** Throws Unreadable. */
  read(given: unknown): T;
  /** Of a field that may be left out: when it is, and what it means. */
  readonly absence?: { isLeftOut(value: T | undefined): boolean; readonly means: T | undefined };
}

/** What cannot be read, and why. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
  /** From the outside in: `slot`, `mac`. */
  readonly path: readonly string[];
  readonly problem: string;

  constructor(path: readonly string[], problem: string) {
    super(path.length === 0 ? problem : `${path.join('.')}: ${problem}`);
    this.path = path;
    this.problem = problem;
  }
}

function refuse(problem: string): never {
  throw new Unreadable([], problem);
}

/** Reads inside of a field. */
export function within<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unreadable) throw new Unreadable([name, ...error.path], error.problem);
    throw error;
  }
}

/** The fields of an object, in the order in which they are printed and made. */
export type Fields<T> = { readonly [K in keyof T]-?: Form<T[K]> };

/** An object with these fields and no others; `leaseTimeS` is `lease_time_s`. */
export function object<T extends object>(fields: Fields<T>): Form<T> {
  const entries = Object.entries<Form<unknown>>(fields).map(([key, form]) => ({ key, name: snake(key), form }));
  const names = new Set(entries.map(({ name }) => name));
  return {
    print(value) {
      const printed: Record<string, unknown> = {};
      for (const { key, name, form } of entries) {
        const content = (value as Record<string, unknown>)[key];
        if (!form.absence?.isLeftOut(content)) printed[name] = form.print(content);
      }
      return printed;
    },
    read(given) {
      const members = asObject(given);
      const made: Record<string, unknown> = {};
      let found = 0;
      for (const { key, name, form } of entries) {
        const content = members[name];
        if (content === undefined) {
          if (!form.absence) refuse(`field ${name} is missing`);
          if (form.absence.means !== undefined) made[key] = form.absence.means;
          continue;
        }
        found++;
        made[key] = within(name, () => form.read(content));
      }
      const given_ = Object.keys(members);
      if (given_.length !== found) refuse(`unknown field ${quote(given_.find((name) => !names.has(name)) ?? '')}`);
      return made as T;
    },
  };
}

function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function asObject(given: unknown): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    refuse(`expected an object, not ${shown(given)}`);
  return given as Readonly<Record<string, unknown>>;
}

function shown(given: unknown): string {
  return quote(typeof given === 'string' ? given : (JSON.stringify(given) ?? 'nothing'));
}

/** A field that may be absent. */
export function optional<T>(form: Form<T>): Form<T> {
  return { ...form, absence: { isLeftOut: (value) => value === undefined, means: undefined } };
}

/** A field that is left out when it is empty: a text, a list, or an object. */
export function unlessEmpty<T extends string | object>(form: Form<T>, empty: T): Form<T> {
  const isLeftOut = (value: T | undefined) => value === undefined || Object.keys(value).length === 0;
  return { ...form, absence: { isLeftOut, means: empty } };
}

/** A list. */
export function array<T>(form: Form<T>): Form<readonly T[]> {
  return {
    print: (values) => values.map((value) => form.print(value)),
    read(given) {
      if (!Array.isArray(given)) refuse(`expected a list, not ${shown(given)}`);
      return given.map((item: unknown, i) => within(`[${i}]`, () => form.read(item)));
    },
  };
}

/** Any text; or an id, which is one with a brand. */
export function text<T extends string = string>(): Form<T> {
  return {
    print: (value) => value,
    read: (given) => (typeof given === 'string' ? (given as T) : refuse(`expected a text, not ${shown(given)}`)),
  };
}

/** A text that a parser accepts, spelled as it prints it. */
export function parsed<T extends string>(parse: (text: string) => Parsed<string>): Form<T> {
  return spelled<T>(
    (value) => value,
    (given) => parse(given) as Parsed<T>,
  );
}

function spelled<T>(print: (value: T) => string, parse: (text: string) => Parsed<T>): Form<T> {
  return {
    print,
    read(given) {
      if (typeof given !== 'string') refuse(`expected a text, not ${shown(given)}`);
      const value = parse(given);
      if (!value.ok) refuse(value.problem);
      const canonical = print(value.value);
      return canonical === given ? value.value : refuse(`${quote(given)} is written ${quote(canonical)}`);
    },
  };
}

/** An IPv4 address. */
export const ipv4 = spelled(formatIpv4, parseIpv4);
/** An IPv4 prefix. */
export const cidr = spelled(formatCidr, parseCidr);
/** A MAC address. */
export const mac = spelled((value) => value, parseMac);

/** A whole number; or one with a brand. */
export function integer<T extends number = number>(min = 0, max = Number.MAX_SAFE_INTEGER): Form<T> {
  return {
    print: (value) => value,
    read(given) {
      if (Number.isSafeInteger(given) && (given as number) >= min && (given as number) <= max) return given as T;
      return refuse(`expected a whole number from ${min} to ${max}, not ${shown(given)}`);
    },
  };
}

/** A moment, as `2026-01-31T12:00:00.000Z`. */
export const time = spelled<WallTime>(
  (value) => new Date(value).toISOString(),
  (given) => {
    const value = Date.parse(given);
    if (!Number.isNaN(value)) return { ok: true, value: value as WallTime };
    return { ok: false, problem: `${quote(given)} is not a time like 2026-01-31T12:00:00.000Z` };
  },
);

/** One of a few values. */
export function oneOf<const T extends string | boolean>(...choices: readonly T[]): Form<T> {
  return {
    print: (value) => value,
    read(given) {
      const found = choices.find((choice) => choice === given);
      return (
        found ?? refuse(`expected ${choices.map((each) => JSON.stringify(each)).join(' or ')}, not ${shown(given)}`)
      );
    },
  };
}

/** An object of one of several kinds, which its field `kind` names. */
export function byKind<T extends { readonly kind: string }>(
  forms: {
    readonly [K in T['kind']]: Form<Extract<T, { readonly kind: K }>>;
  },
): Form<T> {
  const kinds = Object.keys(forms) as T['kind'][];
  const kind = oneOf<T['kind']>(...kinds);
  return {
    print: (value) => (forms[value.kind as T['kind']] as unknown as Form<T>).print(value),
    read(given) {
      const { kind: name } = asObject(given);
      if (name === undefined) refuse('field kind is missing');
      const named = within('kind', () => kind.read(name));
      return (forms[named] as unknown as Form<T>).read(given);
    },
  };
}

/** An object of texts, whose keys are somebody else's. */
export const texts: Form<Readonly<Record<string, string>>> = {
  print: (value) => value,
  read(given) {
    const members = asObject(given);
    for (const name of Object.keys(members)) {
      if (typeof members[name] !== 'string') refuse(`${quote(name)} is ${shown(members[name])}, not a text`);
    }
    return members as Readonly<Record<string, string>>;
  },
};

/** A list, or one word instead. */
export function arrayOr<T, const W extends string>(form: Form<T>, word: W): Form<readonly T[] | W> {
  const list = array(form);
  return {
    print: (value) => (typeof value === 'string' ? value : list.print(value)),
    read: (given) => (given === word ? word : list.read(given)),
  };
}
