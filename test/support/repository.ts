// Where things are, in this checkout and beside it, whether the asking file runs from its source or from dist.

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of the root package.json. */
export const repositoryRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Downloads that outlive a run and a checkout: clients, database binaries. By the XDG Base Directory Specification. */
export const cacheDirectory: string = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'leasehold');

function findRoot(directory: string): string {
  const manifest = join(directory, 'package.json');
  if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'leasehold') {
    return directory;
  }
  if (directory === dirname(directory)) throw new Error('The root package.json is not above this file');
  return findRoot(dirname(directory));
}
