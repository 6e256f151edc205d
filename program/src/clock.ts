// Time as an argument: nothing but `systemClock` reads a clock or sets a timer, so that the whole of Leasehold can
// run in virtual time inside one process.

/** A timer that was set. */
export interface Timer {
  /** Unsets it. Without effect when it ran already. */
  cancel(): void;
}

/** The clocks and timers of one machine. */
export interface Clock {
  /** Milliseconds on a monotonic clock that counts suspend (CLOCK_BOOTTIME where there is one). For every span. */
  now(): number;
  /** Wall-clock time, for people. Never decides anything. */
  wallTime(): Date;
  /** Runs `run` once, `delayMs` from now. */
  after(delayMs: number, run: () => void): Timer;
}

/** Resolves `delayMs` from now, or at once when `signal` is or becomes aborted; it never rejects. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
