// What the store promises, for the rules of the wire: read from the documents themselves, which every commit changes.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId, ReservationId } from '@leasehold/server/domain/ids';
import type { MemoryDisk } from '../../fakes/memory-disk.js';
import type { World } from '../world.js';
import type { WireTruth } from './wire.js';

/** The truth of one disk. */
export function storeTruth(disk: MemoryDisk, world: World): WireTruth {
  const reservedMs = new Map<ReservationId, number>();
  disk.listen((changes) => {
    for (const change of changes) {
      if (change.kind !== 'slot') continue;
      const { reservationId, state } = change.slot;
      if (state === 'reserved' && !reservedMs.has(reservationId)) reservedMs.set(reservationId, world.nowMs);
    }
  });
  return {
    allowed: (networkId, mac) => new Set(disk.byMac(networkId as NetworkId, mac).map(({ address }) => address)),
    reservedSinceMs: (networkId: string, mac: Mac, address: Ipv4) => {
      const slot = disk.slot(networkId as NetworkId, address);
      return slot?.mac === mac && slot.state === 'reserved' ? reservedMs.get(slot.reservationId) : undefined;
    },
  };
}
