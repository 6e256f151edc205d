// When an agent asks whether another server leads, while its own one keeps the session and acknowledges nothing.
//
//   U1. That is how it looks when the store is away for everybody, and when that server alone is cut off from it. So the
//       session stays, and others are asked beside it.
//   U2. Not before there can be another that leads: one takes over five seconds after the last beat, and three intervals
//       are what any heartbeat may take.
//   U3. Thousands ask as far spread as they come back, and while nobody leads half as often every time, down to once in a
//       minute.

import type { SessionPace } from './session-runner.js';

const FIRST_MS = 5_000;
const INTERVALS = 3;
const LONGEST_MS = 60_000;

/** Since when nothing was acknowledged, and how often others were asked since. */
export interface Unanswered {
  readonly sinceMs: number;
  readonly asked: number;
}

/** When to ask the next time; `random`: from 0 to below 1. */
export function askAt({ sinceMs, asked }: Unanswered, { intervalMs, spreadMs }: SessionPace, random: number): number {
  const firstMs = Math.max(FIRST_MS, INTERVALS * intervalMs) + random * Math.max(intervalMs, spreadMs);
  return sinceMs + Math.min(firstMs * 2 ** asked, Math.max(firstMs, LONGEST_MS));
}
