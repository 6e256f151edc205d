// Which host should serve a network next: of those that can, one that did not fail to confirm it before one that did, then
// one that did not just come back before one that did, then the one whose failure domain has the fewest servers of this
// network, then the one with the fewest placements, then by a hash of network and host.
//
//   C1. The answer is that of a look at every host (testing/plain-plan.ts); only the way to it is shorter: hosts are kept
//       by their load, and those of one load in groups, of which the first for the network that is not empty mostly has the answer; and
//       whether a host has the network is asked only of one that would be better than the best so far.
//   C2. Hosts of which most have only a few networks are also kept by network, made when the first is asked for.

import type { HostId, NetworkId } from './ids.js';
import type { PlanHost } from './plan-host.js';

/** Hosts in the order in which they should take placements; it changes with every placement that is made. */
export interface Candidates {
  /** The best one for a network, none of `taken`. `servers`: the hosts that serve it, or shall, for the domains' sake. */
  best(networkId: NetworkId, taken: ReadonlySet<HostId>, servers: readonly HostId[]): PlanHost | undefined;
  /** How many placements a host has. */
  load(hostId: HostId): number;
  /** A host has one placement more, or one fewer. */
  add(hostId: HostId, placements: 1 | -1): void;
}

/** Whether a host takes placements at all. */
export function takesPlacements({ managed, maintenance, liveness, connected, reachable }: PlanHost): boolean {
  return managed && !maintenance && liveness === 'up' && connected && reachable;
}

/** Whether a host can take a placement of this network, and did not just fail to. */
export function isCandidate(host: PlanHost, networkId: NetworkId): boolean {
  return takesPlacements(host) && host.ready.has(networkId) && !host.failing.has(networkId);
}

// Keeping hosts by network costs a step for each network of each host; looking for one network costs at most one for each
// host, usually far fewer.
const WORTH_KEEPING = 32;
const UNSTEADY = 1_000;
const FAILING = 1_000_000;

interface Entry {
  readonly host: PlanHost;
  /** Index of its failure domain; 0: none. */
  readonly domain: number;
  readonly hash: number;
  readonly group: number;
  /** More than any domain has servers of a network, if it just came back. */
  readonly penalty: number;
  load: number;
  /** Where it stands among those of its load and group. */
  at: number;
}

/** The hosts of one load, by group. */
interface Level {
  size: number;
  readonly groups: readonly Entry[][];
}

const GROUPS = 32;
const GROUP_HASHES = Array.from({ length: GROUPS }, (_, group) => mix(Math.imul(group + 1, 0x9e3779b1)));

/**
 * Keeps the hosts in order. `load`: the placements of each host now. `networks`: about how many networks will be asked
 * for.
 */
export function keepCandidates(
  hosts: Iterable<PlanHost>,
  load: ReadonlyMap<HostId, number>,
  networks: number,
): Candidates {
  return new ByLoad(hosts, load, networks);
}

class ByLoad implements Candidates {
  readonly #entries = new Map<HostId, Entry>();
  /** Hosts without a place in the order, such as dead ones. */
  readonly #others: Map<HostId, number>;
  readonly #levels: Level[] = [];
  readonly #domainOf = new Map<HostId, number>();
  /** How many servers of the network that is asked for are in each domain; all 0 in between. */
  readonly #crowds: number[] = [0];
  readonly #isSparse: boolean;
  /** The domains that have hosts to choose from. */
  readonly #inhabited = new Set<number>();
  #byNetwork: Map<NetworkId, Entry[]> | undefined;

  constructor(hosts: Iterable<PlanHost>, load: ReadonlyMap<HostId, number>, networks: number) {
    this.#others = new Map(load);
    const domains = new Map<string, number>([['', 0]]);
    let attachments = 0;
    for (const host of hosts) {
      const { hostId, failureDomain } = host;
      let domain = domains.get(failureDomain);
      if (domain === undefined) {
        domain = domains.size;
        domains.set(failureDomain, domain);
        this.#crowds.push(0);
      }
      this.#domainOf.set(hostId, domain);
      if (!takesPlacements(host)) continue;
      this.#inhabited.add(domain);
      attachments += host.ready.size;
      const penalty = host.steady ? 0 : UNSTEADY;
      const hash = hashOf(hostId);
      const [group, now] = [groupOf(hash), load.get(hostId) ?? 0];
      const entry: Entry = { host, domain, hash, group, penalty, load: now, at: 0 };
      this.#entries.set(hostId, entry);
      this.#enter(entry);
    }
    this.#isSparse = attachments * WORTH_KEEPING < networks * this.#entries.size;
  }

  load(hostId: HostId): number {
    return this.#entries.get(hostId)?.load ?? this.#others.get(hostId) ?? 0;
  }

  add(hostId: HostId, placements: 1 | -1): void {
    const entry = this.#entries.get(hostId);
    if (!entry) {
      this.#others.set(hostId, (this.#others.get(hostId) ?? 0) + placements);
      return;
    }
    this.#leave(entry);
    entry.load = Math.max(0, entry.load + placements);
    this.#enter(entry);
  }

