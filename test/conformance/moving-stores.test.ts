import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@leasehold/program/system-clock';
import type { WallTime } from '@leasehold/server/domain/ids';
import type { EndedTenure, Slot } from '@leasehold/server/domain/slot';
import type { Counts, Documents, ImportTarget } from '@leasehold/server/ports/transfer';
import { ARBITRARY_IDENTITY, arbitraryStore } from '@leasehold/server/testing/arbitrary-documents';
import { checkExport, importExport } from '@leasehold/server/transfer/import';
import fc from 'fast-check';
import { MongoClient } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { hasMongod } from '../support/mongod-binary.js';
import {
  embeddedMovingPlace,
  exportFrom,
  fileOf,
  importInto,
  type MovingPlace,
  mongodbMovingPlace,
  printExport,
} from '../support/moving-place.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

const withMongod = await hasMongod();
const UNFINISHED = /holds an import that did not finish: run leasehold-server import on it again/;

/** A store with some of everything, always the same. */
const STORE = richest(fc.sample(arbitraryStore, { seed: 7, numRuns: 400 }));
const LINES = printExport(ARBITRARY_IDENTITY, STORE);
/** The same once it was imported, but for its incarnation. */
const TAKEN_OVER = printExport(ARBITRARY_IDENTITY, takenOver(STORE));

function richest(stores: readonly (readonly Documents[])[]): readonly Documents[] {
  const found = stores.find((all) => all.every(({ documents }) => documents.length > 3));
  if (!found) throw new Error('None of the stores has some of everything');
  return found;
}

const slotsOf = (all: readonly Documents[]): readonly Slot[] =>
  all.flatMap((each) => (each.kind === 'slots' ? each.documents : []));
const historyOf = (all: readonly Documents[]): readonly EndedTenure[] =>
  all.flatMap((each) => (each.kind === 'history' ? each.documents : []));

/** What an import takes over: all but who was silent or fenced. */
function takenOver(all: readonly Documents[]): readonly Documents[] {
  return all.map((each): Documents => {
    if (each.kind === 'hosts') {
      return { ...each, documents: each.documents.map(({ silentForS: _s, fence: _f, ...host }) => host) };
    }
    if (each.kind !== 'networks') return each;
    const documents = each.documents.map((network) => ({
      ...network,
      formerServers: network.formerServers.map(({ silentForS: _s, fenced: _f, ...former }) => former),
    }));
    return { ...each, documents };
  });
}

/** All that must be the same after a move: the last line is over the first one, too. */
function documentsOf(lines: readonly string[]): readonly string[] {
  const end = JSON.parse(lines.at(-1) ?? '') as { end: { sha256: string } };
  return [...lines.slice(1, -1), JSON.stringify({ ...end.end, sha256: '' })];
}

function headerOf(lines: readonly string[]): Record<string, unknown> {
  return (JSON.parse(lines[0] ?? '') as { leasehold_export: Record<string, unknown> }).leasehold_export;
}

