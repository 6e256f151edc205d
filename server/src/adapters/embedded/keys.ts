// The keys of the embedded store, as strings of bytes. Part of what is on disk: a change here is a new schema.
//
//   K1. Keys of one network lie together, in address order: a scan is one walk over neighbouring pages.
//   K2. A network id ends with a zero byte, which no id contains and which sorts before all others: `a` and `a-b` do
//       not mix, and networks come in the order of their ids.

import { createHash } from 'node:crypto';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId } from '../../domain/ids.js';
import type { RequestKey } from '../../domain/slot.js';

const END = '\0';
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
  const bytes = String.fromCharCode(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255);
  return `${networkId}${END}${bytes}` as Key;
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
