import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MemoryLog } from '../../test/fakes/memory-log.js';
import { VirtualClock } from '../../test/fakes/virtual-clock.js';
import { NetworksFile } from './networks-file.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leasehold-networks-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function follow() {
  const path = join(directory, 'networks');
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const seen: string[] = [];
  const file = new NetworksFile(path, [], { clock, log }, (networks) => {
    seen.push(networks.map((network) => `${network.networkId}=${network.interface}`).join(' '));
  });
  return { path, clock, log, seen, file };
}

test('the file is read at the start and within a second of every change', async () => {
  const { path, clock, seen, file } = follow();
  writeFileSync(path, 'red=br-red\n');
  file.start();
  expect(seen).toEqual(['red=br-red']);
  await clock.advance(5_000);
  expect(seen).toHaveLength(1);
  writeFileSync(path, 'red=br-red\nblue=br-blue\n');
  await clock.advance(1_000);
  expect(seen).toEqual(['red=br-red', 'red=br-red blue=br-blue']);
});

test('a bad line changes nothing and is told once, with its number', async () => {
  const { path, clock, log, seen, file } = follow();
  writeFileSync(path, 'red=br-red\n');
  file.start();
  writeFileSync(path, 'red=br-red\nnonsense\n');
  await clock.advance(10_000);
  expect(seen).toEqual(['red=br-red']);
  expect(log.lines).toMatchObject([
    { level: 'warn', fields: { file: path, problem: 'line 2: "nonsense" is not ID=IFACE, like red=br-red' } },
  ]);
});

test('a file that is not there is told once, and read when it comes', async () => {
  const { path, clock, log, seen, file } = follow();
  file.start();
  await clock.advance(10_000);
  expect(log.lines).toMatchObject([{ fields: { problem: 'ENOENT' } }]);
  writeFileSync(path, 'red=br-red\n');
  await clock.advance(1_000);
  expect(seen).toEqual(['red=br-red']);
});

test('a file that goes changes nothing', async () => {
  const { path, clock, seen, file } = follow();
  writeFileSync(path, 'red=br-red\n');
  file.start();
  rmSync(path);
  await clock.advance(10_000);
  expect(seen).toEqual(['red=br-red']);
});

test('a stopped follower looks no more', async () => {
  const { path, clock, seen, file } = follow();
  file.start();
  file.stop();
  writeFileSync(path, 'red=br-red\n');
  await clock.advance(10_000);
  expect(seen).toEqual([]);
});
