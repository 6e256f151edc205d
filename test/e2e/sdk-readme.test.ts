// The code of the SDK's page, as it stands there, in order, against a real server: it compiles with the types that users
// have, and runs.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { WatchedProcess } from '../support/processes.js';
import { repositoryRoot } from '../support/repository.js';

const page = readFileSync(join(repositoryRoot, 'sdk/README.md'), 'utf8');
const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);

const TSCONFIG = {
  compilerOptions: {
    ...{ target: 'ES2022', lib: ['ES2022', 'ESNext.Disposable'], module: 'NodeNext', types: ['node'] },
    ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, outDir: 'dist', rootDir: '.' },
  },
  include: ['*.ts'],
};

let cluster: Cluster;
let directory = '';

beforeAll(async () => {
  // Where the page says that it listens.
  cluster = await Cluster.start(['--listen', '127.0.0.1:7067']);
  directory = join(cluster.directory, 'user');
  mkdirSync(directory);
  symlinkSync(join(repositoryRoot, 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  for (const [n, code] of blocks.entries()) writeFileSync(join(directory, `block-${n}.ts`), code);
  const tsc = join(repositoryRoot, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['-p', directory], { stdio: 'inherit' });
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** Runs a block; its first line, and how it ended: of a watch, that it goes on. */
async function run(n: number): Promise<{ readonly first: string; readonly code: number | 'goes on' }> {
  await using program = new WatchedProcess(process.execPath, [join(directory, 'dist', `block-${n}.js`)]);
  const endless = blocks[n]?.includes('.watch(');
  if (endless) await program.waitForLine('');
  const code = endless ? 'goes on' : await program.exited;
  const errors = program.lines.filter(({ stream }) => stream === 'stderr').map(({ text }) => text);
  expect(errors).toEqual([]);
  return { first: program.lines[0]?.text ?? '', code };
}

describe('a block of the page', () => {
  test('the quick start prints an address, in five lines', async () => {
    const [quickStart = ''] = blocks;
    const statements = quickStart.split('\n').filter((line) => line !== '' && !line.startsWith('import '));
    expect(statements).toHaveLength(5);
    const { first, code } = await run(0);
    expect(first).toMatch(/^10\.0\.0\.[0-9]+$/);
    expect(code).toBe(0);
  });

  test('every other one runs, too', async () => {
    for (const n of blocks.keys()) {
      // Of what is elsewhere only that it compiles.
      if (n > 0 && !blocks[n]?.includes('example.org')) {
        const { code } = await run(n);
        expect({ n, code }).toEqual({ n, code: blocks[n]?.includes('.watch(') ? 'goes on' : 0 });
      }
    }
    expect(blocks.length).toBeGreaterThan(4);
    const left = await cluster.client().network('red').reservations().toArray();
    const count = (wanted: string) => left.filter(({ state }) => state === wanted).length;
    expect({ reserved: count('reserved'), quarantined: count('quarantined') }).toEqual({
      reserved: 1,
      quarantined: 101,
    });
  });
});
