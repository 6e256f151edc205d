// Directories that programs keep their state in.

import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes a directory, and those above it that are missing; one that exists stays as it is. Throws when it cannot. */
export function makeDirectory(path: string, mode: number): void {
  if (existsSync(path)) return;
  // Not by `recursive`: Node 20 tries for ever where the parent is there and nothing can be made in it, as in /proc.
  makeDirectory(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Another program that starts now may have made it.
    if (!existsSync(path)) throw error;
  }
}
