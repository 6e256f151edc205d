// Which hosts shall serve which network: a pure function of what is wanted and what is seen. It takes no input from
// events; events only wake it.
//
//   L1. At most `dhcp_server_count` placements are wanted. One leaves in the same change in which another takes its
//       place; what leaves is a former server, and goes on answering until its replacement does (deployment.ts).
//   L2. A healthy placement never moves by itself; a host that returns gets new work only.
//   L3. Nothing leaves without a replacement, unless nobody wants it any more.
//   L4. What is asked for (count, managed, maintenance, disabling) is done at once. What is only believed (a host is
//       dead) passes the brakes, except that a network without any live server gets one at once.
//   L5. The same input gives the same plan, in whatever order it comes.

import type { HostId, NetworkId, Uid } from './ids.js';
import type { Liveness } from './liveness.js';
import type { Network, Placement } from './network.js';
import { serversWanted } from './placement.js';

/** A host as the planner needs it. */
export interface PlanHost {
  readonly hostId: HostId;
  readonly uid: Uid;
  readonly managed: boolean;
  readonly maintenance: boolean;
  readonly failureDomain: string;
  readonly liveness: Liveness;
  /** It may be about to become suspect (`isQuiet`), or was not heard since this server started. */
  readonly quiet: boolean;
  /** Whether it was heard since this server started, or stood still. */
  readonly heard: boolean;
  /** How long it has not been heard. */
  readonly silentForMs: number;
  readonly connected: boolean;
  /** Whether its circuit breaker lets commands through. */
  readonly reachable: boolean;
  /** The networks it has on an interface that is up. */
  readonly ready: ReadonlySet<NetworkId>;
  /** Network and epoch of the placements it confirmed, as `placementKey` makes them. */
  readonly serving: ReadonlySet<string>;
  /** The networks it was told to serve and did not confirm for so long that another host had better try. */
  readonly failing: ReadonlySet<NetworkId>;
}

/** What holds the planner back. */
export interface PlanBrakes {
  /** So many hosts are silent that the control plane itself may be the sick one: nothing that is only believed is done. */
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
  readonly networks: readonly NetworkPlan[];
  /** Hosts believed dead that keep their placements for now. */
  readonly kept: readonly HostId[];
}

/** Names a placement of a network. */
export function placementKey(networkId: NetworkId, epoch: number): string {
  return `${networkId} ${epoch}`;
}

type Hosts = ReadonlyMap<HostId, PlanHost>;

/** Makes the plan. */
export function plan(networks: Iterable<Network>, hosts: Hosts, brakes: PlanBrakes): Plan {
  const sorted = [...networks].sort((a, b) => (a.networkId < b.networkId ? -1 : 1));
  const load = loads(sorted);
  const kept = new Set<HostId>();
  const plans = sorted.flatMap((network) => {
    const planned = planNetwork(network, hosts, brakes, load, kept);
    return planned.withdraw.length + planned.place.length > 0 ? [planned] : [];
  });
  return { networks: plans, kept: [...kept].sort() };
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
  const leave = (placement: Placement, why: Why) => {
    staying = staying.filter((each) => each !== placement);
    withdraw.push({ hostId: placement.hostId, epoch: placement.epoch, why });
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
    leave(placement, why);
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
    const rank: Rank = [crowd(host), load.get(host.hostId) ?? 0, -rendezvous(networkId, host.hostId), host.hostId];
    if (!best || precedes(rank, best.rank)) best = { host, rank };
  }
  return best?.host;
}

type Rank = readonly [crowd: number, load: number, hash: number, hostId: HostId];

function precedes(a: Rank, b: Rank): boolean {
  const differs = a.findIndex((part, i) => part !== b[i]);
  return differs >= 0 && (a[differs] as number | string) < (b[differs] as number | string);
}

function isCandidate(host: PlanHost, networkId: NetworkId): boolean {
  const { managed, maintenance, liveness, connected, reachable, ready, failing } = host;
  const isWell = liveness === 'up' && connected && reachable;
  return managed && !maintenance && isWell && ready.has(networkId) && !failing.has(networkId);
}

// Highest random weight: which host is first depends on network and host alone, so that results are stable when hosts
// come and go. FNV-1a with a final mix; a cryptographic hash for every pair would stop a large installation for seconds.
function rendezvous(networkId: NetworkId, hostId: HostId): number {
  const text = `${networkId} ${hostId}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}
