// Runs in Node's thread for module hooks (https://nodejs.org/api/module.html#customization-hooks): edits one module.

import type { LoadHook } from 'node:module';
import { type Mutant, mutated } from './mutation.js';

let target: { readonly url: string; readonly mutant: Mutant } | undefined;

/** Called by `register` with its data. */
export function initialize(data: { readonly url: string; readonly mutant: Mutant }): void {
  target = data;
}

/** Called for every module. */
export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (!target || url !== target.url) return loaded;
  // A module comes as bytes, unless another hook was there first.
  const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
  return { ...loaded, source: mutated(source, target.mutant) };
};
