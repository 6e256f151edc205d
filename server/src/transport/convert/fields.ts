// Reads the fields of a request: every string is parsed to a value, and everything that is wrong is collected, so that
// a caller learns of all mistakes at once.

import { parseDhcpOption } from '@leasehold/proto/dhcp-options';
import type { Duration } from '@leasehold/proto/google/protobuf/duration';
import type { DhcpOption as WireOption } from '@leasehold/proto/ipam/v1/subnet';
import {
  MAX_LABELS,
  type Parsed,
  parseLabelKey,
  parseLabelValue,
  parseOwner,
  parseResourceId,
  parseText,
  quote,
} from '@leasehold/proto/values';
import { type FieldViolation, invalidFields, type Result, success } from '../../domain/errors.js';
import type { DhcpOption, Labels } from '../../domain/network.js';

const MAX_OPTIONS = 16;
const MAX_REQUEST_ID = 128;
// What google.protobuf.Duration can be: 10,000 years.
const MAX_SECONDS = 315_576_000_000n;
const MAX_NANOS = 999_999_999;

/** Collects what is wrong with a request. */
export class Fields {
  readonly #violations: FieldViolation[] = [];

  /** Notes that a field is wrong. */
  wrong(field: string, description: string): void {
    this.#violations.push({ field, description });
  }

  /** The value, unless anything was wrong. */
  result<T>(value: T): Result<T> {
    return this.#violations.length === 0 ? success(value) : invalidFields(this.#violations);
  }

  /** A parsed value; undefined, and noted, when the text is wrong. */
  parse<T>(field: string, text: string, parse: (text: string) => Parsed<T>): T | undefined {
    const parsed = parse(text);
    if (parsed.ok) return parsed.value;
    this.wrong(field, text === '' ? 'Required' : parsed.problem);
    return undefined;
  }

  /** A parsed value, or undefined when the text is empty. */
  optional<T>(field: string, text: string | undefined, parse: (text: string) => Parsed<T>): T | undefined {
    return text === undefined || text === '' ? undefined : this.parse(field, text, parse);
  }

  /** Parsed values, at most `max`. */
  list<T>(field: string, texts: readonly string[], max: number, parse: (text: string) => Parsed<T>): readonly T[] {
    if (texts.length > max) this.wrong(field, `More than ${max} entries`);
    return texts.slice(0, max).flatMap((text, i) => {
      const value = this.parse(`${field}[${i}]`, text, parse);
      return value === undefined ? [] : [value];
    });
  }

  /** The id of a resource. */
  id<Id extends string>(field: string, text: string): Id {
    return (this.parse(field, text, parseResourceId) ?? '') as Id;
  }

  /** The id of a resource, or undefined when it is empty. */
  optionalId<Id extends string>(field: string, text: string): Id | undefined {
    return text === '' ? undefined : this.id<Id>(field, text);
  }

  /** Text for people or programs: no control characters, at most `max` characters. */
  text(field: string, text: string, max: number): string {
    this.#note(field, parseText(text, max));
    return text;
  }

  /** The owner of a reservation; empty when there is none. */
  owner(field: string, text: string): string {
    this.#note(field, parseOwner(text));
    return text;
  }

  /** The id of a request, empty when there is none. */
  requestId(text: string): string {
    return this.text('request_id', text, MAX_REQUEST_ID);
  }

  /** Labels. */
  labels(field: string, labels: Readonly<Record<string, string>>): Labels {
    const entries = Object.entries(labels);
    if (entries.length > MAX_LABELS) this.wrong(field, `More than ${MAX_LABELS} labels`);
    for (const [key, value] of entries) {
      this.#note(field, parseLabelKey(key));
      this.#note(field, parseLabelValue(key, value));
    }
    return Object.fromEntries(entries);
  }

  /** DHCP options from the allow-list, at most one of a code. */
  options(field: string, options: readonly WireOption[]): readonly DhcpOption[] {
    if (options.length > MAX_OPTIONS) this.wrong(field, `More than ${MAX_OPTIONS} options`);
    const seen = new Set<number>();
    return options.slice(0, MAX_OPTIONS).flatMap(({ code, value }, i) => {
      const parsed = parseDhcpOption(code, value);
      if (!parsed.ok) this.wrong(`${field}[${i}]`, parsed.problem);
      else if (seen.has(code)) this.wrong(`${field}[${i}]`, `Option ${code} is there twice`);
      seen.add(code);
      return parsed.ok ? [{ code, value: parsed.value.value }] : [];
    });
  }

  /** A span in whole seconds, or undefined when it is absent. */
  seconds(field: string, duration: Duration | undefined): number | undefined {
    if (!duration) return undefined;
    if (this.#span(field, duration) && duration.nanos !== 0) this.wrong(field, 'Not a whole number of seconds');
    return Number(duration.seconds);
  }

  /** A span in milliseconds, rounded up, or undefined when it is absent. */
  milliseconds(field: string, duration: Duration | undefined): number | undefined {
    if (!duration) return undefined;
    this.#span(field, duration);
    return Number(duration.seconds) * 1_000 + Math.ceil(duration.nanos / 1e6);
  }

  #note(field: string, parsed: Parsed<unknown>): void {
    if (!parsed.ok) this.wrong(field, parsed.problem);
  }

  /** Whether a duration is one, and no span is negative: its parts could also contradict each other. */
  #span(field: string, { seconds, nanos }: Duration): boolean {
    if (seconds < 0n || nanos < 0) this.wrong(field, `Negative: ${seconds} s and ${nanos} ns`);
    else if (seconds > MAX_SECONDS || nanos > MAX_NANOS) this.wrong(field, `No duration: ${seconds} s and ${nanos} ns`);
    else return true;
    return false;
  }

  /** The paths of an update mask; undefined when there is no mask or an empty one (AIP-134). `*` stands for all. */
  mask<Path extends string>(mask: readonly string[] | undefined, known: readonly Path[]): readonly Path[] | undefined {
    if (!mask || mask.length === 0) return undefined;
    if (mask.includes('*')) return known;
    return mask.flatMap((path) => {
      const found = known.find((each) => each === path);
      if (!found) this.wrong('update_mask', `${quote(path)} is not one of ${known.join(', ')}`);
      return found ? [found] : [];
    });
  }
}
