// What happens in the store, for whoever watches.
//
//   W1. Every watch tells the changes in their order, none twice and none left out, from its position on.
//   W2. All watches of a server read the same last changes, which are kept in one place. What is older is read from the
//       store, until the watch has caught up with what is kept.
//   W3. Nothing is buffered for a watch: it pulls. One that is so slow that what it needs is not kept any more is ended.

import type { Timer } from '@leasehold/program/clock';
import {
  invalidField,
  type Refused,
  type Result,
  rateLimited,
  success,
  watchCompacted,
  watchTooSlow,
} from '../domain/errors.js';
import { type Event, eventsOf, networkOf, presentHost, presentNetwork, presentSlot } from '../domain/events.js';
import type { NetworkId } from '../domain/ids.js';
import type { Limits } from '../domain/limits.js';
import type { Network } from '../domain/network.js';
import { type Position, type PositionedChange, PositionLostError } from '../ports/store.js';
import type { Context } from './context.js';

/** What to watch. */
export interface WatchCommand {
  readonly networkId: NetworkId | undefined;
  /** Empty: from now on. */
  readonly resumeToken: string;
  readonly snapshot: boolean;
}

/** What a watch tells. */
export type Watched =
  | { readonly kind: 'event'; readonly event: Event; readonly resumeToken: string }
  | { readonly kind: 'bookmark'; readonly resumeToken: string }
  | { readonly kind: 'snapshot-end'; readonly resumeToken: string };

/** A watch that began. */
export interface Watch {
  /** Its end is a refusal; without one it ended because its signal was aborted. */
  read(): AsyncGenerator<Watched, Refused | undefined>;
  /** Calls `end` when the watch is over although nobody reads it. */
  onEnd(end: (refused: Refused) => void): void;
  close(): void;
}

/** Between which two events a watch is: after a change, and so many events of the next one. */
interface Point {
  readonly after: Position;
  readonly skip: number;
}

const KEPT_CHANGES = 20_000;
// In documents, of which a subnet is one: networks may have hundreds, which come whole with every change.
const KEPT_WEIGHT = 100_000;
const BOOKMARK_EVERY_MS = 30_000;

/** How many watches there may be. */
type WatchLimits = Pick<Limits, 'maxWatches' | 'maxWatchesPerCaller'>;

/** All watches of a server. */
export class Events {
  readonly #context: Context;
  readonly #limits: WatchLimits;
  /** Each with whose it is; undefined: nobody's who is told from others. */
  readonly #watchers = new Map<Watcher, string | undefined>();
  readonly #kept: Kept;

