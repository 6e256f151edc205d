// The real clock: the one place of the programs that reads the time and sets timers.

import type { Clock } from './clock.js';

// setTimeout turns a longer delay into 1 ms: a wait of 30 days would be over at once.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * The clock of this machine. `nowMs` is its monotonic clock in milliseconds; without it, CLOCK_MONOTONIC, which stands
 * still while the machine is suspended. Who must count suspend (an agent's authority) hands in CLOCK_BOOTTIME.
 */
export function systemClock(nowMs: () => number = () => performance.now()): Clock {
  return {
    now: nowMs,
    wallTime: () => new Date(),
    after(delayMs, run) {
      const dueAt = nowMs() + delayMs;
      const arm = (remainingMs: number): NodeJS.Timeout =>
        remainingMs <= LONGEST_TIMEOUT_MS
          ? setTimeout(run, Math.max(0, remainingMs))
          : setTimeout(() => {
              timer = arm(dueAt - nowMs());
            }, LONGEST_TIMEOUT_MS);
      let timer = arm(delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
