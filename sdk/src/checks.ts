// What is certainly wrong with a request is told without a call, as the server would tell it: addresses, MACs and
// prefixes by the server's own rules, its names of the fields, all mistakes at once.
//
// Also what the API has no words for, as a span that is no number: sent, it would be something else.
//
//   K1. What passes here the server may still refuse; what is refused here it would refuse.
//   K2. Items of batches are the server's to judge: one that is refused spoils no other.

import { type FieldViolation, makeError } from './errors.js';
import { type Parsed, parseCidr, parseIpv4, parseMac, quote } from './gen/values.js';
import type { NamedReservation } from './reservation-keys.js';

// 10,000 years.
const MAX_SECONDS = 315_576_000_000;

/** Collects what is wrong with a request. */
export class Checks {
  readonly #violations: FieldViolation[] = [];

  /** A MAC that must be there. */
  mac(field: string, text: string): this {
    return this.#required(field, text, parseMac);
  }

  /** A MAC, or none. */
  optionalMac(field: string, text: string | undefined): this {
    return text ? this.#required(field, text, parseMac) : this;
  }

  /** An address that must be there. */
  address(field: string, text: string): this {
    return this.#required(field, text, parseIpv4);
  }

  /** An address, or none. */
  optionalAddress(field: string, text: string | null | undefined): this {
    return text ? this.#required(field, text, parseIpv4) : this;
  }

  /** Addresses. */
  addresses(field: string, texts: readonly string[] | undefined): this {
    for (const [i, text] of texts?.entries() ?? []) this.address(`${field}[${i}]`, text);
    return this;
  }

  /** A prefix that must be there. */
  cidr(field: string, text: string): this {
    return this.#required(field, text, parseCidr);
  }

  /** A span in seconds, or none; the longest is that of google.protobuf.Duration. */
  optionalSpan(field: string, seconds: number | undefined): this {
    if (seconds === undefined || Math.abs(seconds) <= MAX_SECONDS) return this;
    return this.#wrong(field, `No duration: ${seconds} s`);
  }

  /** One of some words, or none: TypeScript cannot vouch for all callers. */
  optionalWord(field: string, word: string | undefined, known: readonly string[]): this {
    if (word === undefined || known.includes(word)) return this;
    return this.#wrong(field, `${quote(word)} is not one of ${known.join(', ')}`);
  }

  /** What a reservation is named by; `prefix`: where it stands in the request. */
  key(key: NamedReservation, prefix = ''): this {
    const nested = (name: string) => (prefix === '' ? '' : `${prefix}${name}.`);
    if (key.$case === 'address') return this.address(`${nested('address')}address`, key.value.address);
    return key.$case === 'mac' ? this.mac(`${nested('mac')}mac`, key.value.mac) : this;
  }

  /** Throws InvalidArgumentError if anything is wrong. */
  pass(): void {
    if (this.#violations.length === 0) return;
    const message = this.#violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
    const fieldViolations = this.#violations;
    throw makeError({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', message, fieldViolations });
  }

  #required(field: string, text: string | undefined, parse: (text: string) => Parsed<unknown>): this {
    const parsed = parse(text ?? '');
    return parsed.ok ? this : this.#wrong(field, text ? parsed.problem : 'Required');
  }

  #wrong(field: string, description: string): this {
    this.#violations.push({ field, description });
    return this;
  }
}
