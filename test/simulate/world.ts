// The time that everything in a simulation shares, and that nothing in it can see: machines have clocks of their own.
//
//   V1. Turns run in the order of their due times, those of one instant in the order they were set.
//   V2. Between two turns everything that was resolved runs to its end, then `afterTurn` is called.
//   V3. The event loop has its turn every few hundred of these: nothing in a run waits for it, what is around a run does.

import { TimerHeap } from '../fakes/timer-heap.js';
import { settle } from '../fakes/virtual-clock.js';

const LOOP_EVERY_TURNS = 256;

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
      await (this.#turns % LOOP_EVERY_TURNS === 0 ? settle() : settleQuickly());
      if (!afterTurn()) return;
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }
}

/**
 * Lets everything run that was resolved, and what that resolves: Node calls who waits for the next tick when no promise is
 * left to go on. Costs a fraction of a turn of the event loop.
 */
function settleQuickly(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
