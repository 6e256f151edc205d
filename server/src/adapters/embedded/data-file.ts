// A look at the data file before LMDB maps it: on a file that is damaged or cut short LMDB does not fail, it takes the
// process with it (SIGSEGV, SIGBUS), and nobody is told why.
//
// The layout is that of lmdb-js 3 (its data version 2): two meta pages, of which the one with the higher transaction
// number counts. What is looked at is written before the meta page that names it, so a good file is never refused.

import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** Its name in the directory. */
export const DATA_FILE = 'data.mdb';

const MAGIC = 0xbeefc0de;
const AT = { magic: 24, pageSize: 48, mainRoot: 136, transaction: 152 } as const;
const META_BYTES = 160;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

interface Meta {
  readonly transaction: bigint;
  readonly mainRoot: bigint;
}

/** Throws with what to do when the file cannot be a whole store. One that is absent or empty is a new one. */
export function checkDataFile(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return;
  const file = openSync(path, 'r');
  try {
    if (!isWhole(file, size)) {
      throw new Error(`${path} is damaged or cut short: restore the directory from a backup, or name another`);
    }
  } finally {
    closeSync(file);
  }
}

function isWhole(file: number, size: number): boolean {
  const first = readPage(file, 0);
  const pageSize = first?.readUInt32LE(AT.pageSize) ?? 0;
  const metas = [first, readPage(file, pageSize)].map(metaOf);
  const [one, two] = metas;
  if (!one || !two) return false;
  const { mainRoot } = one.transaction > two.transaction ? one : two;
  return mainRoot === NO_PAGE || (mainRoot + 1n) * BigInt(pageSize) <= BigInt(size);
}

function readPage(file: number, position: number): Buffer | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  return readSync(file, bytes, 0, META_BYTES, position) === META_BYTES ? bytes : undefined;
}

function metaOf(page: Buffer | undefined): Meta | undefined {
  if (page?.readUInt32LE(AT.magic) !== MAGIC) return undefined;
  return { transaction: page.readBigUInt64LE(AT.transaction), mainRoot: page.readBigUInt64LE(AT.mainRoot) };
}
