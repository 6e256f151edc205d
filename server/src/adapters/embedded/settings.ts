// The settings of an embedded store: made once, and counted up at every start.

import type { Entropy } from '@leasehold/program/entropy';
import { uuid } from '../../domain/ids.js';
import type { StoreSettings } from '../../ports/store.js';
import { idKey } from './keys.js';
import { type Environment, flushTables, openTables, type Tables } from './tables.js';

/** Layout of keys and values on disk; a store with another one is refused. */
export const SCHEMA = 2;

const DEFAULT_AUTHORITY_S = 24 * 3600;
const KEY = idKey('settings');

/** The settings as stored. */
export interface StoredSettings extends StoreSettings {
  /** How often the store was opened: the holder epoch of the present start. */
  readonly starts: number;
}

/** An environment that is ours, with the settings of this start, which are durable. */
export interface Opened {
  readonly tables: Tables;
  readonly settings: StoredSettings;
}

/** Recognises the store or makes it, and counts this start; throws with what to do when it is foreign or newer. */
export async function recordStart(
  path: string,
  env: Environment,
  entropy: Entropy,
  authorityS: number | undefined,
): Promise<Opened> {
  const tables = openTables(env);
  if (!tables) throw new Error(`${path} holds another program's LMDB database: name another directory`);
  const before = readSettings(path, tables) ?? {
    storeUid: uuid(entropy.bytes(16), 4),
    incarnation: 1,
    schema: SCHEMA,
    authorityS: authorityS ?? DEFAULT_AUTHORITY_S,
    authorityCeilingS: 0,
    starts: 0,
  };
  const authority = authorityS ?? before.authorityS;
  const settings: StoredSettings = {
    ...before,
    starts: before.starts + 1,
    authorityS: authority,
    // Agents may still have the longer one: raised at once, never lowered here (protocol.md §4).
    authorityCeilingS: Math.max(authority, before.authorityCeilingS),
  };
  tables.settings.put(KEY, JSON.stringify(settings));
  await flushTables(env, tables);
  return { tables, settings };
}

function readSettings(path: string, tables: Tables): StoredSettings | undefined {
  const text = tables.settings.durable(KEY);
  if (text === undefined) return undefined;
  const settings = JSON.parse(text) as StoredSettings;
  if (settings.schema > SCHEMA) {
    throw new Error(
      `${path} was written by a newer leasehold-server (schema ${settings.schema}, this one knows ${SCHEMA}): run that one`,
    );
  }
  if (settings.schema < SCHEMA) {
    throw new Error(
      `${path} was written before the first release of leasehold-server (schema ${settings.schema}): name another directory`,
    );
  }
  return settings;
}
