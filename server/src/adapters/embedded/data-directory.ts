// The directory of an embedded store: made, recognised and locked here, so that two servers can never write one store.
//
//   D1. The lock is the kernel's (flock): it is free the moment its process is gone, however it went, and holds across
//       containers that share the directory, where a pid or a socket name means something else (docs/adr/0011).
//   D2. A directory that holds anything else than a store is refused, not written into.

import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory } from '@leasehold/program/make-directory';
import { DATA_FILE } from './data-file.js';

const LOCK_FILE = 'lock';
const OUR_FILES = new Set([LOCK_FILE, DATA_FILE, 'lock.mdb']);

/** A directory that only this process may write to. */
export interface LockedDirectory {
  /** Makes the names of its files durable. */
  sync(): void;
  unlock(): void;
}

/** Makes the directory if need be and locks it; throws with what to do when it is foreign or locked. */
export function lockDirectory(path: string): LockedDirectory {
  makeDirectory(path, 0o750);
  const foreign = readdirSync(path).find((name) => !OUR_FILES.has(name));
  if (foreign !== undefined) {
    throw new Error(`${path} is not a Leasehold data directory, it holds ${foreign}: name another or an empty one`);
  }
  const lock = openSync(join(path, LOCK_FILE), 'a', 0o640);
  try {
    takeLock(lock, path);
  } catch (error) {
    closeSync(lock);
    throw error;
  }
  return {
    sync() {
      syncDirectory(path);
      syncDirectory(dirname(path));
    },
    unlock() {
      closeSync(lock);
    },
  };
}

// Node cannot call flock(2), but the lock belongs to the open file, not to the process: `flock` takes it on the
// descriptor it inherits, and it stays with ours. Node opens files close-on-exec, so no other child keeps it.
function takeLock(lock: number, path: string): void {
  const { status, error } = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', lock] });
  if (error) throw new Error(`Cannot run flock to lock ${path}: ${error.message}; install util-linux`);
  if (status !== 0) throw new Error(`Another server uses ${path}: stop it, or name another directory`);
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
