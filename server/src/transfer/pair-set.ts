// A set of pairs of numbers that takes 16 bytes a place: the keys of millions of documents, to find those that come
// twice.

const FIRST_PLACES = 1_024;
const MAX_LOAD = 0.6;

/** Pairs of numbers, of which the second is not -1. */
export class PairSet {
  #places = FIRST_PLACES;
  #pairs = emptyPairs(FIRST_PLACES);
  #size = 0;

  /** Adds a pair; false when it was there already. */
  add(a: number, b: number): boolean {
    if (this.#size >= this.#places * MAX_LOAD) this.#grow();
    const at = place(this.#pairs, this.#places, a, b);
    if (this.#pairs[at + 1] !== -1) return false;
    this.#pairs[at] = a;
    this.#pairs[at + 1] = b;
    this.#size++;
    return true;
  }

  #grow(): void {
    const before = this.#pairs;
    this.#places *= 2;
    this.#pairs = emptyPairs(this.#places);
    for (let i = 0; i < before.length; i += 2) {
      const [a = 0, b = 0] = [before[i], before[i + 1]];
      if (b === -1) continue;
      const at = place(this.#pairs, this.#places, a, b);
      this.#pairs[at] = a;
      this.#pairs[at + 1] = b;
    }
  }
}

function emptyPairs(places: number): Float64Array {
  return new Float64Array(2 * places).fill(-1);
}

/** Where a pair is, or would be: the next place that is its own, or empty. */
function place(pairs: Float64Array, places: number, a: number, b: number): number {
  const mask = places - 1;
  for (let i = mixed(a, b) & mask; ; i = (i + 1) & mask) {
    const at = 2 * i;
    if (pairs[at + 1] === -1 || (pairs[at] === a && pairs[at + 1] === b)) return at;
  }
}

/** Neighbouring numbers, as MACs are, must not share places. */
function mixed(a: number, b: number): number {
  const high = Math.floor(b / 0x1_0000_0000);
  let hash = Math.imul((a | 0) ^ Math.imul(high, 0x9e37_79b1), 0x85eb_ca6b) ^ (b | 0);
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2_ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}
