// Virtual time for tests and simulations: a Clock that moves only when told to.
//
//   V1. Timers run in the order of their due times, those of one instant in the order they were set.
//   V2. While a timer runs, now() is its due time; between timers, everything that was resolved runs to its end.

import type { Clock, Timer } from '@leasehold/program/clock';

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that stands still until `advance` moves it. */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #wallOffset: number;
  readonly #heap: Pending[] = [];
  readonly #cancelled = new WeakSet<Pending>();

  /** Starts at `startMs` on the monotonic clock, which is `wallStart` for people. */
  constructor(startMs = 1_000_000, wallStart = new Date('2026-01-01T00:00:00Z')) {
    this.#now = startMs;
    this.#wallOffset = wallStart.getTime() - startMs;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): Date {
    return new Date(this.#wallOffset + this.#now);
  }

  after(delayMs: number, run: () => void): Timer {
    const timer: Pending = { due: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    this.#push(timer);
    return { cancel: () => void this.#cancelled.add(timer) };
  }

  /** Moves time forward by `ms`, running every timer that falls due, also those set on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let next = this.#due(end); next; next = this.#due(end)) {
      this.#now = Math.max(this.#now, next.due);
      next.run();
      await settle();
    }
    this.#now = end;
  }

  /** Moves time without running anything: what a suspended or stopped machine sees when it wakes up. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** When the next timer is due; undefined when none is set. */
  nextDue(): number | undefined {
    this.#dropCancelled();
    return this.#heap[0]?.due;
  }

  #due(end: number): Pending | undefined {
    this.#dropCancelled();
    const first = this.#heap[0];
    return first && first.due <= end ? this.#pop() : undefined;
  }

  #dropCancelled(): void {
    for (let first = this.#heap[0]; first && this.#cancelled.has(first); first = this.#heap[0]) this.#pop();
  }

  #push(timer: Pending): void {
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

/** Lets everything run that waits for nothing but its turn: resolved promises, and what they resolve. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
