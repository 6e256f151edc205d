// Whether a history of concurrent operations could have happened one after another (linearizability). After Wing and
// Gong: orders are tried one by one, with Lowe's memory of the places where one was tried before.
//
//   L1. An operation takes effect at one moment from its call to its return; one of unknown outcome at such a moment, or
//       never.
//   L2. A refusal is certain: an order is left out only where another one that explains as much is tried.
//   L3. A refusal names the earliest return that no order explains, and an order of what went before.
//
// The search goes from return to return: other operations come before one only when they must. In the worst case it is
// exponential in how many are under way at a time; then it says that it is undecided, and does not hang.

/** One call of one client. */
export interface Operation<Input, Output> {
  /** Who called; for people. */
  readonly process: string;
  readonly calledMs: number;
  /** When it returned. With an unknown outcome: until when it may take effect, which is Infinity if nobody knows. */
  readonly returnedMs: number;
  readonly input: Input;
  /** Undefined: nobody knows what came of it. */
  readonly output: Output | undefined;
}

/** What operations do one at a time. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /**
   * The states that an operation may leave behind, `state` itself where it changes nothing; none: it cannot end so here.
   * Of an unknown outcome (`output` undefined): all that it may have done.
   */
  apply(state: State, input: Input, output: Output | undefined): readonly State[];
  /** The same for states that cannot be told apart. */
  key(state: State): string;
  /**
   * For speed. Whether an operation may be done as soon as it changes nothing, because all that could follow it later can
   * follow without it: a look, and a change that nothing undoes.
   */
  settles(input: Input, output: Output): boolean;
}

/** Whether there is such an order. */
export type Verdict<Input, Output> = { readonly ok: true } | Refutation<Input, Output>;

/** How far the best order came. */
export interface Refutation<Input, Output> {
  readonly ok: false;
  /** The operation whose return no order explains. */
  readonly refuted: Operation<Input, Output>;
  /** Those that were under way beside it and had not taken effect. */
  readonly beside: readonly Operation<Input, Output>[];
  /** An order of what went before. */
  readonly order: readonly Step<Input, Output>[];
  /** The key of the state after it. */
  readonly state: string;
}

/** An operation that took effect, and the key of the state after it. */
export interface Step<Input, Output> {
  readonly operation: Operation<Input, Output>;
  readonly state: string;
}

/** Looks for an order in which the history could have happened. */
export function checkLinearizable<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): Verdict<Input, Output> {
  return new Search(history, model).run();
}

const SHOWN = 10;
// Far beyond what histories of clients need.
const MAX_PLACES = 100_000;

/** A refutation in lines for people: what cannot be, and the window before it. */
export function formatRefutation<Input, Output>(
  { refuted, beside, order, state }: Refutation<Input, Output>,
  describe: (operation: Operation<Input, Output>) => string = inJson,
): string {
  const line = (operation: Operation<Input, Output>) => `  ${timesOf(operation)} ${describe(operation)}`;
  return [
    'No order explains',
    line(refuted),
    ...(beside.length > 0 ? ['while these were under way', ...beside.map(line)] : []),
    `after ${order.length} operations, in the state ${state}. The last of them, and the state after each:`,
    ...windowOf(order).map((step) => `${line(step.operation)} | ${step.state}`),
  ].join('\n');
}

/** The last steps of an order, and the one before them that made the state they begin in. */
function windowOf<Input, Output>(order: readonly Step<Input, Output>[]): readonly Step<Input, Output>[] {
  const shown = order.slice(-SHOWN);
  const begin = shown[0]?.state;
  const earlier = order.slice(0, -SHOWN);
  const maker = earlier.findLast(({ state }, index) => state === begin && earlier[index - 1]?.state !== begin);
  return maker ? [maker, ...shown] : shown;
}

function timesOf({ calledMs, returnedMs, process }: Operation<unknown, unknown>): string {
  return `${calledMs}–${returnedMs === Infinity ? '' : returnedMs} ${process}:`;
}

function inJson({ input, output }: Operation<unknown, unknown>): string {
  return `${JSON.stringify(input)} → ${output === undefined ? 'unknown' : JSON.stringify(output)}`;
}

/** An operation within the search. */
interface Item<Input, Output> {
  readonly operation: Operation<Input, Output>;
  /** In the order of calls. */
  readonly position: number;
  /** The same for operations that ask the same and were told the same. */
  readonly kind: string;
  readonly settles: boolean;
}

/** A return, and what may take effect just before it. */
interface Return<Input, Output> {
  readonly item: Item<Input, Output>;
  /** What is under way, in the order of returns. */
  readonly open: readonly Item<Input, Output>[];
}

/** A place in the search. */
interface Place<State, Input, Output> {
  /** How many returns lie behind. */
  readonly passed: number;
  readonly state: State;
  readonly key: string;
  /** Positions of what is done of the operations that are under way. */
  readonly done: ReadonlySet<number>;
  readonly trail: Trail<Input, Output> | undefined;
}

