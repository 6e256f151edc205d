// What the store promises, for the rules of the wire: read from the documents themselves, which every commit changes.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { HostId, NetworkId, ReservationId } from '@leasehold/server/domain/ids';
import type { World } from '../world.js';
import type { WireTruth } from './wire.js';

/** The truth of one disk, but for how far hosts are told of it. */
export function storeTruth(disk: MemoryDisk, world: World): Omit<WireTruth, 'toldSinceMs'> {
  const reservedMs = new Map<ReservationId, number>();
  const placedMs = new Map<string, number>();
  disk.listen((changes) => {
    for (const change of changes) {
      if (change.kind === 'network') {
        for (const placement of change.network.placements) {
          const key = keyOf(change.network.networkId, placement);
          if (!placedMs.has(key)) placedMs.set(key, world.nowMs);
        }
      }
      if (change.kind !== 'slot') continue;
      const { reservationId, state } = change.slot;
      if (state === 'reserved' && !reservedMs.has(reservationId)) reservedMs.set(reservationId, world.nowMs);
    }
  });
  return {
    allowed: (networkId, mac) => new Set(disk.byMac(networkId as NetworkId, mac).map(({ address }) => address)),
    placedSinceMs: (networkId, hostId) => {
      const placements = disk.networks.get(networkId as NetworkId)?.placements ?? [];
      const placement = placements.find((each) => each.hostId === (hostId as HostId));
      return placement && placedMs.get(keyOf(networkId, placement));
    },
    reservedSinceMs: (networkId: string, mac: Mac, address: Ipv4) => {
      const slot = disk.slot(networkId as NetworkId, address);
      return slot?.mac === mac && slot.state === 'reserved' ? reservedMs.get(slot.reservationId) : undefined;
    },
  };
}

function keyOf(networkId: string, { hostId, epoch }: { readonly hostId: string; readonly epoch: unknown }): string {
  return `${networkId} ${hostId} ${epoch}`;
}
