import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeDirectory } from './make-directory.js';

const root = mkdtempSync(join(tmpdir(), 'make-directory-'));

afterAll(() => rmSync(root, { recursive: true }));

test('a directory is made with its parents, and again without harm', () => {
  const path = join(root, 'a/b/c');
  makeDirectory(path, 0o750);
  makeDirectory(path, 0o700);
  expect(statSync(path).mode & 0o777).toBe(0o750);
});

test('where nothing can be made it throws', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  const dangling = join(root, 'dangling');
  symlinkSync(join(root, 'nowhere/x'), dangling);
  for (const path of ['/proc/leasehold/x', join(file, 'x'), dangling]) {
    expect(() => makeDirectory(path, 0o750), path).toThrow(/mkdir/);
  }
});
