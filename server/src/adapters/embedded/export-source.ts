// An embedded store as the source of an export: only read, under its lock, so that no server has it meanwhile.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../domain/host.js';
import type { Network } from '../../domain/network.js';
import type { Documents, ExportSource } from '../../ports/transfer.js';
import { readEvent } from './audit.js';
import { RowCodec } from './codec.js';
import { lockDirectory } from './data-directory.js';
import { checkDataFile, DATA_FILE } from './data-file.js';
import { Names } from './names.js';
import { readSettings, type StoredSettings } from './settings.js';
import { slotsOf, values } from './snapshot.js';
import { type Environment, holdMoment, openEnvironment, openTables, Table, type Tables } from './tables.js';

/** Opens the store in a directory to be exported; rejects with what to do when there is none, or it is in use. */
export async function openEmbeddedSource(path: string): Promise<ExportSource> {
  const file = join(path, DATA_FILE);
  const nothing = new Error(`${path} holds no store`);
  if (!existsSync(file)) throw nothing;
  const directory = lockDirectory(path);
  try {
    checkDataFile(file);
    const env = openEnvironment(path, true);
    try {
      if (!hasSettings(env)) throw nothing;
      // Before the tables, some of which an older store does not have.
      const settings = readSettings(path, new Table(env, 'settings'));
      const tables = openTables(env);
      if (!settings || !tables) throw nothing;
      return startSource(env, tables, settings, directory.unlock);
    } catch (error) {
      await env.close();
      throw error;
    }
  } catch (error) {
    directory.unlock();
    throw error;
  }
}

function hasSettings(env: Environment): boolean {
  for (const name of env.getKeys()) if (name.toString().replace(/\0$/, '') === 'settings') return true;
  return false;
}

function startSource(env: Environment, tables: Tables, settings: StoredSettings, unlock: () => void): ExportSource {
  const { storeUid, authorityS, authorityCeilingS, starts, holdStill } = settings;
  // The next one is higher than any that a host knows.
  const incarnation = Math.max(settings.incarnation, holdStill?.incarnation ?? 0);
  const codec = new RowCodec(new Names(tables.names));
  return {
    identity: { storeUid, incarnation, authorityS, authorityCeilingS, holderEpoch: starts },
    documents: () => documentsOf(env, tables, codec),
    // Nobody else could open it.
    async confirm() {},
    async close() {
      await env.close();
      unlock();
    },
  };
}

async function* documentsOf(env: Environment, tables: Tables, codec: RowCodec): AsyncGenerator<Documents> {
  const moment = holdMoment(env);
  try {
    const networks = values(tables.networks, moment, (text) => JSON.parse(text) as Network);
    for await (const documents of networks) yield { kind: 'networks', documents };
    const hosts = values(tables.hosts, moment, (text) => JSON.parse(text) as Host);
    for await (const documents of hosts) yield { kind: 'hosts', documents };
    for await (const documents of slotsOf(tables, codec, moment)) yield { kind: 'slots', documents };
    const history = values(tables.history, moment, (text) => codec.decodeEnded(text));
    for await (const documents of history) yield { kind: 'history', documents };
    for await (const documents of values(tables.audit, moment, readEvent)) yield { kind: 'audit', documents };
  } finally {
    moment.done();
  }
}
