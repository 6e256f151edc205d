// Which placements to move so that they are spread evenly: a pure function, for whoever asks. Nothing else ever moves a
// placement that is well.
//
//   R1. Every move leaves fewer servers of its network in one failure domain; or as many, and takes a placement from a host
//       that has at least two more than the one it goes to. So it ends, and what it left has no such move: asked again, it
//       moves nothing.
//   R2. Only in networks that have all the servers they want, all of them well and serving, and only to hosts that would
//       be given a placement anyway (candidates.ts), did not just come back, and did not fail to serve the network.
//   R3. Between plan and write hosts die and others take their place: what does not fit any more is not made.
//   R4. The same input gives the same moves, in whatever order it comes.

import { type Candidates, isCandidate, keepCandidates } from './candidates.js';
import type { HostId, NetworkId } from './ids.js';
import type { Network } from './network.js';
import { serversWanted } from './placement.js';
import { type PlanHost, placementKey } from './plan-host.js';

/** A placement that moves. */
export interface Move {
  readonly networkId: NetworkId;
  readonly fromHostId: HostId;
  /** Of the placement that ends. */
  readonly epoch: number;
  readonly toHostId: HostId;
}

type Hosts = ReadonlyMap<HostId, PlanHost>;

/** A network whose servers may be exchanged, and who they are by now. */
interface Servers {
  readonly networkId: NetworkId;
  readonly before: ReadonlyMap<HostId, number>;
  readonly now: Set<HostId>;
}

/** The moves, by network. `mayMove`: the networks to look at; the placements of the others count all the same. */
export function rebalance(
  networks: Iterable<Network>,
  hosts: Hosts,
  mayMove: (network: Network) => boolean,
): readonly Move[] {
  const load = new Map<HostId, number>();
  const movable: Servers[] = [];
  for (const network of networks) {
    for (const { hostId } of network.placements) load.set(hostId, (load.get(hostId) ?? 0) + 1);
    if (mayMove(network) && isWell(network, hosts)) movable.push(serversOf(network));
  }
  movable.sort((a, b) => (a.networkId < b.networkId ? -1 : 1));
  const balance = new Balance(movable, hosts, keepCandidates(hosts.values(), load, movable.length));
  while (balance.spread() || balance.level());
  return movable.flatMap(movesOf);
}

/** Whether moves of a network can be made yet, though it and the hosts may have changed since they were planned. */
export function areStillPossible(moves: readonly Move[], { networkId, placements }: Network, hosts: Hosts): boolean {
  return moves.every(({ epoch, toHostId }) => {
    const host = hosts.get(toHostId);
    if (!host || !isCandidate(host, networkId)) return false;
    return placements.some((each) => each.epoch === epoch) && placements.every(({ hostId }) => hostId !== toHostId);
  });
}

function isWell({ networkId, placements, ...network }: Network, hosts: Hosts): boolean {
  if (placements.length === 0 || placements.length !== serversWanted({ networkId, placements, ...network }))
    return false;
  return placements.every(({ hostId, hostUid, epoch }) => {
    const host = hosts.get(hostId);
    return host?.uid === hostUid && isCandidate(host, networkId) && host.serving.has(placementKey(networkId, epoch));
  });
}

function serversOf({ networkId, placements }: Network): Servers {
  const before = new Map(placements.map(({ hostId, epoch }) => [hostId, epoch]));
  return { networkId, before, now: new Set(before.keys()) };
}

function movesOf({ networkId, before, now }: Servers): readonly Move[] {
  const coming = [...now].filter((hostId) => !before.has(hostId)).sort();
  return [...before]
    .filter(([hostId]) => !now.has(hostId))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([fromHostId, epoch], i) => {
      const toHostId = coming[i];
      return toHostId === undefined ? [] : [{ networkId, fromHostId, epoch, toHostId }];
    });
}

/** A move that could be made. */
interface Step {
  readonly from: HostId;
  readonly to: HostId;
  /** How many servers fewer share a failure domain with it. */
  readonly relief: number;
}

class Balance {
  readonly #networks: readonly Servers[];
  readonly #hosts: Hosts;
  readonly #candidates: Candidates;

  constructor(networks: readonly Servers[], hosts: Hosts, candidates: Candidates) {
    this.#networks = networks;
    this.#hosts = hosts;
    this.#candidates = candidates;
  }

  /** Spreads networks over failure domains; whether anything moved. */
  spread(): boolean {
    let moved = false;
    for (const network of this.#networks) {
      for (let step = this.#bestRelief(network); step; step = this.#bestRelief(network)) {
        this.#take(network, step);
        moved = true;
      }
    }
    return moved;
  }

  #bestRelief(network: Servers): Step | undefined {
    if (new Set([...network.now].map((hostId) => this.#domainOf(hostId))).size === network.now.size) return undefined;
    const load = (hostId: HostId) => this.#candidates.load(hostId);
    return [...network.now]
      .flatMap((hostId) => this.#step(network, hostId) ?? [])
      .filter(({ relief }) => relief > 0)
      .sort((a, b) => b.relief - a.relief || load(b.from) - load(a.from) || (a.from < b.from ? -1 : 1))[0];
  }

  /** Takes placements from hosts that have many; whether anything moved. */
  level(): boolean {
    const networksOf = new Map<HostId, Servers[]>();
    for (const network of this.#networks) {
      for (const hostId of network.now) {
        const own = networksOf.get(hostId);
        if (own) own.push(network);
        else networksOf.set(hostId, [network]);
      }
    }
    const load = (hostId: HostId) => this.#candidates.load(hostId);
    const byLoad = [...networksOf].sort(([a], [b]) => load(b) - load(a) || (a < b ? -1 : 1));
    let moved = false;
    for (const [hostId, networks] of byLoad) {
      for (const network of networks) {
        if (load(hostId) < this.#leastLoad() + 2) break;
        const step = this.#step(network, hostId);
        if (!step || step.relief < 0 || (step.relief === 0 && load(hostId) < load(step.to) + 2)) continue;
        this.#take(network, step);
        moved = true;
      }
    }
    return moved;
  }

  #leastLoad(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const hostId of this.#hosts.keys()) least = Math.min(least, this.#candidates.load(hostId));
    return least;
  }

  #step({ networkId, now }: Servers, from: HostId): Step | undefined {
    const others = [...now].filter((hostId) => hostId !== from);
    const best = this.#candidates.best(networkId, now, others);
    if (!best?.steady || best.failing.has(networkId)) return undefined;
    const crowd = (hostId: HostId) => {
      const domain = this.#domainOf(hostId);
      return others.filter((other) => domain !== '' && this.#domainOf(other) === domain).length;
    };
    return { from, to: best.hostId, relief: crowd(from) - crowd(best.hostId) };
  }

  #domainOf(hostId: HostId): string {
    return this.#hosts.get(hostId)?.failureDomain ?? '';
  }

  #take({ now }: Servers, { from, to }: Step): void {
    now.delete(from);
    now.add(to);
    this.#candidates.add(from, -1);
    this.#candidates.add(to, 1);
  }
}
