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

  /** `keptMs`: for how long at least. */
  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  /** Notes it, in place of what was noted before. */
  note(key: K, value: V, nowMs: number): void {
    this.#noted.delete(key);
    this.#noted.set(key, { value, atMs: nowMs });
    for (const [other, { atMs }] of this.#noted) {
      if (nowMs - atMs < this.#keptMs) break;
      this.#noted.delete(other);
    }
  }

  /** What was noted last, and when; undefined: nothing, or not lately. */
  get(key: K): Noted<V> | undefined {
    return this.#noted.get(key);
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
