import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@leasehold/program/system-clock';
import fc from 'fast-check';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Host } from '../../domain/host.js';
import type { HostId, Revision, Uid, WallTime } from '../../domain/ids.js';
import type { EndedTenure, Slot } from '../../domain/slot.js';
import type { Store } from '../../ports/store.js';
import { arbitrarySlot } from '../../testing/arbitrary-documents.js';
import { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded-store.js';
import { openEmbeddedSource } from './export-source.js';
import { idKey } from './keys.js';
import { flushTables, openEnvironment, openTables } from './tables.js';

const broken = (error: unknown) => {
  throw error;
};
const options: EmbeddedStoreOptions = {
  clock: systemClock(),
  entropy: { random: () => 0, bytes: (length) => new Uint8Array(length).fill(7) },
  onFatal: broken,
  onDefect: broken,
};

const HOST: Host = {
  hostId: 'h1' as HostId,
  uid: 'u1' as Uid,
  managed: true,
  maintenance: false,
  labels: {},
  failureDomain: '',
  backend: 'builtin',
  agentVersion: '1',
  attachments: [],
  createTime: 0 as WallTime,
  updateTime: 0 as WallTime,
  revision: 0 as Revision,
};

/** Leaves one tenure that is over in a store, and closes it. */
async function endOne({ slots, close }: Store): Promise<EndedTenure> {
  const slot = fc.sample(arbitrarySlot, { seed: 1, numRuns: 1 })[0] as Slot;
  const resting: Slot = { ...slot, state: 'quarantined', releaseTime: 7 as WallTime, revision: 0 as Revision };
  await slots.insert(resting);
  const ended = endedOf(resting);
  expect(await slots.free(ended, 1 as Revision)).toBe('freed');
  await close();
  return ended;
}

function endedOf(slot: Slot): EndedTenure {
  const { state: _, chainCounter: _1, chainSoFar: _2, reuseDelayS: _3, leaseTimeCeilingS: _4, ...kept } = slot;
  const { revision: _5, ...tenure } = kept;
  return { ...tenure, endTime: 9 as WallTime };
}

describe('openEmbeddedStore', () => {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'leasehold-embedded-'));
  });
  afterEach(() => rmSync(path, { recursive: true }));

  const openWith = (authorityS?: number) =>
    openEmbeddedStore(path, { ...options, ...(authorityS !== undefined && { authorityS }) });

  test('makes a directory that is not there, and finds it again', async () => {
    const deep = join(path, 'a/b');
    const first = await openEmbeddedStore(deep, options);
    await first.close();
    const second = await openEmbeddedStore(deep, options);
    await second.close();
    expect(first.settings).toEqual({
      storeUid: '07070707-0707-4707-8707-070707070707',
      incarnation: 1,
      schema: 3,
      authorityS: 86_400,
      authorityCeilingS: 86_400,
    });
    expect(second.settings).toEqual(first.settings);
    expect([first.holder, second.holder]).toMatchObject([{ epoch: 1 }, { epoch: 2 }]);
  });

  test('refuses a directory with something else in it, and leaves it as it is', async () => {
    writeFileSync(join(path, 'holiday.jpg'), '');
    await expect(openWith()).rejects.toThrow(
      `${path} is not a Leasehold data directory, it holds holiday.jpg: name another or an empty one`,
    );
    expect(readdirSync(path)).toEqual(['holiday.jpg']);
  });

  test("refuses another program's LMDB", async () => {
    mkdirSync(join(path, 'other'));
    const other = open({ path: join(path, 'other'), noSubdir: false });
    await other.put('theirs', 1);
    await other.close();
    await expect(openEmbeddedStore(join(path, 'other'), options)).rejects.toThrow("another program's LMDB database");
  });

  test.each([
    [4, /newer leasehold-server \(schema 4, this one knows 3\)/],
    [1, /before the first release of leasehold-server \(schema 1\)/],
  ])('refuses a store of schema %i, and does not count that as a start', async (schema, message) => {
    await (await openWith()).close();
    const env = openEnvironment(path);
    const tables = openTables(env);
    const stored = JSON.parse(tables?.settings.durable(idKey('settings')) ?? '');
    tables?.settings.put(idKey('settings'), JSON.stringify({ ...stored, schema }));
    if (tables) await flushTables(env, tables);
    await env.close();
    await expect(openWith()).rejects.toThrow(message);
    await expect(openWith()).rejects.toThrow(message);
  });

  test('brings a store of schema 2 up to date: history is listed by its moments, and audit events are stored', async () => {
    const ended = await endOne(await openWith());
    const env = openEnvironment(path);
    const tables = openTables(env);
    const stored = JSON.parse(tables?.settings.durable(idKey('settings')) ?? '') as object;
    tables?.settings.put(idKey('settings'), JSON.stringify({ ...stored, schema: 2 }));
    for (const { key } of tables?.past.range(100) ?? []) if (/^[cr]/.test(key)) tables?.past.remove(key);
    if (tables) await flushTables(env, tables);
    await env.openDB({ name: 'audit' }).drop();
    await env.close();
    const source = await openEmbeddedSource(path);
    const kinds: string[] = [];
    for await (const { kind } of source.documents()) kinds.push(kind);
    expect(kinds).toEqual(['history']);
    await source.close();
    const store = await openWith();
    expect(store.settings.schema).toBe(3);
    for (const moment of ['createTime', 'releaseTime'] as const) {
      expect(await store.history.newest({ moment }, undefined, 9)).toMatchObject({ tenures: [ended] });
    }
    expect(await store.audit.list({}, undefined, 9)).toEqual({ events: [], next: undefined });
    await store.close();
  });

  test('is one at a time, also within one process', async () => {
    const store = await openWith();
    await expect(openWith()).rejects.toThrow(`Another server uses ${path}`);
    await store.hosts.get(HOST.hostId);
    await store.close();
    await (await openWith()).close();
  });

  test('keeps the recorded authority, and the largest one that agents may still have', async () => {
    const seen: unknown[] = [];
    for (const authorityS of [3_600, undefined, 7_200, 60]) {
      const store = await openWith(authorityS);
      seen.push([store.settings.authorityS, store.settings.authorityCeilingS]);
      await store.close();
    }
    expect(seen).toEqual([
      [3_600, 3_600],
      [3_600, 3_600],
      [7_200, 7_200],
      [60, 7_200],
    ]);
  });

  test('lowers that one to the authority when it is told to, for good', async () => {
    for (const authorityS of [7_200, 60]) await (await openWith(authorityS)).close();
    const store = await openWith();
    await store.lowerAuthorityCeiling();
    expect(store.settings).toMatchObject({ authorityS: 60, authorityCeilingS: 60 });
    await store.close();
    const after = await openWith();
    expect(await after.readSettings()).toMatchObject({ authorityS: 60, authorityCeilingS: 60 });
    await after.close();
  });

  test('a follower that throws fails neither the write, nor the other followers, nor the store', async () => {
    const defects: unknown[] = [];
    const heard: string[] = [];
    const fatal: Error[] = [];
    const store = await openEmbeddedStore(path, {
      ...options,
      onFatal: (error) => fatal.push(error),
      onDefect: (error) => defects.push(error),
    });
    const defect = new Error('not prepared for this');
    const { position } = await store.snapshot();
    const lost = (reason: string) => heard.push(reason);
    const changed = () => {
      throw defect;
    };
    store.follow(position, { changed, lost });
    store.follow(position, { changed: (changes) => heard.push(...changes.map(({ kind }) => kind)), lost });
    const written = await store.hosts.put(HOST);
    expect(written).toEqual({ ...HOST, revision: 1 });
    await expect(store.hosts.put({ ...HOST, hostId: 'h2' as HostId })).resolves.toMatchObject({ hostId: 'h2' });
    expect([defects, heard, fatal]).toEqual([[defect, defect], ['host', 'host'], []]);
    await store.close();
  });
});
