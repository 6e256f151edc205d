// Where things are in this checkout, whether the asking file runs from its source or from dist.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of the root package.json. */
export const repositoryRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Downloads that outlive a run: clients, database binaries. Ignored by git. */
export const cacheDirectory: string = join(repositoryRoot, '.leasehold-cache');

function findRoot(directory: string): string {
  const manifest = join(directory, 'package.json');
  if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'leasehold') {
    return directory;
  }
  if (directory === dirname(directory)) throw new Error('The root package.json is not above this file');
  return findRoot(dirname(directory));
}
