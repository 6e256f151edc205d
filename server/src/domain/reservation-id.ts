// Reservation ids: opaque to users, and they carry their slot's key, so that finding a tenure needs no index.
//
// base64url of: form (1 byte), address (4), random (10), network id (16 bytes when it is a UUID, else its text).

import type { Entropy } from '@leasehold/program/entropy';
import { type Ipv4, parseResourceId } from '@leasehold/proto/values';
import type { NetworkId, ReservationId } from './ids.js';

const FORM_TEXT = 1;
const FORM_UUID = 2;
const RANDOM_BYTES = 10;
const HEAD_BYTES = 1 + 4 + RANDOM_BYTES;
/** How long the own part of an id is: whole groups of base64, so that all ids of a network end alike. */
export const OWN_LENGTH: number = (HEAD_BYTES / 3) * 4;
/** Longer than any that this software made. */
export const MAX_RESERVATION_ID_LENGTH = 128;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Where a reservation is stored. */
export interface SlotKey {
  readonly networkId: NetworkId;
  readonly address: Ipv4;
}

/** A new id for a tenure of an address. */
export function makeReservationId(networkId: NetworkId, address: Ipv4, entropy: Entropy): ReservationId {
  const head = Buffer.alloc(5);
  head.writeUInt8(UUID.test(networkId) ? FORM_UUID : FORM_TEXT, 0);
  head.writeUInt32BE(address, 1);
  const own = Buffer.concat([head, entropy.bytes(RANDOM_BYTES)]).toString('base64url');
  return `${own}${commonPart(networkId)}` as ReservationId;
}

/** What the ids of a network's tenures end with. */
export function commonPart(networkId: NetworkId): string {
  const isUuid = UUID.test(networkId);
  const bytes = isUuid ? Buffer.from(networkId.replaceAll('-', ''), 'hex') : Buffer.from(networkId);
  return bytes.toString('base64url');
}

/** What of an id is its own, `OWN_LENGTH` characters; undefined when it does not end with its network's common part. */
export function ownPart(reservationId: ReservationId, common: string): string | undefined {
  const isWhole = reservationId.length === OWN_LENGTH + common.length && reservationId.endsWith(common);
  return isWhole ? reservationId.slice(0, OWN_LENGTH) : undefined;
}

/** The slot an id belongs to; undefined when it is not an id this software made. */
export function parseReservationId(text: string): SlotKey | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length <= HEAD_BYTES || bytes.toString('base64url') !== text) return undefined;
  const networkId = networkOf(bytes.readUInt8(0), bytes.subarray(HEAD_BYTES));
  return networkId === undefined ? undefined : { networkId, address: bytes.readUInt32BE(1) as Ipv4 };
}

function networkOf(form: number, bytes: Buffer): NetworkId | undefined {
  if (form === FORM_TEXT) {
    const text = bytes.toString();
    return parseResourceId(text).ok && !UUID.test(text) ? (text as NetworkId) : undefined;
  }
  if (form !== FORM_UUID || bytes.length !== 16) return undefined;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') as NetworkId;
}
