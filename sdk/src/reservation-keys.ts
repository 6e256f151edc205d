// How reservations are named.

/**
 * Names one reservation: by its id (also one that is over), by its address, or by its MAC (only one that is reserved). A
 * `Reservation` names itself, by its id.
 */
export type ReservationKey =
  | { readonly reservationId: string }
  | { readonly subnetId: string; readonly address: string }
  | { readonly networkId: string; readonly mac: string };

/** A reservation as it is named on the wire. */
export type NamedReservation =
  | { readonly $case: 'reservationId'; readonly value: string }
  | { readonly $case: 'address'; readonly value: { readonly subnetId: string; readonly address: string } }
  | { readonly $case: 'mac'; readonly value: { readonly networkId: string; readonly mac: string } };

/** All that a key may hold. */
export interface KeyParts {
  readonly reservationId?: string | undefined;
  readonly subnetId?: string | undefined;
  readonly address?: string | undefined;
  readonly networkId?: string | undefined;
  readonly mac?: string | undefined;
}

/** As it goes on the wire: by its id, if it has one. */
export function toWireKey(key: ReservationKey): NamedReservation {
  const { reservationId = '', subnetId = '', address, networkId, mac = '' }: KeyParts = key;
  if (reservationId !== '') return { $case: 'reservationId', value: reservationId };
  if (address !== undefined) return { $case: 'address', value: { subnetId, address } };
  if (networkId !== undefined) return { $case: 'mac', value: { networkId, mac } };
  return { $case: 'reservationId', value: reservationId };
}
