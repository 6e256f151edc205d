// Virtual time for tests and simulations: a Clock that moves only when told to.
//
//   V1. Timers run in the order of their due times, those of one instant in the order they were set.
//   V2. While a timer runs, now() is its due time; between timers, everything that was resolved runs to its end.

import type { Clock, Timer } from '@leasehold/program/clock';
import { TimerHeap } from './timer-heap.js';

/** A clock that stands still until `advance` moves it. */
export class VirtualClock implements Clock {
  #now: number;
  readonly #wallOffset: number;
  readonly #timers = new TimerHeap();

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
    const timer = this.#timers.add(this.#now + Math.max(0, delayMs), run);
    return {
      cancel() {
        timer.isCancelled = true;
      },
    };
  }

  /** Moves time forward by `ms`, running every timer that falls due, also those set on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let next = this.#timers.take(end); next; next = this.#timers.take(end)) {
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
    return this.#timers.nextDue();
  }
}

/** Lets everything run that waits for nothing but its turn: resolved promises, and what they resolve. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
