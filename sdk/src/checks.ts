// What is certainly wrong with a request is told without a call, as the server would tell it: addresses, MACs and
// prefixes by the server's own rules, its names of the fields, all mistakes at once.
//
//   K1. What passes here the server may still refuse; what is refused here it would refuse.
//   K2. Items of batches are the server's to judge: one that is refused spoils no other.

import { type FieldViolation, makeError } from './errors.js';
import { type Parsed, parseCidr, parseIpv4, parseMac } from './gen/values.js';
import type { NamedReservation } from './reservations.js';

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
    if (!parsed.ok) this.#violations.push({ field, description: text ? parsed.problem : 'Required' });
    return this;
  }
}
