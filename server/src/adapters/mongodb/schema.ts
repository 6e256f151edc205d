// What the database must be before it is used: a replica set, ours, of this schema, with every index. Everything that is
// not so is refused with a line that says what to do.

import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { Collection, Db, Document, IndexDescription } from 'mongodb';
import { uuid } from '../../domain/ids.js';
import type { StoreSettings } from '../../ports/store.js';

/** Layout of the documents; a store with a higher one is refused. */
export const SCHEMA = 2;

const PRODUCT = 'leasehold';
const DEFAULT_AUTHORITY_S = 24 * 3600;
// 6.0: change streams tell what was there before.
const MIN_WIRE_VERSION = 17;

/** The collections of a store; of those in `WATCHED` every change tells what was there before. */
export const COLLECTIONS = ['settings', 'networks', 'hosts', 'slots', 'history', 'audit'] as const;
/** The collections whose changes are watched. */
export const WATCHED: readonly string[] = ['networks', 'hosts', 'slots'];

type CollectionName = (typeof COLLECTIONS)[number];
type Index = IndexDescription & { readonly name: string };

/** Every index, by collection. The unique ones are what the promises rest on; the others make questions quick. */
export const INDEXES: Readonly<Record<CollectionName, readonly Index[]>> = {
  settings: [],
  networks: [
    {
      name: 'subnet',
      key: { 'subnets.subnet_id': 1 },
      unique: true,
      partialFilterExpression: { 'subnets.subnet_id': { $exists: true } },
    },
  ],
  hosts: [],
  slots: [
    {
      name: 'mac_reserved',
      key: { network_id: 1, family: 1, mac: 1 },
      unique: true,
      partialFilterExpression: { state: 'RESERVED' },
    },
    { name: 'mac_quarantined', key: { network_id: 1, mac: 1 }, partialFilterExpression: { state: 'QUARANTINED' } },
    { name: 'owner', key: { owner: 1, _id: 1 }, partialFilterExpression: { owner: { $exists: true } } },
    {
      name: 'requests',
      key: { request_keys: 1 },
      unique: true,
      partialFilterExpression: { request_keys: { $exists: true } },
    },
  ],
  history: [
    { name: 'place', key: { subnet_id: 1, address: 1, create_time: -1, _id: 1 } },
    { name: 'mac', key: { mac: 1, create_time: -1, _id: 1 } },
    {
      name: 'owner',
      key: { owner: 1, create_time: -1, _id: 1 },
      partialFilterExpression: { owner: { $exists: true } },
    },
    { name: 'end', key: { end_time: 1 } },
    { name: 'created', key: { create_time: -1, _id: 1 } },
    {
      name: 'released',
      key: { release_time: -1, _id: 1 },
      partialFilterExpression: { release_time: { $exists: true } },
    },
    { name: 'requests', key: { request_keys: 1 }, partialFilterExpression: { request_keys: { $exists: true } } },
  ],
  audit: [
    { name: 'time', key: { time: -1, _id: 1 } },
    { name: 'network', key: { network_id: 1, time: -1, _id: 1 } },
    { name: 'resource', key: { resource_id: 1, time: -1, _id: 1 } },
  ],
};

/** What every acknowledged write waits for. */
export const MAJORITY = { w: 'majority', j: true } as const;

/** Checks the deployment; throws with what to do. */
export async function checkDeployment(db: Db): Promise<void> {
  const hello = await db.admin().command({ hello: 1 });
  if (hello['msg'] === 'isdbgrid') {
    throw new Error('it is a sharded cluster: name a replica set, without mongos');
  }
  if (hello['setName'] === undefined) {
    throw new Error(
      'it is a standalone mongod, which loses acknowledged writes and has no change streams: start it with --replSet rs0 and run rs.initiate() once (one node is enough), then add replicaSet=rs0 to the URI',
    );
  }
  if ((hello['maxWireVersion'] as number) < MIN_WIRE_VERSION) {
    throw new Error('it is older than MongoDB 6.0: upgrade it');
  }
}

