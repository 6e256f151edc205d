// What keeps the manager from moving placements when the control plane itself may be the sick one.
//
//   B1. When half or more of the managed hosts, and at least three, fall silent at once, nothing moves; nor until they
//       were fewer for 15 s, because hosts come back one after another, and the last ones are no deader than the first.
//       Nor when so many may be about to be: hosts that fell silent together become suspect one after another, and the
//       first ones would be moved before the last ones show what it is. Others that were not heard since the silent
//       ones missed their second heartbeat count with these, and who was not there before. Hosts that died one by one, long ago, count
//       neither as silent nor as managed: a cluster with many dead hosts must still fail over.
//   B2. Otherwise at most one host in a hundred, and at least one, loses placements within a minute.
//   B3. After a stall of its own, or when the store could not be used for an interval, a server forgets all ages, at most
//       once a minute: else one that stalls again and again would never call anybody dead. Always, when it lasted so long
//       that it could not act any more: then it knows as little as after a start.

import type { HostId } from './ids.js';
import { ACT_MS } from './lease.js';
import type { PlanBrakes } from './plan.js';
import type { PlanHost } from './plan-host.js';

const MASS_PERCENT = 50;
const MASS_HOSTS = 3;
// An agent gives a server that says nothing 10 s, and then waits for up to 5 s.
const MASS_HOLD_MS = 15_000;
const MASS_HOLD_INTERVALS = 2;
const BUDGET_SHARE = 0.01;
const WINDOW_MS = 60_000;
// After a start, or a stall, the long dead look as if they had fallen silent together with everybody who is merely cut off. Who was
// not heard for so long is counted among the dead: else it could end failover in a cluster with many of them.
const UNHEARD_MS = 600_000;

/** When hosts that were believed dead lost placements. */
export type Losses = ReadonlyMap<HostId, number>;

/** Mass silence that holds everything back. */
export interface MassSilence {
  /** The hosts that fell silent together and have not come back. */
  readonly hosts: ReadonlySet<HostId>;
  /** Of how many managed hosts, those that were dead before left out. */
  readonly managed: number;
  readonly lastSeenMs: number;
}

/** For how long hosts that were silent may still be coming back, one after another; `intervalMs`: of their heartbeats. */
export function massHoldMs(intervalMs: number): number {
  return Math.max(MASS_HOLD_MS, MASS_HOLD_INTERVALS * intervalMs);
}

/** Follows mass silence; undefined when nothing is held back. */
export function followMassSilence(
  before: MassSilence | undefined,
  hosts: Iterable<PlanHost>,
  intervalMs: number,
  nowMs: number,
): MassSilence | undefined {
  const counted = countedHosts(before, hosts);
  const silent = counted.filter(({ liveness }) => liveness !== 'up');
  if (isMost(silent.length, counted.length)) {
    return { hosts: new Set(silent.map(({ hostId }) => hostId)), managed: counted.length, lastSeenMs: nowMs };
  }
  return before && nowMs - before.lastSeenMs < massHoldMs(intervalMs) ? before : undefined;
}

/**
 * Whether this may be mass silence: its beginning, and then within an interval it is, or the hosts were heard; its end, when
 * some were heard again already; or one way only, when hosts are heard that hear nothing.
 */
export function maybeMassSilence(hosts: Iterable<PlanHost>, intervalMs: number, nowMs: number): boolean {
  const counted = countedHosts(undefined, hosts);
  const lost = counted.filter(({ liveness }) => liveness !== 'up');
  const lostMs = Math.min(...lost.map(({ contactMs }) => contactMs));
  // Whose gap was over before the first of them was lost was not cut off with it.
  const mendedFromMs = Math.max(nowMs - massHoldMs(intervalMs), lostMs);
  const cameFromMs = Math.max(nowMs - Math.max(NEW_HOLD_MS, MASS_HOLD_INTERVALS * intervalMs), lostMs);
  const missedMs = secondMissedMs(lost, nowMs);
  const isIn = ({ liveness, doubtful, contactMs, mendedMs, firstContactMs }: PlanHost) =>
    liveness !== 'up' || doubtful || contactMs < missedMs || mendedMs > mendedFromMs || firstContactMs > cameFromMs;
  return isMost(counted.filter(isIn).length, counted.length);
}

// What a short fault held up TCP sends again within that.
const NEW_HOLD_MS = 5_000;

// By then a host that is suspect of its silence has missed two heartbeats.
const SECOND_MISSED_INTERVALS = 2.2;

/**
 * When those that fell silent last had missed their second heartbeat. Others that were not heard since say nothing of
 * then: of two short faults, one after the other, that all hosts suffer, some hosts lose two heartbeats and others one.
 */
function secondMissedMs(lost: readonly PlanHost[], nowMs: number): number {
  const silent = lost.filter(({ connected }) => connected);
  const missedMs = silent.map(
    ({ silentForMs, intervalMs }) => nowMs - silentForMs + SECOND_MISSED_INTERVALS * intervalMs,
  );
  return Math.max(...missedMs);
}

function countedHosts(before: MassSilence | undefined, hosts: Iterable<PlanHost>): readonly PlanHost[] {
  return [...hosts].filter(({ hostId, managed, liveness, heard, silentForMs }) => {
    if (!managed) return false;
    if (liveness === 'up' || silentForMs < WINDOW_MS) return true;
    return before?.hosts.has(hostId) === true && (heard || silentForMs < UNHEARD_MS);
  });
}

function isMost(silent: number, counted: number): boolean {
  return silent >= MASS_HOSTS && silent * 100 >= MASS_PERCENT * counted;
}

/** The brakes now. Hosts that lose placements by the plan count at once. */
export function brakesNow(
  hosts: ReadonlyMap<HostId, PlanHost>,
  massSilence: boolean,
  losses: Losses,
  nowMs: number,
): PlanBrakes {
  const recent = new Set(recentLosses(losses, nowMs).keys());
  const managed = [...hosts.values()].filter((host) => host.managed).length;
  const budget = Math.max(1, Math.floor(BUDGET_SHARE * managed));
  return {
    massSilence,
    mayLose(hostId) {
      if (recent.has(hostId)) return true;
      if (recent.size >= budget) return false;
      recent.add(hostId);
      return true;
    },
  };
}

/** The losses that still count. */
export function recentLosses(losses: Losses, nowMs: number): Losses {
  return new Map([...losses].filter(([, atMs]) => nowMs - atMs < WINDOW_MS));
}

/** Whether to forget all ages. `lostMs`: how late this server's own timer came, or for how long the store did not answer. */
export function forgetsAges(
  lostMs: number,
  intervalMs: number,
  lastTimeMs: number | undefined,
  nowMs: number,
): boolean {
  if (lostMs <= intervalMs) return false;
  return lostMs >= ACT_MS || lastTimeMs === undefined || nowMs - lastTimeMs >= WINDOW_MS;
}
