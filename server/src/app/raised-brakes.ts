// What holds the control plane back now, for people: in the log when it begins and ends, in GetStatus while it holds.

import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';

/** Something that keeps the manager from moving placements; `HOLD_STILL`: addresses from being freed and handed out. */
export interface Brake {
  readonly kind: 'START' | 'STALL' | 'STORE' | 'MASS_SILENCE' | 'BUDGET' | 'HOLD_STILL';
  readonly reason: string;
  readonly since: Date;
}

/** The brakes that hold now. */
export class RaisedBrakes {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #brakes = new Map<Brake['kind'], Brake & { readonly sinceMs: number }>();
  #isOver = false;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** All of them. */
  get list(): readonly Brake[] {
    return [...this.#brakes.values()];
  }

  /** Holds while there is a reason, and lets go without one. */
  set(kind: Brake['kind'], reason: string | undefined): void {
    const known = this.#brakes.get(kind);
    if (reason !== undefined && !this.#isOver) {
      if (!known) this.#log.warn('brake engaged', { kind, reason });
      const { since, sinceMs } = known ?? { since: this.#clock.wallTime(), sinceMs: this.#clock.now() };
      this.#brakes.set(kind, { kind, reason, since, sinceMs });
    } else if (known) {
      this.#brakes.delete(kind);
      this.#log.info('brake released', { kind, heldMs: Math.round(this.#clock.now() - known.sinceMs) });
    }
  }

  /** Lets go of all, for ever: there is nothing any more that they could hold back. */
  end(): void {
    this.#isOver = true;
    for (const kind of [...this.#brakes.keys()]) this.set(kind, undefined);
  }
}
