// One exchange with MongoDB, and what becomes of those that fail.
//
//   X1. Every read is causally after everything that was acknowledged to this process (docs/adr/0013).
//   X2. A write is acknowledged by a majority, journaled. One whose outcome is not known is repeated, with the same keys,
//       until it is known; its age is looked at immediately before it is sent again. After 20 s nobody knows (the reuse
//       delay is at least 30 s, so that no address can have found another owner meanwhile).
//   X3. What the breaker refuses, or finds no primary to be sent to, was not done; but a commit that finds none may have
//       been, since the driver sends it twice.
//   X4. Who finds no primary opens the breaker: that took as long as an election may take, and whoever asks next would
//       wait as long. Few exchanges end in such a time, too few for a verdict by their number. Half open, it is a
//       question of its own that tries: nobody else waits for what comes of it.

import { type Clock, delay } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import {
  type ClientSession,
  type ClusterTime,
  type Db,
  type Document,
  type MongoClient,
  MongoError,
  MongoServerError,
  MongoServerSelectionError,
  type RunCommandOptions,
  type Timestamp,
} from 'mongodb';
import type { WallTime } from '../../domain/ids.js';
import type { Breaker, MakeBreaker } from '../../ports/breaker.js';
import type { Metrics } from '../../ports/metrics.js';
import { OutcomeUnknownError, type StoreHealth, StoreUnavailableError } from '../../ports/store.js';
import { MAJORITY } from './schema.js';

const REPEAT_FOR_MS = 20_000;
const REPEAT_AFTER_MS = 100;
// Others are done within a round trip. Who asks fifty times has waited for five seconds, and is told to come again.
const CONFLICT_PAUSE_MS = 100;
// An election takes 2 to 12 s: a breaker that waited longer would add its own time to it.
const PATIENCE = { windowMs: 2_000, resetMs: 1_000 };

/** What exchanges are made with. */
export interface ExchangeOptions {
  readonly client: MongoClient;
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly makeBreaker: MakeBreaker;
}

/** The session of one exchange: commands in it see each other. */
export class Conversation {
  readonly #db: Db;
  readonly #session: ClientSession;
  readonly #clock: Clock;
  #mayHaveWritten = false;

  constructor(db: Db, session: ClientSession, clock: Clock) {
    this.#db = db;
    this.#session = session;
    this.#clock = clock;
  }

  /** The cluster time of what was done last in it. */
  get time(): Timestamp {
    const { operationTime } = this.#session;
    if (!operationTime) throw new Error('Nothing was asked in this conversation yet');
    return operationTime;
  }

  /** Whether a write was answered, or a commit begun: what fails then undoes nothing. */
  get mayHaveWritten(): boolean {
    return this.#mayHaveWritten;
  }

  /** A read of what a majority has. */
  read(command: Document, options: RunCommandOptions = {}): Promise<Document> {
    const readConcern = { level: 'majority' };
    return this.#db.command({ ...command, readConcern }, { ...options, session: this.#session });
  }

  /** A write that a majority journaled. Of members that failed as duplicates the answer tells. */
  async write(command: Document): Promise<WriteReply> {
    // What was written, but perhaps not by a majority, the driver rejects with: not known.
    const reply = (await this.#db.command(
      { ...command, writeConcern: { w: 'majority', j: true } },
      { session: this.#session },
    )) as WriteReply;
    this.#mayHaveWritten = true;
    const failed = reply.writeErrors?.find(({ code }) => code !== DUPLICATE_KEY);
    if (failed) throw new MongoError(failed.errmsg);
    return reply;
  }

  /**
   * Runs writes as one transaction that a majority journals, each if the one before it wrote one document, and answers
   * whether all did; else nothing was done.
   */
  async writeTogether(commands: readonly Document[]): Promise<boolean> {
    const session = this.#session;
    session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: MAJORITY });
    try {
      for (const command of commands) {
        const { n, writeErrors } = (await this.#db.command(command, { session })) as WriteReply;
        const failed = writeErrors?.find(({ code }) => code !== DUPLICATE_KEY);
        if (failed) throw new MongoError(failed.errmsg);
        if (n === 1) continue;
        await session.abortTransaction();
        return false;
      }
      // The driver sends it again by itself, and throws what befell the second one, though the first one was carried out.
      this.#mayHaveWritten = true;
      await session.commitTransaction();
      return true;
    } catch (error) {
      // Else what it locks stays locked for a minute.
      if (session.inTransaction()) await session.abortTransaction();
      if (!isLostRace(error)) throw error;
      // Whoever holds the document may have been killed, and then holds it for a minute: asking again at once does not help.
      if (hasCode(error, WRITE_CONFLICT)) await delay(this.#clock, CONFLICT_PAUSE_MS);
      return false;
    }
  }

  /** Runs any other command as it is. */
  run(command: Document): Promise<Document> {
    return this.#db.command(command, { session: this.#session });
  }
}

