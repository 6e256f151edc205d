// Time on one machine, and the processes on it.
//
//   M1. A machine's clock counts from its boot, drifts by its own rate, and goes on while a process is frozen.
//   M2. A frozen process runs nothing; what falls due or arrives meanwhile runs when it is thawed, in that order.
//   M3. Nothing of a killed process ever runs again.

import type { Clock, Timer } from '@leasehold/program/clock';

const NEVER_EARLY_MS = 1e-6;

/** A machine's clock, since one of its boots. */
export class MachineClock implements Clock {
  readonly #world: Clock;
  readonly #rate: number;
  readonly #bootedMs: number;
  readonly #bootMs: number;

  /** `rate`: how many of its milliseconds pass in one of the world's. `bootMs`: what it shows now. */
  constructor(world: Clock, rate = 1, bootMs = 10_000) {
    this.#world = world;
    this.#rate = rate;
    this.#bootedMs = world.now();
    this.#bootMs = bootMs;
  }

  now(): number {
    return this.#bootMs + (this.#world.now() - this.#bootedMs) * this.#rate;
  }

  wallTime(): Date {
    return this.#world.wallTime();
  }

  after(delayMs: number, run: () => void): Timer {
    // A timer is never early, also not by what a division loses.
    return this.#world.after(Math.max(0, delayMs) / this.#rate + NEVER_EARLY_MS, run);
  }
}

/** The clock of one process, which can be frozen and killed. */
export class ProcessClock implements Clock {
  readonly #machine: Clock;
  #state: 'running' | 'frozen' | 'killed' = 'running';
  #late: (() => void)[] = [];

  constructor(machine: Clock) {
    this.#machine = machine;
  }

  get isStalled(): boolean {
    return this.#state === 'frozen';
  }

  get isAlive(): boolean {
    return this.#state !== 'killed';
  }

  now(): number {
    return this.#machine.now();
  }

  wallTime(): Date {
    return this.#machine.wallTime();
  }

  after(delayMs: number, run: () => void): Timer {
    let isCancelled = false;
    const timer = this.#machine.after(delayMs, () =>
      this.arrive(() => {
        if (!isCancelled) run();
      }),
    );
    const cancel = () => {
      isCancelled = true;
      timer.cancel();
    };
    return { cancel };
  }

  /** Runs it in the process: at once, or when it is thawed, or never. */
  arrive(run: () => void): void {
    if (this.#state === 'running') run();
    else if (this.#state === 'frozen') this.#late.push(run);
  }

  /** SIGSTOP. */
  stall(): void {
    if (this.#state === 'running') this.#state = 'frozen';
  }

  /** SIGCONT. */
  resume(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    const late = this.#late;
    this.#late = [];
    // Each in a turn of its own, as timers and arrivals are; by the machine's clock: it may be frozen again meanwhile.
    for (const run of late) this.#machine.after(0, () => this.arrive(run));
  }

  /** SIGKILL. */
  kill(): void {
    this.#state = 'killed';
    this.#late = [];
  }
}
