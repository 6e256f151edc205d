import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ipv4, Mac } from '@leasehold/proto/values';
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

test('what was set aside is among the host lines until it is settled', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'dnsmasq-'));
  try {
    const files = new SystemFiles(directory);
    const tell = (line: string) => ({
      hosts: new Map([[line as Mac, { line, ghost: { mac: line as Mac, address: 0 as Ipv4 } }]]),
      options: '',
      tags: undefined,
    });
    await files.replace(tell('a'));
    await files.settle();
    await files.add('1', 'b\n#\n');
    await files.setAside();
    await files.replace(tell('c'));
    await files.setAside();
    await files.replace(tell('d'));
    expect((await files.setAside()).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    await files.settle();
    expect(await files.setAside()).toEqual(['d']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('where nothing was served yet there is nothing to remove', async () => {
  await expect(removeOthers(join(tmpdir(), `none-${process.pid}`), new Set())).resolves.toBeUndefined();
});
