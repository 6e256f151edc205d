// The default store: LMDB in a directory, for one server process (docs/adr/0011).
//
//   E1. Every write is decided on what its transaction will find, and answered after the flush (group-commit.ts).
//   E2. The start counter is durable before the store is used: no two starts share a holder epoch (protocol.md §5.4).
//   E3. A listener of the watch that throws is a defect, and says nothing of the disk: what is durable is acknowledged,
//       and the other listeners hear of it.
//   E4. While this process has the store, no other has: it is the holder, without asking anyone.

import { join } from 'node:path';
import type { Entropy } from '@leasehold/program/entropy';
import type { Change, Store } from '../../ports/store.js';
import { lockDirectory } from './data-directory.js';
import { checkDataFile } from './data-file.js';
import { GroupCommit } from './group-commit.js';
import { hostStore } from './hosts.js';
import { type EmbeddedNetworks, openNetworks } from './networks.js';
import { type Opened, recordStart } from './settings.js';
import { slotStore } from './slots.js';
import { type Environment, flushTables, openEnvironment } from './tables.js';

/** What opening an embedded store takes. */
export interface EmbeddedStoreOptions {
  readonly entropy: Entropy;
  /** Called once when the disk fails: nothing is acknowledged from then on, the program must exit and start anew. */
  readonly onFatal: (error: Error) => void;
  /** Called with what a listener of the watch threw. */
  readonly onDefect: (error: unknown) => void;
  /** How long agents may answer on their own, in seconds, recorded in the store; without it what is recorded stays. */
  readonly authorityS?: number;
}

/** Opens or makes the store in a directory; rejects with what to do when it is foreign, newer or in use. */
export async function openEmbeddedStore(path: string, options: EmbeddedStoreOptions): Promise<Store> {
  const directory = lockDirectory(path);
  try {
    checkDataFile(join(path, 'data.mdb'));
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
  { onFatal, onDefect }: EmbeddedStoreOptions,
  unlock: () => void,
): Promise<Store> {
  const listeners = new Set<(changes: readonly Change[]) => void>();
  const onDurable = (changes: readonly Change[]) => {
    networks.onDurable(changes);
    if (changes.length > 0) tell([...listeners], changes, onDefect);
  };
  const commit = new GroupCommit({ flush: () => flushTables(env, tables), onDurable, onFatal });
  const networks: EmbeddedNetworks = await openNetworks(tables, commit);
  const { starts, ...shown } = settings;
  let closing: Promise<void> | undefined;
  return {
    kind: 'embedded',
    settings: shown,
    networks: networks.store,
    slots: slotStore(tables, commit, networks.current),
    hosts: hostStore(tables, commit),
    lease: {
      epoch: starts,
      async confirm() {
        commit.check();
      },
    },
    watch(listener) {
      // Wrapped, so that watching twice with one function is two watches.
      const own = (changes: readonly Change[]) => listener(changes);
      listeners.add(own);
      return { close: () => void listeners.delete(own) };
    },
    close() {
      closing ??= commit
        .close()
        .then(() => env.close())
        .finally(unlock);
      return closing;
    },
  };
}

function tell(
  listeners: readonly ((changes: readonly Change[]) => void)[],
  changes: readonly Change[],
  onDefect: (error: unknown) => void,
): void {
  for (const listener of listeners) {
    try {
      listener(changes);
    } catch (error) {
      onDefect(error);
    }
  }
}
