// When the SDK repeats a call by itself, how long it waits first, and when it asks another server.
//
// The SDK has its own loop, and not gRPC's retry policy, because whether a call may be repeated depends on its
// content (a release is safe only when it names its tenure) and a policy knows only the method; and because time and
// chance are arguments here.

import type { LeaseholdError } from './errors.js';

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1_000;

/**
 * How long to wait before the next attempt, in milliseconds, after `attempt` (from 1) ended with `error`; undefined:
 * give the error to the caller. Only UNAVAILABLE is repeated, a watch that was read too slowly, and a call that was one too
 * many where the server says when it is not: a full subnet stays full, and a deadline is over. There is no limit but the deadline of the call, which is the caller's: a server
 * may take any time to restart.
 */
export function retryDelayMs(error: LeaseholdError, attempt: number, random: () => number): number | undefined {
  const isTold = error.reason === 'RATE_LIMITED' && error.retryAfterMs !== undefined;
  const isWorthIt = error.code === 'UNAVAILABLE' || error.reason === 'WATCH_TOO_SLOW' || isTold;
  if (!error.retryable || !isWorthIt) return undefined;
  if (error.retryAfterMs !== undefined) return error.retryAfterMs;
  // Full jitter: clients that failed together do not return together.
  return Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS) * random();
}

/** What is done after an attempt failed. */
export type Reaction =
  /** The error is the caller's. */
  | { readonly kind: 'give-up' }
  /** The next server is asked at once. */
  | { readonly kind: 'elsewhere' }
  | { readonly kind: 'pause'; readonly delayMs: number };

const GIVE_UP: Reaction = { kind: 'give-up' };

// Of the server, not of what was asked: another one may be able to.
const CANNOT_NOW: ReadonlySet<string> = new Set(['STORE_UNAVAILABLE', 'NO_HOLDER']);

/** Whether an error says that its server cannot now. */
export function cannotNow({ reason }: LeaseholdError): boolean {
  return CANNOT_NOW.has(reason);
}

/** The repetitions of one call: between two pauses each server is asked once. */
export class Repetitions {
  readonly #otherServers: number;
  readonly #waitsForServer: boolean;
  #attempt = 0;
  #elsewhere = 0;

  constructor(otherServers: number, waitsForServer: boolean) {
    this.#otherServers = otherServers;
    this.#waitsForServer = waitsForServer;
  }

  /** What to do after the next failure, with so much time left. */
  next(error: LeaseholdError, remainingMs: number, random: () => number): Reaction {
    const isAway = error.reason === 'NO_CONNECTION';
    const mayAskElsewhere = isAway || (cannotNow(error) && error.retryable);
    if (mayAskElsewhere && this.#elsewhere < this.#otherServers && remainingMs > 0) {
      this.#elsewhere++;
      return { kind: 'elsewhere' };
    }
    this.#elsewhere = 0;
    this.#attempt++;
    if (isAway && !this.#waitsForServer) return GIVE_UP;
    const delayMs = retryDelayMs(error, this.#attempt, random);
    // What the server said is worth more to the caller than a deadline that passes while waiting.
    return delayMs !== undefined && delayMs < remainingMs ? { kind: 'pause', delayMs } : GIVE_UP;
  }
}
