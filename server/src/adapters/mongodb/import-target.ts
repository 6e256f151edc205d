// A store on MongoDB as the target of an import.
//
//   I1. The mark of an import is on a majority before its first document, and goes with the last write.
//   I2. A batch is written by a transaction that finds the mark as this import left it: of two imports the later one takes
//       over, and nothing of the earlier one is written any more, however late it wakes up.
//   I3. Only the last write waits for a majority, which then has all before it. If a primary was lost that had batches for
//       itself, the mark does not count them, and the import fails.

import type { Entropy } from '@leasehold/program/entropy';
import type { ClientSession, Db, Document, MongoClient } from 'mongodb';
import type { Counts, Documents, ImportTarget, StoreIdentity } from '../../ports/transfer.js';
import { auditDocument, endedDocument, hostDocument, networkDocument, slotDocument } from './documents.js';
import { connectMongodb, NO_TIMEOUT } from './mongodb-store.js';
import {
  COLLECTIONS,
  checkDeployment,
  createCollection,
  createIndexes,
  MAJORITY,
  readAnySettings,
  refuseForeign,
  SCHEMA,
  settingsDocument,
  settingsOf,
} from './schema.js';

const ID = 'settings';
const HOLDER = 'holder';

/** The store that is, or will be, in the database of a URI. */
export function mongodbTarget(uri: string, entropy: Entropy): ImportTarget {
  return new MongodbTarget(uri, entropy);
}

class MongodbTarget implements ImportTarget {
  readonly #uri: string;
  readonly #entropy: Entropy;
  #client: MongoClient | undefined;
  #writer: Writer | undefined;

  constructor(uri: string, entropy: Entropy) {
    this.#uri = uri;
    this.#entropy = entropy;
  }

  async look(): Promise<'empty' | 'unfinished'> {
    const db = (await this.#connect()).db();
    await checkDeployment(db);
    const settings = await readAnySettings(db);
    if (!settings) {
      await refuseForeign(db);
      return 'empty';
    }
    if (settings['importing'] !== undefined) return 'unfinished';
    throw new Error(`database ${db.databaseName} holds a store already: name another, or drop it`);
  }

  async begin(identity: StoreIdentity): Promise<void> {
    const found = await this.look();
    const client = await this.#connect();
    const id = Buffer.from(this.#entropy.bytes(9)).toString('base64url');
    this.#writer = new Writer(client, id, identity);
    await this.#writer.begin(found);
  }

  async #connect(): Promise<MongoClient> {
    // Indexes of millions of slots are not made within a few seconds.
    this.#client ??= await connectMongodb(this.#uri, NO_TIMEOUT);
    return this.#client;
  }

  async write(documents: Documents): Promise<void> {
    await this.#begun().write(documents);
  }

  async finish(counts: Counts): Promise<void> {
    await this.#begun().finish(counts);
  }

  #begun(): Writer {
    if (!this.#writer) throw new Error('The import was not begun');
    return this.#writer;
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }
}

class Writer {
  readonly #db: Db;
  readonly #session: ClientSession;
  readonly #id: string;
  readonly #identity: StoreIdentity;
  #batches = 0;
  #documents = 0;

  constructor(client: MongoClient, id: string, identity: StoreIdentity) {
    this.#db = client.db();
    this.#session = client.startSession({ causalConsistency: false });
    this.#id = id;
    this.#identity = identity;
  }

