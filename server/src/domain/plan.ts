// Which hosts shall serve which network: a pure function of what is wanted and what is seen. It takes no input from
// events; events only wake it.
//
//   L1. At most `dhcp_server_count` placements are wanted. One leaves in the same change in which another takes its
//       place; what leaves is a former server, and goes on answering until its replacement does (deployment.ts).
//   L2. A healthy placement never moves by itself; a host that returns gets new work only.
//   L3. Nothing leaves without a replacement, unless nobody wants it any more. A host that failed to confirm the network is
//       one only for what cannot serve at all, and only when there is no other.
//   L4. What is asked for (count, managed, maintenance, disabling) is done at once. What is only believed (a host is
//       dead) passes the brakes, except that a network without any live server gets one at once.
//   L5. The same input gives the same plan, in whatever order it comes.
//   L6. Networks without any live server come first, then those that are short, then the rest: for the candidates, for
//       what the brakes allow, and in the plan, which is carried out in its order.

import { type Candidates, keepCandidates } from './candidates.js';
import type { HostId, NetworkId } from './ids.js';
import type { Network, Placement } from './network.js';
import { serversWanted } from './placement.js';
import { type PlanHost, placementKey } from './plan-host.js';

/** What holds the planner back. */
export interface PlanBrakes {
  /** So many hosts are silent, or may be falling silent, that the control plane itself may be the sick one: nothing that is only believed is done. */
  readonly massSilence: boolean;
  /** Whether a host that is believed dead may lose placements now. */
  mayLose(hostId: HostId): boolean;
}

/** What to change in one network, all in one write. */
export interface NetworkPlan {
  readonly networkId: NetworkId;
  readonly withdraw: readonly Withdrawal[];
  readonly place: readonly HostId[];
}

/** A placement that is not wanted any more. */
export interface Withdrawal {
  readonly hostId: HostId;
  readonly epoch: number;
  readonly why: Why;
  /** Whether it uses up what the brakes allow: a network without any live server is helped outside of that. */
  readonly counts: boolean;
}

/** Why a placement is not wanted any more. */
export type Why =
  | 'network not served'
  | 'host forgotten'
  | 'host not managed'
  | 'too many servers'
  | 'host in maintenance'
  | 'interface not ready'
  | 'host does not confirm'
  | 'host down'
  | 'only server suspect';

/** What the planner decided, and whom the brakes kept. */
export interface Plan {
  /** The most urgent first. */
  readonly networks: readonly NetworkPlan[];
  /** Hosts believed dead that keep their placements for now. */
  readonly kept: readonly HostId[];
}

/** The hosts by their ids. */
export type Hosts = ReadonlyMap<HostId, PlanHost>;

/** Makes the plan. `busy`: the networks that are being written, of which only the placements count. */
export function plan(
  networks: Iterable<Network>,
  hosts: Hosts,
  brakes: PlanBrakes,
  busy: Pick<ReadonlySet<NetworkId>, 'has'> = NONE,
): Plan {
  const load = new Map<HostId, number>();
  const unsettled: Unsettled[] = [];
  for (const network of networks) {
    for (const { hostId } of network.placements) load.set(hostId, (load.get(hostId) ?? 0) + 1);
    if (!busy.has(network.networkId) && !isSettled(network, hosts))
      unsettled.push({ network, urgency: urgencyOf(network, hosts) });
  }
  if (unsettled.length === 0) return NOTHING;
  unsettled.sort(mostUrgentFirst);
  const candidates = keepCandidates(hosts.values(), load, unsettled.length);
  return planInOrder(
    unsettled.map(({ network }) => network),
    hosts,
    brakes,
    candidates,
  );
}

/** Plans one network after the other. */
export function planInOrder(
  networks: readonly Network[],
  hosts: Hosts,
  brakes: PlanBrakes,
  candidates: Candidates,
): Plan {
  const kept = new Set<HostId>();
  const plans = networks.flatMap((network) => {
    const planned = planNetwork(network, hosts, brakes, candidates, kept);
    return planned.withdraw.length + planned.place.length > 0 ? [planned] : [];
  });
  return { networks: plans, kept: [...kept].sort() };
}

// After a gap a host is told again what it did not confirm: within the time for which its breaker stays open, at most.
const SETTLES_MS = 15_000;

const NONE: ReadonlySet<NetworkId> = new Set();
const NOTHING: Plan = { networks: [], kept: [] };

interface Unsettled {
  readonly network: Network;
  readonly urgency: number;
}

function mostUrgentFirst(a: Unsettled, b: Unsettled): number {
  return a.urgency - b.urgency || (a.network.networkId < b.network.networkId ? -1 : 1);
}

/** 0: it has no live server; 1: fewer than are wanted; 2: the rest. */
export function urgencyOf(network: Network, hosts: Hosts): number {
  const wanted = serversWanted(network);
  const live = network.placements.filter(
    (placement) => !unwanted(placement, hosts) && isLive(trouble(network.networkId, placement, hosts)),
  ).length;
  if (live >= wanted) return 2;
  return live === 0 ? 0 : 1;
}

/** Whether there is nothing to do about a network. */
function isSettled(network: Network, hosts: Hosts): boolean {
  const { networkId, placements } = network;
  return (
    placements.length === serversWanted(network) &&
    placements.every((placement) => !unwanted(placement, hosts) && !trouble(networkId, placement, hosts))
  );
}

