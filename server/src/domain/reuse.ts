// When a quarantined address may go to another MAC (protocol.md §4, docs/adr/0018). Only the holder asks.
//
//   U1. A released slot is *cleared* at the first moment at which no host that counts may answer with it any more: each
//       has taken in everything that this server had seen when it saw the release, or cannot answer at all. What is
//       cleared stays cleared within a term: a host that is placed later is never sent it.
//   U2. It is free `reuse_delay` after its release was seen and not before it is cleared; unless it is vouched for, one
//       lease time after both: until then its guest may live on what it was promised last.
//   U3. All moments are this server's own. A span that another machine measured is taken as long as two clocks of one
//       percent of drift can make it.

import type { HostId } from './ids.js';
import type { FormerServer, Network, Placement } from './network.js';

const DRIFT = 0.01;
const RATE = (1 + DRIFT) / (1 - DRIFT);
const SLACK_MS = 10_000;

/** How long a span of another machine may take on this one's clock. */
export function atMostMs(seconds: number): number {
  return seconds * 1_000 * RATE;
}

/** For how long after a host was heard last it may answer, given its authority in seconds. */
export function mayAnswerForMs(authorityCeilingS: number): number {
  return atMostMs(authorityCeilingS) + SLACK_MS;
}

/** The hosts that may hold a tenure of a chain: all that serve or served the network, but those that stopped before it. */
export function countedHosts(
  { placements, formerServers }: Pick<Network, 'placements' | 'formerServers'>,
  chainCounter: number,
): readonly (Placement | FormerServer)[] {
  // The reserver knew a placement that was made after the host stopped: who tells hosts of the slot knows that too.
  return [...placements, ...formerServers.filter(({ counter }) => counter >= chainCounter)];
}

/** What a host that counts has said, and until when it may go on answering. */
export interface HostAnswer {
  readonly hostId: HostId;
  /** It has taken in, table and disk, everything that this server saw before this moment. */
  readonly takenInMs: number;
  /** From when on it cannot answer any more if it stays silent; Infinity while it is connected. */
  readonly silencedMs: number;
}

/** Every release that was seen before this moment is cleared now; -Infinity: none, Infinity: whatever was seen. */
export function clearedBeforeMs(answers: Iterable<HostAnswer>, nowMs: number): number {
  let beforeMs = Number.POSITIVE_INFINITY;
  for (const { takenInMs, silencedMs } of answers) {
    if (silencedMs > nowMs) beforeMs = Math.min(beforeMs, takenInMs);
  }
  return beforeMs;
}

/** Who may still answer with what was released at `seenMs`. */
export function blocking(seenMs: number, answers: readonly HostAnswer[], nowMs: number): readonly HostAnswer[] {
  return answers.filter(({ takenInMs, silencedMs }) => silencedMs > nowMs && takenInMs <= seenMs);
}

/** What decides how long a released slot rests. */
export interface Rest {
  /** When this server first saw the release in this term. */
  readonly seenMs: number;
  /** When it was cleared. */
  readonly clearedMs: number;
  readonly vouched: boolean;
  readonly reuseDelayS: number;
  /** The longest lease that a guest may have. */
  readonly leaseTimeCeilingS: number;
}

/** When the address may go to another MAC. */
export function reuseAtMs({ seenMs, clearedMs, vouched, reuseDelayS, leaseTimeCeilingS }: Rest): number {
  const quietMs = Math.max(seenMs + reuseDelayS * 1_000, clearedMs);
  return vouched ? quietMs : quietMs + atMostMs(leaseTimeCeilingS);
}
