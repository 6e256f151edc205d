import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Delivery } from '@leasehold/proto/ipam/v1/session';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FixedEntropy } from '../../../test/fakes/fixed-entropy.js';
import { MemoryFiles } from '../../../test/fakes/memory-files.js';
import { MemoryLog } from '../../../test/fakes/memory-log.js';
import { assignmentOf, entryOf } from '../../../test/fakes/scripted-server.js';
import { NetworkTable } from '../domain/table.js';
import { NodeFiles } from '../system/node-files.js';
import type { AgentRecord } from './agent-record.js';
import { StateStore } from './state-store.js';

const IDENTITY = { storeUid: 's1', incarnation: 2n, highestEpoch: { holderEpoch: 3n, counter: 2n ** 60n } };
const RECORD: AgentRecord = {
  identity: IDENTITY,
  bootId: 'b1',
  authority: new Map([['red', { placementEpoch: 4n, untilMs: 123.5 }]]),
};

let directory: string;
let log: MemoryLog;
// Entropy goes on over restarts, as real entropy does.
let entropy: FixedEntropy;
const opened: NodeFiles[] = [];

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'leasehold-state-')), 'state');
  log = new MemoryLog();
  entropy = new FixedEntropy();
});
afterEach(async () => {
  for (const files of opened.splice(0)) await files.close();
  rmSync(join(directory, '..'), { recursive: true, force: true });
});

/** As another process does after the one before it ended. */
async function openStore(): Promise<StateStore> {
  for (const files of opened.splice(0)) await files.close();
  const files = await NodeFiles.open(directory);
  if (!files) throw new Error('The directory is in use');
  opened.push(files);
  return new StateStore({ files, entropy, log });
}

function tableOf(...numbers: number[]): NetworkTable {
  const table = new NetworkTable();
  table.assign(assignmentOf('u1'));
  table.replace(numbers.map((n) => entryOf(n)));
  return table;
}

function put(n: number, placementEpoch = 4n): Delivery {
  const action = { $case: 'tableDelta' as const, value: { put: [entryOf(n)], remove: [] } };
  return { sessionEpoch: undefined, sequence: 1n, networkId: 'red', placementEpoch, action };
}

/** A store with a record and the table of `red`: 10.0.0.10 in the image, 10.0.0.11 and 10.0.0.12 in the journal. */
async function fill(): Promise<void> {
  const store = await openStore();
  await store.saveAgent(RECORD);
  await store.saveTable(IDENTITY, 'red', { placementEpoch: 4n, table: tableOf(10) });
  await store.append('red', [put(11)]);
  await store.append('red', [put(12, 5n)]);
}

/** All files but the lock. */
const fileNames = () => readdirSync(directory).filter((name) => name !== 'lock');

const pathOf = (suffix: string) =>
  join(directory, readdirSync(directory).find((name) => name.endsWith(suffix)) ?? suffix);
const load = async () => (await openStore()).load();
const addressesOf = (table: NetworkTable | undefined) => [...(table?.entries() ?? [])].map(({ address }) => address);