/** What is done, the last first. */
interface Trail<Input, Output> {
  readonly step: Step<Input, Output>;
  readonly before: Trail<Input, Output> | undefined;
}

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  readonly #returns: readonly Return<Input, Output>[];
  readonly #seen = new Set<string>();
  #farthest: Place<State, Input, Output> | undefined;

  constructor(history: readonly Operation<Input, Output>[], model: Model<State, Input, Output>) {
    this.#model = model;
    this.#returns = toReturns(history, model);
  }

  run(): Verdict<Input, Output> {
    const state = this.#model.initial;
    const places = [
      this.#settled({ passed: 0, state, key: this.#model.key(state), done: new Set(), trail: undefined }),
    ];
    // The last one first: while the obvious order fits, no other is tried.
    for (let place = places.pop(); place; place = places.pop()) {
      const next = this.#returns[place.passed];
      if (!next) return { ok: true };
      if (place.done.has(next.item.position)) places.push(this.#pass(place, next));
      else if (this.#isNew(place)) places.push(...this.#choices(place, next));
    }
    return this.#refutation();
  }

  #isNew({ passed, key, done }: Place<State, Input, Output>): boolean {
    const name = `${passed} ${[...done].sort((a, b) => a - b).join()} ${key}`;
    if (this.#seen.has(name)) return false;
    if (this.#seen.size === MAX_PLACES) throw new Error(`Undecided after ${MAX_PLACES} places: too much at a time`);
    this.#seen.add(name);
    return true;
  }

  /** Every place that one operation leads to; last the one by the operation that returns next. */
  #choices(place: Place<State, Input, Output>, next: Return<Input, Output>): readonly Place<State, Input, Output>[] {
    const isSure = next.item.operation.output !== undefined;
    if (isSure && place.passed > (this.#farthest?.passed ?? -1)) this.#farthest = place;
    const kinds = new Set<string>();
    const choices = this.#left(place).flatMap((item) => {
      // Of two that are alike it makes no difference which is done, but for which has to be: the one that returns first.
      if (kinds.has(item.kind)) return [];
      kinds.add(item.kind);
      return this.#placesAfter(place, item);
    });
    return isSure ? choices.reverse() : [...choices.reverse(), this.#pass(place, next)];
  }

  #placesAfter(place: Place<State, Input, Output>, item: Item<Input, Output>): readonly Place<State, Input, Output>[] {
    const { input, output } = item.operation;
    return this.#model.apply(place.state, input, output).flatMap((state) => {
      const key = this.#model.key(state);
      // Of unknown outcome and without effect: as if it never happened.
      if (output === undefined && key === place.key) return [];
      return [this.#settled(did(place, item, state, key))];
    });
  }

  /** The next return lies behind. */
  #pass(place: Place<State, Input, Output>, { item }: Return<Input, Output>): Place<State, Input, Output> {
    const done = new Set(place.done);
    done.delete(item.position);
    return this.#settled({ ...place, passed: place.passed + 1, done });
  }

  /** With everything done that may be as soon as it changes nothing. */
  #settled(place: Place<State, Input, Output>): Place<State, Input, Output> {
    return this.#left(place).reduce((reached, item) => {
      const { input, output } = item.operation;
      const isIdle = item.settles && this.#model.apply(reached.state, input, output).includes(reached.state);
      return isIdle ? did(reached, item, reached.state, reached.key) : reached;
    }, place);
  }

  #left({ passed, done }: Place<State, Input, Output>): readonly Item<Input, Output>[] {
    const open = this.#returns[passed]?.open ?? [];
    return open.filter(({ position }) => !done.has(position));
  }

  #refutation(): Refutation<Input, Output> {
    const place = this.#farthest;
    const refuted = place && this.#returns[place.passed]?.item;
    if (!refuted) throw new Error('A search without an order has no place where it ended');
    const beside = this.#left(place).filter((item) => item !== refuted);
    const order: Step<Input, Output>[] = [];
    for (let trail = place.trail; trail; trail = trail.before) order.unshift(trail.step);
    return {
      ok: false,
      refuted: refuted.operation,
      beside: beside.map(({ operation }) => operation),
      order,
      state: place.key,
    };
  }
}

function did<State, Input, Output>(
  { passed, done, trail }: Place<State, Input, Output>,
  { operation, position }: Item<Input, Output>,
  state: State,
  key: string,
): Place<State, Input, Output> {
  const step = { operation, state: key };
  return { passed, state, key, done: new Set(done).add(position), trail: { step, before: trail } };
}

function toReturns<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): readonly Return<Input, Output>[] {
  const items = history
    .toSorted((a, b) => a.calledMs - b.calledMs)
    .map((operation, position): Item<Input, Output> => {
      const { input, output } = operation;
      const settles = output !== undefined && model.settles(input, output);
      return { operation, position, kind: inJson(operation), settles };
    });
  const returning = items.filter(({ operation }) => operation.returnedMs !== Infinity).toSorted(byReturn);
  let open: readonly Item<Input, Output>[] = [];
  let called = 0;
  return returning.map((item) => {
    const before = called;
    while ((items[called]?.operation.calledMs ?? Infinity) <= item.operation.returnedMs) called++;
    const openNow = [...open, ...items.slice(before, called)].sort(byReturn);
    open = openNow.filter((each) => each !== item);
    return { item, open: openNow };
  });
}

function byReturn<Input, Output>(a: Item<Input, Output>, b: Item<Input, Output>): number {
  // Infinity less Infinity is no number.
  return a.operation.returnedMs === b.operation.returnedMs
    ? a.position - b.position
    : a.operation.returnedMs - b.operation.returnedMs;
}
