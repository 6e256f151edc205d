// What keeps the manager from moving placements when the control plane itself may be the sick one.
//
//   B1. When half or more of the managed hosts, and at least three, fall silent at once, nothing moves; nor until they
//       were fewer for 15 s, because hosts come back one after another, and the last ones are no deader than the first.
//       Nor when so many may be about to be: hosts that fell silent together become suspect one after another, and the
//       first ones would be moved before the last ones show what it is. Others count as well only by what was heard of
//       them since those missed what they missed last. Hosts that died one by one, long ago, count
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
  // Whose gap was over before the first of them was lost was not cut off with it.
  const fromMs = Math.max(nowMs - massHoldMs(intervalMs), Math.min(...lost.map(({ contactMs }) => contactMs)));
  const missedMs = lastMissedMs(lost, intervalMs, nowMs);
  const isIn = ({ liveness, doubtful, contactMs, mendedMs }: PlanHost) =>
    liveness !== 'up' || doubtful || contactMs < missedMs || mendedMs > fromMs;
  return isMost(counted.filter(isIn).length, counted.length);
}

// By then a host that is suspect of its silence has missed two heartbeats.
const TWO_HEARTBEATS = 2.2;

/**
 * Until when those that fell silent last had heartbeats to miss. Who was heard before, and not since, says nothing of then:
 * two short faults, one after the other, each of which all hosts suffer, hold up a heartbeat of some hosts twice, and of others once.
 */
function lastMissedMs(lost: readonly PlanHost[], intervalMs: number, nowMs: number): number {
  const silent = lost.filter(({ connected }) => connected);
  return Math.max(...silent.map(({ silentForMs }) => nowMs - silentForMs + TWO_HEARTBEATS * intervalMs));
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
