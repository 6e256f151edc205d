// Programs that come from elsewhere go into the cache, so that they come once.
//
//   C1. What gets there is whole and was made to the end, or nothing does; the work directory goes in any case.

import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Puts a program into the cache. `make` makes it in a work directory and answers its path there, or throws with the reason;
 * in one line, what went wrong.
 */
export async function intoCache(cached: string, make: (work: string) => Promise<string>): Promise<string | undefined> {
  const directory = dirname(cached);
  mkdirSync(directory, { recursive: true });
  // In the same file system, and by rename: another run at the same time sees the whole file or none.
  const work = mkdtempSync(join(directory, 'work-'));
  try {
    renameSync(await make(work), cached);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The reason inside `fetch failed`, on one line. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return String(inner instanceof Error ? inner.message : inner).replaceAll('\n', ' ');
}
