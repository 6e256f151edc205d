// The deterministic twin of the opossum breaker: same rules, on a Clock.

import type { Clock } from '@leasehold/program/clock';
import type { Breaker, BreakerPatience, BreakerState, MakeBreaker } from '../../ports/breaker.js';

const VOLUME_THRESHOLD = 3;
const PATIENCE: BreakerPatience = { windowMs: 10_000, resetMs: 10_000 };

interface Ending {
  readonly atMs: number;
  readonly failed: boolean;
}

/** Makes breakers that open when at least three calls of their window failed, half of them or more. */
export function virtualBreakers(clock: Clock): MakeBreaker {
  return (_name, onChange, patience = PATIENCE) => new VirtualBreaker(clock, onChange, patience);
}

class VirtualBreaker implements Breaker {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #patience: BreakerPatience;
  #endings: Ending[] = [];
  #state: BreakerState = 'closed';
  /** Half open, one call tries. */
  #isTried = false;

  constructor(clock: Clock, onChange: () => void, patience: BreakerPatience) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#patience = patience;
  }

  get state(): BreakerState {
    return this.#state;
  }

  async run(work: () => Promise<void>): Promise<void> {
    const trying = this.#state === 'half-open';
    if (this.#state === 'open' || (trying && this.#isTried)) throw new Error('Breaker is open');
    this.#isTried = trying;
    try {
      await work();
      this.#ended(false, trying);
    } catch (error) {
      this.#ended(true, trying);
      throw error;
    }
  }

  open(): void {
    if (this.#state === 'open') return;
    this.#become('open');
    this.#clock.after(this.#patience.resetMs, () => {
      if (this.#state === 'open') this.#become('half-open');
    });
  }

  close(): void {
    this.#state = 'closed';
  }

  #ended(failed: boolean, trying: boolean): void {
    const atMs = this.#clock.now();
    this.#endings.push({ atMs, failed });
    const recent = this.#endings.findIndex((each) => atMs - each.atMs < this.#patience.windowMs);
    if (recent > 0) this.#endings.splice(0, recent);
    let failures = 0;
    for (const each of this.#endings) if (each.failed) failures++;
    if (trying && !failed) this.#become('closed');
    else if (failed && (trying || (failures >= VOLUME_THRESHOLD && failures * 2 >= this.#endings.length))) this.open();
  }

  #become(state: BreakerState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#isTried = false;
    if (state === 'closed') this.#endings = [];
    this.#onChange();
  }
}
