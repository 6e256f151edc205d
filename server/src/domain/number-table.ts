// Numbers by numbers, for a million of them: in a `Map` each would take 30 to 50 bytes, and its keys above 2^31 be objects.
// Here each takes 14 to 21 bytes, at which the garbage collector never looks.
//
//   T1. Linear probing: between the place that a key's hash names and where it lies no place is empty, so a search ends
//       at the first empty one.

const FIRST_SIZE = 16;
const GROWTH = 1.5;
const MOST_FULL = 0.85;
const EMPTY = 0;

/** Numbers below 2^32 by integers from 1 to 2^53. */
export class NumberTable {
  #keys = new Float64Array(FIRST_SIZE);
  #values = new Uint32Array(FIRST_SIZE);
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The value of a key. */
  get(key: number): number | undefined {
    const at = this.#find(key);
    return this.#keys[at] === EMPTY ? undefined : this.#values[at];
  }

  /** Sets the value of a key; answers the one it had. */
  set(key: number, value: number): number | undefined {
    const at = this.#find(key);
    const before = this.#values[at];
    this.#values[at] = value;
    if (this.#keys[at] === key) return before;
    this.#keys[at] = key;
    this.#size++;
    if (this.#size > MOST_FULL * this.#keys.length) this.#grow();
    return undefined;
  }

  /** Forgets a key. */
  delete(key: number): void {
    let hole = this.#find(key);
    if (this.#keys[hole] === EMPTY) return;
    this.#size--;
    const size = this.#keys.length;
    // What comes after moves up, unless its own place is behind the hole (T1).
    for (let at = (hole + 1) % size; this.#keys[at] !== EMPTY; at = (at + 1) % size) {
      const place = placeOf(this.#keys[at] as number, size);
      if ((at - place + size) % size < (at - hole + size) % size) continue;
      this.#keys[hole] = this.#keys[at] as number;
      this.#values[hole] = this.#values[at] as number;
      hole = at;
    }
    this.#keys[hole] = EMPTY;
  }

  /** Forgets everything. */
  clear(): void {
    this.#keys = new Float64Array(FIRST_SIZE);
    this.#values = new Uint32Array(FIRST_SIZE);
    this.#size = 0;
  }

  /** All keys and their values, in no order. */
  *entries(): Iterable<readonly [key: number, value: number]> {
    const [keys, values] = [this.#keys, this.#values];
    for (let at = 0; at < keys.length; at++) {
      if (keys[at] !== EMPTY) yield [keys[at] as number, values[at] as number];
    }
  }

  /** Where a key lies, or would. */
  #find(key: number): number {
    const keys = this.#keys;
    let at = placeOf(key, keys.length);
    while (keys[at] !== key && keys[at] !== EMPTY) at = at + 1 === keys.length ? 0 : at + 1;
    return at;
  }

  // None of the keys is there yet, so only an empty place is looked for.
  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    const size = Math.ceil(keys.length * GROWTH);
    const [newKeys, newValues] = [new Float64Array(size), new Uint32Array(size)];
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as number;
      if (key === EMPTY) continue;
      let at = placeOf(key, size);
      while (newKeys[at] !== EMPTY) at = at + 1 === size ? 0 : at + 1;
      newKeys[at] = key;
      newValues[at] = values[i] as number;
    }
    this.#keys = newKeys;
    this.#values = newValues;
  }
}

/** The place that a key's hash names. Keys come in a row, so all bits must be mixed (the finalizer of murmur3). */
function placeOf(key: number, size: number): number {
  let hash = (key >>> 0) ^ Math.imul(key / 2 ** 32, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return Math.floor((((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * size);
}
