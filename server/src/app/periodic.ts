// Work that is done again and again, one run at a time, with a pause between two.

import type { Clock, Timer } from '@leasehold/program/clock';

/** Runs work every so often. */
export class Periodic {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #work: () => Promise<void>;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isStopped = false;

  /** `work` looks after its own failures. */
  constructor(clock: Clock, everyMs: number, work: () => Promise<void>) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#work = work;
  }

  /** Whether it was told to stop: work that takes long looks now and then. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Begins with a pause. */
  start(): void {
    if (this.#isStopped) return;
    this.#timer = this.#clock.after(this.#everyMs, () => {
      this.#running = this.#work().then(() => this.start());
    });
  }

  /** Ends after the run under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#running;
  }
}