describe('what is written is read back', () => {
  test('an empty directory has nothing', async () => {
    expect(await load()).toEqual({ agent: undefined, tables: [] });
    expect(log.complaints()).toEqual([]);
  });

  test('record, image and journal', async () => {
    await fill();
    const { agent, tables } = await load();
    expect(agent).toEqual(RECORD);
    expect(tables).toHaveLength(1);
    expect(tables[0]).toMatchObject({ placementEpoch: 5n, header: { networkId: 'red' }, journal: 'whole' });
    expect(addressesOf(tables[0]?.table)).toEqual(['10.0.0.10', '10.0.0.11', '10.0.0.12']);
    expect(log.complaints()).toEqual([]);
  });

  test('a journal goes on after a restart', async () => {
    await fill();
    const store = await openStore();
    await store.load();
    await store.append('red', [put(13)]);
    expect(addressesOf((await load()).tables[0]?.table)).toHaveLength(4);
  });

  test('a new image takes the place of image and journal', async () => {
    await fill();
    const store = await openStore();
    await store.load();
    await store.saveTable(IDENTITY, 'red', { placementEpoch: 6n, table: tableOf(20) });
    expect(addressesOf((await load()).tables[0]?.table)).toEqual(['10.0.0.20']);
    await store.append('red', [put(21)]);
    expect(addressesOf((await load()).tables[0]?.table)).toEqual(['10.0.0.20', '10.0.0.21']);
  });

  test('a table of many parts', async () => {
    const entries = Array.from({ length: 2_500 }, (_, i) => {
      const hex = (i + 256).toString(16).padStart(4, '0');
      const mac = `52:54:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
      return { ...entryOf(10, `r${i}`), address: `10.1.${i >> 8}.${i & 255}`, mac };
    });
    const table = tableOf();
    expect(table.replace(entries)).toMatchObject({ ok: true });
    const store = await openStore();
    await store.saveAgent(RECORD);
    await store.saveTable(IDENTITY, 'red', { placementEpoch: 4n, table });
    expect((await load()).tables[0]?.table.digest()).toEqual(table.digest());
  });

  test('a removed table is gone', async () => {
    await fill();
    const store = await openStore();
    await store.load();
    await store.removeTable('red');
    expect((await load()).tables).toEqual([]);
    expect(fileNames()).toEqual(['agent.json']);
  });

  test('calls take effect in their order, whoever waits', async () => {
    const store = await openStore();
    await Promise.all([
      store.saveAgent(RECORD),
      store.saveTable(IDENTITY, 'red', { placementEpoch: 4n, table: tableOf(10) }),
      store.append('red', [put(11)]),
      store.removeTable('red'),
      store.saveTable(IDENTITY, 'red', { placementEpoch: 4n, table: tableOf(30) }),
      store.append('red', [put(31)]),
    ]);
    expect(addressesOf((await load()).tables[0]?.table)).toEqual(['10.0.0.30', '10.0.0.31']);
  });

  test('files are 0640 in a directory of 0750, and none has a name from outside', async () => {
    await fill();
    expect(statSync(directory).mode & 0o777).toBe(0o750);
    for (const name of fileNames()) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o640);
      expect(name).toMatch(/^(agent\.json|[0-9a-f]{32}\.(table|journal))$/);
    }
  });
});

describe('a file that is not as it was written', () => {
  function cutInHalf(suffix: string): void {
    truncateSync(pathOf(suffix), Math.floor(statSync(pathOf(suffix)).size / 2));
  }

  function dropLastRecord(suffix: string): void {
    const bytes = readFileSync(pathOf(suffix));
    let last = 0;
    for (let at = 0; at < bytes.length; at += 36 + bytes.readUInt32LE(at)) last = at;
    truncateSync(pathOf(suffix), last);
  }

  function flip(suffix: string, at: number): void {
    const bytes = readFileSync(pathOf(suffix));
    const index = at < 0 ? bytes.length + at : at;
    bytes[index] = (bytes[index] ?? 0) ^ 1;
    writeFileSync(pathOf(suffix), bytes);
  }

  test.each([
    ['an image cut in half', () => cutInHalf('.table')],
    ['an image without its last byte', () => truncateSync(pathOf('.table'), statSync(pathOf('.table')).size - 1)],
    ['an image without its last record', () => dropLastRecord('.table')],
    ['an empty image', () => truncateSync(pathOf('.table'), 0)],
    ['an image with a flipped bit', () => flip('.table', -1)],
    ['an image with a flipped bit in a length', () => flip('.table', 0)],
    ['a journal with a flipped bit', () => flip('.journal', 100)],
    ['a journal with a flipped bit in its last record', () => flip('.journal', -1)],
  ])('%s is set aside in one line, and the network begins without a table', async (_, damage) => {
    await fill();
    damage();
    const { agent, tables } = await load();
    expect(agent).toEqual(RECORD);
    expect(tables).toEqual([]);
    expect(log.complaints()).toHaveLength(1);
    expect(log.complaints()[0]).toMatch(/^State file [0-9a-f]{32}\.table is set aside, its content is fetched again$/);
    const names = fileNames().map((name) => name.replace(/^[0-9a-f]{32}/, 'red'));
    expect(names.toSorted()).toEqual(['agent.json', 'red.journal.corrupt', 'red.table.corrupt']);
    // And it can be fetched again.
    const store = await openStore();
    await store.load();
    await store.saveTable(IDENTITY, 'red', { placementEpoch: 4n, table: tableOf(40) });
    expect(addressesOf((await load()).tables[0]?.table)).toEqual(['10.0.0.40']);
  });

  test('a record of the agent cut in half is set aside, and no table is restored without it', async () => {
    await fill();
    cutInHalf('agent.json');
    expect(await load()).toEqual({ agent: undefined, tables: [] });
    expect(log.complaints()[0]).toBe('State file agent.json is set aside, its content is fetched again');
    expect(fileNames()).toContain('agent.json.corrupt');
  });

  test('a record of the agent with a changed digit is set aside', async () => {
    await fill();
    writeFileSync(pathOf('agent.json'), readFileSync(pathOf('agent.json'), 'utf8').replace('123.5', '923.5'));
    expect((await load()).agent).toBeUndefined();
  });

  test('a torn last record of a journal is dropped, said so, and followed by nothing', async () => {
    await fill();
    truncateSync(pathOf('.journal'), statSync(pathOf('.journal')).size - 1);
    const store = await openStore();
    const { tables } = await store.load();
    expect(tables).toMatchObject([{ journal: 'torn', placementEpoch: 4n }]);
    expect(addressesOf(tables[0]?.table)).toEqual(['10.0.0.10', '10.0.0.11']);
    expect(log.complaints()).toHaveLength(1);
    await expect(store.append('red', [put(13)])).rejects.toThrow('was not saved before its journal');
  });

  test('a table file under the name of another network is set aside', async () => {
    await fill();
    writeFileSync(join(directory, `${'0'.repeat(32)}.table`), readFileSync(pathOf('.table')));
    expect((await load()).tables).toHaveLength(1);
    expect(fileNames()).toContain(`${'0'.repeat(32)}.table.corrupt`);
  });
});

describe('a crash', () => {
  test('between a new image and the removal of the old journal does not replay the old journal', async () => {
    await fill();
    const journal = readFileSync(pathOf('.journal'));
    const path = pathOf('.journal');
    const store = await openStore();
    await store.load();
    await store.saveTable(IDENTITY, 'red', { placementEpoch: 6n, table: tableOf(20) });
    writeFileSync(path, journal);
    const restarted = await openStore();
    expect(addressesOf((await restarted.load()).tables[0]?.table)).toEqual(['10.0.0.20']);
    // The old journal is gone: what is appended now is read back.
    await restarted.append('red', [put(21)]);
    expect(addressesOf((await load()).tables[0]?.table)).toEqual(['10.0.0.20', '10.0.0.21']);
  });

  test('in the middle of a removal leaves no table', async () => {
    await fill();
    rmSync(pathOf('.table'));
    expect((await load()).tables).toEqual([]);
    expect(fileNames()).toEqual(['agent.json']);
  });

  test('in the middle of a write leaves the old file, and no leftover', async () => {
    await fill();
    writeFileSync(`${pathOf('agent.json')}.tmp`, 'half');
    expect((await load()).agent).toEqual(RECORD);
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

test('after an append that failed, nothing is appended until the table is saved whole', async () => {
  const files = new MemoryFiles();
  const store = new StateStore({ files, entropy, log });
  await store.saveAgent(RECORD);
  await store.saveTable(IDENTITY, 'red', { placementEpoch: 4n, table: tableOf(10) });
  files.failure = 'ENOSPC';
  await expect(store.append('red', [put(11)])).rejects.toThrow('ENOSPC');
  files.failure = undefined;
  await expect(store.append('red', [put(12)])).rejects.toThrow('was not saved before its journal');
  await store.saveTable(IDENTITY, 'red', { placementEpoch: 4n, table: tableOf(10, 11, 12) });
  await store.append('red', [put(13)]);
  const { tables } = await new StateStore({ files, entropy, log }).load();
  expect(addressesOf(tables[0]?.table)).toHaveLength(4);
});

test('a state directory has one agent at a time, and one that is refused touches nothing of the other', async () => {
  await openStore();
  const beingWritten = join(directory, 'agent.json.tmp');
  writeFileSync(beingWritten, 'half');
  expect(await NodeFiles.open(directory)).toBeUndefined();
  expect(readFileSync(beingWritten, 'utf8')).toBe('half');
});
