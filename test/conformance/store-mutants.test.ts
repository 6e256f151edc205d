// Every mistake of mutant-list.ts is caught by the check that is named for it; and a copy without one passes that check.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '@leasehold/program/system-clock';
import type { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import type { GroupCommit } from '@leasehold/server/adapters/embedded/group-commit';
import type { openMongodbStore } from '@leasehold/server/adapters/mongodb/mongodb-store';
import { describe, expect, test } from 'vitest';
import { hasMongod } from '../support/mongod-binary.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import { MONGODB_CHECKS, Wire } from './mongodb-checks.js';
import { mongodbPlace } from './mongodb-place.js';
import { type Case, EMBEDDED_MUTANTS, MONGODB_MUTANTS } from './mutant-list.js';
import { type Adapter, MutatedAdapter } from './mutants.js';
import { STORE_CHECKS, Stage, type StorePlace } from './store-checks.js';

/** A check, on a store of an adapter with a mistake. */
interface Witness {
  readonly name: string;
  run(adapter: MutatedAdapter): Promise<void>;
}

// Some mistakes show only when two calls meet.
const TRIES = 10;

/** Which checks an adapter is held against. */
function catches(adapter: Adapter, cases: readonly Case[], witnesses: () => readonly Witness[]): void {
  test.each(cases)('$name', async (mistake) => {
    const witness = witnesses().filter(({ name }) => name.startsWith(mistake.caughtBy));
    expect(witness).toHaveLength(1);
    const { run } = witness[0] as Witness;
    using copy = new MutatedAdapter(adapter);
    await run(copy);
    using mutated = new MutatedAdapter(adapter, mistake);
    let caught = false;
    for (let tries = 0; tries < TRIES && !caught; tries++) {
      caught = await run(mutated).then(
        () => false,
        () => true,
      );
    }
    expect(caught).toBe(true);
  });
}

describe('a mistake of the embedded store is caught', () => {
  catches('embedded', EMBEDDED_MUTANTS, () => [
    ...STORE_CHECKS.map(({ name, run }) => ({
      name,
      run: async (adapter: MutatedAdapter) => {
        const stage = await stageOf(await embeddedPlace(adapter));
        try {
          await run(stage);
        } finally {
          await stage.clear().catch(() => undefined);
        }
      },
    })),
    ...FLUSHES,
  ]);
});

describe.skipIf(!(await hasMongod()))('a mistake of the store on MongoDB is caught', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  const place = async (adapter: MutatedAdapter, wire: Wire): Promise<StorePlace> => {
    const uri = mongo.freshUri();
    const { openMongodbStore: open } = await adapter.load<{ readonly openMongodbStore: typeof openMongodbStore }>(
      'mongodb-store.ts',
    );
    return mongodbPlace(uri, { clock: systemClock(), connect: wire.connect }, open);
  };
  catches('mongodb', MONGODB_MUTANTS, () => [
    ...STORE_CHECKS.map(({ name, run }) => ({
      name,
      run: async (adapter: MutatedAdapter) => {
        const stage = await stageOf(await place(adapter, new Wire()));
        try {
          await run(stage);
        } finally {
          await stage.clear();
        }
      },
    })),
    ...MONGODB_CHECKS.map(({ name, run }) => ({
      name,
      run: async (adapter: MutatedAdapter) => {
        const wire = new Wire();
        const stage = await stageOf(await place(adapter, wire));
        try {
          await run({ store: stage.store, wire, primary: await mongo.set.waitForPrimary() });
        } finally {
          await stage.clear();
        }
      },
    })),
  ]);
});

async function stageOf(place: StorePlace): Promise<Stage> {
  return new Stage(place, await place.open());
}

async function embeddedPlace(adapter: MutatedAdapter): Promise<StorePlace> {
  const { openEmbeddedStore: open } = await adapter.load<{ readonly openEmbeddedStore: typeof openEmbeddedStore }>(
    'embedded-store.ts',
  );
  const path = await mkdtemp(join(tmpdir(), 'leasehold-mutant-'));
  const broken = () => undefined;
  const entropy = { random: Math.random, bytes: (length: number) => randomBytes(length) };
  const options = { clock: systemClock(), entropy, onFatal: broken, onDefect: broken };
  return { open: () => open(path, options), remove: () => rm(path, { recursive: true }) };
}

/** What only shows when the disk does as it is told. */
const FLUSHES: readonly Witness[] = [
  {
    name: 'no answer before the flush',
    run: async (adapter) => {
      const { submit, flushes, settle } = await controlled(adapter);
      let isAnswered = false;
      const done = submit().then(() => {
        isAnswered = true;
      });
      await settle();
      expect([flushes.length, isAnswered]).toEqual([1, false]);
      flushes[0]?.resolve();
      await done;
    },
  },
  {
    name: 'nothing is written after a failed flush',
    run: async (adapter) => {
      const { submit, flushes, settle } = await controlled(adapter);
      const first = submit().catch(() => 'refused');
      await settle();
      flushes[0]?.reject(new Error('the disk is gone'));
      expect(await first).toBe('refused');
      const second = submit().catch(() => 'refused');
      await settle();
      expect(flushes).toHaveLength(1);
      expect(await second).toBe('refused');
    },
  },
];

/** A group commit whose flushes end when told to. */
async function controlled(adapter: MutatedAdapter) {
  const { GroupCommit: Commit } = await adapter.load<{ readonly GroupCommit: typeof GroupCommit }>('group-commit.ts');
  const flushes: { resolve(): void; reject(error: Error): void }[] = [];
  const commit = new Commit({
    stage: () => [],
    flush: () => new Promise<void>((resolve, reject) => flushes.push({ resolve, reject })),
    onDurable: () => undefined,
    onFatal: () => undefined,
  });
  /** Lets the commit come to rest: nothing in it takes more turns than this. */
  const settle = async () => {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  };
  return { flushes, settle, submit: async () => commit.submit(() => 'written') };
}
