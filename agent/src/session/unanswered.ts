// When an agent asks whether another server leads, while its own one keeps the session and acknowledges nothing.
//
//   U1. That is how it looks when the store is away for everybody, and when that server alone is cut off from it. So the
//       session stays, and others are asked beside it.
//   U2. Not before there can be another that leads: one takes over five seconds after the last beat, and three intervals
//       are what any heartbeat may take.
//   U3. Thousands ask as far spread as they come back, and again as long after that: their intervals are so long that a
//       server has fewer than 170 to refuse in a second. Who leads now may not have led when it was asked before, and it
//       waits for its hosts for no longer than after any start.

import type { SessionPace } from './session-runner.js';

const UNANSWERED_MS = 5_000;
const INTERVALS = 3;

/** When to ask; `sinceMs`: of the last acknowledgement, or when another was asked last; `random`: from 0 to below 1. */
export function askAt(sinceMs: number, { intervalMs, spreadMs }: SessionPace, random: number): number {
  return sinceMs + Math.max(UNANSWERED_MS, INTERVALS * intervalMs) + random * Math.max(intervalMs, spreadMs);
}
