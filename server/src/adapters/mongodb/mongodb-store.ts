// The store on a MongoDB replica set, for several servers (docs/adr/0013).
//
//   M1. Every acknowledged write is journaled by a majority; every check of it reads causally after it, from the primary,
//       what a majority has.
//   M2. Nothing needs a transaction of several documents, but the audit event of a change of settings: one exchange, within
//       which nothing is waited for but the database (audit.ts). No lock is held from one exchange to the next.
//   M3. While the database is away every call is refused at once, and it is used again as soon as it is there.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import { type Db, MongoClient, MongoNetworkError, MongoServerSelectionError } from 'mongodb';
import type { MakeBreaker } from '../../ports/breaker.js';
import type { Metrics } from '../../ports/metrics.js';
import { type Follower, type Store, type StoreSettings, StoreUnavailableError } from '../../ports/store.js';
import { auditStore } from './audit.js';
import { ChangeFeeds } from './change-feed.js';
import { Exchange } from './exchange.js';
import { historyStore } from './history.js';
import { holdStillStore } from './hold-still.js';
import { holderStore } from './holder.js';
import { NetworkCache } from './network-cache.js';
import { findAll } from './read-back.js';
import { hostStore, networkStore } from './resources.js';
import { checkDeployment, openSchema, toSettings } from './schema.js';
import { slotReads } from './slot-reads.js';
import { slotWrites } from './slot-writes.js';
import { faultsTold, takeSnapshot } from './snapshot.js';

/** What opening a MongoDB store takes. */
export interface MongodbStoreOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly makeBreaker: MakeBreaker;
  /** Called with what a follower of the watch threw. */
  readonly onDefect: (error: unknown) => void;
  /** How long agents may answer on their own, in seconds, recorded in the store; without it what is recorded stays. */
  readonly authorityS?: number;
  /** Makes the client, as `connectMongodb` does; tests put something between it and the database. */
  readonly connect?: (uri: string, socketTimeoutMS?: number) => Promise<MongoClient>;
}

// What hangs is noticed after this long; an election is over within twice of it.
const SELECTION_MS = 2_000;
const SOCKET_MS = 5_000;
/** For what takes as long as it takes. */
export const NO_TIMEOUT = 0;

/** Connects to a database; rejects when it cannot be reached, is named badly, or is not what it must be. */
export async function connectMongodb(uri: string, socketTimeoutMS: number = SOCKET_MS): Promise<MongoClient> {
  const client = new MongoClient(uri, {
    appName: 'leasehold-server',
    writeConcern: { w: 'majority', journal: true },
    readConcern: { level: 'majority' },
    readPreference: 'primary',
    // We repeat, with the same keys, until the outcome is known: the driver's own repetition would hide what was sent. A
    // commit it sends twice all the same (X3 in exchange.ts).
    retryWrites: false,
    serverSelectionTimeoutMS: SELECTION_MS,
    connectTimeoutMS: SELECTION_MS,
    heartbeatFrequencyMS: SELECTION_MS,
    socketTimeoutMS,
    waitQueueTimeoutMS: SELECTION_MS,
    ignoreUndefined: true,
  });
  await client.connect();
  return client;
}

/**
 * Opens or makes the store; rejects with what to do when the database is not what it must be, and with
 * StoreUnavailableError when it cannot be reached.
 */
export async function openMongodbStore(uri: string, options: MongodbStoreOptions): Promise<Store> {
  const { connect = connectMongodb, entropy, authorityS, log } = options;
  const patiently = async (work: (db: Db) => Promise<void>) => {
    const client = await connect(uri, NO_TIMEOUT);
    try {
      await work(client.db());
    } finally {
      await client.close();
    }
  };
  try {
    const client = await connect(uri);
    try {
      // Named by the URI.
      const db = client.db();
      await checkDeployment(db);
      return startStore(client, db, await openSchema(db, { entropy, authorityS, log, patiently }), options);
    } catch (error) {
      await client.close();
      throw error;
    }
  } catch (error) {
    throw isAway(error) ? new StoreUnavailableError((error as Error).message, { cause: error }) : error;
  }
}

// No primary now, or the one that was is gone: there will be another.
function isAway(error: unknown): boolean {
  return error instanceof MongoServerSelectionError || error instanceof MongoNetworkError;
}

function startStore(client: MongoClient, db: Db, settings: StoreSettings, options: MongodbStoreOptions): Store {
  const { clock, entropy, log, metrics, makeBreaker, onDefect } = options;
  const exchange = new Exchange({ client, db, clock, log, metrics, makeBreaker });
  const feeds = new ChangeFeeds({ client, db, clock, log, metrics, onDefect });
  const newMark = marks(entropy);
  const networks = new NetworkCache();
  const writes = slotWrites({ exchange, networks, metrics, newMark });
  const { idle, ...slots } = writes;
  let closing: Promise<void> | undefined;
  let current = settings;
  const readSettings = async () => {
    current = await exchange.read('read settings', async (talk) => {
      const [document] = await findAll(talk, 'settings', { _id: 'settings' }, { limit: 1 });
      return document ? toSettings(document) : current;
    });
    return current;
  };
  return {
    kind: 'mongodb',
    get settings() {
      return current;
    },
    readSettings,
    async lowerAuthorityCeiling() {
      const { authorityS, authorityCeilingS } = current;
      const q = { _id: 'settings', authority: authorityS, authority_ceiling: authorityCeilingS };
      const u = { $set: { authority_ceiling: authorityS } };
      await exchange.write('lower ceiling', (talk) => talk.write({ update: 'settings', updates: [{ q, u }] }));
      await readSettings();
    },
    holdStill: holdStillStore(exchange),
    networks: networkStore({ exchange, feeds, newMark }),
    slots: { ...slots, ...slotReads(exchange) },
    history: historyStore(exchange),
    audit: auditStore(exchange),
    hosts: hostStore({ exchange, feeds, newMark }),
    holder: holderStore(exchange),
    get health() {
      return exchange.health;
    },
    snapshot: () =>
      exchange.read('snapshot', async (talk) => {
        await talk.run({ ping: 1 });
        return takeSnapshot(client, db, feeds, talk.time);
      }),
    follow: (after, follower) => {
      const changed: Follower['changed'] = (changes) => {
        for (const change of changes) if (change.kind === 'network-gone') networks.forget(change.networkId);
        follower.changed(changes);
      };
      return feeds.follow(after, { changed, lost: (reason) => follower.lost(reason) });
    },
    changesAfter: (position, until) => faultsTold(feeds.read(position, until)),
    close() {
      closing ??= (async () => {
        await feeds.close();
        await idle();
        exchange.close();
        await client.close();
      })();
      return closing;
    },
  };
}

/** Makes marks that no other write has: of this start, and counted. */
function marks(entropy: Entropy): () => string {
  const start = Buffer.from(entropy.bytes(9)).toString('base64url');
  let count = 0;
  return () => `${start}.${(++count).toString(36)}`;
}
