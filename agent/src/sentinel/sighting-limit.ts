// How much is told of what is noticed, however much that is.
//
//   L1. Of one reservation the same once a minute; of a network ten a second, in bursts of a hundred. From which MAC does
//       not matter: those are made up in any number.
//   L2. What is remembered for that is bounded: when it is too much, all of it is forgotten, and told anew.

const AGAIN_AFTER_MS = 60_000;
const PER_MS = 10 / 1_000;
const BURST = 100;
const MAX_REMEMBERED = 10_000;

/** Decides what is told. */
export class SightingLimit {
  readonly #told = new Map<string, number>();
  #allowance = BURST;
  #lastMs = 0;

  /** Whether to tell of something by this name now. */
  allows(name: string, nowMs: number): boolean {
    const told = this.#told.get(name);
    if (told !== undefined && nowMs - told < AGAIN_AFTER_MS) return false;
    this.#allowance = Math.min(BURST, this.#allowance + (nowMs - this.#lastMs) * PER_MS);
    this.#lastMs = nowMs;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    if (this.#told.size >= MAX_REMEMBERED) this.#told.clear();
    this.#told.set(name, nowMs);
    return true;
  }
}
