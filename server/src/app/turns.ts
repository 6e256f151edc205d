// Work that waits its turn: some of it at a time, in the order it was told, so that what is slow holds up nothing but itself.

// Of the 100 connections that a server has to MongoDB the manager and its claims take so many each, and each rebalance, or what is
// stored of hosts after an import, fewer: with one of these, 24 are left to those who reserve, to the watch and to the lease.
const AT_ONCE = 32;
const OF_A_LOT_AT_ONCE = 12;

/** Works on all, and resolves when that is done. After a failure it begins nothing more, and rejects when the rest is over. */
export async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const failures: unknown[] = [];
  const lane = async () => {
    for (const item of waiting) {
      if (failures.length > 0) return;
      await work(item).catch((error: unknown) => void failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: OF_A_LOT_AT_ONCE }, lane));
  if (failures.length > 0) throw failures[0];
}

/** Works on what it was told last. */
export class Turns<T> {
  readonly #work: (item: T) => Promise<void>;
  #waiting: Iterator<T> = [].values();
  #lanes = 0;

  /** `work` looks after its own failures. */
  constructor(work: (item: T) => Promise<void>) {
    this.#work = work;
  }

  /** From now on these, in this order, and no longer those of the call before that did not begin. */
  tell(items: readonly T[]): void {
    this.#waiting = items.values();
    for (let free = AT_ONCE - this.#lanes; free > 0; free--) void this.#lane();
  }

  async #lane(): Promise<void> {
    this.#lanes++;
    for (let next = this.#waiting.next(); !next.done; next = this.#waiting.next()) await this.#work(next.value);
    this.#lanes--;
  }
}
