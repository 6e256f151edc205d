// Opens the store an operator named, to be exported or to be imported into.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import { openEmbeddedSource } from './adapters/embedded/export-source.js';
import { embeddedTarget } from './adapters/embedded/import-target.js';
import { openMongodbSource } from './adapters/mongodb/export-source.js';
import { mongodbTarget } from './adapters/mongodb/import-target.js';
import type { ExportSource, ImportTarget } from './ports/transfer.js';
import type { StoreTarget } from './store-target.js';

/** Opens a store to be exported; rejects with what to do. */
export function openSource(store: StoreTarget, clock: Clock): Promise<ExportSource> {
  switch (store.kind) {
    case 'embedded':
      return openEmbeddedSource(store.path);
    case 'mongodb':
      return openMongodbSource(store.uri, clock);
  }
}

/** The store to be imported into. */
export function targetOf(store: StoreTarget, entropy: Entropy): ImportTarget {
  switch (store.kind) {
    case 'embedded':
      return embeddedTarget(store.path);
    case 'mongodb':
      return mongodbTarget(store.uri, entropy);
  }
}
