// The databases inside the LMDB environment. Writes are staged in memory and go out together, in one transaction.
//
//   T1. `get` sees what is staged; `durable` and `range` see only what is flushed.
//   T2. What is staged goes out as one transaction: all of it is on disk afterwards, or nothing.

import { setImmediate } from 'node:timers/promises';
import { type Database, open, type RootDatabase, type Transaction } from 'lmdb';
import type { Key } from './keys.js';

// Address space, not memory or disk; the file grows as needed.
const MAP_BYTES = 2 ** 40;

// biome-ignore format: a row
const NAMES = ['settings', 'names', 'networks', 'hosts', 'slots', 'macs', 'requests', 'history', 'past', 'audit', 'log'] as const;

// Straight into the buffer of lmdb-js and out of it: a `Buffer` for every key would cost as much as the rest of a read.
const KEYS = {
  writeKey(key: Key, target: Uint8Array, start: number): number {
    const end = start + key.length;
    // For a range it takes a larger one then; of puts it sees to it before.
    if (end > target.length) throw new RangeError('No room for a key');
    for (let i = 0; i < key.length; i++) target[start + i] = key.charCodeAt(i);
    return end;
  },
  readKey(source: Buffer, start: number, end: number): Key {
    return source.toString('latin1', start, end) as Key;
  },
};

// Before every other: none is empty.
const FIRST = '\0' as Key;

/** The environment of a directory. */
export type Environment = RootDatabase<Buffer, Buffer>;

/** Opens the environment of a directory; to read only, if so wished. */
export function openEnvironment(path: string, readOnly = false): Environment {
  return open<Buffer, Buffer>({
    path,
    readOnly,
    noSubdir: false,
    // Otherwise a write is answered before it is flushed.
    overlappingSync: false,
    // GroupCommit decides what goes into a transaction.
    eventTurnBatching: false,
    mapSize: MAP_BYTES,
    maxDbs: NAMES.length,
    permissionsMode: 0o640,
    encoding: 'binary',
    keyEncoding: 'binary',
  } as Parameters<typeof open>[0] & { path: string });
}

/** A moment whose state can still be read. */
export type Moment = Transaction;

/** Holds on to the present moment, until its `done()` is called. */
export function holdMoment(env: Environment): Moment {
  env.resetReadTxn();
  return env.useReadTransaction();
}

/** One database. */
export class Table {
  /** Undefined: an older store, which is only read, does not have it. */
  readonly #database: Database<string, Key> | undefined;
  readonly #staged = new Map<Key, string | undefined>();

  constructor(env: Environment, name: string) {
    // Its types know `keyEncoder` only of the environment.
    const options = { name, encoding: 'string', keyEncoder: KEYS } as const;
    this.#database = env.openDB<string, Key>(options);
  }

  get(key: Key): string | undefined {
    if (this.#staged.size > 0 && this.#staged.has(key)) return this.#staged.get(key);
    return this.durable(key);
  }

  durable(key: Key): string | undefined {
    return this.#database?.get(key);
  }

  /** Up to `limit` entries from `start` (included) to `end` (excluded), in key order; as of a moment, if one is given. */
  range(
    limit: number,
    start?: Key,
    end?: Key,
    moment?: Moment,
  ): Iterable<{ readonly key: Key; readonly value: string }> {
    const range = this.#database?.getRange({
      // Without it lmdb-js begins at a key of its own kind.
      start: start ?? FIRST,
      ...(end !== undefined && { end }),
      ...(moment !== undefined && { transaction: moment }),
      limit,
    });
    return range ?? [];
  }

  /** How many entries there are from `start` (included) to `end` (excluded). */
  count(start: Key, end: Key): number {
    return this.#database?.getKeysCount({ start, end }) ?? 0;
  }

  /** The last entry, as of a moment, if one is given. */
  last(moment?: Moment): { readonly key: Key; readonly value: string } | undefined {
    const backwards = { reverse: true, end: FIRST, limit: 1, ...(moment !== undefined && { transaction: moment }) };
    for (const entry of this.#database?.getRange(backwards) ?? []) return entry;
    return undefined;
  }

  put(key: Key, value: string): void {
    this.#staged.set(key, value);
  }

  remove(key: Key): void {
    this.#staged.set(key, undefined);
  }

  get staged(): boolean {
    return this.#staged.size > 0;
  }

  /** Removes every entry, in a transaction of its own; resolves after its flush. Nothing may be staged. */
  async clear(): Promise<void> {
    await this.#database?.clearAsync();
  }

  /** Writes what is staged; call it inside a transaction, whose end says how that went. */
  write(): void {
    for (const [key, value] of this.#staged) {
      if (value === undefined) void this.#database?.remove(key);
      else void this.#database?.put(key, value);
    }
  }

  /** Forgets what is staged, because it is durable. */
  forget(): void {
    this.#staged.clear();
  }
}

/**
 * The databases of an embedded store, by what they hold: `names` numbered texts, `macs` what a MAC has, `history` the
 * ended tenures, `past` their indexes, `audit` who changed settings, `log` the last changes.
 */
export type Tables = Readonly<Record<(typeof NAMES)[number], Table>>;

/** Opens the databases; undefined when the environment holds something else. */
export function openTables(env: Environment): Tables | undefined {
  const known: readonly string[] = NAMES;
  for (const name of env.getKeys()) if (!known.includes(name.toString().replace(/\0$/, ''))) return undefined;
  return Object.fromEntries(NAMES.map((name) => [name, new Table(env, name)])) as unknown as Tables;
}

/** Writes what is staged in one transaction; resolves after its flush. */
export async function flushTables(env: Environment, tables: Tables): Promise<void> {
  const staged = Object.values(tables).filter((table) => table.staged);
  if (staged.length === 0) return;
  try {
    await env.batch(() => {
      for (const table of staged) table.write();
    });
  } catch (error) {
    throw await causeOf(error);
  }
  env.resetReadTxn();
  for (const table of staged) table.forget();
}

// lmdb-js says only "Commit failed" and gives the reason within the same turn of the event loop, as a rejection.
async function causeOf(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<never> };
  const reason = commitError?.catch((cause: unknown) => cause);
  return (await Promise.race([reason, setImmediate()])) ?? error;
}