  best(networkId: NetworkId, taken: ReadonlySet<HostId>, servers: readonly HostId[]): PlanHost | undefined {
    const crowded = servers.map((hostId) => this.#domainOf.get(hostId) ?? 0).filter((domain) => domain > 0);
    for (const domain of crowded) this.#crowds[domain] = (this.#crowds[domain] ?? 0) + 1;
    const search: Search = { networkId, hash: hashOf(networkId), taken };
    const found = this.#isSparse
      ? this.#bestOf(this.#hostsOf(networkId), search, undefined)
      : this.#bestByLevel(search, this.#leastCrowd(crowded));
    for (const domain of crowded) this.#crowds[domain] = 0;
    return found?.host;
  }

  /** The fewest servers that any domain with hosts to choose from has. */
  #leastCrowd(crowded: readonly number[]): number {
    const used = [...new Set(crowded)].filter((domain) => this.#inhabited.has(domain));
    return this.#inhabited.size > used.length ? 0 : Math.min(...used.map((domain) => this.#crowds[domain] ?? 0));
  }

  /**
   * From the least load up, group by group as they come for the network: who is found in a domain with the fewest servers
   * cannot be bettered any more.
   */
  #bestByLevel(search: Search, leastCrowd: number): Entry | undefined {
    const { networkId, hash } = search;
    let best: Entry | undefined;
    for (const { size, groups } of this.#levels) {
      // While an empty installation fills, all the levels below are empty.
      if (size === 0) continue;
      for (let next = nextGroup(hash, groups, undefined); next !== undefined; next = nextGroup(hash, groups, next)) {
        best = this.#bestOf(groups[next] ?? [], search, best);
        if (best && this.#crowdOf(best, networkId) <= leastCrowd) return best;
      }
    }
    return best;
  }

  #bestOf(entries: readonly Entry[], { networkId, hash, taken }: Search, before: Entry | undefined): Entry | undefined {
    let best = before;
    let bestCrowd = best ? this.#crowdOf(best, networkId) : Number.POSITIVE_INFINITY;
    let bestWeight = best ? weightOf(hash, best) : 0;
    for (const entry of entries) {
      const { host, domain, penalty } = entry;
      // What it is at least: most are out of the question without asking for this network.
      const least = (this.#crowds[domain] ?? 0) + penalty;
      if (least > bestCrowd) continue;
      const weight = weightOf(hash, entry);
      const isAhead = !best || isBefore(entry, weight, best, bestWeight);
      if (least === bestCrowd && !isAhead) continue;
      if (!host.ready.has(networkId) || taken.has(host.hostId)) continue;
      const crowd = host.failing.has(networkId) ? least + FAILING : least;
      if (crowd > bestCrowd || (crowd === bestCrowd && !isAhead)) continue;
      best = entry;
      bestCrowd = crowd;
      bestWeight = weight;
    }
    return best;
  }

  #crowdOf({ domain, penalty, host: { failing } }: Entry, networkId: NetworkId): number {
    return (this.#crowds[domain] ?? 0) + penalty + (failing.has(networkId) ? FAILING : 0);
  }

  #hostsOf(networkId: NetworkId): readonly Entry[] {
    this.#byNetwork ??= this.#indexed();
    return this.#byNetwork.get(networkId) ?? [];
  }

  #indexed(): Map<NetworkId, Entry[]> {
    const byNetwork = new Map<NetworkId, Entry[]>();
    for (const entry of this.#entries.values()) {
      for (const networkId of entry.host.ready) {
        const own = byNetwork.get(networkId);
        if (own) own.push(entry);
        else byNetwork.set(networkId, [entry]);
      }
    }
    return byNetwork;
  }

  #enter(entry: Entry): void {
    while (this.#levels.length <= entry.load) {
      this.#levels.push({ size: 0, groups: Array.from({ length: GROUPS }, () => []) });
    }
    const level = this.#levels[entry.load];
    const group = level?.groups[entry.group];
    if (!level || !group) return;
    level.size++;
    entry.at = group.length;
    group.push(entry);
  }

  #leave({ load, group: at, at: place }: Entry): void {
    const level = this.#levels[load];
    const group = level?.groups[at];
    const last = group?.pop();
    if (!level || !group || !last) return;
    level.size--;
    if (last.at === place) return;
    group[place] = last;
    last.at = place;
  }
}

/** What is looked for. */
interface Search {
  readonly networkId: NetworkId;
  readonly hash: number;
  readonly taken: ReadonlySet<HostId>;
}

function isBefore(a: Entry, weightOfA: number, b: Entry, weightOfB: number): boolean {
  if (a.load !== b.load) return a.load < b.load;
  if (weightOfA !== weightOfB) return weightOfA > weightOfB;
  return a.host.hostId < b.host.hostId;
}

/**
 * Highest random weight: which host is first depends on network and host alone, so that results are stable when hosts
 * come and go. Groups of hosts are drawn first, and then the hosts of a group. Each name is hashed once and the two are
 * mixed: a hash of every pair would stop a large installation for a second.
 */
export function rendezvous(networkId: NetworkId, hostId: HostId): number {
  const hash = hashOf(hostId);
  return weightOf(hashOf(networkId), { hash, group: groupOf(hash) });
}

function groupOf(hash: number): number {
  return mix(hash) % GROUPS;
}

/** Which of these groups comes next for a network, after that one, of those that are not empty. */
function nextGroup(network: number, groups: Level['groups'], after: number | undefined): number | undefined {
  const below = after === undefined ? Number.POSITIVE_INFINITY : groupWeight(network, after);
  let next: number | undefined;
  let nextWeight = -1;
  for (let group = 0; group < GROUPS; group++) {
    const weight = groupWeight(network, group);
    if (weight <= nextWeight || weight >= below || groups[group]?.length === 0) continue;
    next = group;
    nextWeight = weight;
  }
  return next;
}

// Up to 2^53: 32 bits of the group, and 21 of the host.
function weightOf(network: number, { hash, group }: Pick<Entry, 'hash' | 'group'>): number {
  return groupWeight(network, group) * 0x200000 + (mix(network ^ hash) >>> 11);
}

function groupWeight(network: number, group: number): number {
  return mix(network ^ (GROUP_HASHES[group] ?? 0));
}

// FNV-1a.
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

function mix(bits: number): number {
  let hash = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}
