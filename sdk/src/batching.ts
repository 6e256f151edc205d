// Calls that are made at the same time leave together.
//
//   Q1. A lone call waits for nobody: at the end of a turn of the event loop all that the turn asked for leaves, one as
//       itself, several as one batch. What comes while MAX_UNDER_WAY calls of its lane are under way waits for the
//       first of them to end.
//   Q2. Lanes do not wait for each other, as long as a connection has room for all: a subnet that is slow holds up itself
//       alone. When it has none they take turns.
//   Q3. Each caller has their own result, error, signal and deadline. Who gives up takes nobody along, and is in no attempt
//       that is made afterwards: they may have undone by then what it would do. A call that nobody waits for any more is
//       cancelled.
//   Q4. An item that was refused is repeated as a call of its own would be. A whole batch is, when all of it was
//       refused because the server cannot now.
//   Q5. Who waits for their turn is told at their deadline as well: what is under way before them may last longer. One
//       timer is for all who wait, and there is none when nobody is left at the end of a turn.

import { fits, type ItemResult } from './batches.js';
import type { LeaseholdError } from './errors.js';
import { retryDelayMs } from './retry.js';
import { onAbort } from './signals.js';
import type { Runtime } from './system.js';

// The server joins the writes of all calls that are under way: more at a time would only make batches smaller.
const MAX_UNDER_WAY = 8;
// The server lets 100 streams be open on a connection. This many reserves, releases (which have two lanes) and a few watches
// and calls of their own find room; one more would wait inside of gRPC, where nobody can be taken out of it.
const MAX_UNDER_WAY_OF_ALL = 64;
// Deadlines that are nearer to each other are kept by the last.
const SLACK_MS = 50;

/** How items are sent. */
export interface Sender<Request, Result> {
  /** Sends one as itself. */
  one(request: Request, endMs: number, signal: AbortSignal): Promise<Result>;
  /** Sends several; one result for each that was asked last. */
  many(batch: Batch<Request>, endMs: number, signal: AbortSignal): Promise<readonly ItemResult<Result>[]>;
  /** When a call that is made now ends. */
  usualEndMs(): number;
  /** What who waited too long for an item is told; `server`: who was asked for it last, if anybody was. */
  unanswered(request: Request, server: string | undefined): LeaseholdError;
  /** Waits; rejects when the signal is aborted or the client closed. */
  wait(delayMs: number, signal: AbortSignal | undefined): Promise<void>;
}

/** The requests of one call, as they are found before each of its attempts. */
export interface Batch<Request> {
  /** What is asked of a server now: the requests of those who still wait. */
  ask(server: string): readonly Request[];
  /** What was asked last. */
  readonly asked: readonly Request[];
}

/** What a caller asks for. */
export interface Wish<Request> {
  readonly request: Request;
  /** Whose items may leave with it. */
  readonly lane: string;
  /** About how many bytes it is on the wire. */
  readonly bytes: number;
  readonly signal: AbortSignal | undefined;
}

/** See the top of the file. */
export class Batcher<Request, Result extends object> {
  readonly #lanes = new Map<string, Lane<Request, Result>>();
  /** Those of which something leaves next, in this order. */
  readonly #due = new Set<Lane<Request, Result>>();
  #underWay = 0;
  /** How many wait for their turn. */
  #waiting = 0;
  /** None of them has an earlier deadline. */
  #earliestMs = Infinity;
  readonly #alarm: Alarm;
  /** Whether they leave at the end of this turn. */
  #isArmed = false;
  readonly #sender: Sender<Request, Result>;
  readonly #runtime: Runtime;

  constructor(sender: Sender<Request, Result>, runtime: Runtime) {
    this.#sender = sender;
    this.#runtime = runtime;
    this.#alarm = new Alarm(runtime, () => this.#expireWaiting());
  }

