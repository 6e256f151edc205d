// The binary keys of the embedded store. Part of what is on disk: a change here is a new schema.
//
//   K1. Keys of one network lie together, in address order: a scan is one walk over neighbouring pages.
//   K2. A network id ends with a zero byte, which no id contains and which sorts before all others: `a` and `a-b` do
//       not mix, and networks come in the order of their ids.

import { createHash } from 'node:crypto';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId } from '../../domain/ids.js';
import type { RequestKey } from '../../domain/slot.js';

const END = '\0';
// LMDB's own limit is 1,978 bytes.
const LONGEST_REQUEST_KEY = 1_000;

/** Key of a document that is named by its id alone. */
export function idKey(id: string): Buffer {
  return Buffer.from(id, 'utf8');
}

/** Key of a slot: network id, zero, address in 4 bytes. */
export function slotKey(networkId: NetworkId, address: Ipv4): Buffer {
  const key = Buffer.allocUnsafe(networkId.length + 5);
  key.write(networkId + END, 0, 'latin1');
  key.writeUInt32BE(address, networkId.length + 1);
  return key;
}

/** Reads a slot's key. */
export function parseSlotKey(key: Buffer): { readonly networkId: NetworkId; readonly address: Ipv4 } {
  const end = key.length - 5;
  return { networkId: key.toString('latin1', 0, end) as NetworkId, address: key.readUInt32BE(end + 1) as Ipv4 };
}

/** Key of what a MAC has in a network: network id, zero, MAC in 6 bytes. */
export function macKey(networkId: NetworkId, mac: Mac): Buffer {
  const key = Buffer.allocUnsafe(networkId.length + 7);
  key.write(networkId + END, 0, 'latin1');
  key.write(mac.replaceAll(':', ''), networkId.length + 1, 6, 'hex');
  return key;
}

/** Key of a request: RPC, length of the caller, caller, id; a digest of that when it is too long for a key. */
export function requestKey({ caller, rpc, id }: RequestKey): Buffer {
  const key = Buffer.from(`${rpc}${END}${caller.length}${END}${caller}${id}`, 'utf8');
  return key.length <= LONGEST_REQUEST_KEY ? key : createHash('sha256').update(key).digest();
}
