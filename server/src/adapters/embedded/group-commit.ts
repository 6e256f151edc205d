// The one writer of the embedded store: whatever waits when a transaction begins shares it, and its flush.
//
//   G1. A job decides and writes inside the transaction, after the jobs before it: its checks hold when it is durable.
//   G2. Durable, then told to the listener, then resolved; in the order of the writes.
//   G3. After an error nothing is acknowledged: LMDB cannot be trusted any more (MDB_PANIC). Every waiting and later
//       job is rejected, and `onFatal` is called once.

import type { RootDatabase } from 'lmdb';
import { type Change, StoreUnavailableError } from '../../ports/store.js';

// A transaction runs its jobs on the event loop, at about 15 µs each.
const MAX_JOBS = 512;

interface Job {
  run(changes: Change[]): void;
  resolve(): void;
  reject(error: unknown): void;
}

/** Runs jobs in shared, flushed transactions. */
export class GroupCommit {
  readonly #env: RootDatabase;
  readonly #onDurable: (changes: readonly Change[]) => void;
  readonly #onFatal: (error: Error) => void;
  #waiting: Job[] = [];
  #writing: Promise<void> | undefined;
  #broken: StoreUnavailableError | undefined;

  constructor(env: RootDatabase, onDurable: (changes: readonly Change[]) => void, onFatal: (error: Error) => void) {
    this.#env = env;
    this.#onDurable = onDurable;
    this.#onFatal = onFatal;
  }

  /** Throws when the store can no longer be used. */
  check(): void {
    if (this.#broken) throw this.#broken;
  }

  /** Runs `decide` in a transaction and resolves with its answer once that is durable. It adds what it changed. */
  submit<T>(decide: (changes: Change[]) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      let answer: T;
      this.#waiting.push({
        run(changes) {
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
    while (this.#writing) await this.#writing;
    this.#broken ??= new StoreUnavailableError('The store is closed');
  }

  async #write(): Promise<void> {
    let jobs: readonly Job[] = [];
    try {
      while (this.#waiting.length > 0) {
        const changes: Change[] = [];
        // With overlappingSync off this resolves after LMDB's flush of data and meta page. A child transaction is
        // aborted when a job throws, a plain one would keep half of what it wrote.
        await this.#env.childTransaction(() => {
          jobs = this.#waiting.splice(0, MAX_JOBS);
          for (const job of jobs) job.run(changes);
        });
        this.#env.resetReadTxn();
        this.#onDurable(changes);
        for (const job of jobs) job.resolve();
        jobs = [];
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)), jobs);
    } finally {
      this.#writing = undefined;
    }
  }

  #fail(cause: Error, jobs: readonly Job[]): void {
    this.#broken = new StoreUnavailableError(`The store failed: ${cause.message}`, { cause });
    for (const job of [...jobs, ...this.#waiting]) job.reject(this.#broken);
    this.#waiting = [];
    this.#onFatal(cause);
  }
}
