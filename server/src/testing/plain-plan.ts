// The plan as documented (docs/placement.md), made the plain way: every network in turn, whether or not there is anything to
// do about it, and for every placement a look at every host. What the planner makes must equal it. What is decided about
// one network is the planner's own; here is the other way to all that it does to be fast.

import { type Candidates, rendezvous } from '../domain/candidates.js';
import type { HostId, NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import { type Hosts, type Plan, type PlanBrakes, planInOrder, urgencyOf } from '../domain/plan.js';
import type { PlanHost } from '../domain/plan-host.js';

/** Makes the plan. */
export function plainPlan(
  networks: Iterable<Network>,
  hosts: Hosts,
  brakes: PlanBrakes,
  busy: ReadonlySet<NetworkId>,
): Plan {
  const sorted = [...networks].sort(
    (a, b) => urgencyOf(a, hosts) - urgencyOf(b, hosts) || (a.networkId < b.networkId ? -1 : 1),
  );
  const open = sorted.filter(({ networkId }) => !busy.has(networkId));
  return planInOrder(open, hosts, brakes, new EveryHost(hosts, sorted));
}

/** Looks at every host. */
class EveryHost implements Candidates {
  readonly #hosts: Hosts;
  readonly #load = new Map<HostId, number>();

  constructor(hosts: Hosts, networks: readonly Network[]) {
    this.#hosts = hosts;
    for (const { placements } of networks) for (const { hostId } of placements) this.add(hostId, 1);
  }

  load(hostId: HostId): number {
    return this.#load.get(hostId) ?? 0;
  }

  add(hostId: HostId, placements: 1 | -1): void {
    this.#load.set(hostId, this.load(hostId) + placements);
  }

  best(networkId: NetworkId, taken: ReadonlySet<HostId>, servers: readonly HostId[]): PlanHost | undefined {
    const domains = servers.map((hostId) => this.#hosts.get(hostId)?.failureDomain ?? '');
    const crowd = ({ failureDomain }: PlanHost) =>
      failureDomain === '' ? 0 : domains.filter((domain) => domain === failureDomain).length;
    let best: { readonly host: PlanHost; readonly rank: Rank } | undefined;
    for (const host of this.#hosts.values()) {
      const { hostId } = host;
      if (taken.has(hostId) || !isCandidate(host, networkId)) continue;
      const [failing, unsteady] = [host.failing.has(networkId) ? 1 : 0, host.steady ? 0 : 1];
      const rank: Rank = [failing, unsteady, crowd(host), this.load(hostId), -rendezvous(networkId, hostId), hostId];
      if (!best || precedes(rank, best.rank)) best = { host, rank };
    }
    return best?.host;
  }
}

type Rank = readonly [failing: number, unsteady: number, crowd: number, load: number, hash: number, hostId: HostId];

function precedes(a: Rank, b: Rank): boolean {
  const differs = a.findIndex((part, i) => part !== b[i]);
  return differs >= 0 && (a[differs] as number | string) < (b[differs] as number | string);
}

function isCandidate(host: PlanHost, networkId: NetworkId): boolean {
  const { managed, maintenance, liveness, connected, reachable, ready } = host;
  return managed && !maintenance && liveness === 'up' && connected && reachable && ready.has(networkId);
}