  /** Makes the collections anew; the indexes come last, which takes a fraction of the time. */
  async begin(found: 'empty' | 'unfinished'): Promise<void> {
    if (found === 'unfinished') await this.#endEarlier();
    await this.#mark(found);
    await settingsOf(this.#db).deleteOne({ _id: HOLDER }, { writeConcern: MAJORITY });
    for (const name of COLLECTIONS) {
      if (name === 'settings') continue;
      await this.#db.dropCollection(name);
      await createCollection(this.#db, name);
    }
  }

  /** Of an import that was killed MongoDB would keep the transaction, and what that locks, for a minute. */
  async #endEarlier(): Promise<void> {
    const settings = await readAnySettings(this.#db);
    const { session } = (settings?.['importing'] ?? {}) as { readonly session?: Document };
    if (session) await this.#db.command({ killSessions: [{ id: session }] });
  }

  async #mark(found: 'empty' | 'unfinished'): Promise<void> {
    const importing = { id: this.#id, session: this.#session.id?.id, batches: 0 };
    const settings = { ...settingsDocument({ ...this.#identity, schema: SCHEMA }), importing };
    const all = settingsOf(this.#db);
    const { upsertedCount, modifiedCount } =
      found === 'empty'
        ? await all.updateOne({ _id: ID }, { $setOnInsert: settings }, { upsert: true, writeConcern: MAJORITY })
        : await all.updateOne(
            { _id: ID, importing: { $exists: true } },
            { $set: settings },
            { writeConcern: MAJORITY },
          );
    if (upsertedCount + modifiedCount > 0) return;
    const what = `database ${this.#db.databaseName} is being used by another program`;
    throw new Error(`${what}: stop that one, and import again`);
  }

  async write(batch: Documents): Promise<void> {
    const documents = this.#toDocuments(batch);
    const batches = this.#batches++;
    await this.#session.withTransaction(() => this.#writeOnce(batch.kind, documents, batches), {
      readConcern: { level: 'local' },
      writeConcern: { w: 1 },
    });
  }

  async #writeOnce(kind: Documents['kind'], documents: Document[], batches: number): Promise<void> {
    const session = this.#session;
    const importing = { 'importing.id': this.#id, 'importing.batches': batches };
    const counted = { $inc: { 'importing.batches': 1 } };
    const { matchedCount } = await settingsOf(this.#db).updateOne({ _id: ID, ...importing }, counted, { session });
    if (matchedCount !== 1) throw this.#superseded();
    await this.#db.collection(kind).insertMany(documents, { session, ordered: false, forceServerObjectId: true });
  }

  #superseded(): Error {
    const why = 'another import took it over, or it lost its primary';
    return new Error(`database ${this.#db.databaseName} has not what was written before (${why}): import again`);
  }

  #toDocuments(batch: Documents): Document[] {
    switch (batch.kind) {
      case 'networks':
        return batch.documents.map((network) => networkDocument(network, this.#newMark()));
      case 'hosts':
        return batch.documents.map((host) => hostDocument(host, this.#newMark()));
      case 'slots':
        return batch.documents.map((slot) => slotDocument(slot));
      case 'history':
        return batch.documents.map(endedDocument);
      case 'audit':
        return batch.documents.map((event) => auditDocument(event));
    }
  }

  #newMark(): string {
    return `${this.#id}.${(++this.#documents).toString(36)}`;
  }

  async finish(counts: Counts): Promise<void> {
    await createIndexes(this.#db);
    await this.#insertHolder();
    // What a majority has, which by now is everything.
    for (const [kind, count] of Object.entries(counts)) {
      if ((await this.#db.collection(kind).countDocuments()) !== count) throw this.#superseded();
    }
    const { matchedCount } = await settingsOf(this.#db).updateOne(
      { _id: ID, 'importing.id': this.#id, 'importing.batches': this.#batches },
      { $unset: { importing: '' } },
      { writeConcern: MAJORITY },
    );
    if (matchedCount !== 1) throw this.#superseded();
  }

  /** A record that is there already is of a server that did not notice that its database was dropped. */
  async #insertHolder(): Promise<void> {
    const nobody = { instance: '', server: '', advertise: '', agent_advertise: '' };
    const holder = { _id: HOLDER, ...nobody, epoch: this.#identity.holderEpoch, beat: 0 };
    const { upsertedCount } = await settingsOf(this.#db).updateOne(
      { _id: HOLDER },
      { $setOnInsert: holder },
      { upsert: true, writeConcern: MAJORITY },
    );
    if (upsertedCount === 1) return;
    throw new Error(`a server serves database ${this.#db.databaseName}: stop all servers of it, and import again`);
  }
}
