// The real randomness: the one place of the programs that draws random numbers.

import { randomFillSync } from 'node:crypto';
import type { Entropy } from './entropy.js';

// Drawn at once and handed out in pieces: a draw of its own for every reservation id cost a server more than the
// reservation's write.
const POOL_BYTES = 4_096;

/** Randomness of the operating system's generator. */
export function systemEntropy(): Entropy {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    random: Math.random,
    bytes(length) {
      if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
      if (used + length > POOL_BYTES) {
        randomFillSync(pool);
        used = 0;
      }
      used += length;
      return pool.slice(used - length, used);
    },
  };
}