function movingTests(place: () => MovingPlace): void {
  test('an import holds what was exported, one incarnation later', async () => {
    await using there = place();
    await importInto(there, LINES);
    const again = await exportFrom(there);
    expect(documentsOf(again)).toEqual(documentsOf(TAKEN_OVER));
    expect(headerOf(again)).toEqual({ ...headerOf(LINES), incarnation: 5 });
  });

  test('whatever a store holds comes back the same', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryStore, async (all) => {
        await using there = place();
        await importInto(there, printExport(ARBITRARY_IDENTITY, all));
        const lines = printExport(ARBITRARY_IDENTITY, takenOver(all));
        expect(documentsOf(await exportFrom(there))).toEqual(documentsOf(lines));
      }),
      { numRuns: 5 },
    );
  });

  test('a server finds everything that it can ask for', async () => {
    await using there = place();
    await importInto(there, LINES);
    const store = await there.open();
    try {
      expect(store.settings).toMatchObject({
        storeUid: 'e5a3',
        incarnation: 5,
        authorityS: 3_600,
        authorityCeilingS: 86_400,
      });
      for (const slot of slotsOf(STORE)) {
        expect(await store.slots.get(slot.networkId, slot.address)).toEqual(slot);
        expect(await store.slots.findByMac(slot.networkId, slot.mac)).toContainEqual(slot);
        for (const key of [slot.request, slot.releaseRequest]) {
          if (key) expect(await store.slots.findByRequest(key)).toEqual(slot);
        }
      }
      for (const ended of historyOf(STORE)) {
        expect(await store.history.get(ended.reservationId)).toEqual(ended);
        const { tenures } = await store.history.list({ mac: ended.mac }, undefined, 100);
        expect(tenures).toContainEqual(ended);
        if (ended.request)
          expect(await store.slots.findByRequest(ended.request)).toMatchObject({ request: ended.request });
      }
      const events = STORE.flatMap((each) => (each.kind === 'audit' ? each.documents : []));
      expect((await store.audit.list({}, undefined, 100)).events).toEqual(events);
      for (const { networkId, subnets } of STORE.flatMap((each) => (each.kind === 'networks' ? each.documents : []))) {
        for (const { subnetId } of subnets) {
          expect(await store.networks.findBySubnet(subnetId)).toMatchObject({ networkId });
        }
      }
    } finally {
      await store.close();
    }
  });

  test('the next holder has a higher epoch than every one before', async () => {
    await using there = place();
    await importInto(there, printExport({ ...ARBITRARY_IDENTITY, holderEpoch: 41 }, []));
    const store = await there.open();
    const { holder } = store;
    const mine = { instance: 'i', server: 's', advertise: '', agentAdvertise: '' };
    const epoch = holder.kind === 'exclusive' ? holder.epoch : (await holder.take(await holder.get(), mine))?.epoch;
    await store.close();
    expect(epoch).toBe(42);
  });

  test('what held still does so no more after an import, in an incarnation that no host knows', async () => {
    await using there = place();
    await using next = place();
    await importInto(there, printExport({ ...ARBITRARY_IDENTITY, holderEpoch: 5 }, []));
    const before = await there.open();
    await before.holdStill.begin({
      reason: 'h1 knows incarnation 8',
      since: 1_767_225_600_000 as WallTime,
      incarnation: 8,
      hostIds: [],
    });
    await before.close();
    await importInto(next, await exportFrom(there));
    const after = await next.open();
    expect(await after.holdStill.get()).toBeUndefined();
    expect(after.settings.incarnation).toBe(9);
    await after.close();
  });

  test('an import that stopped anywhere is never served or exported, and is completed by another one', async () => {
    await using there = place();
    const all = STORE.map(({ documents }) => documents.length).reduce((a, b) => a + b);
    for (const stopAt of [0, 1, 2, 3, 4]) {
      let calls = 0;
      await expect(
        importInto({ target: () => stopping(there.target(), () => calls++ === stopAt) }, LINES),
      ).rejects.toThrow('stopped');
      await expect(there.open()).rejects.toThrow(UNFINISHED);
      await expect(there.source()).rejects.toThrow(UNFINISHED);
      const target = there.target();
      expect(await target.look()).toBe('unfinished');
      await target.close();
    }
    // Of another store, of which nothing may stay.
    const counts: number[] = [];
    await importInto(there, printExport({ ...ARBITRARY_IDENTITY, storeUid: 'other' }, STORE.slice(0, 1)), (n) =>
      counts.push(n),
    );
    expect(Math.max(...counts)).toBeLessThan(all);
    const again = await exportFrom(there);
    expect(headerOf(again)).toMatchObject({ store_uid: 'other', incarnation: 5 });
    const lines = printExport(ARBITRARY_IDENTITY, takenOver(STORE.slice(0, 1)));
    expect(documentsOf(again)).toEqual(documentsOf(lines));
  });

  test('a file that changes between its two readings is not imported', async () => {
    await using there = place();
    const changed = LINES.map((line, i) => (i === 1 ? line.replace('"uid":"', '"uid":"x') : line));
    const file = fileOf(LINES, changed);
    const checked = await checkExport(file, () => undefined);
    if (!checked.ok) throw new Error(checked.problem);
    const target = there.target();
    expect(await importExport(file, checked.value, target, () => undefined)).toMatchObject({
      ok: false,
      problem: expect.stringContaining('the file changed while it was read: line '),
    });
    await target.close();
    await expect(there.open()).rejects.toThrow(UNFINISHED);
  });

  test('a store that is there already is not imported into', async () => {
    await using there = place();
    await (await there.open()).close();
    await expect(importInto(there, LINES)).rejects.toThrow(/holds a store already: name /);
    await importedOver(there);
  });

  test('where there is no store, nothing is exported, and none is made', async () => {
    await using there = place();
    await expect(there.source()).rejects.toThrow('holds no store');
    const target = there.target();
    expect(await target.look()).toBe('empty');
    await target.close();
  });
}

