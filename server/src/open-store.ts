// Opens the store an operator named. One that cannot be reached is waited for; one that is not what it must be is not.

import { type Clock, delay } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { MakeBreaker } from './ports/breaker.js';
import type { Metrics } from './ports/metrics.js';
import { type Store, StoreUnavailableError } from './ports/store.js';
import { formatStore, type StoreTarget, withoutUser } from './store-target.js';

/** What opening a store takes. */
export interface OpenStoreOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly makeBreaker: MakeBreaker;
  /** How long agents may answer on their own, recorded in the store; absent: what is recorded stays. */
  readonly authorityMs: number | undefined;
  /** Called once when nothing can be acknowledged any more: the program must exit and start anew. */
  readonly onFatal: (error: Error) => void;
}

const TRY_AGAIN_MS = 1_000;
const TELL_AGAIN_MS = 60_000;

/** Opens a store; rejects with one line that says what to do. */
export async function openStore(target: StoreTarget, options: OpenStoreOptions): Promise<Store> {
  const { clock, log } = options;
  const store = formatStore(target);
  let toldMs: number | undefined;
  for (;;) {
    try {
      return await openOnce(target, options);
    } catch (error) {
      const message = withoutUser(error instanceof Error ? error.message : String(error));
      if (!(error instanceof StoreUnavailableError)) throw new Error(`--store ${store} cannot be used: ${message}`);
      if (toldMs === undefined || clock.now() - toldMs >= TELL_AGAIN_MS) {
        toldMs = clock.now();
        log.warn('waiting for the store', { store, error: message });
      }
    }
    await delay(clock, TRY_AGAIN_MS);
  }
}

async function openOnce(target: StoreTarget, options: OpenStoreOptions): Promise<Store> {
  const { clock, entropy, log, metrics, makeBreaker, authorityMs, onFatal } = options;
  const authority = authorityMs === undefined ? {} : { authorityS: Math.floor(authorityMs / 1_000) };
  // What is known of the store may be wrong from here on; what is in it is not.
  const onDefect = (error: unknown) => log.error('a change of the store was not taken in, by a defect', { error });
  const common = { clock, entropy, onDefect, ...authority };
  // Only what is used is loaded: the libraries of a store take longer than everything else until the first slot is read.
  switch (target.kind) {
    case 'embedded': {
      const { openEmbeddedStore } = await import('./adapters/embedded/embedded-store.js');
      return openEmbeddedStore(target.path, { ...common, onFatal });
    }
    case 'mongodb': {
      const { openMongodbStore } = await import('./adapters/mongodb/mongodb-store.js');
      return openMongodbStore(target.uri, { ...common, log, metrics, makeBreaker });
    }
  }
}
