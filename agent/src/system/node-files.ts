// The state directory on a real file system.

import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '@leasehold/program/make-directory';
import type { StateFiles } from '../state/state-files.js';
import { lockStateDirectory } from './state-lock.js';

const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;
const TEMPORARY = '.tmp';

/** Files of a directory, which is created when there is none, and belongs to one process at a time. */
export class NodeFiles implements StateFiles {
  readonly #directory: string;
  /** Journals are appended to all the time: they stay open. */
  readonly #open = new Map<string, FileHandle>();

  readonly #unlock: () => void;

  private constructor(directory: string, unlock: () => void) {
    this.#directory = directory;
    this.#unlock = unlock;
  }

  /**
   * Opens the directory for the one process that uses it; `undefined` when another does. Throws when it cannot be made
   * or read.
   */
  static async open(directory: string): Promise<NodeFiles | undefined> {
    makeDirectory(directory, DIRECTORY_MODE);
    const unlock = lockStateDirectory(directory);
    if (!unlock) return undefined;
    const files = new NodeFiles(directory, unlock);
    // Only with the lock: what another process writes right now looks like what a killed one left.
    const leftovers = (await readdir(directory)).filter((name) => name.endsWith(TEMPORARY));
    for (const name of leftovers) await files.remove(name);
    return files;
  }

  async list(): Promise<readonly string[]> {
    return readdir(this.#directory);
  }

  async read(name: string): Promise<Buffer | undefined> {
    return readFile(this.#path(name)).catch(unlessAbsent);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.#close(name);
    const temporary = this.#path(name + TEMPORARY);
    const file = await open(temporary, 'w', FILE_MODE);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path(name));
    await this.#syncDirectory();
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    let file = this.#open.get(name);
    if (!file) {
      file = await open(this.#path(name), 'a', FILE_MODE);
      this.#open.set(name, file);
    }
    await file.appendFile(bytes);
  }

  async remove(name: string): Promise<void> {
    await this.#close(name);
    await rm(this.#path(name), { force: true });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#close(from);
    await rename(this.#path(from), this.#path(to));
  }

  /** Closes what is open and leaves the directory to others. */
  async close(): Promise<void> {
    for (const name of [...this.#open.keys()]) await this.#close(name);
    this.#unlock();
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  async #close(name: string): Promise<void> {
    const file = this.#open.get(name);
    this.#open.delete(name);
    await file?.close();
  }

  // Without it a crash of the machine may bring the old name back.
  async #syncDirectory(): Promise<void> {
    const directory = await open(this.#directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
