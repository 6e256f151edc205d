// Circuit breakers: who fails again and again is left alone for a while.

/** A circuit breaker. */
export interface Breaker {
  /** `open`: `run` rejects at once. `half-open`: the next `run` tries. */
  readonly state: BreakerState;
  /** Runs `work` and learns from how it ends; rejects with the failure of `work`, or because the breaker is open. */
  run(work: () => Promise<void>): Promise<void>;
  /** Opens it at once: what its keeper saw is verdict enough. */
  open(): void;
  /** Stops its timers. */
  close(): void;
}

/** State of a breaker. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** How quickly a breaker judges, and tries again. */
export interface BreakerPatience {
  /** Calls that ended within this time make the verdict. */
  readonly windowMs: number;
  /** After this time an open breaker tries again. */
  readonly resetMs: number;
}

/** Makes a breaker. `onChange` is called when its state changed. Without a patience: 10 s for both. */
export type MakeBreaker = (name: string, onChange: () => void, patience?: BreakerPatience) => Breaker;
