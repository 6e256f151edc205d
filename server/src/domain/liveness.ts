// Whether a host is alive, by its age on the holder's own monotonic clock.

/** `suspect`: others may take over what only it serves. `down`: it loses its placements. */
export type Liveness = 'up' | 'suspect' | 'down';

const MIN_INTERVAL_MS = 1_000;
// So many heartbeats a second cost a server a few percent of a core (facts: Neutron's 4 s for all melted at scale).
const MAX_HEARTBEATS_PER_S = 500;
const SUSPECT_INTERVALS = 2;
const DOWN_INTERVALS = 3;
// A stream that breaks says more than silence: an agent that only lost its connection is back within a second.
const BROKEN_GRACE_MS = 1_000;

/** How often each of `hosts` agents shall send a heartbeat. */
export function heartbeatIntervalMs(hosts: number): number {
  return Math.max(MIN_INTERVAL_MS, Math.ceil((hosts / MAX_HEARTBEATS_PER_S) * 1_000));
}

/** Whether a host last heard at `lastHeardMs`, whose stream broke at `brokenSinceMs` if it did, is alive at `nowMs`. */
export function liveness(
  lastHeardMs: number,
  brokenSinceMs: number | undefined,
  nowMs: number,
  intervalMs: number,
): Liveness {
  const silence = nowMs - lastHeardMs;
  if (silence > DOWN_INTERVALS * intervalMs) return 'down';
  if (silence > SUSPECT_INTERVALS * intervalMs) return 'suspect';
  return brokenSinceMs !== undefined && nowMs - brokenSinceMs >= BROKEN_GRACE_MS ? 'suspect' : 'up';
}

// The longest time between the heartbeats of a living host is 1.1 intervals. When the first of many hosts that fell silent
// together becomes suspect, after 2, all of them have been quiet for 0.9; of living hosts one in five has.
const QUIET_INTERVALS = 0.9;

/** Whether a host has been quiet for so long that it may have fallen silent together with one that is suspect now. */
export function isQuiet(
  lastHeardMs: number,
  brokenSinceMs: number | undefined,
  nowMs: number,
  intervalMs: number,
): boolean {
  return brokenSinceMs !== undefined || nowMs - lastHeardMs >= QUIET_INTERVALS * intervalMs;
}

/** When the answer of `liveness` changes next if nothing more is heard; undefined once it is `down`. */
export function nextLivenessChangeMs(
  lastHeardMs: number,
  brokenSinceMs: number | undefined,
  nowMs: number,
  intervalMs: number,
): number | undefined {
  const changes = [lastHeardMs + SUSPECT_INTERVALS * intervalMs + 1, lastHeardMs + DOWN_INTERVALS * intervalMs + 1];
  if (brokenSinceMs !== undefined) changes.push(brokenSinceMs + BROKEN_GRACE_MS);
  const ahead = changes.filter((at) => at > nowMs);
  return ahead.length > 0 ? Math.min(...ahead) : undefined;
}
