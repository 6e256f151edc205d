// Items by the moment at which they are due: a binary heap. What is not due costs nothing.

interface Due<T> {
  readonly dueMs: number;
  readonly item: T;
}

/** Items, the earliest first. */
export class DueQueue<T> {
  readonly #heap: Due<T>[] = [];

  /** Adds an item. */
  add(item: T, dueMs: number): void {
    const heap = this.#heap;
    let at = heap.push({ dueMs, item }) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (this.#at(parent) <= this.#at(at)) return;
      this.#swap(parent, at);
      at = parent;
    }
  }

  /** Takes an item that is due; undefined: there is none. */
  take(nowMs: number): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (!first || first.dueMs > nowMs) return undefined;
    const last = heap.pop();
    if (last && heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return first.item;
  }

  #sink(): void {
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const least = this.#at(left + 1) < this.#at(left) ? left + 1 : left;
      if (this.#at(at) <= this.#at(least)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #at(index: number): number {
    return this.#heap[index]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (!one || !other) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}