/** What opening takes beside the database. */
export interface SchemaOptions {
  readonly entropy: Entropy;
  readonly authorityS: number | undefined;
  readonly log: Log;
  /** Does work on the same database, waiting for each answer as long as it takes. */
  readonly patiently: (work: (db: Db) => Promise<void>) => Promise<void>;
}

/** Recognises the store or makes it; throws with what to do when it is foreign, newer, half imported or lacks an index. */
export async function openSchema(
  db: Db,
  { entropy, authorityS, log, patiently }: SchemaOptions,
): Promise<StoreSettings> {
  const stored = await readSettings(db);
  const schema = stored?.['schema'] as number | undefined;
  if (schema === undefined) await create(db, entropy, authorityS);
  else if (schema < SCHEMA) {
    log.info('upgrading the store', { schema, to: SCHEMA });
    // Indexes of millions of tenures are not made within a few seconds.
    await patiently(upgrade);
  }
  await checkIndexes(db);
  return recordAuthority(db, authorityS);
}

/** The settings' document; undefined: there is none. Throws with what to do when it is foreign, newer or half imported. */
export async function readSettings(db: Db): Promise<Document | undefined> {
  const found = await readAnySettings(db);
  if (found?.['importing'] === undefined) return found;
  const what = `database ${db.databaseName} holds an import that did not finish`;
  throw new Error(`${what}: run leasehold-server import on it again`);
}

/** The same, also of a store that is half imported. */
export async function readAnySettings(db: Db): Promise<Document | undefined> {
  const found = await settingsOf(db).findOne({ _id: 'settings' }, { readConcern: { level: 'majority' } });
  if (!found) return undefined;
  if (found['product'] !== PRODUCT) throw new Error(`database ${db.databaseName} is another program's: name another`);
  const schema = found['schema'] as number;
  if (schema > SCHEMA) {
    throw new Error(
      `database ${db.databaseName} was written by a newer leasehold-server (schema ${schema}, this one knows ${SCHEMA}): run that one`,
    );
  }
  return found;
}

/** The collection of what there is one of. */
export function settingsOf(db: Db): Collection<{ _id: string } & Document> {
  return db.collection<{ _id: string } & Document>('settings');
}

/** Makes an empty store. The settings come last: a store that has them is whole. */
async function create(db: Db, entropy: Entropy, authorityS: number | undefined): Promise<void> {
  await refuseForeign(db);
  await createCollections(db);
  const authority = authorityS ?? DEFAULT_AUTHORITY_S;
  await insertSettings(db, {
    storeUid: uuid(entropy.bytes(16), 4),
    incarnation: 1,
    schema: SCHEMA,
    authorityS: authority,
    authorityCeilingS: authority,
  });
}

/** What a store of an older schema lacks: the audit events, and indexes of history. The settings come last, as for a new one. */
async function upgrade(db: Db): Promise<void> {
  await createCollection(db, 'audit');
  for (const name of ['history', 'audit'] as const) await createIndexesOf(db, name);
  await settingsOf(db).updateOne(
    { _id: 'settings', importing: { $exists: false }, schema: { $lt: SCHEMA } },
    { $set: { schema: SCHEMA } },
    { writeConcern: MAJORITY },
  );
}

async function createCollections(db: Db): Promise<void> {
  for (const name of COLLECTIONS) await createCollection(db, name);
  await createIndexes(db);
}

/** Makes a collection; one that is there already stays. */
export async function createCollection(db: Db, name: CollectionName): Promise<void> {
  const images = WATCHED.includes(name) ? { changeStreamPreAndPostImages: { enabled: true } } : {};
  await db.createCollection(name, images).catch(ignoreExisting);
}

/** Makes the indexes; those that are there already stay. */
export async function createIndexes(db: Db): Promise<void> {
  for (const name of COLLECTIONS) await createIndexesOf(db, name);
}

async function createIndexesOf(db: Db, name: CollectionName): Promise<void> {
  const indexes = INDEXES[name];
  // Else it waits for every node, also for those that are down.
  if (indexes.length > 0) await db.collection(name).createIndexes([...indexes], { commitQuorum: 'majority' });
}

