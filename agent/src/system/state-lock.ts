// One running agent per state directory.
//
// By flock(2): the kernel gives the lock back when the process ends, however it ends, so there is no stale lock.

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

const LOCK_EX = 2;
const LOCK_NB = 4;

const flock: (fd: number, operation: number) => number = koffi.load(null).func('int flock(int fd, int operation)');

/** Takes the lock of a state directory; what is returned gives it back. `undefined` when another agent has it. */
export function lockStateDirectory(directory: string): (() => void) | undefined {
  const fd = openSync(join(directory, 'lock'), 'a', 0o640);
  const unlock = () => closeSync(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return unlock;
  unlock();
  return undefined;
}
