// A place on a replica set where a MongoDB store is opened, again and again, by as many servers as a check likes.

import { randomBytes } from 'node:crypto';
import { opossumBreaker } from '@leasehold/server/adapters/breaker/opossum-breaker';
import { type MongodbStoreOptions, openMongodbStore } from '@leasehold/server/adapters/mongodb/mongodb-store';
import { NO_METRICS } from '@leasehold/server/ports/metrics';
import { MongoClient } from 'mongodb';
import { MemoryLog } from '../fakes/memory-log.js';
import type { StorePlace } from './store-checks.js';

/** What opening one takes beyond a clock. */
export type MongodbPlaceOptions = Pick<MongodbStoreOptions, 'clock'> & Partial<MongodbStoreOptions>;

/** A place at a URI. `open` stands in for the store. */
export function mongodbPlace(uri: string, options: MongodbPlaceOptions, open = openMongodbStore): StorePlace {
  return {
    open: () => open(uri, { ...DEFAULTS, ...options }),
    remove: async () => {
      await using client = new MongoClient(uri);
      await client.db().dropDatabase();
    },
  };
}

const DEFAULTS = {
  entropy: { random: Math.random, bytes: (length: number) => randomBytes(length) },
  log: new MemoryLog(),
  metrics: NO_METRICS,
  makeBreaker: opossumBreaker,
  onDefect: (error: unknown) => {
    throw error;
  },
} satisfies Omit<MongodbStoreOptions, 'clock'>;