  /** Asks for one item; rejects as a call of its own would. */
  ask(wish: Wish<Request>): Promise<Result> {
    const { signal } = wish;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      this.#enqueue(new Item(wish, this.#sender.usualEndMs(), resolve, reject));
    });
  }

  #enqueue(item: Item<Request, Result>): void {
    const { lane: name } = item.wish;
    const lane = this.#lanes.get(name) ?? { name, waiting: [], underWay: 0 };
    this.#lanes.set(name, lane);
    lane.waiting.push(item);
    this.#waiting++;
    this.#earliestMs = Math.min(this.#earliestMs, item.endMs);
    this.#makeDue(lane);
    // Of those who may leave at the end of the turn only then it is known who stays.
    if (!this.#isArmed) this.#alarm.set(this.#earliestMs);
  }

  /** Sends what waits in a lane at the end of the turn, or as soon as there is room for one more call. */
  #makeDue(lane: Lane<Request, Result>): void {
    if (lane.waiting.length > 0 && lane.underWay < MAX_UNDER_WAY) this.#due.add(lane);
    else if (lane.underWay === 0) this.#lanes.delete(lane.name);
    if (this.#isArmed || this.#due.size === 0 || this.#underWay >= MAX_UNDER_WAY_OF_ALL) return;
    this.#isArmed = true;
    this.#runtime.atTurnEnd(() => {
      this.#flush();
      this.#isArmed = false;
      this.#alarm.set(this.#earliestMs);
    });
  }

  #flush(): void {
    for (const lane of this.#due) {
      if (this.#underWay >= MAX_UNDER_WAY_OF_ALL) return;
      this.#due.delete(lane);
      const before = lane.waiting.length;
      const items = takeBatch(lane);
      this.#leave(before - lane.waiting.length);
      if (items.length > 0) this.#depart(lane, items);
      // Behind the others, who have had nothing yet.
      this.#makeDue(lane);
    }
  }

  /** So many wait no longer. */
  #leave(count: number): void {
    this.#waiting -= count;
    if (this.#waiting === 0) this.#earliestMs = Infinity;
  }

  /** Ends the waits of those whose deadline was before their turn. */
  #expireWaiting(): void {
    const nowMs = this.#runtime.monotonicMs();
    let earliestMs = Infinity;
    for (const lane of this.#lanes.values()) {
      const before = lane.waiting.length;
      for (const item of lane.waiting) if (item.endMs <= nowMs) item.reject(item.refusal ?? this.#unanswered(item));
      lane.waiting = lane.waiting.filter(({ isSettled }) => !isSettled);
      for (const { endMs } of lane.waiting) earliestMs = Math.min(earliestMs, endMs);
      this.#leave(before - lane.waiting.length);
    }
    this.#earliestMs = earliestMs;
    // Not for each of them: every look is at all who wait.
    this.#alarm.set(Math.max(earliestMs, nowMs + SLACK_MS));
  }

  #unanswered({ wish, server }: Item<Request, Result>): LeaseholdError {
    return this.#sender.unanswered(wish.request, server);
  }

  #depart(lane: Lane<Request, Result>, items: readonly Item<Request, Result>[]): void {
    lane.underWay++;
    this.#underWay++;
    void this.#send(items).then(() => {
      lane.underWay--;
      this.#underWay--;
      // At the end of the turn: those who were just answered may ask again.
      this.#makeDue(lane);
    });
  }

  /** Sends items and tells them what came of it; never rejects. */
  async #send(items: readonly Item<Request, Result>[]): Promise<void> {
    const over = new AbortController();
    const unwanted = new AbortController();
    let wanted = items.length;
    for (const item of items) item.leave(() => --wanted === 0 && unwanted.abort());
    const endMs = Math.max(...items.map((item) => item.endMs));
    void this.#expire(items, endMs, over.signal);
    try {
      const [only] = items;
      if (items.length === 1 && only) only.resolve(await this.#sender.one(only.wish.request, endMs, unwanted.signal));
      else await this.#sendMany(items, endMs, unwanted.signal);
    } catch (error) {
      for (const item of items) item.reject(error as Error);
    } finally {
      over.abort();
    }
  }

  async #sendMany(items: readonly Item<Request, Result>[], endMs: number, signal: AbortSignal): Promise<void> {
    const batch = new Asking(items);
    const results = await this.#sender.many(batch, endMs, signal);
    for (const [index, item] of batch.items.entries()) {
      const result = results[index];
      if (result?.ok) item.resolve(withoutOk(result));
      else if (result) void this.#repeat(item, result.error);
    }
  }

  /** Asks for a refused item again when a call of its own would be repeated. */
  async #repeat(item: Item<Request, Result>, error: LeaseholdError): Promise<void> {
    const delayMs = retryDelayMs(error, ++item.attempts, this.#runtime.random);
    if (delayMs === undefined || this.#runtime.monotonicMs() + delayMs >= item.endMs) return item.reject(error);
    try {
      await this.#sender.wait(delayMs, item.wish.signal);
    } catch (reason) {
      return item.reject(reason as Error);
    }
    if (item.isSettled) return;
    item.refusal = error;
    this.#enqueue(item);
  }

  /** Ends the waits of those whose deadline is before the one of the call they are in. */
  async #expire(items: readonly Item<Request, Result>[], endMs: number, over: AbortSignal): Promise<void> {
    const early = items.filter((item) => item.endMs < endMs - SLACK_MS);
    for (const item of early.toSorted((a, b) => a.endMs - b.endMs)) {
      await this.#runtime.wait(item.endMs - this.#runtime.monotonicMs(), over);
      if (over.aborted) return;
      item.reject(this.#unanswered(item));
    }
  }
}

