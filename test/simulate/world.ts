// The time that everything in a simulation shares, and that nothing in it can see: machines have clocks of their own.
//
//   V1. Turns run in the order of their due times, those of one instant in the order they were set.
//   V2. Between two turns everything that was resolved runs to its end, then `afterTurn` is called.

import { TimerHeap } from '../fakes/timer-heap.js';
import { settle } from '../fakes/virtual-clock.js';

/** A turn that is set. */
export interface Turn {
  isCancelled: boolean;
}

/** The world's time, in milliseconds from its beginning. */
export class World {
  readonly #timers = new TimerHeap();
  #nowMs = 0;
  #turns = 0;

  /** How long the world has been. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many turns there were. */
  get turns(): number {
    return this.#turns;
  }

  /** Runs something that much later. */
  after(delayMs: number, run: () => void): Turn {
    return this.at(this.#nowMs + delayMs, run);
  }

  /** Runs something at that time, or now if it is past. */
  at(timeMs: number, run: () => void): Turn {
    return this.#timers.add(Math.max(this.#nowMs, timeMs), run);
  }

  /** Lets time pass until `endMs`, or until `afterTurn` answers false. */
  async runUntil(endMs: number, afterTurn: () => boolean): Promise<void> {
    await settle();
    for (let next = this.#timers.take(endMs); next; next = this.#timers.take(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.due);
      this.#turns++;
      next.run();
      await settle();
      if (!afterTurn()) return;
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }
}
