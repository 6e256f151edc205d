// What keeps the manager from moving placements when the control plane itself may be the sick one.
//
//   B1. When 55 % or more of the managed hosts, and at least three, are silent at once, nothing moves; nor until they
//       were fewer for 10 s, because hosts come back one after another, and the last ones are no deader than the first.
//       Nor when so many may be about to be: hosts that fell silent together become suspect one after another, and the
//       first ones would be moved before the last ones show what it is.
//   B2. Otherwise at most one host in a hundred, and at least one, loses placements within a minute.
//   B3. After a stall of its own a server forgets all ages, at most once a minute: else a server that stalls again and
//       again would never call anybody dead.

import type { HostId } from './ids.js';
import type { PlanBrakes, PlanHost } from './plan.js';

const MASS_PERCENT = 55;
const MASS_HOSTS = 3;
const MASS_HOLD_MS = 10_000;
const BUDGET_SHARE = 0.01;
const WINDOW_MS = 60_000;

/** When hosts that were believed dead lost placements. */
export type Losses = ReadonlyMap<HostId, number>;

/** Whether so many hosts are silent at once that the fault is rather here. */
export function massSilence(hosts: Iterable<PlanHost>): Share | undefined {
  return mostOf(hosts, ({ liveness }) => liveness !== 'up');
}

/** Whether this may be the beginning of mass silence: within an interval it is, or the hosts were heard. */
export function maybeMassSilence(hosts: Iterable<PlanHost>): boolean {
  return mostOf(hosts, ({ liveness, quiet }) => liveness !== 'up' || quiet) !== undefined;
}

/** How many of the managed hosts are silent. */
export interface Share {
  readonly silent: number;
  readonly managed: number;
}

function mostOf(hosts: Iterable<PlanHost>, isSilent: (host: PlanHost) => boolean): Share | undefined {
  const managed = [...hosts].filter((host) => host.managed);
  const silent = managed.filter(isSilent).length;
  if (silent < MASS_HOSTS || silent * 100 < MASS_PERCENT * managed.length) return undefined;
  return { silent, managed: managed.length };
}

/** Whether mass silence, last seen at `lastSeenMs`, still holds everything back. */
export function massSilenceHolds(lastSeenMs: number | undefined, nowMs: number): boolean {
  return lastSeenMs !== undefined && nowMs - lastSeenMs < MASS_HOLD_MS;
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

/** Whether a stall of this server is a reason to forget all ages. `lateMs`: how late its own timer came. */
export function isStall(lateMs: number, intervalMs: number, lastRestartMs: number | undefined, nowMs: number): boolean {
  return lateMs > intervalMs && (lastRestartMs === undefined || nowMs - lastRestartMs >= WINDOW_MS);
}
