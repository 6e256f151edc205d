// Timers in the order in which they fall due; those of one instant in the order they were set.

/** A timer that was set. */
export interface Pending {
  readonly due: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** The timers of one clock. */
export class TimerHeap {
  readonly #heap: Pending[] = [];
  #order = 0;

  /** Sets a timer. */
  add(due: number, run: () => void): Pending {
    const timer: Pending = { due, order: this.#order++, run, isCancelled: false };
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent];
      if (!above || before(above, timer)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = timer;
    return timer;
  }

  /** When the next timer is due; undefined when none is set. */
  nextDue(): number | undefined {
    this.#dropCancelled();
    return this.#heap[0]?.due;
  }

  /** Takes out the next timer, if it is due by `end`. */
  take(end: number): Pending | undefined {
    this.#dropCancelled();
    const first = this.#heap[0];
    return first && first.due <= end ? this.#pop() : undefined;
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.isCancelled) this.#pop();
  }

  #pop(): Pending | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      const [left, right] = [heap[2 * i + 1], heap[2 * i + 2]];
      const child = left && right && before(right, left) ? 2 * i + 2 : 2 * i + 1;
      const below = heap[child];
      if (!below || before(last, below)) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function before(a: Pending, b: Pending): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}
