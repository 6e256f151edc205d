// Chance that tests decide.

import type { Entropy } from '@leasehold/program/entropy';

/** Always the same number; bytes that never repeat. */
export class FixedEntropy implements Entropy {
  value: number;
  #drawn = 0;

  /** `value`: what `random()` says. */
  constructor(value = 0.5) {
    this.value = value;
  }

  random(): number {
    return this.value;
  }

  bytes(length: number): Uint8Array {
    const bytes = Buffer.alloc(length);
    if (length >= 4) bytes.writeUInt32BE(++this.#drawn, length - 4);
    return bytes;
  }
}
