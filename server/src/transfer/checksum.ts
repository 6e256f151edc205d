// The checksum of an export: SHA-256 of its lines, each with its end.

import { createHash } from 'node:crypto';

// A call for every line takes longer than the sum.
const SUMMED_AT_ONCE = 65_536;

/** The checksum of lines. */
export class Checksum {
  readonly #hash = createHash('sha256');
  #waiting = '';

  /** Adds a line. */
  add(line: string): void {
    this.#waiting += `${line}\n`;
    if (this.#waiting.length < SUMMED_AT_ONCE) return;
    this.#hash.update(this.#waiting);
    this.#waiting = '';
  }

  /** Of all lines so far, in hexadecimal. */
  value(): string {
    return this.#hash.copy().update(this.#waiting).digest('hex');
  }
}
