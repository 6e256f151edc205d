// What happened to whom lately. What is kept is bounded by what happens within a while, whoever is named.

interface Noted<V> {
  readonly value: V;
  readonly atMs: number;
}

/** By key, the last thing noted; forgotten some time after that. */
export class Recent<K, V> {
  readonly #keptMs: number;
  /** The one that was noted last comes last. */
  readonly #noted = new Map<K, Noted<V>>();

  /** `keptMs`: for how long. */
  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  /** Notes it, in place of what was noted before. */
  note(key: K, value: V, nowMs: number): void {
    this.#noted.delete(key);
    this.#noted.set(key, { value, atMs: nowMs });
    for (const [other, { atMs }] of this.#noted) {
      if (this.#isRecent(atMs, nowMs)) break;
      this.#noted.delete(other);
    }
  }

  /** What was noted last, and when; undefined: nothing, or not lately. */
  get(key: K, nowMs: number): Noted<V> | undefined {
    const noted = this.#noted.get(key);
    // It may still be there: what is old goes when another is noted.
    return noted && this.#isRecent(noted.atMs, nowMs) ? noted : undefined;
  }

  #isRecent(atMs: number, nowMs: number): boolean {
    return nowMs - atMs < this.#keptMs;
  }

  /** Forgets it. */
  forget(key: K): void {
    this.#noted.delete(key);
  }

  /** Forgets everything. */
  clear(): void {
    this.#noted.clear();
  }
}
