// Real chance: the one place of the programs that draws random numbers.

import { randomBytes } from 'node:crypto';
import type { Entropy } from './entropy.js';

/** The randomness of this machine. `bytes` is fit for keys and ids, `random` for jitter. */
export function systemEntropy(): Entropy {
  return { random: () => Math.random(), bytes: (length) => new Uint8Array(randomBytes(length)) };
}