function planNetwork(
  network: Network,
  hosts: Hosts,
  brakes: PlanBrakes,
  candidates: Candidates,
  kept: Set<HostId>,
): NetworkPlan {
  const { networkId } = network;
  const wanted = serversWanted(network);
  const withdraw: Withdrawal[] = [];
  const place: HostId[] = [];
  let staying = [...network.placements];
  const leave = (placement: Placement, why: Why, counts = false) => {
    staying = staying.filter((each) => each !== placement);
    withdraw.push({ hostId: placement.hostId, epoch: placement.epoch, why, counts });
    candidates.add(placement.hostId, -1);
  };
  const candidate = (): PlanHost | undefined => {
    const taken = new Set([...network.placements.map(({ hostId }) => hostId), ...place]);
    return candidates.best(networkId, taken, [...staying.map(({ hostId }) => hostId), ...place]);
  };
  let live = 0;
  const take = ({ hostId, failing }: PlanHost) => {
    place.push(hostId);
    candidates.add(hostId, 1);
    if (!failing.has(networkId)) live++;
  };

  for (const placement of network.placements) {
    const why = wanted === 0 ? 'network not served' : unwanted(placement, hosts);
    if (why) leave(placement, why);
  }
  for (const placement of leastUseful(network, staying, hosts).slice(0, Math.max(0, staying.length - wanted))) {
    leave(placement, 'too many servers');
  }
  while (staying.length + place.length < wanted) {
    const best = candidate();
    if (!best) break;
    take(best);
  }
  live += staying.filter((placement) => isLive(trouble(networkId, placement, hosts))).length;
  for (const { placement, why } of troubled(networkId, staying, hosts)) {
    // First, so that a host that nobody can replace does not use up what the brakes allow.
    const best = candidate();
    if (!best || (best.failing.has(networkId) && !isWorseThanFailing(why))) break;
    if (isBelieved(why) && !mayMove(why, placement, live, brakes)) {
      if (why === 'host down') kept.add(placement.hostId);
      continue;
    }
    leave(placement, why, why === 'host down' && live > 0);
    take(best);
  }
  return { networkId, withdraw, place };
}

/** Why a placement is to go whether or not there is another host. */
function unwanted({ hostId, hostUid }: Placement, hosts: Hosts): Why | undefined {
  const host = hosts.get(hostId);
  if (host?.uid !== hostUid) return 'host forgotten';
  return host.managed ? undefined : 'host not managed';
}

/** The placements that are better on another host, the most urgent first. */
function troubled(
  networkId: NetworkId,
  staying: readonly Placement[],
  hosts: Hosts,
): readonly { readonly placement: Placement; readonly why: Why }[] {
  return staying
    .flatMap((placement) => {
      const why = trouble(networkId, placement, hosts);
      return why === undefined ? [] : [{ placement, why }];
    })
    .sort((a, b) => URGENCY.indexOf(a.why) - URGENCY.indexOf(b.why) || a.placement.epoch - b.placement.epoch);
}

function isLive(why: Why | undefined): boolean {
  return why === undefined || why === 'host in maintenance';
}

/**
 * Whether even a host that failed is better: it may have been mended since. Never than another that fails, or they would
 * pass the network on between them, nor than one that serves.
 */
function isWorseThanFailing(why: Why): boolean {
  return why === 'interface not ready' || isBelieved(why);
}

function isBelieved(why: Why): boolean {
  return why === 'host down' || why === 'only server suspect';
}

/** Whether the brakes let go what is only believed; `live`: how many servers the network has without it. */
function mayMove(why: Why, { hostId }: Placement, live: number, brakes: PlanBrakes): boolean {
  if (brakes.massSilence) return false;
  if (live === 0) return true;
  return why === 'host down' && brakes.mayLose(hostId);
}

const URGENCY: readonly Why[] = [
  'host down',
  'only server suspect',
  'interface not ready',
  'host does not confirm',
  'host in maintenance',
];

/** What is wrong with a placement, if anything. */
function trouble(networkId: NetworkId, { hostId, epoch }: Placement, hosts: Hosts): Why | undefined {
  const host = hosts.get(hostId);
  if (!host || host.liveness === 'down') return 'host down';
  if (host.liveness === 'suspect') return 'only server suspect';
  // Of a host that was not heard since this server started nothing is known yet, and it is not old enough to be down.
  if (!host.connected) return undefined;
  if (!host.ready.has(networkId)) return 'interface not ready';
  if (isFailing(host, networkId, epoch)) return 'host does not confirm';
  return host.maintenance ? 'host in maintenance' : undefined;
}

function isFailing(host: PlanHost, networkId: NetworkId, epoch: number): boolean {
  // Who hears nothing cannot confirm, nor who heard nothing until just now.
  if (host.doubtful || host.contactMs - host.mendedMs < SETTLES_MS) return false;
  return (!host.reachable || host.failing.has(networkId)) && !host.serving.has(placementKey(networkId, epoch));
}

/** The placements in the order in which they are given up when there are too many. */
function leastUseful({ networkId }: Network, staying: readonly Placement[], hosts: Hosts): readonly Placement[] {
  const rank = (placement: Placement): number => {
    const why = trouble(networkId, placement, hosts);
    if (why) return URGENCY.indexOf(why);
    return hosts.get(placement.hostId)?.serving.has(placementKey(networkId, placement.epoch))
      ? URGENCY.length + 1
      : URGENCY.length;
  };
  return [...staying].sort((a, b) => rank(a) - rank(b) || b.epoch - a.epoch);
}
