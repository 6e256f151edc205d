import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeOthers, SystemFiles } from './system-files.js';

const [served, dropped] = ['a'.repeat(32), 'b'.repeat(32)];

test('files of networks that are not served go; what else is beside them stays', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'dnsmasq-'));
  try {
    for (const key of [served, dropped]) {
      await new SystemFiles(join(directory, key)).replace({ hosts: new Map(), options: '', tags: undefined });
    }
    mkdirSync(join(directory, 'other'));
    writeFileSync(join(directory, 'keeper.pid'), '');
    await removeOthers(directory, new Set([served]));
    expect(readdirSync(directory).toSorted()).toEqual([served, 'keeper.pid', 'other']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('where nothing was served yet there is nothing to remove', async () => {
  await expect(removeOthers(join(tmpdir(), `none-${process.pid}`), new Set())).resolves.toBeUndefined();
});
