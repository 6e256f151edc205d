// Which store, as an operator writes it: `embedded:PATH` or a MongoDB URI with a database.

import type { Parsed } from '@leasehold/program/option-values';

/** Where everything is kept. */
export type StoreTarget =
  | { readonly kind: 'embedded'; readonly path: string }
  | { readonly kind: 'mongodb'; readonly uri: string };

const EMBEDDED = 'embedded:';
const MONGODB = /^mongodb(?:\+srv)?:\/\//;
const EXPECTED = `expected ${EMBEDDED}PATH or mongodb://HOST,HOST/DATABASE?replicaSet=NAME`;

/** Parses a store. */
export function parseStore(text: string): Parsed<StoreTarget> {
  if (MONGODB.test(text)) {
    if (databaseOf(text) !== undefined) return { ok: true, value: { kind: 'mongodb', uri: text } };
    return { ok: false, problem: 'the URI names no database: add one, as mongodb://HOST/leasehold?replicaSet=rs0' };
  }
  const path = text.startsWith(EMBEDDED) ? text.slice(EMBEDDED.length) : '';
  return path === '' ? { ok: false, problem: EXPECTED } : { ok: true, value: { kind: 'embedded', path } };
}

/** Prints a store without names and passwords of users. */
export function formatStore(target: StoreTarget): string {
  return target.kind === 'embedded' ? `${EMBEDDED}${target.path}` : withoutUser(target.uri);
}

/** A text in which a URI may stand, without names and passwords of users. */
export function withoutUser(text: string): string {
  return text.replace(/(mongodb(?:\+srv)?:\/\/)[^@/\s]*@/g, '$1');
}

function databaseOf(uri: string): string | undefined {
  return /^[^/]*\/\/[^/]+\/([^?]+)/.exec(uri)?.[1];
}