  constructor(context: Context, limits: WatchLimits) {
    this.#context = context;
    this.#limits = limits;
    this.#kept = new Kept(context.view.position);
    context.view.listenToChanges({
      began: (position) => this.#kept.begin(position),
      changed: (changes) => {
        this.#kept.push(changes);
        for (const watcher of this.#watchers.keys()) watcher.wake(this.#kept.since);
      },
      lost: () => {
        for (const watcher of [...this.#watchers.keys()]) watcher.end(watchCompacted());
      },
    });
  }

  /** How many watches there are. */
  get count(): number {
    return this.#watchers.size;
  }

  /** Begins a watch. `caller`: whose it is; absent: callers cannot be told from each other, and count together only. */
  watch(command: WatchCommand, signal: AbortSignal, caller?: string): Result<Watch> {
    const crowded = this.#crowded(caller);
    if (crowded) return crowded;
    const point = this.#pointOf(command.resumeToken);
    if (!point.ok) return point;
    const watcher = new Watcher(this.#context, this.#kept, command, point.value, signal);
    this.#watchers.set(watcher, caller);
    return success({
      read: () => watcher.read(),
      onEnd: (end) => watcher.onEnd(end),
      close: () => void this.#watchers.delete(watcher),
    });
  }

  #crowded(caller: string | undefined): Refused | undefined {
    const { maxWatches, maxWatchesPerCaller } = this.#limits;
    if (this.#watchers.size >= maxWatches) return rateLimited(`This server has ${maxWatches} watches already`);
    if (caller === undefined) return undefined;
    const own = [...this.#watchers.values()].filter((each) => each === caller).length;
    return own >= maxWatchesPerCaller ? rateLimited(`${caller} has ${own} watches here already`) : undefined;
  }

  #pointOf(token: string): Result<Point | undefined> {
    if (token === '') return success(undefined);
    const parsed = parseToken(token);
    if (!parsed) return invalidField('resume_token', 'Not a token of a watch');
    const { storeUid, incarnation } = this.#context.store.settings;
    return parsed.store === `${storeUid}/${incarnation}` ? success(parsed.point) : watchCompacted();
  }
}

/** The last changes. */
class Kept {
  #changes: PositionedChange[] = [];
  #weight = 0;
  #since: Position;

  constructor(since: Position) {
    this.#since = since;
  }

  /** What is kept is everything after this position. */
  get since(): Position {
    return this.#since;
  }

  /** Right after the last change. */
  get end(): Position {
    return this.#changes.at(-1)?.position ?? this.#since;
  }

  begin(position: Position): void {
    this.#changes = [];
    this.#weight = 0;
    this.#since = position;
  }

  push(changes: readonly PositionedChange[]): void {
    const all = this.#changes;
    // What comes now stays, whatever it weighs: nobody had the time to read it.
    const old = all.length;
    all.push(...changes);
    for (const change of changes) this.#weight += weightOf(change);
    if (all.length < 2 * KEPT_CHANGES && this.#weight < 2 * KEPT_WEIGHT) return;
    let dropped = 0;
    while (dropped < old && (all.length - dropped > KEPT_CHANGES || this.#weight > KEPT_WEIGHT)) {
      this.#weight -= weightOf(all[dropped++] as PositionedChange);
    }
    this.#since = all.splice(0, dropped).at(-1)?.position ?? this.#since;
  }

  /** The first change after a position. */
  next(after: Position): PositionedChange | undefined {
    let [low, high] = [0, this.#changes.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle] as PositionedChange).position > after) high = middle;
      else low = middle + 1;
    }
    return this.#changes[low];
  }
}

/** How many documents a change brings, about. */
function weightOf(change: PositionedChange): number {
  const inNetwork = (network: Network | undefined) => (network ? 1 + network.subnets.length : 0);
  switch (change.kind) {
    case 'network':
      return inNetwork(change.network) + inNetwork(change.before);
    case 'network-gone':
      return 1 + inNetwork(change.before);
    default:
      return 1;
  }
}

/** One watch. */
class Watcher {
  readonly #context: Context;
  readonly #kept: Kept;
  readonly #command: WatchCommand;
  readonly #signal: AbortSignal;
  #point: Point;
  /** Whether it reads what is kept, and so must not fall behind that. */
  #hasCaughtUp = false;
  #ended: Refused | undefined;
  #wake: (() => void) | undefined;
  /** When its reader has had no position for so long that it is given one. */
  #markDueMs: number;
  #onEnd: ((refused: Refused) => void) | undefined;

  constructor(context: Context, kept: Kept, command: WatchCommand, point: Point | undefined, signal: AbortSignal) {
    this.#context = context;
    this.#kept = kept;
    this.#command = command;
    this.#signal = signal;
    this.#point = point ?? { after: kept.end, skip: 0 };
    this.#markDueMs = context.clock.now() + BOOKMARK_EVERY_MS;
  }

  onEnd(end: (refused: Refused) => void): void {
    this.#onEnd = end;
  }

  /** There are new changes, and what is kept begins at `since`. */
  wake(since: Position): void {
    if (this.#hasCaughtUp && this.#point.after < since) this.end(watchTooSlow());
    this.#wake?.();
  }

  end(refused: Refused): void {
    if (this.#ended) return;
    this.#ended = refused;
    this.#wake?.();
    this.#onEnd?.(refused);
  }

  async *read(): AsyncGenerator<Watched, Refused | undefined> {
    try {
      if (this.#command.snapshot) yield* this.#snapshot();
      else if (this.#command.resumeToken === '') yield this.#mark('bookmark');
      while (!this.#signal.aborted && !this.#ended) {
        if (this.#hasCaughtUp) yield* this.#follow();
        else yield* this.#catchUp();
      }
    } catch (error) {
      if (error instanceof PositionLostError) return watchCompacted();
      throw error;
    }
    return this.#ended;
  }

  async *#snapshot(): AsyncGenerator<Watched> {
    const { networkId } = this.#command;
    const snapshot = await this.#context.store.snapshot();
    const tell = (event: Event): Watched => ({ kind: 'event', event, resumeToken: '' });
    try {
      for await (const network of snapshot.networks()) {
        if (networkId !== undefined && network.networkId !== networkId) continue;
        for (const event of presentNetwork(network)) yield tell(event);
      }
      if (networkId === undefined) for await (const host of snapshot.hosts()) yield tell(presentHost(host));
      for await (const slots of snapshot.slots(networkId)) for (const slot of slots) yield tell(presentSlot(slot));
    } finally {
      await snapshot.close();
    }
    this.#point = { after: snapshot.position, skip: 0 };
    yield this.#mark('snapshot-end');
  }

  /** Reads from the store what is not kept. */
  async *#catchUp(): AsyncGenerator<Watched> {
    const { since } = this.#kept;
    if (this.#point.after < since) {
      for await (const changes of this.#context.store.changesAfter(this.#point.after, since)) {
        for (const change of changes) yield* this.#tell(change);
        if (this.#point.after >= this.#kept.since || this.#signal.aborted || this.#ended) break;
      }
      // All up to where what was kept began was read, though nothing may lie right before it.
      if (this.#point.after < since) this.#point = { after: since, skip: 0 };
    }
    this.#hasCaughtUp = this.#point.after >= this.#kept.since;
  }

  async *#follow(): AsyncGenerator<Watched> {
    // Also while others' changes come one after another: else the last position that its reader has would grow too old.
    if (this.#context.clock.now() >= this.#markDueMs) {
      yield this.#mark('bookmark');
      return;
    }
    const change = this.#kept.next(this.#point.after);
    if (change) {
      yield* this.#tell(change);
      return;
    }
    await this.#somethingNew();
  }

  /** Resolves when a change, or the end, came, or it is time for a bookmark. */
  #somethingNew(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        this.#wake = undefined;
        this.#signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer: Timer = this.#context.clock.after(this.#markDueMs - this.#context.clock.now(), wake);
      this.#wake = wake;
      this.#signal.addEventListener('abort', wake, { once: true });
      if (this.#signal.aborted || this.#ended) wake();
    });
  }

  *#tell(change: PositionedChange): Generator<Watched> {
    const { after, skip } = this.#point;
    const { networkId } = this.#command;
    const events = eventsOf(change);
    for (let i = skip; i < events.length; i++) {
      const isLast = i === events.length - 1;
      this.#point = isLast ? { after: change.position, skip: 0 } : { after, skip: i + 1 };
      const event = events[i] as Event;
      if (networkId !== undefined && networkOf(event) !== networkId) continue;
      yield this.#positioned({ kind: 'event', event });
    }
    this.#point = { after: change.position, skip: 0 };
  }

  #mark(kind: 'bookmark' | 'snapshot-end'): Watched {
    return this.#positioned({ kind });
  }

  #positioned<T extends object>(watched: T): T & { readonly resumeToken: string } {
    this.#markDueMs = this.#context.clock.now() + BOOKMARK_EVERY_MS;
    return { ...watched, resumeToken: this.#token() };
  }

  #token(): string {
    const { storeUid, incarnation } = this.#context.store.settings;
    return makeToken(`${storeUid}/${incarnation}`, this.#point);
  }
}

function makeToken(store: string, { after, skip }: Point): string {
  return Buffer.from(JSON.stringify([store, after, skip])).toString('base64url');
}

function parseToken(token: string): { readonly store: string; readonly point: Point } | undefined {
  try {
    const [store, after, skip] = JSON.parse(Buffer.from(token, 'base64url').toString()) as readonly unknown[];
    const isToken = typeof store === 'string' && typeof after === 'string' && Number.isInteger(skip);
    return isToken ? { store, point: { after: after as Position, skip: skip as number } } : undefined;
  } catch {
    return undefined;
  }
}
