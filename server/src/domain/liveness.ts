// Whether a host is alive, by its age on the holder's own monotonic clock.

/** `suspect`: others may take over what only it serves. `down`: it loses its placements. */
export type Liveness = 'up' | 'suspect' | 'down';

/** When a host was heard, and by what that is judged. */
export interface Heard {
  readonly lastHeardMs: number;
  /** When its stream broke; undefined while it is whole. */
  readonly brokenSinceMs: number | undefined;
  /** How often its agent sends heartbeats. */
  readonly intervalMs: number;
  /** How long its agent may wait before it dials again, and then to be let in. */
  readonly returnMs: number;
}

// One heartbeat that comes an interval late is no sign of trouble: a fault of the network that is shorter than an interval
// may hold up that of one host and of no other, until TCP sends it again.
const SUSPECT_INTERVALS = 2.5;
const DOWN_INTERVALS = 3;
// A stream that breaks says more than silence: an agent that only lost its connection is back within a second, beside
// what it was told to wait.
const BROKEN_GRACE_MS = 1_000;

/** Whether a host is alive at `nowMs`. */
export function liveness(heard: Heard, nowMs: number): Liveness {
  if (isReturning(heard, nowMs)) return 'up';
  const { lastHeardMs, brokenSinceMs, intervalMs } = heard;
  const silence = nowMs - lastHeardMs;
  if (silence > DOWN_INTERVALS * intervalMs) return 'down';
  return brokenSinceMs !== undefined || silence > SUSPECT_INTERVALS * intervalMs ? 'suspect' : 'up';
}

/**
 * Whether its stream broke so lately that its agent need not be back. Without that, what breaks ten thousand streams at once
 * would make hosts silent that only wait for their turn. One that was silent before its stream broke hangs.
 */
function isReturning({ lastHeardMs, brokenSinceMs, intervalMs, returnMs }: Heard, nowMs: number): boolean {
  if (brokenSinceMs === undefined || brokenSinceMs - lastHeardMs > SUSPECT_INTERVALS * intervalMs) return false;
  return nowMs - brokenSinceMs < BROKEN_GRACE_MS + returnMs;
}

// The longest time between the heartbeats of a living host is 1.1 intervals. When the first of many hosts that fell silent
// together becomes suspect, after 2.5, all of them have been quiet for 1.4.
const QUIET_INTERVALS = 1.25;

/** Whether a host has been quiet for so long that it may have fallen silent together with one that is suspect now. */
export function isQuiet({ lastHeardMs, brokenSinceMs, intervalMs }: Heard, nowMs: number): boolean {
  return brokenSinceMs !== undefined || nowMs - lastHeardMs >= QUIET_INTERVALS * intervalMs;
}

/** When the answer of `liveness` may change next if nothing more is heard; undefined once it cannot. */
export function nextLivenessChangeMs(heard: Heard, nowMs: number): number | undefined {
  const { lastHeardMs, brokenSinceMs, intervalMs, returnMs } = heard;
  const changes = [lastHeardMs + SUSPECT_INTERVALS * intervalMs + 1, lastHeardMs + DOWN_INTERVALS * intervalMs + 1];
  if (brokenSinceMs !== undefined) changes.push(brokenSinceMs + BROKEN_GRACE_MS + returnMs);
  const ahead = changes.filter((at) => at > nowMs);
  return ahead.length > 0 ? Math.min(...ahead) : undefined;
}
