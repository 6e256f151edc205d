import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openWholeFile, streamSink } from './whole-file.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'whole-file-'));
  path = join(directory, 'file');
});
afterEach(() => rmSync(directory, { recursive: true }));

test('what was there stays until the new file is whole', async () => {
  writeFileSync(path, 'old');
  const sink = await openWholeFile(path);
  await sink.write('n');
  await sink.write('ew €');
  expect(readFileSync(path, 'utf8')).toBe('old');
  await sink.finish();
  expect(readFileSync(path, 'utf8')).toBe('new €');
  expect(existsSync(`${path}.partial`)).toBe(false);
});

test('nothing stays of a file that was abandoned', async () => {
  const sink = await openWholeFile(path);
  await sink.write('half');
  await sink.abandon();
  expect(existsSync(path)).toBe(false);
  expect(existsSync(`${path}.partial`)).toBe(false);
});

test('only its owner reads it', async () => {
  const sink = await openWholeFile(path);
  await sink.finish();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('where a part of an earlier run is left, it is begun anew', async () => {
  writeFileSync(`${path}.partial`, 'much longer than what is written now');
  const sink = await openWholeFile(path);
  await sink.write('short');
  await sink.finish();
  expect(readFileSync(path, 'utf8')).toBe('short');
});

test('a stream that breaks is told to who writes', async () => {
  const sink = streamSink(new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) }));
  await expect(sink.write('x')).rejects.toThrow('EPIPE');
});
