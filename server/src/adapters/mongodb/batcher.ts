// Many callers, few exchanges: what is asked while an exchange is under way shares the next one.
//
//   B1. At most so many exchanges are under way at once, each with at most so many items.
//   B2. A lone item waits for nobody.
//   B3. What waits when the door shuts is refused as what comes then: it was not sent.

import { setImmediate } from 'node:timers/promises';

/** How items are handled together. */
export interface BatcherOptions<Item, Answer> {
  readonly maxItems: number;
  readonly maxExchanges: number;
  /** Throws when nothing can be taken in now; else a signal that is aborted, with what it then throws, when that ends. */
  readonly check: () => AbortSignal;
  /** Handles items together; their answers are in the same order. */
  readonly handle: (items: readonly Item[]) => Promise<readonly Answer[]>;
}

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Handles items together. */
export class Batcher<Item, Answer> {
  readonly #options: BatcherOptions<Item, Answer>;
  #waiting: Waiting<Item, Answer>[] = [];
  #exchanges = 0;
  #onIdle: (() => void)[] = [];
  #door: AbortSignal | undefined;

  constructor(options: BatcherOptions<Item, Answer>) {
    this.#options = options;
  }

  /** The answer to an item. */
  submit(item: Item): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      this.#heed(this.#options.check());
      this.#waiting.push({ item, resolve, reject });
      if (this.#exchanges < this.#options.maxExchanges) {
        this.#exchanges++;
        void this.#work();
      }
    });
  }

  /** Resolves when nothing is under way any more. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#exchanges === 0) resolve();
      else this.#onIdle.push(resolve);
    });
  }

  #heed(door: AbortSignal): void {
    if (door === this.#door) return;
    this.#door = door;
    const shut = () => {
      for (const { reject } of this.#waiting.splice(0)) reject(door.reason);
    };
    door.addEventListener('abort', shut, { once: true });
  }

  async #work(): Promise<void> {
    // So that everything that this turn of the event loop brings is in.
    await setImmediate();
    for (let some = this.#next(); some.length > 0; some = this.#next()) {
      try {
        const answers = await this.#options.handle(some.map(({ item }) => item));
        for (const [i, { resolve }] of some.entries()) resolve(answers[i] as Answer);
      } catch (error) {
        for (const { reject } of some) reject(error);
      }
    }
    this.#exchanges--;
    if (this.#exchanges === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #next(): readonly Waiting<Item, Answer>[] {
    return this.#waiting.splice(0, this.#options.maxItems);
  }
}
