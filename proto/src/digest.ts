// The digest of a network's table, computed alike by servers and agents.
//
// SHA-256 of each part (the subnets; every entry) over its wire encoding, added up modulo 2^256. The sum does not
// depend on an order and changes with one entry at the cost of one hash, so that a table of 60,000 entries can be
// compared at every heartbeat. A plain hash over all entries would cost 100 ms at every change.

import { createHash } from 'node:crypto';
import {
  type Assignment,
  Assignment as AssignmentCodec,
  TableEntry as EntryCodec,
  type TableEntry,
} from '../gen/ipam/v1/session.js';

const WORDS = 8;

/** A running sum of hashes. */
export class TableDigest {
  readonly #sum = new Uint32Array(WORDS);

  /** Adds the subnets and settings of the network; call `removeAssignment` with the old ones first. */
  addAssignment(assignment: Assignment): void {
    this.#add(hash('assignment', AssignmentCodec.encode(assignment).finish()));
  }

  /** Takes away what `addAssignment` added. */
  removeAssignment(assignment: Assignment): void {
    this.#subtract(hash('assignment', AssignmentCodec.encode(assignment).finish()));
  }

  /** Adds an entry. */
  addEntry(entry: TableEntry): void {
    this.#add(hash('entry', EntryCodec.encode(entry).finish()));
  }

  /** Takes away what `addEntry` added. */
  removeEntry(entry: TableEntry): void {
    this.#subtract(hash('entry', EntryCodec.encode(entry).finish()));
  }

  /** The digest now, 32 bytes. */
  bytes(): Buffer {
    const out = Buffer.alloc(WORDS * 4);
    this.#sum.forEach((word, i) => {
      out.writeUInt32LE(word, i * 4);
    });
    return out;
  }

  #add(other: Uint32Array): void {
    let carry = 0;
    for (let i = 0; i < WORDS; i++) {
      const sum = (this.#sum[i] ?? 0) + (other[i] ?? 0) + carry;
      this.#sum[i] = sum;
      carry = sum > 0xffffffff ? 1 : 0;
    }
  }

  #subtract(other: Uint32Array): void {
    let borrow = 0;
    for (let i = 0; i < WORDS; i++) {
      const difference = (this.#sum[i] ?? 0) - (other[i] ?? 0) - borrow;
      this.#sum[i] = difference;
      borrow = difference < 0 ? 1 : 0;
    }
  }
}

// The kind goes into the hash: an entry's bytes can never count as an assignment's.
function hash(kind: string, bytes: Uint8Array): Uint32Array {
  const digest = createHash('sha256').update(kind).update('\0').update(bytes).digest();
  return Uint32Array.from({ length: WORDS }, (_, i) => digest.readUInt32LE(i * 4));
}