/** One timer that is put forward and back. */
class Alarm {
  #atMs = Infinity;
  #over = new AbortController();
  readonly #runtime: Runtime;
  readonly #ring: () => void;

  constructor(runtime: Runtime, ring: () => void) {
    this.#runtime = runtime;
    this.#ring = ring;
  }

  /** Rings then at the latest; at Infinity it is off. */
  set(atMs: number): void {
    // Put back for everyone who leaves, it would cost more than a look that finds nobody.
    if (atMs === this.#atMs || (atMs > this.#atMs && atMs !== Infinity)) return;
    this.#over.abort();
    this.#atMs = atMs;
    if (atMs !== Infinity) void this.#wait(atMs);
  }

  async #wait(atMs: number): Promise<void> {
    this.#over = new AbortController();
    const { signal } = this.#over;
    await this.#runtime.wait(atMs - this.#runtime.monotonicMs(), signal);
    if (signal.aborted) return;
    this.#atMs = Infinity;
    this.#ring();
  }
}

function withoutOk<Result extends object>({ ok: _, ...result }: { readonly ok: true } & Result): Result {
  return result as unknown as Result;
}

/** Who is in the attempt of a call that was made last. */
class Asking<Request, Result> implements Batch<Request> {
  items: readonly Item<Request, Result>[];

  constructor(items: readonly Item<Request, Result>[]) {
    this.items = items;
  }

  ask(server: string): readonly Request[] {
    this.items = this.items.filter((item) => !item.isSettled);
    for (const item of this.items) item.server = server;
    return this.asked;
  }

  get asked(): readonly Request[] {
    return this.items.map(({ wish }) => wish.request);
  }
}

interface Lane<Request, Result> {
  readonly name: string;
  waiting: Item<Request, Result>[];
  underWay: number;
}

/** The next items of a lane that fit into one call; those whose callers have gone are left out. */
function takeBatch<Request, Result>(lane: Lane<Request, Result>): readonly Item<Request, Result>[] {
  const batch: Item<Request, Result>[] = [];
  let bytes = 0;
  let taken = 0;
  for (const item of lane.waiting) {
    if (!fits(batch.length, bytes, item.wish.bytes)) break;
    taken++;
    if (item.isSettled) continue;
    batch.push(item);
    bytes += item.wish.bytes;
  }
  lane.waiting = taken === lane.waiting.length ? [] : lane.waiting.slice(taken);
  return batch;
}

/** One caller who waits. */
class Item<Request, Result> {
  readonly wish: Wish<Request>;
  /** When their patience ends. */
  readonly endMs: number;
  attempts = 0;
  /** Who was asked for it last. */
  server: string | undefined;
  /** How it was refused last. */
  refusal: LeaseholdError | undefined;
  isSettled = false;
  #onGone: (() => void) | undefined;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (reason: Error) => void;
  readonly #ignoreAbort: (() => void) | undefined;

  constructor(wish: Wish<Request>, endMs: number, resolve: (result: Result) => void, reject: (reason: Error) => void) {
    this.wish = wish;
    this.endMs = endMs;
    this.#resolve = resolve;
    this.#reject = reject;
    const { signal } = wish;
    if (!signal) return;
    this.#ignoreAbort = onAbort(signal, () => this.reject(signal.reason as Error));
  }

  /** Leaves with a call; `onGone` is told when nobody waits for it any more although it was not answered. */
  leave(onGone: () => void): void {
    this.#onGone = onGone;
  }

  resolve(result: Result): void {
    if (this.isSettled) return;
    this.#settle();
    this.#resolve(result);
  }

  reject(reason: Error): void {
    if (this.isSettled) return;
    this.#settle();
    this.#reject(reason);
    this.#onGone?.();
  }

  #settle(): void {
    this.isSettled = true;
    this.#ignoreAbort?.();
  }
}
