// Followers of the store: each has a change stream of its own, which is opened again where it broke.
//
//   F1. A follower hears every change once, in order, whatever happens to the connection; or that it is lost.
//   F2. A write of a network or a host can be waited for until some follower of this process saw it, for a second at most.

import { type Clock, delay } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { Db, MongoClient, Timestamp } from 'mongodb';
import type { Metrics } from '../../ports/metrics.js';
import {
  type Follower,
  type Position,
  type PositionedChange,
  PositionLostError,
  type Subscription,
} from '../../ports/store.js';
import { type Batch, type Begin, ChangeStream, type SeenWrite } from './change-stream.js';

const OPEN_AGAIN_MS = 200;
// One look costs as much as tens of changes, here and in the database: while changes come, one is taken so often.
const LOOK_EVERY_MS = 25;
const SEEN_WITHIN_MS = 1_000;
// The end of what there is is reached when nothing comes for this long.
const END_AFTER_MS = 10;
// Who waits for more than there is asks so often.
const BEHIND_MS = 200;

/** What feeds are made with. */
export interface FeedOptions {
  readonly client: MongoClient;
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Called with what a follower threw. */
  readonly onDefect: (error: unknown) => void;
}

/** Waits until a write was seen. */
export interface ExpectedWrite {
  wait(): Promise<void>;
  forget(): void;
}

interface Expected extends SeenWrite {
  readonly seen: () => void;
}

/** All followers of this process. */
export class ChangeFeeds {
  readonly #options: FeedOptions;
  readonly #expected = new Set<Expected>();
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #followers = 0;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Expects a write, before it is sent: it may be seen before it is acknowledged. */
  expect(collection: string, id: string, mark: string | undefined): ExpectedWrite {
    let seen: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      seen = resolve;
    });
    const expected: Expected = { collection, id, mark, seen };
    this.#expected.add(expected);
    return {
      wait: async () => {
        if (this.#followers === 0) return;
        const patience = new AbortController();
        await Promise.race([done, delay(this.#options.clock, SEEN_WITHIN_MS, patience.signal)]);
        patience.abort();
      },
      forget: () => void this.#expected.delete(expected),
    };
  }

  /** Tells a follower every change after a position. */
  follow(after: Position, follower: Follower): Subscription {
    const closing = new AbortController();
    const signal = AbortSignal.any([closing.signal, this.#closing.signal]);
    this.#followers++;
    const running = this.#run({ after }, follower, signal).finally(() => {
      this.#followers--;
      this.#running.delete(running);
    });
    this.#running.add(running);
    return { close: () => closing.abort() };
  }

  /** Every change after a position, up to about now, and up to `until`: gives nothing while it waits for that. */
  async *read(after: Position, until?: Position): AsyncGenerator<readonly PositionedChange[]> {
    await using stream = await this.#open({ after });
    for (let awaitMs = END_AFTER_MS; ; ) {
      const { changes, position } = await stream.next(awaitMs);
      const isEnd = changes.length === 0;
      // A primary that was just elected may not know yet what a majority has, which the one before it told a follower.
      if (isEnd && (until === undefined || position >= until)) return;
      awaitMs = isEnd ? BEHIND_MS : END_AFTER_MS;
      yield changes;
    }
  }

  /** The position at a cluster time: after everything that was done before it. */
  async positionAt(time: Timestamp): Promise<Position> {
    await using stream = await this.#open({ at: time });
    return stream.position;
  }

  /** Ends all followers. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  async #run(begin: Begin, follower: Follower, signal: AbortSignal): Promise<void> {
    const { clock, log, metrics } = this.#options;
    let from = begin;
    for (let isBroken = false; !signal.aborted; ) {
      try {
        await using stream = await this.#open(from);
        if (isBroken) {
          log.info('the watch of the store goes on');
          metrics.count('watchReopened');
        }
        isBroken = false;
        while (!signal.aborted) {
          const lookedMs = clock.now();
          const batch = await stream.next();
          if (signal.aborted) return;
          this.#tell(follower, batch);
          from = { after: batch.position };
          const restMs = lookedMs + LOOK_EVERY_MS - clock.now();
          if (batch.changes.length > 0 && restMs > 0) await delay(clock, restMs, signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof PositionLostError) {
          follower.lost(error.message);
          return;
        }
        if (!isBroken) log.warn('the watch of the store broke, opening it again', { error: messageOf(error) });
        isBroken = true;
        await delay(clock, OPEN_AGAIN_MS, signal);
      }
    }
  }

  #tell(follower: Follower, { changes, writes, madeAt }: Batch): void {
    const { clock, metrics, onDefect } = this.#options;
    if (madeAt) metrics.observe('watchLagSeconds', Math.max(0, clock.wallTime().getTime() - madeAt.getTime()) / 1_000);
    if (changes.length > 0) {
      try {
        follower.changed(changes);
      } catch (error) {
        onDefect(error);
      }
    }
    for (const write of writes) {
      for (const expected of this.#expected) if (isSame(expected, write)) expected.seen();
    }
  }

  async #open(begin: Begin): Promise<OpenStream> {
    const { client, db } = this.#options;
    const session = client.startSession({ causalConsistency: false });
    try {
      const stream = await ChangeStream.open(db, session, begin);
      return Object.assign(stream, {
        [Symbol.asyncDispose]: async () => {
          await stream.close();
          await session.endSession();
        },
      });
    } catch (error) {
      await session.endSession();
      throw error;
    }
  }
}

type OpenStream = ChangeStream & AsyncDisposable;

function isSame(a: SeenWrite, b: SeenWrite): boolean {
  return a.collection === b.collection && a.id === b.id && a.mark === b.mark;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
