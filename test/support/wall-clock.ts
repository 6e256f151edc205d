// The wall clock of programs under test, to be set by hours, without touching what counts spans.

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository.js';

/** Names the file that says by how much the clock is off. */
export const OFFSET_FILE_VARIABLE = 'LEASEHOLD_TEST_CLOCK_OFFSET_FILE';

/** A wall clock that programs are started with. */
export class WallClock {
  /** What they are started with. */
  readonly env: Readonly<Record<string, string>>;
  readonly #path: string;
  #offsetMs = 0;

  /** `path`: a file for it. */
  constructor(path: string) {
    this.#path = path;
    const program = join(repositoryRoot, 'test/dist/support/shifted-date-program.js');
    this.env = { NODE_OPTIONS: `--import=${program}`, [OFFSET_FILE_VARIABLE]: path };
    this.step(0);
  }

  /** By how much it is off now. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Sets it forward, or back. */
  step(byMs: number): void {
    this.#offsetMs += byMs;
    // At once: a reader finds no half of it.
    writeFileSync(`${this.#path}.new`, String(this.#offsetMs));
    renameSync(`${this.#path}.new`, this.#path);
  }
}
