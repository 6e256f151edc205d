// Runs in Node's thread for module hooks (https://nodejs.org/api/module.html#customization-hooks): edits modules.

import type { LoadHook } from 'node:module';
import { mutated, type UrlChange } from './mutation.js';

let changes: readonly UrlChange[] = [];

/** Called by `register` with its data. */
export function initialize(data: readonly UrlChange[]): void {
  changes = data;
}

/** Called for every module. */
export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  const change = changes.find((each) => each.url === url);
  if (!change) return loaded;
  // A module comes as bytes, unless another hook was there first.
  const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
  return { ...loaded, source: mutated(source, change) };
};
