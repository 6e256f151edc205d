// A clock that runs as another one does, and can be put forward.
//
//   R1. What falls due on the way runs in the order of its due times, each at its own time; between two of them, everything that
//       was resolved runs to its end.
//   R2. Time stands still outside of what runs while it is put forward, and never goes back.

import type { Clock, Timer } from '@leasehold/program/clock';
import { TimerHeap } from '../../test/fakes/timer-heap.js';
import { settle } from '../../test/fakes/virtual-clock.js';

/** The clock. */
export class RunningClock implements Clock {
  readonly #base: Clock;
  readonly #wallOffsetMs: number;
  readonly #timers = new TimerHeap();
  #aheadMs = 0;
  /** Where it stands while it is put forward. */
  #heldMs: number | undefined;
  #armed: { readonly dueMs: number; readonly timer: Timer } | undefined;
  #isStopped = false;
  #last: Promise<unknown> = Promise.resolve();

  /** Begins at the time of `base`. */
  constructor(base: Clock) {
    this.#base = base;
    this.#wallOffsetMs = base.wallTime().getTime() - base.now();
  }

  now(): number {
    return this.#heldMs ?? this.#base.now() + this.#aheadMs;
  }

  wallTime(): Date {
    return new Date(this.#wallOffsetMs + this.now());
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = this.#timers.add(this.now() + Math.max(0, delayMs), run);
    this.#arm();
    return {
      cancel() {
        timer.isCancelled = true;
      },
    };
  }

  /** Puts it forward by `ms`, after those that were asked for before. */
  advance(ms: number): Promise<void> {
    const done = this.#last.then(() => this.#advance(ms));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Nothing runs any more. */
  stop(): void {
    this.#isStopped = true;
    this.#disarm();
  }

  async #advance(ms: number): Promise<void> {
    this.#disarm();
    this.#heldMs = this.now();
    const endMs = this.#heldMs + ms;
    try {
      await settle();
      for (let next = this.#timers.take(endMs); next && !this.#isStopped; next = this.#timers.take(endMs)) {
        this.#heldMs = Math.max(this.#heldMs, next.due);
        next.run();
        await settle();
      }
    } finally {
      this.#aheadMs = endMs - this.#base.now();
      this.#heldMs = undefined;
      this.#arm();
    }
  }

  #arm(): void {
    if (this.#heldMs !== undefined || this.#isStopped) return;
    const dueMs = this.#timers.nextDue();
    if (dueMs === this.#armed?.dueMs) return;
    this.#disarm();
    if (dueMs !== undefined) this.#armed = { dueMs, timer: this.#base.after(dueMs - this.now(), () => this.#run()) };
  }

  #disarm(): void {
    this.#armed?.timer.cancel();
    this.#armed = undefined;
  }

  #run(): void {
    this.#armed = undefined;
    const nowMs = this.now();
    try {
      for (let next = this.#timers.take(nowMs); next; next = this.#timers.take(nowMs)) next.run();
    } finally {
      this.#arm();
    }
  }
}