// Two servers that start on an empty database at once both make it: what the other one made is as good.
function ignoreExisting(error: unknown): void {
  if ((error as { readonly codeName?: string }).codeName !== 'NamespaceExists') throw error;
}

/** Throws with what to do when there is anything in a database that has no settings. */
export async function refuseForeign(db: Db): Promise<void> {
  for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray()) {
    if (name.startsWith('system.')) continue;
    const isOurs = (COLLECTIONS as readonly string[]).includes(name);
    if (!isOurs || (await db.collection(name).findOne({}, { projection: { _id: 1 } }))) {
      throw new Error(`database ${db.databaseName} is not Leasehold's, it has a collection ${name}: name another`);
    }
  }
}

/** Settings as a document, without its `_id`. */
export function settingsDocument(settings: StoreSettings): Document {
  const { storeUid, incarnation, schema, authorityS, authorityCeilingS } = settings;
  return {
    product: PRODUCT,
    store_uid: storeUid,
    incarnation,
    schema,
    authority: authorityS,
    authority_ceiling: authorityCeilingS,
  };
}

/** Reads settings. */
export function toSettings(document: Document): StoreSettings {
  return {
    storeUid: document['store_uid'] as string,
    incarnation: document['incarnation'] as number,
    schema: document['schema'] as number,
    authorityS: document['authority'] as number,
    authorityCeilingS: document['authority_ceiling'] as number,
  };
}

/** Writes the settings of a new store, unless another server, or an import, did so first. */
async function insertSettings(db: Db, settings: StoreSettings): Promise<void> {
  const document = settingsDocument(settings);
  await settingsOf(db).updateOne(
    { _id: 'settings' },
    { $setOnInsert: document },
    { upsert: true, writeConcern: MAJORITY },
  );
}

/** Records a new authority, if there is one, and answers the settings. */
async function recordAuthority(db: Db, authorityS: number | undefined): Promise<StoreSettings> {
  if (authorityS !== undefined) {
    // Agents may still have the longer one: raised at once, lowered by the holder when that has passed (protocol.md §4).
    const change = { $set: { authority: authorityS }, $max: { authority_ceiling: authorityS } };
    await settingsOf(db).updateOne({ _id: 'settings', importing: { $exists: false } }, change, {
      writeConcern: MAJORITY,
    });
  }
  // Again, because an import may have begun since it was looked for.
  return toSettings((await readSettings(db)) ?? {});
}

async function checkIndexes(db: Db): Promise<void> {
  for (const name of COLLECTIONS) {
    const present: readonly Document[] = await db.collection(name).listIndexes().toArray();
    for (const index of INDEXES[name]) {
      const same = present.find((each) => each['name'] === index.name);
      if (!same) throw new Error(`${missing(db, name, index)}, then start again`);
      if (differs(same, index)) {
        const drop = `db.${name}.dropIndex('${index.name}')`;
        throw new Error(
          `index ${index.name} of ${db.databaseName}.${name} is not what it should be: ${drop}, and ${remedy(name, index)}`,
        );
      }
    }
  }
}

function missing(db: Db, collection: string, index: Index): string {
  const stop = index.unique ? 'stop every server, and ' : '';
  return `index ${index.name} of ${db.databaseName}.${collection} is missing: ${stop}${remedy(collection, index)}`;
}

function remedy(collection: string, { key, name, unique, partialFilterExpression }: Index): string {
  const options = {
    name,
    ...(unique ? { unique } : {}),
    ...(partialFilterExpression ? { partialFilterExpression } : {}),
  };
  return `run db.${collection}.createIndex(${JSON.stringify(key)}, ${JSON.stringify(options)})`;
}

function differs(present: Document, { key, unique = false, partialFilterExpression }: Index): boolean {
  const shape = (indexKey: unknown, isUnique: unknown, filter: unknown) =>
    JSON.stringify([indexKey, isUnique === true, filter ?? null]);
  return (
    shape(present['key'], present['unique'], present['partialFilterExpression']) !==
    shape(key, unique, partialFilterExpression)
  );
}
