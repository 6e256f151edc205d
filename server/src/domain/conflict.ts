// What hosts notice on the wire that does not fit a reservation, and what of it is written down.
//
//   C1. It is written, and nothing else: no reservation ends and no address is blocked by what a guest sends.
//   C2. A tenure is written at most once a minute, whoever sends how much from however many MACs, and whichever hosts see
//       it; only what is worse than a release is written at once.

import type { Mac } from '@leasehold/proto/values';
import type { HostId, ReservationId, WallTime } from './ids.js';

/** All kinds of what is noticed. */
export const CONFLICT_KINDS = ['declined', 'address-in-use', 'released'] as const;

/** `declined`: by the guest; `address-in-use`: by another MAC; `released`: by the guest, which is no trouble. */
export type ConflictKind = (typeof CONFLICT_KINDS)[number];

/** What was noticed last of a tenure. */
export interface Conflict {
  readonly time: WallTime;
  readonly kind: ConflictKind;
  readonly sourceMac: Mac;
  readonly hostId: HostId;
}

/** What a host says it noticed of a tenure. */
export type Sighting = Omit<Conflict, 'time'> & { readonly reservationId: ReservationId };

/** Of a slot, what it depends on. */
interface Sighted {
  readonly reservationId: ReservationId;
  readonly state: string;
  readonly mac: Mac;
  readonly conflict?: Conflict;
}

/** How soon a tenure is written again. */
export const CONFLICT_AGAIN_MS = 60_000;

/** The slot with what was noticed; undefined: there is nothing to write. */
export function withConflict<Noted extends Sighted>(slot: Noted, sighting: Sighting, now: WallTime): Noted | undefined {
  const { reservationId, kind, sourceMac, hostId } = sighting;
  if (slot.reservationId !== reservationId || slot.state !== 'reserved' || !isPlausible(slot, sighting))
    return undefined;
  const { conflict: known } = slot;
  if (known && kind === 'released' && known.kind !== 'released') return undefined;
  const isWorse = known?.kind === 'released' && kind !== 'released';
  // A clock that was set back must not silence it for long.
  if (known && !isWorse && Math.abs(now - known.time) < CONFLICT_AGAIN_MS) return undefined;
  return { ...slot, conflict: { time: now, kind, sourceMac, hostId } };
}

/** Only its own MAC declines or releases an address, and only another one's use of it is news. */
function isPlausible({ mac }: Sighted, { kind, sourceMac }: Sighting): boolean {
  return kind === 'address-in-use' ? sourceMac !== mac : sourceMac === mac;
}
