// Which other DHCP servers hosts noticed, counted for all networks at once: without a copy of what every host has, for all of
// them may have a million attachments.

import type { Ipv4 } from '@leasehold/proto/values';
import type { NetworkId } from '../domain/ids.js';
import type { Context } from './context.js';
import type { Fleet } from './fleet.js';

/** How many hosts noticed by network, none where hosts have it and noticed none; nothing where this server does not lead. */
export function countForeignServers(
  { view, lease }: Pick<Context, 'view' | 'lease'>,
  fleet: Pick<Fleet, 'lookAt'>,
): ReadonlyMap<NetworkId, number> {
  const counts = new Map<NetworkId, number>();
  if (!lease.isSelf) return counts;
  const found = new Map<NetworkId, Set<Ipv4>>();
  for (const host of view.hosts.values()) {
    const { observed, liveness } = fleet.lookAt(host);
    if (liveness === 'down') continue;
    if (!observed) for (const { networkId } of host.attachments) counts.set(networkId, 0);
    for (const [networkId, { foreignServers }] of observed?.attachments ?? []) {
      if (!counts.has(networkId)) counts.set(networkId, 0);
      if (foreignServers.length === 0) continue;
      const addresses = found.get(networkId) ?? new Set();
      for (const { address } of foreignServers) addresses.add(address);
      found.set(networkId, addresses);
    }
  }
  for (const [networkId, addresses] of found) counts.set(networkId, addresses.size);
  return counts;
}
