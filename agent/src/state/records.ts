// How bytes are framed in state files, so that a damaged file is known for one.
//
// A record is its length (4 bytes, little endian), the SHA-256 of its payload, and the payload.

import { createHash } from 'node:crypto';

const LENGTH_BYTES = 4;
const HASH_BYTES = 32;

/** Records read back. */
export interface Records {
  readonly payloads: readonly Buffer[];
  /**
   * `whole`: to the last byte. `torn`: the last record is cut short, as a crash while it was written leaves it.
   * `damaged`: a record is not what was written.
   */
  readonly end: 'whole' | 'torn' | 'damaged';
}

/** Frames payloads. */
export function encodeRecords(payloads: readonly Uint8Array[]): Buffer {
  const chunks: Uint8Array[] = [];
  for (const payload of payloads) {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(payload.length);
    chunks.push(length, sha256(payload), payload);
  }
  return Buffer.concat(chunks);
}

/** Reads records up to the first that is not as it was written. */
export function decodeRecords(bytes: Buffer): Records {
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at + LENGTH_BYTES + HASH_BYTES;
    if (start > bytes.length) return { payloads, end: 'torn' };
    const end = start + bytes.readUInt32LE(at);
    if (end > bytes.length) return { payloads, end: 'torn' };
    const payload = bytes.subarray(start, end);
    if (!sha256(payload).equals(bytes.subarray(at + LENGTH_BYTES, start))) return { payloads, end: 'damaged' };
    payloads.push(payload);
    at = end;
  }
  return { payloads, end: 'whole' };
}

/** SHA-256. */
export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
