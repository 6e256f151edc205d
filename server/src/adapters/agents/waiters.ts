// Who waits for something that agents confirm, looked at whenever one said something new.

interface Waiter {
  readonly satisfied: () => boolean;
  readonly resolve: () => void;
}

/** Everybody who waits. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  /** Resolves once `satisfied` is true, now or at a later `wake`; `leave` makes it stop waiting without that. */
  wait(satisfied: () => boolean): { readonly done: Promise<void>; leave(): void } {
    if (satisfied()) return { done: Promise.resolve(), leave: () => undefined };
    let waiter: Waiter | undefined;
    const done = new Promise<void>((resolve) => {
      waiter = { satisfied, resolve };
      this.#waiting.add(waiter);
    });
    const leave = () => {
      if (waiter && this.#waiting.delete(waiter)) waiter.resolve();
    };
    return { done, leave };
  }

  /** Looks at everybody again. */
  wake(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.satisfied()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