const DUPLICATE_KEY = 11_000;
// Another transaction writes the same document, or did since this one began.
const WRITE_CONFLICT = 112;
// Who may not write, or is not known: Unauthorized, AuthenticationFailed.
const REFUSALS: ReadonlySet<number> = new Set([13, 18]);

/** What a write came to. */
export interface WriteReply {
  /** How many members were inserted, matched or deleted. */
  readonly n: number;
  readonly writeErrors?: readonly {
    readonly index: number;
    readonly code: number;
    readonly errmsg: string;
    readonly keyPattern?: Document;
  }[];
}

/** Talks to one database. */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #breaker: Breaker;
  #operationTime: Timestamp | undefined;
  #clusterTime: ClusterTime | undefined;
  #failingSince: WallTime | undefined;
  #lastFailure = '';
  #isToldAway = false;
  #refusal: StoreUnavailableError | undefined;
  /** Aborted when the breaker opens, and then made anew. */
  #door = new AbortController();

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#breaker = options.makeBreaker('store', () => this.#breakerChanged(), PATIENCE);
  }

  get health(): StoreHealth {
    const breaker = this.#breaker.state;
    return { breaker, unavailableSince: breaker === 'closed' ? undefined : this.#failingSince };
  }

  /** The cluster time of the last that is known; undefined before the first exchange. */
  get operationTime(): Timestamp | undefined {
    return this.#operationTime;
  }

  /** Throws when the store cannot be used now; else a signal that is aborted, with what this throws, when it cannot. */
  check(): AbortSignal {
    if (this.#refusal) throw this.#refusal;
    if (this.#breaker.state === 'open') throw away();
    return this.#door.signal;
  }

  /** Refuses everything from now on. */
  close(): void {
    this.#refusal ??= new StoreUnavailableError('The store is closed');
    this.#breaker.close();
    this.#door.abort(this.#refusal);
  }

  /** Reads; rejects with StoreUnavailableError. */
  async read<T>(operation: string, work: (conversation: Conversation) => Promise<T>): Promise<T> {
    if (this.#refusal) throw this.#refusal;
    try {
      return await this.#once(operation, work);
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  /** Writes, again and again until the outcome is known; `work` must find out what an earlier attempt did. */
  async write<T>(operation: string, work: (conversation: Conversation, attempt: number) => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#options;
    const firstMs = clock.now();
    let wasSent = false;
    for (let attempt = 1; ; attempt++) {
      if (this.#refusal && !wasSent) throw this.#refusal;
      let talk: Conversation | undefined;
      try {
        return await this.#once(operation, (conversation) => {
          talk = conversation;
          if (wasSent) metrics.count('storeRepeats');
          return work(conversation, attempt);
        });
      } catch (error) {
        if (!isFault(error)) throw error;
        wasSent ||= talk?.mayHaveWritten === true || !isUnsent(error);
        if (!wasSent && (isBreakerOpen(error) || this.#breaker.state === 'open')) throw unavailable(error);
        if (clock.now() - firstMs + REPEAT_AFTER_MS >= REPEAT_FOR_MS) {
          if (!wasSent) throw unavailable(error);
          metrics.count('storeUnknown');
          throw new OutcomeUnknownError('Not known in time', { cause: error });
        }
      }
      await delay(clock, REPEAT_AFTER_MS);
      // A process that stood still for long must not send what others gave up for lost long ago.
      if (wasSent && clock.now() - firstMs >= REPEAT_FOR_MS) throw new OutcomeUnknownError('Not known in time');
    }
  }

  async #once<T>(operation: string, work: (conversation: Conversation) => Promise<T>): Promise<T> {
    const { client, db, clock, metrics } = this.#options;
    const startMs = clock.now();
    const startTime = clock.wallTime().getTime() as WallTime;
    let answer: { readonly value: T } | undefined;
    try {
      await this.#breaker.run(async () => {
        const session = client.startSession({ causalConsistency: true });
        try {
          if (this.#clusterTime) session.advanceClusterTime(this.#clusterTime);
          if (this.#operationTime) session.advanceOperationTime(this.#operationTime);
          answer = { value: await work(new Conversation(db, session, clock)) };
        } finally {
          this.#learn(session);
          await session.endSession();
        }
      });
    } catch (error) {
      if (isFault(error) && !isBreakerOpen(error)) {
        metrics.count('storeFailures', { operation });
        this.#failed(error, startTime);
      }
      throw error;
    }
    // What began before it opened proves nothing of now.
    if (this.#breaker.state === 'closed') this.#failingSince = undefined;
    metrics.observe('storeSeconds', (clock.now() - startMs) / 1_000, { operation });
    if (!answer) throw new Error(`${operation} ended without an answer`);
    return answer.value;
  }

  #learn({ operationTime, clusterTime }: ClientSession): void {
    if (operationTime && (!this.#operationTime || operationTime.greaterThan(this.#operationTime))) {
      this.#operationTime = operationTime;
    }
    const known = this.#clusterTime?.clusterTime;
    if (clusterTime && (!known || clusterTime.clusterTime.greaterThan(known))) this.#clusterTime = clusterTime;
  }

  /** `startTime`: of the exchange that failed; nothing was heard since. */
  #failed(error: unknown, startTime: WallTime): void {
    this.#failingSince ??= startTime;
    this.#lastFailure = messageOf(error);
    if (error instanceof MongoServerSelectionError) this.#breaker.open();
  }

  #breakerChanged(): void {
    const { log } = this.#options;
    const { state } = this.#breaker;
    if (this.#refusal) return;
    // It opens again after every try that fails.
    if (state === 'open' && !this.#isToldAway) log.warn('the store cannot be used', { error: this.#lastFailure });
    if (state === 'closed') log.info('the store can be used again');
    this.#isToldAway = state !== 'closed';
    if (state === 'half-open') this.#try();
    if (state !== 'open') return;
    const door = this.#door;
    this.#door = new AbortController();
    door.abort(away());
  }

  #try(): void {
    const look = { find: 'settings', filter: { _id: 'settings' }, limit: 1 };
    // What comes of it the breaker makes known.
    this.read('try', (talk) => talk.read(look)).catch(() => undefined);
  }
}

/** Whether an error says something of the store, and is no defect of ours. */
function isFault(error: unknown): boolean {
  return error instanceof MongoError || isBreakerOpen(error);
}

/** Whether a transaction met another write of what it writes, and nothing of it was done. */
function isLostRace(error: unknown): boolean {
  return hasCode(error, WRITE_CONFLICT) || hasCode(error, DUPLICATE_KEY);
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof MongoServerError && error.code === code;
}

/** Whether nothing was carried out: it was not sent, or refused before it began. */
function isUnsent(error: unknown): boolean {
  if (isBreakerOpen(error) || error instanceof MongoServerSelectionError) return true;
  if (error instanceof MongoServerError) return REFUSALS.has(Number(error.code));
  const { name, cause } = error as { readonly name?: string; readonly cause?: { readonly syscall?: string } };
  return name === 'MongoPoolClearedError' || name === 'MongoWaitQueueTimeoutError' || cause?.syscall === 'connect';
}

// opossum marks its own refusal; its twin in simulations says the same in words.
function isBreakerOpen(error: unknown): boolean {
  return (
    error instanceof Error &&
    ((error as { code?: unknown }).code === 'EOPENBREAKER' || /^Breaker is open/.test(error.message))
  );
}

/** What is the database's fault says that the store is away; anything else is a defect, and stays what it is. */
export function asUnavailable(error: unknown): unknown {
  return isFault(error) ? unavailable(error) : error;
}

function away(): StoreUnavailableError {
  return new StoreUnavailableError('The store is away');
}

function unavailable(cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError(
    isBreakerOpen(cause) ? 'The store is away' : `The store is away (${messageOf(cause)})`,
    { cause },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
