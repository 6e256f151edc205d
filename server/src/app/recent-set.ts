// What was added last: a memory that may forget.

/** Remembers at least `limit` of the last items, and at most twice as many. */
export class RecentSet<T> {
  readonly #limit: number;
  #young = new Set<T>();
  #old = new Set<T>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(item: T): boolean {
    return this.#young.has(item) || this.#old.has(item);
  }

  add(item: T): void {
    this.#young.add(item);
    if (this.#young.size < this.#limit) return;
    this.#old = this.#young;
    this.#young = new Set();
  }
}
