// The databases inside the LMDB environment, and how they are recognised.

import { type Database, open, type RootDatabase } from 'lmdb';

// Address space, not memory or disk; the file grows as needed.
const MAP_BYTES = 2 ** 40;

/** The databases of an embedded store, by what they hold. */
export interface Databases {
  readonly settings: Database<string, Buffer>;
  readonly networks: Database<string, Buffer>;
  readonly hosts: Database<string, Buffer>;
  /** The addresses that are not free. */
  readonly slots: Database<string, Buffer>;
  /** What a MAC has in a network. */
  readonly macs: Database<Buffer, Buffer>;
  /** The tenure that a request made or released. */
  readonly requests: Database<string, Buffer>;
  /** The ended tenures. */
  readonly history: Database<string, Buffer>;
}

const NAMES: readonly string[] = ['settings', 'networks', 'hosts', 'slots', 'macs', 'requests', 'history'];

/** Opens the environment of a directory. */
export function openEnvironment(path: string): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({
    path,
    noSubdir: false,
    // Otherwise a write is answered before it is flushed.
    overlappingSync: false,
    mapSize: MAP_BYTES,
    maxDbs: NAMES.length,
    encoding: 'binary',
    keyEncoding: 'binary',
  });
}

/** Opens the databases; undefined when the environment holds something else. */
export function openDatabases(env: RootDatabase<Buffer, Buffer>): Databases | undefined {
  for (const name of env.getKeys()) if (!NAMES.includes(name.toString().replace(/\0$/, ''))) return undefined;
  const text = (name: string) => env.openDB<string, Buffer>({ name, encoding: 'string', keyEncoding: 'binary' });
  return {
    settings: text('settings'),
    networks: text('networks'),
    hosts: text('hosts'),
    slots: text('slots'),
    macs: env.openDB<Buffer, Buffer>({ name: 'macs', encoding: 'binary', keyEncoding: 'binary' }),
    requests: text('requests'),
    history: text('history'),
  };
}
