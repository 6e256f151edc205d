// Numbers by addresses, for a million of them: addresses of one subnet are neighbours, so that pages of them take less
// memory and time than a place for each in a hash table would.
//
//   A1. A page is there while one of its addresses has a number; it is used anew afterwards.

import type { Ipv4 } from '@leasehold/proto/values';
import { NumberTable } from './number-table.js';

const PAGE_BITS = 4;
const PAGE = 2 ** PAGE_BITS;
const GROWTH = 1.5;
const NONE = 0;

/** Numbers from 1 to 2^32 - 1 by addresses. */
export class AddressTable {
  /** By the bits that the addresses of a page have in common, and 1: where it begins. */
  readonly #pages = new NumberTable();
  #values = new Uint32Array(PAGE);
  /** Where the pages end. */
  #end = 0;
  /** Where pages begin that are not used any more. */
  readonly #unused: number[] = [];
  #size = 0;
  // Most come one after another.
  #lastKey = 0;
  #lastPage = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The number of an address. */
  get(address: Ipv4): number | undefined {
    const page = this.#find(keyOf(address));
    const value = page === undefined ? NONE : (this.#values[page + indexOf(address)] as number);
    return value === NONE ? undefined : value;
  }

  /** Sets the number of an address; answers the one it had. */
  set(address: Ipv4, value: number): number | undefined {
    const key = keyOf(address);
    const at = (this.#find(key) ?? this.#add(key)) + indexOf(address);
    const before = this.#values[at] as number;
    this.#values[at] = value;
    if (before !== NONE) return before;
    this.#size++;
    return undefined;
  }

  /** Forgets an address; answers the number it had. */
  delete(address: Ipv4): number | undefined {
    const key = keyOf(address);
    const page = this.#find(key);
    if (page === undefined) return undefined;
    const at = page + indexOf(address);
    const before = this.#values[at] as number;
    if (before === NONE) return undefined;
    this.#values[at] = NONE;
    this.#size--;
    if (this.#values.subarray(page, page + PAGE).every((value) => value === NONE)) this.#remove(key, page);
    return before;
  }

  /** All addresses and their numbers, in no order. */
  *entries(): Iterable<readonly [address: Ipv4, value: number]> {
    for (const [key, page] of this.#pages.entries()) {
      for (let i = 0; i < PAGE; i++) {
        const value = this.#values[page + i] as number;
        if (value !== NONE) yield [((key - 1) * PAGE + i) as Ipv4, value];
      }
    }
  }

  #find(key: number): number | undefined {
    if (key === this.#lastKey) return this.#lastPage;
    const page = this.#pages.get(key);
    if (page === undefined) return undefined;
    this.#lastKey = key;
    this.#lastPage = page;
    return page;
  }

  #add(key: number): number {
    const page = this.#unused.pop() ?? this.#append();
    this.#pages.set(key, page);
    return page;
  }

  #append(): number {
    const page = this.#end;
    this.#end += PAGE;
    if (this.#end > this.#values.length) {
      const values = new Uint32Array(Math.ceil((this.#values.length * GROWTH) / PAGE) * PAGE);
      values.set(this.#values);
      this.#values = values;
    }
    return page;
  }

  #remove(key: number, page: number): void {
    this.#pages.delete(key);
    this.#unused.push(page);
    this.#lastKey = 0;
  }
}

function keyOf(address: Ipv4): number {
  return 1 + (address >>> PAGE_BITS);
}

function indexOf(address: Ipv4): number {
  return address & (PAGE - 1);
}
