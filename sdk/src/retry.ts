// When the SDK repeats a call by itself, and how long it waits first.
//
// The SDK has its own loop, and not gRPC's retry policy, because whether a call may be repeated depends on its
// content (a release is safe only when it names its tenure) and a policy knows only the method; and because time and
// chance are arguments here.

import type { LeaseholdError } from './errors.js';

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1_000;

/**
 * How long to wait before the next attempt, in milliseconds, after `attempt` (from 1) ended with `error`; undefined:
 * give the error to the caller. Only UNAVAILABLE is repeated, and a watch that was read too slowly: a full subnet
 * stays full, and a deadline is over. There is no limit but the deadline of the call, which is the caller's: a server
 * may take any time to restart.
 */
export function retryDelayMs(error: LeaseholdError, attempt: number, random: () => number): number | undefined {
  if (!error.retryable || (error.code !== 'UNAVAILABLE' && error.reason !== 'WATCH_TOO_SLOW')) return undefined;
  if (error.retryAfterMs !== undefined) return error.retryAfterMs;
  // Full jitter: clients that failed together do not return together.
  return Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS) * random();
}
