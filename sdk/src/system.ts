// The only file of the SDK that reads clocks, timers, chance and the environment; everything else takes a `Runtime`.

import { randomUUID } from 'node:crypto';

/** Time, chance and environment of the process, as an argument. */
export interface Runtime {
  /** The process environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds on a monotonic clock, for spans. */
  monotonicMs(): number;
  /** Milliseconds since 1970, for deadlines of gRPC and for what people count back from now. */
  wallMs(): number;
  /** Resolves `delayMs` from now, or at once when `signal` is or becomes aborted; never rejects. */
  wait(delayMs: number, signal: AbortSignal): Promise<void>;
  /** Runs `work` when `delayMs` are over, unless what is answered is called before. */
  after(delayMs: number, work: () => void): () => void;
  /** Runs `work` at the end of this turn of the event loop. */
  atTurnEnd(work: () => void): void;
  /** A number from 0 (included) to 1 (excluded). */
  random(): number;
  /** A request id that no other call has. */
  requestId(): string;
}

/** The real process. */
export const system: Runtime = {
  env: process.env,
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  wait: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      signal.addEventListener('abort', done, { once: true });
    }),
  after(delayMs, work) {
    const timer = setTimeout(work, delayMs);
    return () => clearTimeout(timer);
  },
  atTurnEnd: (work) => void setImmediate(work),
  random: () => Math.random(),
  requestId: () => randomUUID(),
};
