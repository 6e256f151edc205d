// The one writer of the embedded store: whatever waits when the last transaction is done shares the next one.
//
//   G1. Jobs decide one after another on what is durable and what those before them staged, and no two transactions
//       are under way at once: what a job saw is true when it is durable. Nobody else writes (data-directory.ts).
//   G2. Durable, then told to `onDurable`, then resolved; in the order of the writes.
//   G3. After an error nothing is acknowledged: LMDB cannot be trusted any more. Every waiting and later job is
//       rejected, nothing more is written, and `onFatal` is called once.

import { setImmediate } from 'node:timers/promises';
import type { Change } from '../../domain/change.js';
import { OutcomeUnknownError, type PositionedChange, StoreUnavailableError } from '../../ports/store.js';

// A job takes about 10 µs of the event loop.
const MAX_JOBS = 512;

interface Job {
  decide(changes: Change[]): void;
  resolve(): void;
  reject(error: unknown): void;
}

/** What a group of jobs is written with. */
export interface GroupCommitOptions {
  /** Gives the changes of a group their positions, before they are flushed. */
  readonly stage: (changes: readonly Change[]) => readonly PositionedChange[];
  /** Makes what was staged durable. */
  readonly flush: () => Promise<void>;
  /** Told what is durable. What it throws is taken for a failure of the disk: it must not let followers throw. */
  readonly onDurable: (changes: readonly PositionedChange[]) => void;
  readonly onFatal: (error: Error) => void;
}

/** Runs jobs in shared, flushed transactions. */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #waiting: Job[] = [];
  #writing: Promise<void> | undefined;
  #refusal: StoreUnavailableError | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Throws when the store can no longer be used. */
  check(): void {
    if (this.#refusal) throw this.#refusal;
  }

  /** Lets `decide` read and stage, and resolves with its answer once that is durable. It adds what it changed. */
  submit<T>(decide: (changes: Change[]) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.check();
      let answer: T;
      this.#waiting.push({
        decide(changes) {
          answer = decide(changes);
        },
        resolve: () => resolve(answer),
        reject,
      });
      this.#writing ??= this.#write();
    });
  }

  /** Refuses further jobs and resolves when those before are settled. */
  async close(): Promise<void> {
    this.#refusal ??= new StoreUnavailableError('The store is closed');
    await this.#writing;
  }

  async #write(): Promise<void> {
    // So that everything that this turn of the event loop brings is in.
    await setImmediate();
    let jobs: readonly Job[] = [];
    try {
      while (this.#waiting.length > 0) {
        jobs = this.#waiting.splice(0, MAX_JOBS);
        const changes: Change[] = [];
        for (const job of jobs) job.decide(changes);
        const staged = this.#options.stage(changes);
        await this.#options.flush();
        this.#options.onDurable(staged);
        await this.#answer(jobs);
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)), jobs);
    }
    this.#writing = undefined;
  }

  /**
   * When nobody else waits, everybody may be waiting for these answers, and answered all at once they would ask again all
   * at once: callers and server would take turns in standing still. So half of them are answered a turn earlier.
   */
  async #answer(jobs: readonly Job[]): Promise<void> {
    const first = this.#waiting.length > 0 ? jobs.length : Math.ceil(jobs.length / 2);
    for (const job of jobs.slice(0, first)) job.resolve();
    if (first === jobs.length) return;
    await setImmediate();
    for (const job of jobs.slice(first)) job.resolve();
  }

  #fail(cause: Error, jobs: readonly Job[]): void {
    const refusal = new StoreUnavailableError(`The store failed: ${cause.message}`, { cause });
    this.#refusal = refusal;
    // What was being written may be on the disk.
    for (const job of jobs) job.reject(new OutcomeUnknownError(refusal.message, { cause }));
    for (const job of this.#waiting.splice(0)) job.reject(refusal);
    this.#options.onFatal(cause);
  }
}
