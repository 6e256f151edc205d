// What store-writer.ts does on one address, step by step: 0 inserts, 1 releases, 2 frees, 3 inserts again with another
// id, and so on; so that the state of an address tells which step was the last.

import type { Ipv4 } from '@leasehold/proto/values';
import type { NetworkId, ReservationId } from '@leasehold/server/domain/ids';
import type { RequestKey, Slot } from '@leasehold/server/domain/slot';
import { address, networkId, reservation } from '../conformance/documents.js';

/** Steps from one insert to the next. */
export const ROUND = 3;

/** The nth address. */
export function addressOf(n: number): { readonly networkId: NetworkId; readonly address: Ipv4 } {
  return { networkId: networkId('red'), address: address(n + 1) };
}

/** The request that a step makes. */
export function requestOf(n: number, step: number): RequestKey {
  return { caller: 'writer', rpc: 'ReserveAddress', id: `${n}/${step}`, contentHash: 'h' };
}

/** The slot that an inserting step makes. */
export function tenureOf(n: number, step: number): Slot {
  const slot = reservation('red', n + 1, n);
  return { ...slot, reservationId: `${n}/${step}` as ReservationId, request: requestOf(n, step) };
}

/** The step that left a slot as it is. */
export function stepOf({ reservationId, state }: Slot): number {
  const inserted = Number(reservationId.split('/')[1]);
  return state === 'reserved' ? inserted : inserted + 1;
}
