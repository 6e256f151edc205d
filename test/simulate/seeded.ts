// Chance that a seed decides. Each concern draws from numbers of its own: leaving out an action of a schedule, or a
// message, does not reshuffle everything else.

import type { Entropy } from '@leasehold/program/entropy';
import { seededNumbers } from '../fakes/seeded-numbers.js';

/** Numbers of one concern. */
export class Seeded implements Entropy {
  readonly #seed: number;
  readonly #next: () => number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#next = seededNumbers(seed);
  }

  /** Numbers of their own for a concern with this name; drawing here changes nothing of them. */
  of(name: string): Seeded {
    let hash = this.#seed ^ 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return new Seeded(hash >>> 0);
  }

  /** From 0 (included) to 1 (excluded). */
  random(): number {
    return this.#next();
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.#next() * 256));
  }

  /** From `low` to `high`. */
  between(low: number, high: number): number {
    return low + this.#next() * (high - low);
  }

  /** A whole number from 0 up to, and without, `count`. */
  below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  /** One of the values; there must be one. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  /** Whether something of this likelihood happens. */
  chance(likelihood: number): boolean {
    return this.#next() < likelihood;
  }
}