/** The store is as it was: opened, and empty. */
async function importedOver(there: MovingPlace): Promise<void> {
  const store = await there.open();
  const snapshot = await store.snapshot();
  for await (const network of snapshot.networks()) throw new Error(`There is ${network.networkId}`);
  await snapshot.close();
  expect(store.settings.incarnation).toBe(1);
  await store.close();
}

/** A target that fails when it is told to, before a write or before the end. */
function stopping(target: ImportTarget, isTime: () => boolean): ImportTarget {
  const stop = () => {
    if (isTime()) throw new Error('stopped');
  };
  return {
    look: () => target.look(),
    begin: (identity) => target.begin(identity),
    async write(documents) {
      stop();
      await target.write(documents);
    },
    async finish(counts) {
      stop();
      await target.finish(counts);
    },
    close: () => target.close(),
  };
}

describe('moving into the embedded store', () => {
  movingTests(embeddedMovingPlace);

  test('a directory of something else is refused, and left alone', async () => {
    await using there = embeddedMovingPlace();
    const { path } = there.store as { path: string };
    mkdirSync(path);
    writeFileSync(join(path, 'holiday.jpg'), '');
    await expect(importInto(there, LINES)).rejects.toThrow('it holds holiday.jpg: name another or an empty one');
  });

  test('nothing is exported or imported while a server has the store', async () => {
    await using there = embeddedMovingPlace();
    const store = await there.open();
    await expect(there.source()).rejects.toThrow(/Another server uses .*: stop it/);
    await expect(importInto(there, LINES)).rejects.toThrow(/Another server uses .*: stop it/);
    await store.close();
  });

  test('an export changes nothing of the store', async () => {
    await using there = embeddedMovingPlace();
    await importInto(there, LINES);
    expect(await exportFrom(there)).toEqual(await exportFrom(there));
  });
});

describe.skipIf(!withMongod)('moving into MongoDB', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  const place = () => mongodbMovingPlace(mongo.freshUri());

  movingTests(place);

  test('and back to the embedded store, everything is as it was, two incarnations later', async () => {
    await using first = embeddedMovingPlace();
    await using second = place();
    await using third = embeddedMovingPlace();
    await importInto(first, LINES);
    await importInto(second, await exportFrom(first));
    await importInto(third, await exportFrom(second));
    expect(documentsOf(await exportFrom(third))).toEqual(documentsOf(TAKEN_OVER));
    expect(headerOf(await exportFrom(third))).toEqual({ ...headerOf(LINES), incarnation: 7 });
  });

  test('a database of something else is refused, and left alone', async () => {
    await using there = place();
    await using client = new MongoClient((there.store as { uri: string }).uri);
    await client.db().collection('holidays').insertOne({ photo: 1 });
    await expect(importInto(there, LINES)).rejects.toThrow(
      "is not Leasehold's, it has a collection holidays: name another",
    );
  });

  test('of two imports at once the later one takes over, and nothing of the earlier one is written any more', async () => {
    await using there = place();
    const [early, late] = [there.target(), there.target()];
    await early.begin({ ...ARBITRARY_IDENTITY, storeUid: 'early' });
    await early.write(STORE[0] as Documents);
    await importInto({ target: () => late }, LINES);
    await expect(early.write(STORE[1] as Documents)).rejects.toThrow(/another import took it over.*: import again/);
    await expect(early.finish({ networks: 4, hosts: 4, slots: 0, history: 0, audit: 0 })).rejects.toThrow(
      /import again/,
    );
    await early.close();
    expect(documentsOf(await exportFrom(there))).toEqual(documentsOf(TAKEN_OVER));
  });

  test('a server that starts meanwhile does not serve a store that is being imported', async () => {
    await using there = place();
    const target = there.target();
    await target.begin(ARBITRARY_IDENTITY);
    await expect(there.open()).rejects.toThrow(UNFINISHED);
    await target.close();
  });

  test('a server that goes on in a database that was dropped keeps it from being finished', async () => {
    await using there = place();
    const store = await there.open();
    const { holder } = store;
    if (holder.kind !== 'shared') throw new Error('MongoDB has a holder to elect');
    await using client = new MongoClient((there.store as { uri: string }).uri);
    await client.db().dropDatabase();
    const target = there.target();
    await target.begin(ARBITRARY_IDENTITY);
    await holder.take(undefined, { instance: 'i', server: 's', advertise: '', agentAdvertise: '' });
    const nothing = { networks: 0, hosts: 0, slots: 0, history: 0, audit: 0 };
    await expect(target.finish(nothing)).rejects.toThrow(/a server serves database .*: stop all servers of it/);
    await target.close();
    await store.close();
    await expect(there.open()).rejects.toThrow(UNFINISHED);
    await importInto(there, LINES);
  });

  test('a store that lost what it was given is not finished', async () => {
    await using there = place();
    const target = there.target();
    await target.begin(ARBITRARY_IDENTITY);
    for (const documents of STORE) await target.write(documents);
    await using client = new MongoClient((there.store as { uri: string }).uri);
    await client.db().collection('slots').deleteOne({});
    const counts = Object.fromEntries(STORE.map(({ kind, documents }) => [kind, documents.length]));
    await expect(target.finish(counts as never)).rejects.toThrow(/import again/);
    await target.close();
    await expect(there.open()).rejects.toThrow(UNFINISHED);
  });

  test('while a server leads, or begins to, nothing is exported', async () => {
    await using there = place();
    const store = await there.open();
    const { holder } = store;
    if (holder.kind !== 'shared') throw new Error('MongoDB has a holder to elect');
    const mine = await holder.take(undefined, { instance: 'i', server: 'db1/7067', advertise: '', agentAdvertise: '' });
    if (!mine) throw new Error('Nobody else takes the lead');
    const beats = { stop: false };
    const beating = (async () => {
      while (!beats.stop) {
        await holder.renew(mine);
        await new Promise((resolve) => systemClock().after(50, () => resolve(undefined)));
      }
    })();
    await expect(there.source()).rejects.toThrow(/is served by db1\/7067: stop all servers of it, and export again/);
    beats.stop = true;
    await beating;
    await holder.giveUp(mine);
    const source = await there.source();
    expect(source.identity.holderEpoch).toBe(1);
    await source.confirm();
    await holder.take(await holder.get(), { instance: 'j', server: 'db2/7067', advertise: '', agentAdvertise: '' });
    await expect(source.confirm()).rejects.toThrow('is served by db2/7067');
    await source.close();
    await store.close();
  });
});

