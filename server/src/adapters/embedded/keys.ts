// The keys of the embedded store, as strings of bytes. Part of what is on disk: a change here is a new schema.
//
//   K1. Keys of one network lie together, in address order: a scan is one walk over neighbouring pages.
//   K2. A network id ends with a zero byte, which no id contains and which sorts before all others: `a` and `a-b` do
//       not mix, and networks come in the order of their ids.

import { createHash } from 'node:crypto';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { AuditKey, TenureMoment } from '../../domain/audit.js';
import type { NetworkId, ReservationId, SubnetId, WallTime } from '../../domain/ids.js';
import type { RequestKey } from '../../domain/slot.js';
import type { Position } from '../../ports/store.js';

const END = '\0';
const ADDRESS_BYTES = 4;
const LAST_ADDRESS = 0xffffffff as Ipv4;
// LMDB's own limit is 1,978 bytes.
const LONGEST_REQUEST_KEY = 1_000;

/** A key whose characters are its bytes, so that it can be a key of a `Map`, too. */
export type Key = string & { readonly __brand: 'Key' };

/** Key of a document that is named by its id alone. */
export function idKey(id: string): Key {
  return id as Key;
}

/** Key of a slot: network id, zero, address in 4 bytes. */
export function slotKey(networkId: NetworkId, address: Ipv4): Key {
  return `${slotPrefix(networkId)}${fourBytes(address)}` as Key;
}

function fourBytes(n: number): string {
  return String.fromCharCode(n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255);
}

/** Reads the key of a slot. */
export function parseSlotKey(key: Key): { readonly networkId: NetworkId; readonly address: Ipv4 } {
  return { networkId: key.slice(0, -1 - ADDRESS_BYTES) as NetworkId, address: addressIn(key) };
}

/** The address in the key of a slot. */
export function addressIn(key: Key): Ipv4 {
  const at = key.length - ADDRESS_BYTES;
  const low = (key.charCodeAt(at + 1) << 16) | (key.charCodeAt(at + 2) << 8) | key.charCodeAt(at + 3);
  return (key.charCodeAt(at) * 2 ** 24 + low) as Ipv4;
}

/** What the keys of a network's slots begin with. */
export function slotPrefix(networkId: NetworkId): string {
  return `${networkId}${END}`;
}

/** Whether the key of a slot begins with the prefix of a network. */
export function isSlotKeyOf(prefix: string, key: Key): boolean {
  return key.length === prefix.length + ADDRESS_BYTES && key.startsWith(prefix);
}

/** The keys of a network's slots: the first one that may exist, and one after the last. */
export function slotRange(networkId: NetworkId, from = 0 as Ipv4, to = LAST_ADDRESS): { start: Key; end: Key } {
  return { start: slotKey(networkId, from), end: keyAfter(slotKey(networkId, to)) };
}

/** The key right after another. */
export function keyAfter(key: Key): Key {
  return `${key}\0` as Key;
}

/** Key of what a MAC has in a network: network id, zero, MAC as text. */
export function macKey(networkId: NetworkId, mac: Mac): Key {
  return `${networkId}${END}${mac}` as Key;
}

/** Key of a request: RPC, length of the caller, caller, id; a digest of that when it is too long for a key. */
export function requestKey({ caller, rpc, id }: RequestKey): Key {
  const bytes = Buffer.from(`${rpc}${END}${caller.length}${END}${caller}${id}`, 'utf8');
  const key = bytes.length <= LONGEST_REQUEST_KEY ? bytes : createHash('sha256').update(bytes).digest();
  return key.toString('latin1') as Key;
}

// More milliseconds than any time here has.
const TIMES = 2 ** 48;

function sixBytes(n: number): string {
  return fourBytes(Math.floor(n / 65_536)) + String.fromCharCode((n >>> 8) & 255, n & 255);
}

function newestFirst(time: WallTime): string {
  return sixBytes(TIMES - 1 - Math.max(0, time));
}

/** Which ended tenures an entry of the index of history is for. */
export type HistoryPrefix = string & { readonly __brand: 'HistoryPrefix' };

/** The entries of an address in a subnet, of a MAC, or of an owner; or all, by a moment. */
export const historyPrefix = {
  place: (subnetId: SubnetId, address: Ipv4) => `p${subnetId}${END}${fourBytes(address)}` as HistoryPrefix,
  mac: (mac: Mac) => `m${mac}` as HistoryPrefix,
  owner: (owner: string) => `o${Buffer.from(owner).toString('latin1')}${END}` as HistoryPrefix,
  moment: (moment: TenureMoment) => (moment === 'createTime' ? 'c' : 'r') as HistoryPrefix,
};

/** Key of an entry of the index of history: the newest first. Its last part is the reservation id. */
export function historyKey(prefix: HistoryPrefix, time: WallTime, reservationId: ReservationId): Key {
  return `${prefix}${newestFirst(time)}${reservationId}` as Key;
}

/** Where the entries of a prefix begin: after a tenure, with times before `until`, or all of them; and where they end. */
export function historyRange(
  prefix: HistoryPrefix,
  after?: { readonly time: WallTime; readonly reservationId: ReservationId },
  until?: WallTime,
): { start: Key; end: Key } {
  const first = `${prefix}${until === undefined ? '' : auditedBefore(until)}` as Key;
  const next = after && keyAfter(historyKey(prefix, after.time, after.reservationId));
  const start = next !== undefined && next > first ? next : first;
  // After the six bytes of any time, the earliest of which are all 255.
  return { start, end: `${prefix}${'\xff'.repeat(7)}` as Key };
}

/** The time of an entry of the index of history. */
export function timeInHistoryKey(key: Key, prefix: HistoryPrefix): WallTime {
  const at = prefix.length;
  let inverted = 0;
  for (let i = at; i < at + 6; i++) inverted = inverted * 256 + key.charCodeAt(i);
  return (TIMES - 1 - inverted) as WallTime;
}

/** The reservation id of an entry of the index of history. */
export function parseHistoryKey(key: Key, prefix: HistoryPrefix): ReservationId {
  return key.slice(prefix.length + 6) as ReservationId;
}

/** Key of an entry of the index of ended tenures by when they ended. */
export function endKey(endTime: WallTime, reservationId: ReservationId): Key {
  return `e${sixBytes(endTime)}${reservationId}` as Key;
}

/** The entries of what ended before a time. */
export function endedRange(before: WallTime): { start: Key; end: Key } {
  return { start: 'e' as Key, end: `e${sixBytes(before)}` as Key };
}

/** The reservation id of an entry of the index of ends. */
export function parseEndKey(key: Key): ReservationId {
  return key.slice(7) as ReservationId;
}

/** Key of an audit event: the newest first. */
export function auditKey({ time, eventId }: AuditKey): Key {
  return `${newestFirst(time)}${eventId}` as Key;
}

/** What is less than the keys of audit events of before a time, and greater than all others. */
export function auditedBefore(time: WallTime): Key {
  return newestFirst((time - 1) as WallTime) as Key;
}

/** Key of a change: its position, whose characters are digits. */
export function changeKey(position: Position): Key {
  return position as string as Key;
}

/** The position of a change. */
export function parseChangeKey(key: Key): Position {
  return key as string as Position;
}
