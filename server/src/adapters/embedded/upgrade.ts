// A store of schema 2 becomes one of schema 3, in which ended tenures are also indexed by when they began and were
// released.
//
//   U1. It may end anywhere and begin again: only when it is done the settings say the new schema.

import { RowCodec } from './codec.js';
import { type Key, keyAfter } from './keys.js';
import { Names } from './names.js';
import { type Environment, flushTables, type Tables } from './tables.js';
import { Tenures } from './tenures.js';

// So many share a transaction.
const AT_ONCE = 5_000;

/** Brings the tables up to date. */
export async function upgrade(env: Environment, tables: Tables): Promise<void> {
  const codec = new RowCodec(new Names(tables.names));
  const tenures = new Tenures(tables, codec);
  let start: Key | undefined;
  for (;;) {
    const rows = Array.from(tables.history.range(AT_ONCE, start));
    for (const { value } of rows) tenures.putMoments(codec.decodeEnded(value));
    await flushTables(env, tables);
    const last = rows.at(-1);
    if (!last || rows.length < AT_ONCE) return;
    start = keyAfter(last.key);
  }
}
