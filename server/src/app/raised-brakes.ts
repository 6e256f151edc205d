// What holds the control plane back now, for people: in the log when it begins, in GetStatus while it holds.

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
  readonly #brakes = new Map<Brake['kind'], Brake>();

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
    if (reason === undefined) {
      this.#brakes.delete(kind);
      return;
    }
    const known = this.#brakes.get(kind);
    if (!known) this.#log.warn('brake engaged', { kind, reason });
    this.#brakes.set(kind, { kind, reason, since: known?.since ?? this.#clock.wallTime() });
  }
}
