// Which hosts are well and yet do not confirm a network they were told to serve. A host that is well confirms within
// milliseconds. One that cannot (its port 67 is taken, its disk is full) goes on sending heartbeats, and would keep a
// network for ever that another host could serve. What it failed at it may do well an instant later: so it is tried last,
// but tried; and once it serves nothing is held against it.

import type { HostId, NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import { type PlanHost, placementKey } from '../domain/plan-host.js';

const CONFIRM_WITHIN_MS = 10_000;
const FORGIVEN_AFTER_MS = 300_000;
const NONE: ReadonlyMap<NetworkId, number> = new Map();

/** Follows who does not confirm. */
export class Confirmations {
  /** By network and host: since when it is waited for. */
  readonly #waitingSinceMs = new Map<string, number>();
  /** Until when a host is tried last. */
  readonly #failingUntilMs = new Map<HostId, Map<NetworkId, number>>();

  /** Looks at the placements of the networks of which hosts are told. */
  follow(networks: Iterable<Network>, hosts: ReadonlyMap<HostId, PlanHost>, nowMs: number): void {
    const waiting = new Set<string>();
    for (const { networkId, placements } of networks) {
      for (const { hostId, epoch } of placements) {
        const host = hosts.get(hostId);
        if (host?.serving.has(placementKey(networkId, epoch))) this.#failingUntilMs.get(hostId)?.delete(networkId);
        if (!isExpectedToConfirm(host, networkId, epoch)) continue;
        const key = keyOf(networkId, hostId);
        waiting.add(key);
        const sinceMs = this.#waitingSinceMs.get(key) ?? nowMs;
        this.#waitingSinceMs.set(key, sinceMs);
        if (nowMs - sinceMs >= CONFIRM_WITHIN_MS) this.#fails(hostId, networkId, nowMs + FORGIVEN_AFTER_MS);
      }
    }
    for (const key of this.#waitingSinceMs.keys()) if (!waiting.has(key)) this.#waitingSinceMs.delete(key);
    for (const [hostId, failing] of this.#failingUntilMs) {
      for (const [networkId, untilMs] of failing) if (nowMs >= untilMs) failing.delete(networkId);
      if (failing.size === 0) this.#failingUntilMs.delete(hostId);
    }
  }

  #fails(hostId: HostId, networkId: NetworkId, untilMs: number): void {
    const failing = this.#failingUntilMs.get(hostId) ?? new Map<NetworkId, number>();
    this.#failingUntilMs.set(hostId, failing.set(networkId, untilMs));
  }

  /** The networks for which any other host is tried before this one. */
  failing(hostId: HostId): Pick<ReadonlySet<NetworkId>, 'has'> {
    return this.#failingUntilMs.get(hostId) ?? NONE;
  }
}

function isExpectedToConfirm(host: PlanHost | undefined, networkId: NetworkId, epoch: number): boolean {
  if (host?.liveness !== 'up' || !host.connected || !host.ready.has(networkId)) return false;
  return !host.serving.has(placementKey(networkId, epoch));
}

function keyOf(networkId: NetworkId, hostId: HostId): string {
  return `${networkId} ${hostId}`;
}
