// Short texts by addresses, for a million of them: in a `Map` of strings each would take twice the memory, and the garbage
// collector would have to look at it.
//
//   X1. A text lies in one chunk, after its length. Its place is the number of the chunk and where in that it begins, and
//       one more, because a table of addresses has no 0.
//   X2. What was overwritten or forgotten is reclaimed when it is more than what is not.

import type { Ipv4 } from '@leasehold/proto/values';
import { AddressTable } from '../../domain/address-table.js';

const FIRST_CHUNK = 1_024;
const CHUNK = 65_536;
const LENGTH_BYTES = 2;

/** Texts of fewer than 65,535 characters of one byte (latin1), by addresses. */
export class TextTable {
  readonly #places = new AddressTable();
  #chunks: Buffer[] = [];
  /** Where the last chunk ends. */
  #end = 0;
  #used = 0;
  #garbage = 0;

  /** How many there are. */
  get size(): number {
    return this.#places.size;
  }

  /** The text of an address. */
  get(address: Ipv4): string | undefined {
    const place = this.#places.get(address);
    return place === undefined ? undefined : this.#read(place);
  }

  /** Sets the text of an address. */
  set(address: Ipv4, text: string): void {
    this.#discard(this.#places.set(address, this.#write(text)));
  }

  /** Forgets an address. */
  delete(address: Ipv4): void {
    this.#discard(this.#places.delete(address));
  }

  /** All addresses and their texts, in no order. */
  *entries(): Iterable<readonly [address: Ipv4, text: string]> {
    for (const [address, place] of this.#places.entries()) yield [address, this.#read(place)];
  }

  #write(text: string): number {
    const size = LENGTH_BYTES + text.length;
    if (size > CHUNK) throw new RangeError(`A text of ${text.length} characters`);
    let chunk = this.#chunks.at(-1);
    if (!chunk || this.#end + size > chunk.length) {
      // Small networks are many.
      const usual = Math.min(CHUNK, FIRST_CHUNK * 2 ** this.#chunks.length);
      chunk = Buffer.allocUnsafeSlow(Math.max(usual, size));
      this.#chunks.push(chunk);
      this.#end = 0;
    }
    const start = this.#end;
    chunk.writeUInt16LE(text.length, start);
    chunk.write(text, start + LENGTH_BYTES, 'latin1');
    this.#end += size;
    this.#used += size;
    return 1 + (this.#chunks.length - 1) * CHUNK + start;
  }

  #read(place: number): string {
    const [chunk, start] = this.#at(place);
    return chunk.toString('latin1', start + LENGTH_BYTES, start + LENGTH_BYTES + chunk.readUInt16LE(start));
  }

  #at(place: number): readonly [chunk: Buffer, start: number] {
    const start = (place - 1) % CHUNK;
    return [this.#chunks[(place - 1 - start) / CHUNK] as Buffer, start];
  }

  /** Takes a place for garbage, of which not too much must gather. */
  #discard(place: number | undefined): void {
    if (place === undefined) return;
    const [chunk, start] = this.#at(place);
    this.#garbage += LENGTH_BYTES + chunk.readUInt16LE(start);
    if (this.#garbage >= FIRST_CHUNK && this.#garbage > this.#used / 2) this.#reclaim();
  }

  #reclaim(): void {
    const all = [...this.entries()];
    this.#chunks = [];
    this.#end = 0;
    this.#used = 0;
    this.#garbage = 0;
    for (const [address, text] of all) this.#places.set(address, this.#write(text));
  }
}
