// An embedded store as the target of an import.
//
//   I1. The mark of an import is durable before its first document, and goes in the transaction after the last.
//   I2. Whoever imports has the lock, also while it only looks: what it saw is true when it begins.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Slot } from '../../domain/slot.js';
import type { Documents, ImportTarget, StoreIdentity } from '../../ports/transfer.js';
import { putEvent } from './audit.js';
import { RowCodec } from './codec.js';
import { type LockedDirectory, lockDirectory } from './data-directory.js';
import { checkDataFile, DATA_FILE } from './data-file.js';
import { idKey, slotKey } from './keys.js';
import { Names } from './names.js';
import { readAnySettings, SCHEMA, type StoredSettings, writeSettings } from './settings.js';
import { setHeld } from './slots.js';
import { type Environment, flushTables, openEnvironment, openTables, type Tables } from './tables.js';
import { Tenures } from './tenures.js';

/** The store that is, or will be, in a directory. */
export function embeddedTarget(path: string): ImportTarget {
  return new EmbeddedTarget(path);
}

class EmbeddedTarget implements ImportTarget {
  readonly #path: string;
  #directory: LockedDirectory | undefined;
  #env: Environment | undefined;
  #writer: Writer | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async look(): Promise<'empty' | 'unfinished'> {
    // Looking makes no directory.
    if (!existsSync(this.#path)) return 'empty';
    this.#directory ??= lockDirectory(this.#path);
    const file = join(this.#path, DATA_FILE);
    checkDataFile(file);
    if (!existsSync(file)) return 'empty';
    const settings = readAnySettings(this.#path, this.#open().settings);
    if (!settings) return 'empty';
    if (settings.importing) return 'unfinished';
    throw new Error(`${this.#path} holds a store already: name a directory that is not there, or an empty one`);
  }

  async begin(identity: StoreIdentity): Promise<void> {
    await this.look();
    this.#directory ??= lockDirectory(this.#path);
    const tables = this.#open();
    const env = this.#env as Environment;
    const { holderEpoch: starts, ...same } = identity;
    const settings: StoredSettings = { ...same, schema: SCHEMA, starts };
    await writeSettings(env, tables, { ...settings, importing: true });
    for (const [name, table] of Object.entries(tables)) if (name !== 'settings') await table.clear();
    this.#directory.sync();
    this.#writer = new Writer(env, tables, settings);
  }

  #open(): Tables {
    this.#env ??= openEnvironment(this.#path);
    const tables = openTables(this.#env);
    if (!tables) throw new Error(`${this.#path} holds another program's LMDB database: name another directory`);
    return tables;
  }

  async write(documents: Documents): Promise<void> {
    await this.#begun().write(documents);
  }

  // Nobody else writes: there is what was written.
  async finish(): Promise<void> {
    await this.#begun().finish();
  }

  #begun(): Writer {
    if (!this.#writer) throw new Error('The import was not begun');
    return this.#writer;
  }

  async close(): Promise<void> {
    await this.#env?.close();
    this.#directory?.unlock();
  }
}

class Writer {
  readonly #env: Environment;
  readonly #tables: Tables;
  readonly #settings: StoredSettings;
  readonly #codec: RowCodec;
  readonly #tenures: Tenures;

  constructor(env: Environment, tables: Tables, settings: StoredSettings) {
    this.#env = env;
    this.#tables = tables;
    this.#settings = settings;
    this.#codec = new RowCodec(new Names(tables.names));
    this.#tenures = new Tenures(tables, this.#codec);
  }

  async write(batch: Documents): Promise<void> {
    const { networks, hosts } = this.#tables;
    switch (batch.kind) {
      case 'networks':
        for (const network of batch.documents) networks.put(idKey(network.networkId), JSON.stringify(network));
        break;
      case 'hosts':
        for (const host of batch.documents) hosts.put(idKey(host.hostId), JSON.stringify(host));
        break;
      case 'slots':
        for (const slot of batch.documents) this.#putSlot(slot);
        break;
      case 'history':
        for (const ended of batch.documents) this.#tenures.putEnded(ended, undefined);
        break;
      case 'audit':
        for (const event of batch.documents) putEvent(this.#tables, event);
        break;
    }
    await flushTables(this.#env, this.#tables);
  }

  #putSlot(slot: Slot): void {
    this.#tables.slots.put(slotKey(slot.networkId, slot.address), this.#codec.encodeSlot(slot));
    setHeld(this.#tables, slot, slot.state === 'reserved');
    this.#tenures.putRequests(slot, undefined);
  }

  finish(): Promise<void> {
    return writeSettings(this.#env, this.#tables, this.#settings);
  }
}
