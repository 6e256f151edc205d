// How a network's placements and former servers change, as functions of its document.

import type { HostId, Uid, WallTime } from './ids.js';
import type { FormerServer, Network, Placement } from './network.js';

/** How many hosts shall serve the network now. */
export function serversWanted({ ipamEnabled, deleted, subnets, dhcpServerCount }: Network): number {
  return ipamEnabled && !deleted && subnets.length > 0 ? dhcpServerCount : 0;
}

/** The network with one more host to serve it, under a new epoch. */
export function withPlacement(network: Network, hostId: HostId, hostUid: Uid, since: WallTime): Network {
  const epoch = network.placementCounter + 1;
  const placement: Placement = { hostId, hostUid, epoch, since };
  return { ...network, placementCounter: epoch, placements: [...network.placements, placement] };
}

/** The network with these placements no longer wanted: their hosts may still answer until they confirmed. */
export function becomeFormer(
  network: Network,
  epochs: readonly number[],
  authorityCeilingS: number,
  since: WallTime,
): Network {
  const leaving = network.placements.filter(({ epoch }) => epochs.includes(epoch));
  if (leaving.length === 0) return network;
  const former = leaving.map(
    ({ hostId, hostUid, epoch }): FormerServer => ({
      hostId,
      hostUid,
      epoch,
      // A reservation made after this counter has grown was never sent to the host (protocol.md §4).
      counter: network.placementCounter,
      authorityCeilingS,
      since,
    }),
  );
  return {
    ...network,
    placements: network.placements.filter((placement) => !leaving.includes(placement)),
    formerServers: [...network.formerServers, ...former],
  };
}
