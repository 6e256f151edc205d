// Until when this host may answer for one placement without hearing from the control plane.
//
//   A1. Authority ends `authorityMs` after the SEND of the last acknowledged heartbeat: whatever the reply took, the
//       server counts from the arrival, which is later. Another host may have the addresses after that.
//   A2. What lapsed does not come back by an acknowledgement alone: meanwhile its addresses may have been given to
//       others, so its table must first be confirmed in the present session.
//   A3. Times are milliseconds since boot, on a clock that counts suspend, and mean nothing in another boot.

import type { Standing } from '../backends/dhcp-backend.js';

/** Authority for one placement. */
export interface Authority {
  /** Answers are given before this time, not at it. */
  readonly untilMs: number;
  /** Send of the last acknowledged heartbeat while the table was confirmed: how fresh the table is known to be. */
  readonly heardMs: number;
}

/** An acknowledged heartbeat. */
export interface Acknowledged {
  /** When it was sent. */
  readonly sentMs: number;
  /** S of the session. */
  readonly authorityMs: number;
}

/** The authority of a placement that was never confirmed, or is over. */
export const NO_AUTHORITY: Authority = { untilMs: Number.NEGATIVE_INFINITY, heardMs: Number.NEGATIVE_INFINITY };

/** A server is out of date for its siblings after this many intervals without an acknowledgement. */
const BEHIND_INTERVALS = 3;

/** Authority after an acknowledgement; `confirmed`: whether the table was confirmed in the session it belongs to. */
export function acknowledge(authority: Authority, ack: Acknowledged, confirmed: boolean, nowMs: number): Authority {
  if (!confirmed && !isRunning(authority, nowMs)) return authority;
  // Set, not raised: when the installation lowers S, the shorter span holds from now on.
  return { untilMs: ack.sentMs + ack.authorityMs, heardMs: confirmed ? ack.sentMs : authority.heardMs };
}

/** Whether the host may answer at all. */
export function isRunning(authority: Authority, nowMs: number): boolean {
  return nowMs < authority.untilMs;
}

/** What the backend is told before every answer. `intervalMs`: between heartbeats. */
export function standing(authority: Authority, nowMs: number, intervalMs: number): Standing {
  if (!isRunning(authority, nowMs)) return 'silent';
  return nowMs - authority.heardMs > BEHIND_INTERVALS * intervalMs ? 'behind' : 'synchronised';
}
