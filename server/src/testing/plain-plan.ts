// The plan as documented (docs/placement.md), made the plain way: every network in turn, and for every placement a look at
// every host. What the planner makes must equal it.

import { rendezvous } from '../domain/candidates.js';
import type { HostId, NetworkId } from '../domain/ids.js';
import type { Network, Placement } from '../domain/network.js';
import { serversWanted } from '../domain/placement.js';
import {
  type NetworkPlan,
  type Plan,
  type PlanBrakes,
  type PlanHost,
  placementKey,
  type Why,
  type Withdrawal,
} from '../domain/plan.js';

type Hosts = ReadonlyMap<HostId, PlanHost>;

/** Makes the plan. */
export function plainPlan(networks: Iterable<Network>, hosts: Hosts, brakes: PlanBrakes): Plan {
  const all = [...networks];
  const load = loads(all);
  const kept = new Set<HostId>();
  const sorted = all.sort((a, b) => urgency(a, hosts) - urgency(b, hosts) || (a.networkId < b.networkId ? -1 : 1));
  const plans = sorted.flatMap((network) => {
    const planned = planNetwork(network, hosts, brakes, load, kept);
    return planned.withdraw.length + planned.place.length > 0 ? [planned] : [];
  });
  return { networks: plans, kept: [...kept].sort() };
}

function urgency(network: Network, hosts: Hosts): number {
  const staying = network.placements.filter((each) => !unwanted(each, hosts));
  const live = staying.filter((each) => isLive(trouble(network.networkId, each, hosts))).length;
  if (live >= serversWanted(network)) return 2;
  return live === 0 ? 0 : 1;
}

function loads(networks: readonly Network[]): Map<HostId, number> {
  const load = new Map<HostId, number>();
  for (const { placements } of networks) {
    for (const { hostId } of placements) load.set(hostId, (load.get(hostId) ?? 0) + 1);
  }
  return load;
}

function planNetwork(
  network: Network,
  hosts: Hosts,
  brakes: PlanBrakes,
  load: Map<HostId, number>,
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
    load.set(placement.hostId, (load.get(placement.hostId) ?? 1) - 1);
  };
  const candidate = (): PlanHost | undefined => {
    const taken = new Set([...network.placements.map(({ hostId }) => hostId), ...place]);
    const domains = [...staying.map(({ hostId }) => hostId), ...place].map((id) => hosts.get(id)?.failureDomain ?? '');
    return bestCandidate(networkId, [...hosts.values()], taken, domains, load);
  };
  const take = ({ hostId }: PlanHost) => {
    place.push(hostId);
    load.set(hostId, (load.get(hostId) ?? 0) + 1);
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
  let live = place.length + staying.filter((placement) => isLive(trouble(networkId, placement, hosts))).length;
  for (const { placement, why } of troubled(networkId, staying, hosts)) {
    // First, so that a host that nobody can replace does not use up what the brakes allow.
    const best = candidate();
    if (!best) break;
    if (isBelieved(why) && !mayMove(why, placement, live, brakes)) {
      if (why === 'host down') kept.add(placement.hostId);
      continue;
    }
    take(best);
    leave(placement, why, why === 'host down' && live > 0);
    live++;
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

/** The host that should serve next: in a domain that has none yet, with the least to do; ties by rendezvous hash. */
function bestCandidate(
  networkId: NetworkId,
  hosts: readonly PlanHost[],
  taken: ReadonlySet<HostId>,
  domains: readonly string[],
  load: ReadonlyMap<HostId, number>,
): PlanHost | undefined {
  const crowd = (host: PlanHost) =>
    host.failureDomain === '' ? 0 : domains.filter((domain) => domain === host.failureDomain).length;
  let best: { readonly host: PlanHost; readonly rank: Rank } | undefined;
  for (const host of hosts) {
    if (taken.has(host.hostId) || !isCandidate(host, networkId)) continue;
    const steady = host.steady ? 0 : 1;
    const rank: Rank = [
      steady,
      crowd(host),
      load.get(host.hostId) ?? 0,
      -rendezvous(networkId, host.hostId),
      host.hostId,
    ];
    if (!best || precedes(rank, best.rank)) best = { host, rank };
  }
  return best?.host;
}

type Rank = readonly [unsteady: number, crowd: number, load: number, hash: number, hostId: HostId];

function precedes(a: Rank, b: Rank): boolean {
  const differs = a.findIndex((part, i) => part !== b[i]);
  return differs >= 0 && (a[differs] as number | string) < (b[differs] as number | string);
}

function isCandidate(host: PlanHost, networkId: NetworkId): boolean {
  const { managed, maintenance, liveness, connected, reachable, ready, failing } = host;
  const isWell = liveness === 'up' && connected && reachable;
  return managed && !maintenance && isWell && ready.has(networkId) && !failing.has(networkId);
}
