// How many calls a caller may make: a bucket for each, that holds the calls of one second and fills within one.
//
//   R1. A call is let in while the bucket holds a whole one; what it costs beyond that is owed, and paid before the next.
//   R2. Of a caller one number is kept, when its bucket is full again, and not longer than until then.

const BURST_MS = 1_000;

/** The buckets of all callers. */
export class CallRates {
  readonly perSecond: number;
  readonly #eachMs: number;
  /** When each bucket is full again. */
  readonly #fullAtMs = new Map<string, number>();
  #sweepAtMs = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
    this.#eachMs = BURST_MS / perSecond;
  }

  /** How many callers are remembered. */
  get size(): number {
    return this.#fullAtMs.size;
  }

  /** Takes one call; answers 0, or after how many milliseconds there is one to take. */
  take(caller: string, now: number): number {
    if (now >= this.#sweepAtMs) this.#sweep(now);
    const fullAtMs = Math.max(now, this.#fullAtMs.get(caller) ?? now) + this.#eachMs;
    // A millionth of a millisecond is what adding fractions may have made of nothing.
    const early = fullAtMs - now - BURST_MS;
    if (early > 1e-6) return Math.ceil(early);
    this.#fullAtMs.set(caller, fullAtMs);
    return 0;
  }

  /** A call that was let in turned out to be so many more. */
  owe(caller: string, more: number, now: number): void {
    this.#fullAtMs.set(caller, Math.max(now, this.#fullAtMs.get(caller) ?? now) + more * this.#eachMs);
  }

  #sweep(now: number): void {
    for (const [caller, fullAtMs] of this.#fullAtMs) if (fullAtMs <= now) this.#fullAtMs.delete(caller);
    this.#sweepAtMs = now + BURST_MS;
  }
}
