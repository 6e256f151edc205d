// The default store: LMDB in a directory, for one server process (docs/adr/0011).
//
//   E1. Every write is decided on what its transaction will find, and answered after the flush (group-commit.ts).
//   E2. The start counter is durable before the store is used: no two starts share a holder epoch (protocol.md §5.4).
//   E3. A follower that throws is a defect, and says nothing of the disk: what is durable is acknowledged, and the other
//       followers hear of it.
//   E4. While this process has the store, no other has: it is the holder, without asking anyone.
//   E5. Followers hear a change before its writer has its answer.

import { join } from 'node:path';
import { type Clock, delay } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import { joined } from '../../domain/hold-still.js';
import type { Follower, Position, PositionedChange, Store, StoreSettings } from '../../ports/store.js';
import { auditStore } from './audit.js';
import { ChangeLog } from './change-log.js';
import { RowCodec } from './codec.js';
import { lockDirectory } from './data-directory.js';
import { checkDataFile, DATA_FILE } from './data-file.js';
import { GroupCommit } from './group-commit.js';
import { historyStore } from './history.js';
import { hostStore } from './hosts.js';
import { Names } from './names.js';
import { openNetworks } from './networks.js';
import { type Opened, putSettings, recordStart, type StoredSettings } from './settings.js';
import { slotStore } from './slots.js';
import { takeSnapshot } from './snapshot.js';
import { type Environment, flushTables, openEnvironment } from './tables.js';
import { Tenures } from './tenures.js';

/** What opening an embedded store takes. */
export interface EmbeddedStoreOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Called once when the disk fails: nothing is acknowledged from then on, the program must exit and start anew. */
  readonly onFatal: (error: Error) => void;
  /** Called with what a follower of the watch threw. */
  readonly onDefect: (error: unknown) => void;
  /** How long agents may answer on their own, in seconds, recorded in the store; without it what is recorded stays. */
  readonly authorityS?: number;
}

/** Opens or makes the store in a directory; rejects with what to do when it is foreign, newer or in use. */
export async function openEmbeddedStore(path: string, options: EmbeddedStoreOptions): Promise<Store> {
  const directory = lockDirectory(path);
  try {
    checkDataFile(join(path, DATA_FILE));
    const env = openEnvironment(path);
    try {
      const opened = await recordStart(path, env, options.entropy, options.authorityS);
      directory.sync();
      return await startStore(env, opened, options, directory.unlock);
    } catch (error) {
      await env.close();
      throw error;
    }
  } catch (error) {
    directory.unlock();
    throw error;
  }
}

async function startStore(
  env: Environment,
  { tables, settings }: Opened,
  { clock, onFatal, onDefect }: EmbeddedStoreOptions,
  unlock: () => void,
): Promise<Store> {
  const codec = new RowCodec(new Names(tables.names));
  const log = new ChangeLog(tables.log, codec, () => clock.wallTime().getTime());
  const followers = new Followers(log, onDefect);
  const commit = new GroupCommit({
    stage: (changes) => log.stage(changes),
    flush: () => flushTables(env, tables),
    onDurable: (changes) => {
      networks.onDurable(changes);
      if (changes.length > 0) followers.tell(changes);
    },
    onFatal,
  });
  const networks = await openNetworks(tables, commit);
  const tenures = new Tenures(tables, codec);
  const stopping = new AbortController();
  const pruning = pruneLog(log, commit, clock, stopping.signal);
  let stored = settings;
  // What they will be when all that is staged is flushed.
  let staged = settings;
  const change = async (next: (before: StoredSettings) => StoredSettings) => {
    stored = await commit.submit(() => {
      staged = next(staged);
      putSettings(tables, staged);
      return staged;
    });
    return stored;
  };
  const { starts } = settings;
  const shown = ({ starts: _s, holdStill: _h, ...rest }: StoredSettings): StoreSettings => rest;
  let closing: Promise<void> | undefined;
  return {
    kind: 'embedded',
    get settings() {
      return shown(stored);
    },
    async readSettings() {
      commit.check();
      return shown(stored);
    },
    async lowerAuthorityCeiling() {
      await change((before) => ({ ...before, authorityCeilingS: before.authorityS }));
    },
    holdStill: {
      async get() {
        commit.check();
        return stored.holdStill;
      },
      async begin(because) {
        const { holdStill = because } = await change((before) => ({
          ...before,
          holdStill: joined(before.holdStill, because),
        }));
        return holdStill;
      },
    },
    networks: networks.store,
    slots: slotStore({ tables, codec, commit, tenures, networks }),
    history: historyStore(tables, commit, tenures),
    audit: auditStore(tables, commit),
    hosts: hostStore(tables, commit),
    holder: {
      kind: 'exclusive',
      epoch: starts,
      async confirm() {
        commit.check();
      },
    },
    health: { breaker: undefined, unavailableSince: undefined },
    async snapshot() {
      commit.check();
      return takeSnapshot(env, tables, codec, log);
    },
    follow: (after, follower) => followers.add(after, follower),
    async *changesAfter(position) {
      commit.check();
      yield* log.read(position);
    },
    close() {
      stopping.abort();
      closing ??= pruning
        .then(() => commit.close())
        .then(() => env.close())
        .finally(unlock);
      return closing;
    },
  };
}

// Removing costs less than a microsecond a change; more at once would make a reservation wait.
const PRUNED_AT_ONCE = 2_000;
const PRUNE_EVERY_MS = 10_000;

async function pruneLog(log: ChangeLog, commit: GroupCommit, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(clock, PRUNE_EVERY_MS, signal);
    let more = !signal.aborted;
    // Without a store there is nothing to prune, and others say why there is none.
    while (more) more = await commit.submit(() => log.prune(PRUNED_AT_ONCE)).catch(() => false);
  }
}

/** Who hears every change. */
class Followers {
  readonly #log: ChangeLog;
  readonly #onDefect: (error: unknown) => void;
  readonly #followers = new Set<{ readonly follower: Follower; heard: Position }>();

  constructor(log: ChangeLog, onDefect: (error: unknown) => void) {
    this.#log = log;
    this.#onDefect = onDefect;
  }

  add(after: Position, follower: Follower): { close(): void } {
    const entry = { follower, heard: after };
    const missed = this.#log.known(after);
    if (!missed) queueMicrotask(() => follower.lost('The changes after it are not kept any more'));
    else {
      this.#followers.add(entry);
      if (missed.length > 0) this.#tellOne(entry, missed);
    }
    return { close: () => void this.#followers.delete(entry) };
  }

  tell(changes: readonly PositionedChange[]): void {
    for (const entry of [...this.#followers]) this.#tellOne(entry, changes);
  }

  #tellOne(entry: { readonly follower: Follower; heard: Position }, changes: readonly PositionedChange[]): void {
    // What was read from the log may become known here once more.
    const news = changes.filter(({ position }) => position > entry.heard);
    const last = news.at(-1);
    if (!last) return;
    entry.heard = last.position;
    try {
      entry.follower.changed(news);
    } catch (error) {
      this.#onDefect(error);
    }
  }
}
