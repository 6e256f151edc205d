// Whether the servers of a network answer the same.
//
//   S5  Any two that are connected and synchronised agree, in every reservation and every setting.
//       Connected: they have sessions with the server that leads. Synchronised: they have acknowledged all that it has to say
//       of the placements that the store has, and may answer by a table that was confirmed of late. Between a change and its
//       acknowledgement they may differ, and nobody says that they do not.

import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Placement } from '@leasehold/server/domain/network';
import type { HostNode } from '../host-node.js';
import type { ServerNode } from '../server-node.js';

type Leading = Pick<ServerNode, 'isActing' | 'plane' | 'process'>;

/** What two servers of a network do not agree on; undefined: they do. `compared` is told of two that were looked at. */
export function disagreementOf(
  leading: Leading | undefined,
  hosts: readonly HostNode[],
  disk: MemoryDisk,
  compared: () => void,
): string | undefined {
  for (const { networkId, placements } of disk.networks.values()) {
    let first: { readonly hostId: string; readonly digest: Buffer } | undefined;
    for (const { hostId, epoch } of placements) {
      if (!leading || !isSynchronised(leading, networkId, { hostId, epoch })) continue;
      const served = servedBy(hosts, hostId, networkId);
      if (served?.gate.standing() !== 'synchronised') continue;
      const digest = served.table.digest();
      if (first) compared();
      if (first && !first.digest.equals(digest))
        return `${first.hostId} and ${hostId} answer differently in ${networkId}`;
      first ??= { hostId, digest };
    }
  }
  return undefined;
}

function isSynchronised(
  { plane, process }: Leading,
  networkId: NetworkId,
  { hostId, epoch }: Pick<Placement, 'hostId' | 'epoch'>,
): boolean {
  const table = plane?.agents.table(hostId, networkId);
  if (!plane || !table?.serving || table.placementEpoch !== epoch || table.pendingChanges > 0) return false;
  // Of a table of which it tells no changes it does not say that it is taken in.
  return plane.agents.takenInMs(hostId, networkId) === process?.now();
}

function servedBy(hosts: readonly HostNode[], hostId: string, networkId: string) {
  const host = hosts.find((each) => each.hostId === hostId);
  return host && [...host.served].find((each) => each.networkId === networkId);
}