describe.skipIf(!withMongod)('moving into MongoDB with three nodes', () => {
  const mongo = sharedReplicaSet({ nodes: 3 });

  test('an import whose primary dies either holds everything in the end, or is not served', async () => {
    await using there = mongodbMovingPlace(mongo.freshUri());
    const target = there.target();
    const primary = await mongo.set.waitForPrimary();
    const counts = Object.fromEntries(STORE.map(({ kind, documents }) => [kind, documents.length])) as Counts;
    const importing = async () => {
      await target.begin({ ...ARBITRARY_IDENTITY, incarnation: 5 });
      for (const documents of takenOver(STORE)) {
        if (documents.kind === 'slots') await primary.kill();
        await target.write(documents);
      }
      await target.finish(counts);
    };
    const failed = await importing().catch((error: unknown) => error);
    await target.close();
    await primary.restart();
    await mongo.set.waitForPrimary();
    if (failed) {
      await expect(there.open()).rejects.toThrow(UNFINISHED);
      await importInto(there, LINES);
    }
    expect(documentsOf(await exportFrom(there))).toEqual(documentsOf(TAKEN_OVER));
  });

  test('an import needs no more nodes than a server does', async () => {
    await using there = mongodbMovingPlace(mongo.freshUri());
    const [secondary] = await mongo.set.secondaries();
    await secondary?.kill();
    await importInto(there, LINES);
    expect(documentsOf(await exportFrom(there))).toEqual(documentsOf(TAKEN_OVER));
    await secondary?.restart();
  });

  test('an import that a new primary has not all of is not finished', async () => {
    await using there = mongodbMovingPlace(mongo.freshUri());
    const target = there.target();
    const primary = await mongo.set.waitForPrimary();
    const secondaries = await mongo.set.secondaries();
    await target.begin(ARBITRARY_IDENTITY);
    const replication = (mode: string) =>
      secondaries.map((node) => node.command('admin', { configureFailPoint: 'stopReplProducer', mode }));
    await Promise.all(replication('alwaysOn'));
    await target.write(STORE[0] as Documents);
    await primary.kill();
    await Promise.all(replication('off'));
    await mongo.set.waitForPrimary(primary);
    await expect(target.write(STORE[1] as Documents)).rejects.toThrow(/it lost its primary.*: import again/);
    await target.close();
    await primary.restart();
    await expect(there.open()).rejects.toThrow(UNFINISHED);
  });
});
