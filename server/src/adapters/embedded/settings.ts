// The settings of an embedded store: made once, and counted up at every start.

import type { Entropy } from '@leasehold/program/entropy';
import type { HoldStill } from '../../domain/hold-still.js';
import { uuid } from '../../domain/ids.js';
import type { StoreSettings } from '../../ports/store.js';
import { idKey } from './keys.js';
import { type Environment, flushTables, openTables, type Table, type Tables } from './tables.js';
import { upgrade } from './upgrade.js';

/** Layout of keys and values on disk; a store with another one is refused. */
export const SCHEMA = 3;
/** The oldest one that is brought up to date when it is opened. */
const OLDEST_SCHEMA = 2;

const DEFAULT_AUTHORITY_S = 24 * 3600;
const KEY = idKey('settings');

/** The settings as stored. */
export interface StoredSettings extends StoreSettings {
  /** How often the store was opened: the holder epoch of the present start. */
  readonly starts: number;
  readonly holdStill?: HoldStill;
  /** An import was begun, and did not finish. */
  readonly importing?: true;
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
  const before = readSettings(path, tables.settings) ?? {
    storeUid: uuid(entropy.bytes(16), 4),
    incarnation: 1,
    schema: SCHEMA,
    authorityS: authorityS ?? DEFAULT_AUTHORITY_S,
    authorityCeilingS: 0,
    starts: 0,
  };
  if (before.schema < SCHEMA) await upgrade(env, tables);
  const authority = authorityS ?? before.authorityS;
  const settings: StoredSettings = {
    ...before,
    schema: SCHEMA,
    starts: before.starts + 1,
    authorityS: authority,
    // Agents may still have the longer one: raised at once, lowered by the holder when that has passed (protocol.md §4).
    authorityCeilingS: Math.max(authority, before.authorityCeilingS),
  };
  await writeSettings(env, tables, settings);
  return { tables, settings };
}

/** The settings of a store; undefined: it has none yet. Throws with what to do when it is newer, or half imported. */
export function readSettings(path: string, table: Table): StoredSettings | undefined {
  const settings = readAnySettings(path, table);
  if (settings?.importing) {
    throw new Error(`${path} holds an import that did not finish: run leasehold-server import on it again`);
  }
  return settings;
}

/** The same, also of a store that is half imported. */
export function readAnySettings(path: string, table: Table): StoredSettings | undefined {
  const text = table.durable(KEY);
  if (text === undefined) return undefined;
  const settings = JSON.parse(text) as StoredSettings;
  if (settings.schema > SCHEMA) {
    throw new Error(
      `${path} was written by a newer leasehold-server (schema ${settings.schema}, this one knows ${SCHEMA}): run that one`,
    );
  }
  if (settings.schema < OLDEST_SCHEMA) {
    throw new Error(
      `${path} was written before the first release of leasehold-server (schema ${settings.schema}): name another directory`,
    );
  }
  return settings;
}

/** Writes the settings; resolves after their flush, and that of all that is staged. */
export async function writeSettings(env: Environment, tables: Tables, settings: StoredSettings): Promise<void> {
  putSettings(tables, settings);
  await flushTables(env, tables);
}

/** Stages the settings, for the next flush. */
export function putSettings(tables: Tables, settings: StoredSettings): void {
  tables.settings.put(KEY, JSON.stringify(settings));
}
