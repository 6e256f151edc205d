// How many streams broke lately: their agents come back together, and are let in one after another. Those that are back
// count, too: the last of them had to wait for all.

// The longest spread and the longest wait to be let in, of ten thousand.
const LATELY_MS = 90_000;

/** See the top of the file. */
export class RecentBreaks {
  /** When each broke, the first first; those before `#forgotten` do not count any more. */
  #atMs: number[] = [];
  #forgotten = 0;

  /** A stream broke. */
  add(nowMs: number): void {
    this.#atMs.push(nowMs);
  }

  /** How many there are. */
  count(nowMs: number): number {
    for (let at = this.#atMs[this.#forgotten]; at !== undefined && nowMs - at >= LATELY_MS; ) {
      at = this.#atMs[++this.#forgotten];
    }
    if (this.#forgotten > this.#atMs.length / 2) {
      this.#atMs = this.#atMs.slice(this.#forgotten);
      this.#forgotten = 0;
    }
    return this.#atMs.length - this.#forgotten;
  }
}
