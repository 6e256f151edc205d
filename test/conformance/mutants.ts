// Stores with one mistake each: copies of an adapter's sources, edited. What they are checked with is in
// store-mutants.test.ts.
//
//   U1. An edit that fits no place, or two, is refused: a mutant that does not differ would be "not caught", and one that
//       its source has outgrown must be thought about again.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.js';

/** An adapter of the store. */
export type Adapter = 'embedded' | 'mongodb';

/** A mistake. */
export interface Mutant {
  /** The mistake, as a sentence of the one who made it. */
  readonly name: string;
  readonly file: string;
  /** What stands in the file, and what stands there instead. */
  readonly edit: readonly [from: string, to: string];
}

/** The sources of an adapter with a mistake, until disposed. */
export class MutatedAdapter implements Disposable {
  readonly #directory: string;

  /** Without a mutant: a copy that must be as good as the original. */
  constructor(adapter: Adapter, mutant?: Mutant) {
    // In the checkout, where what it imports is found.
    const parent = join(repositoryRoot, '.mutants');
    mkdirSync(parent, { recursive: true });
    this.#directory = mkdtempSync(join(parent, `${adapter}-`));
    cpSync(join(repositoryRoot, 'server/src/adapters', adapter), this.#directory, { recursive: true });
    for (const file of readdirSync(this.#directory)) this.#rewrite(file, (source) => outward(source));
    if (mutant) this.#rewrite(mutant.file, (source) => edited(source, mutant));
  }

  /** A module of it. */
  async load<T>(file: string): Promise<T> {
    return (await import(/* @vite-ignore */ join(this.#directory, file))) as T;
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #rewrite(file: string, change: (source: string) => string): void {
    const path = join(this.#directory, file);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  }
}

/** What a copy imports from outside is the original: an error of the port must be the one that checks know. */
function outward(source: string): string {
  return source.replaceAll(/from '\.\.\/\.\.\/(.+)\.js'/g, "from '@leasehold/server/$1'");
}

function edited(source: string, { name, file, edit: [from, to] }: Mutant): string {
  const places = source.split(from).length - 1;
  if (places !== 1) throw new Error(`"${name}" fits ${places} places of ${file}: rewrite it for the source as it is`);
  return source.replace(from, () => to);
}
