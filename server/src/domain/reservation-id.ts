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
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Where a reservation is stored. */
export interface SlotKey {
  readonly networkId: NetworkId;
  readonly address: Ipv4;
}

/** A new id for a tenure of an address. */
export function makeReservationId(networkId: NetworkId, address: Ipv4, entropy: Entropy): ReservationId {
  const isUuid = UUID.test(networkId);
  const network = isUuid ? Buffer.from(networkId.replaceAll('-', ''), 'hex') : Buffer.from(networkId);
  const head = Buffer.alloc(5);
  head.writeUInt8(isUuid ? FORM_UUID : FORM_TEXT, 0);
  head.writeUInt32BE(address, 1);
  return Buffer.concat([head, entropy.bytes(RANDOM_BYTES), network]).toString('base64url') as ReservationId;
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
