// A bitmap that finds its next clear bit in a handful of steps at any fill: above the bits lie summaries, each bit of
// which says that one word below is full, up to a single word.
//
//   B1. Bit i of level k + 1 is set exactly when word i of level k is all ones.
//   B2. Bits past `size` are set on every level, so that a search can never end there.
//   B3. `count` is the number of set bits below `size`.

const WORD_FULL = 0xffffffff;

/** A hierarchical bitmap of up to 2^24 bits; about 1.03 bits of memory per bit. */
export class Bitmap {
  /** How many bits there are. */
  readonly size: number;
  readonly #levels: readonly Uint32Array[];
  #count = 0;

  constructor(size: number) {
    if (!Number.isInteger(size) || size < 1 || size > 2 ** 24) throw new RangeError(`Bitmap of ${size} bits`);
    this.size = size;
    const levels: Uint32Array[] = [];
    for (let bits = size; levels.length === 0 || bits > 1; bits = Math.ceil(bits / 32)) levels.push(emptyLevel(bits));
    this.#levels = levels;
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  /** Memory of the levels, in bytes. */
  get byteLength(): number {
    return this.#levels.reduce((sum, level) => sum + level.byteLength, 0);
  }

  /** Whether a bit is set. */
  has(index: number): boolean {
    this.#check(index);
    return (word(this.#levels, 0, index >>> 5) & (1 << (index & 31))) !== 0;
  }

  /** Sets a bit; whether it was clear. */
  set(index: number): boolean {
    if (this.has(index)) return false;
    this.#count++;
    for (let k = 0, i = index; k < this.#levels.length; k++, i >>>= 5) {
      const full = (word(this.#levels, k, i >>> 5) | (1 << (i & 31))) >>> 0;
      (this.#levels[k] as Uint32Array)[i >>> 5] = full;
      if (full !== WORD_FULL) break;
    }
    return true;
  }

  /** Clears a bit; whether it was set. */
  clear(index: number): boolean {
    if (!this.has(index)) return false;
    this.#count--;
    for (let k = 0, i = index; k < this.#levels.length; k++, i >>>= 5) {
      const before = word(this.#levels, k, i >>> 5);
      (this.#levels[k] as Uint32Array)[i >>> 5] = (before & ~(1 << (i & 31))) >>> 0;
      if (before !== WORD_FULL) break;
    }
    return true;
  }

  /** Sets the bits from first to last, both included. */
  setRange(first: number, last: number): void {
    this.#forRange(first, last, (index) => this.set(index), WORD_FULL);
  }

  /** Clears the bits from first to last, both included. */
  clearRange(first: number, last: number): void {
    this.#forRange(first, last, (index) => this.clear(index), 0);
  }

  /** The first clear bit at or after `from`, else the first one before it; undefined when all are set. */
  nextFree(from: number): number | undefined {
    this.#check(from);
    return this.#search(from) ?? (from === 0 ? undefined : this.#search(0));
  }

  /** The set bits, in order. */
  *ones(): Iterable<number> {
    const bits = this.#levels[0] as Uint32Array;
    for (let at = 0; at < bits.length; at++) {
      for (let rest = bits[at] as number; rest !== 0; rest = (rest & (rest - 1)) >>> 0) {
        const index = (at << 5) + lowestBit(rest);
        if (index < this.size) yield index;
      }
    }
  }

  #search(from: number): number | undefined {
    let k = 0;
    let i = from;
    for (;;) {
      const level = this.#levels[k];
      if (level === undefined) return undefined;
      const at = i >>> 5;
      const free = at < level.length ? ~(level[at] as number) & (WORD_FULL << (i & 31)) : 0;
      if (free !== 0) {
        i = (at << 5) + lowestBit(free);
        break;
      }
      i = at + 1;
      k++;
    }
    while (k > 0) {
      k--;
      i = (i << 5) + lowestBit(~word(this.#levels, k, i));
    }
    return i;
  }

  // Whole words are written at once and summarised bit by bit: a /8 without its ranges would take a second otherwise.
  #forRange(first: number, last: number, one: (index: number) => void, filled: number): void {
    this.#check(first);
    this.#check(last);
    const bits = this.#levels[0] as Uint32Array;
    let index = first;
    while (index <= last) {
      if ((index & 31) !== 0 || index + 31 > last || this.#levels.length === 1) {
        one(index++);
        continue;
      }
      const at = index >>> 5;
      this.#count += (filled === 0 ? 0 : 32) - ones(bits[at] as number);
      bits[at] = filled;
      this.#summarise(at, filled !== 0);
      index += 32;
    }
  }

  #summarise(at: number, isFull: boolean): void {
    let full = isFull;
    for (let k = 1, i = at; k < this.#levels.length; k++, i >>>= 5) {
      const before = word(this.#levels, k, i >>> 5);
      const bit = 1 << (i & 31);
      const after = (full ? before | bit : before & ~bit) >>> 0;
      if (after === before) break;
      (this.#levels[k] as Uint32Array)[i >>> 5] = after;
      full = after === WORD_FULL;
    }
  }

  #check(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.size) {
      throw new RangeError(`Bit ${index} of a bitmap of ${this.size}`);
    }
  }
}

function emptyLevel(bits: number): Uint32Array {
  const level = new Uint32Array(Math.ceil(bits / 32));
  const used = bits & 31;
  if (used !== 0) level[level.length - 1] = (WORD_FULL << used) >>> 0;
  return level;
}

function word(levels: readonly Uint32Array[], k: number, at: number): number {
  return (levels[k] as Uint32Array)[at] as number;
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

function ones(bits: number): number {
  let rest = bits;
  let n = 0;
  for (; rest !== 0; rest &= rest - 1) n++;
  return n;
}
