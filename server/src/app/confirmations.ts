// Which hosts are well and yet do not confirm a network they were told to serve. A host that is well confirms within
// milliseconds. One that cannot (its port 67 is taken, its disk is full) goes on sending heartbeats, and would keep a
// network for ever that another host could serve.

import type { HostId, NetworkId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import { type PlanHost, placementKey } from '../domain/plan.js';

const CONFIRM_WITHIN_MS = 10_000;
const TRY_AGAIN_MS = 300_000;
const NONE: ReadonlySet<NetworkId> = new Set();

/** Follows who does not confirm. */
export class Confirmations {
  /** By network and host: since when it is waited for, and until when the host is not tried again. */
  readonly #waitingSinceMs = new Map<string, number>();
  readonly #failingUntilMs = new Map<string, number>();

  /** Looks at every placement. */
  follow(networks: ReadonlyMap<NetworkId, Network>, hosts: ReadonlyMap<HostId, PlanHost>, nowMs: number): void {
    const waiting = new Set<string>();
    for (const { networkId, placements } of networks.values()) {
      for (const { hostId, epoch } of placements) {
        if (!isExpectedToConfirm(hosts.get(hostId), networkId, epoch)) continue;
        const key = keyOf(networkId, hostId);
        waiting.add(key);
        const sinceMs = this.#waitingSinceMs.get(key) ?? nowMs;
        this.#waitingSinceMs.set(key, sinceMs);
        if (nowMs - sinceMs >= CONFIRM_WITHIN_MS) this.#failingUntilMs.set(key, nowMs + TRY_AGAIN_MS);
      }
    }
    for (const key of this.#waitingSinceMs.keys()) if (!waiting.has(key)) this.#waitingSinceMs.delete(key);
    for (const [key, untilMs] of this.#failingUntilMs) if (nowMs >= untilMs) this.#failingUntilMs.delete(key);
  }

  /** The networks for which a host is not tried for now. */
  failing(networks: ReadonlyMap<NetworkId, Network>, hostId: HostId): ReadonlySet<NetworkId> {
    if (this.#failingUntilMs.size === 0) return NONE;
    return new Set([...networks.keys()].filter((networkId) => this.#failingUntilMs.has(keyOf(networkId, hostId))));
  }
}

function isExpectedToConfirm(host: PlanHost | undefined, networkId: NetworkId, epoch: number): boolean {
  if (host?.liveness !== 'up' || !host.connected || !host.ready.has(networkId)) return false;
  return !host.serving.has(placementKey(networkId, epoch));
}

function keyOf(networkId: NetworkId, hostId: HostId): string {
  return `${networkId} ${hostId}`;
}
