// Chance that tests decide.

import type { Entropy } from '@leasehold/program/entropy';

/** Always the same number; bytes that never repeat. */
export class FixedEntropy implements Entropy {
  value: number;
  readonly #source: number;
  #drawn = 0;

  /** `value`: what `random()` says. Bytes of different sources differ. */
  constructor(value = 0.5, source = 0) {
    this.value = value;
    this.#source = source;
  }

  random(): number {
    return this.value;
  }

  bytes(length: number): Uint8Array {
    const bytes = Buffer.alloc(length);
    if (length >= 8) bytes.writeUInt8(this.#source, length - 8);
    if (length >= 4) bytes.writeUInt32BE(++this.#drawn, length - 4);
    return bytes;
  }
}
