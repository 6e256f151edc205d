// Chance of a product's process, drawn from the seed of a run.

import type { Entropy } from '@leasehold/program/entropy';

/** Draws everything from one row of numbers. */
export function seededEntropy(chance: () => number): Entropy {
  return {
    random: chance,
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(chance() * 256)),
  };
}
