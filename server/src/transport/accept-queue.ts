// Connections that are let in at a dictated rate: ten thousand at once would keep the event loop for half a minute, in
// which nothing else is done: no heartbeat, no renewal of the lease, no answer to an engine.
//
//   A1. At most `atOnce` are taken at one moment, and `perSecond` in every second after that.
//   A2. What waits is bounded in number, and in time: who waits is away for its own side, and will have left.
//   A3. They are taken in the order they came, until the first has waited for long: then the last one that came goes first.
//       While more come than are let in, whoever came first may be about to give up: to take those would let nobody in
//       for good, and all would come again. Who is closed because it waited too long comes again as the last.

import type { Clock, Timer } from '@leasehold/program/clock';
import { ACCEPTED_AT_ONCE, ACCEPTED_PER_S } from '../domain/pace.js';

/** How many are let in. */
export interface AcceptLimits {
  readonly perSecond: number;
  readonly atOnce: number;
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
  /** Until the first has waited so long, they are taken in their order. */
  readonly inOrderMs: number;
}

/**
 * Agents. They give up 10 s after they dialled, and as many as may wait are let in within 8 s. By TLS engines, too: it is the
 * handshakes that cost, and theirs are no cheaper.
 */
export const AGENT_ACCEPTS: AcceptLimits = {
  perSecond: ACCEPTED_PER_S,
  atOnce: ACCEPTED_AT_ONCE,
  maxWaiting: 2_000,
  maxWaitMs: 8_000,
  inOrderMs: 2_000,
};

/** What becomes of a connection. */
export interface AcceptFates<C> {
  take(connection: C, waitedMs: number): void;
  refuse(connection: C): void;
}

const TICK_MS = 20;

/** See the top of the file. */
export class AcceptQueue<C> {
  readonly #limits: AcceptLimits;
  readonly #clock: Clock;
  readonly #fates: AcceptFates<C>;
  /** Since when each waits, the first first. */
  readonly #waiting = new Map<C, number>();
  #free: number;
  #countedMs: number;
  #timer: Timer | undefined;
  #closed = false;

  constructor(limits: AcceptLimits, clock: Clock, fates: AcceptFates<C>) {
    this.#limits = limits;
    this.#clock = clock;
    this.#fates = fates;
    this.#free = limits.atOnce;
    this.#countedMs = clock.now();
  }

  /** A connection came. */
  arrived(connection: C): void {
    if (this.#closed) {
      this.#fates.refuse(connection);
      return;
    }
    const [first] = this.#waiting.keys();
    if (first !== undefined && this.#waiting.size >= this.#limits.maxWaiting) {
      this.#waiting.delete(first);
      this.#fates.refuse(first);
    }
    this.#waiting.set(connection, this.#clock.now());
    if (!this.#timer) this.#letIn();
  }

  /** A connection is gone that may be waiting. */
  left(connection: C): void {
    this.#waiting.delete(connection);
  }

  /** Refuses what waits, and all that comes. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const connection of this.#waiting.keys()) this.#fates.refuse(connection);
    this.#waiting.clear();
  }

  #next(count: number, now: number): readonly (readonly [C, number])[] {
    const all = [...this.#waiting];
    const sinceMs = all[0]?.[1] ?? now;
    const inOrder = now - sinceMs <= this.#limits.inOrderMs;
    return inOrder ? all.slice(0, count) : all.slice(-count).reverse();
  }

  #letIn(): void {
    const now = this.#clock.now();
    const { perSecond, atOnce, maxWaitMs } = this.#limits;
    this.#free = Math.min(atOnce, this.#free + ((now - this.#countedMs) / 1_000) * perSecond);
    this.#countedMs = now;
    this.#timer = undefined;
    for (const [connection, sinceMs] of this.#waiting) {
      if (now - sinceMs <= maxWaitMs) break;
      this.#waiting.delete(connection);
      this.#fates.refuse(connection);
    }
    const taken = Math.min(Math.floor(this.#free), this.#waiting.size);
    this.#free -= taken;
    for (const [connection, sinceMs] of taken === 0 ? [] : this.#next(taken, now)) {
      this.#waiting.delete(connection);
      this.#fates.take(connection, now - sinceMs);
    }
    if (this.#waiting.size > 0 && !this.#closed) this.#timer = this.#clock.after(TICK_MS, () => this.#letIn());
  }
}
