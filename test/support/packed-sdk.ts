// The SDK as npm would publish it: packed, and installed into an empty folder, as its user has it.

import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { repositoryRoot } from './repository.js';
import { run, runOrThrow } from './run.js';

/** A folder with the package in it. */
export interface InstalledSdk {
  readonly directory: string;
  /** Why its dependencies come from this checkout; undefined: npm fetched them. */
  readonly notFetched: string | undefined;
}

const modules = join(repositoryRoot, 'node_modules');
const NPM = ['--no-audit', '--no-fund', '--no-update-notifier', '--prefer-offline', '--fetch-retries=0'];

/** Packs the built SDK into `directory`; the path of the tarball. */
export async function packSdk(directory: string): Promise<string> {
  const packed = await runOrThrow('npm', ['pack', '--json', '--pack-destination', directory], {
    cwd: join(repositoryRoot, 'sdk'),
  });
  const [file] = Object.values(JSON.parse(packed) as Record<string, { readonly filename: string }>);
  if (!file) throw new Error(`npm pack said ${packed}`);
  return join(directory, basename(file.filename));
}

/** Installs the tarball into `directory`, a folder with nothing but a manifest, by npm if it can reach a registry. */
export async function installSdk(tarball: string, directory: string): Promise<InstalledSdk> {
  const { code, stderr } = await run('npm', ['install', ...NPM, tarball], { cwd: directory });
  if (code === 0) return { directory, notFetched: undefined };
  await unpackBesideOurs(tarball, directory);
  return { directory, notFetched: /^npm error code (.*)$/m.exec(stderr)?.[1] ?? `exit code ${code}` };
}

/** Makes the compiler and the types of Node available to what is in `directory`, as a project has them. */
export function installTypeScript(directory: string): void {
  for (const name of ['typescript', '@types/node', 'undici-types']) place(name, directory, symlinkSync);
}

/** The same layout with the same files, of the versions in our lock file. */
async function unpackBesideOurs(tarball: string, directory: string): Promise<void> {
  const target = join(directory, 'node_modules/@leasehold/sdk');
  mkdirSync(target, { recursive: true });
  await runOrThrow('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
  for (const name of dependenciesOf(join(target, 'package.json'))) {
    place(name, directory, (from, to) => cpSync(from, to, { recursive: true }));
  }
  const bin = join(directory, 'node_modules/.bin/leasehold');
  mkdirSync(dirname(bin), { recursive: true });
  symlinkSync('../@leasehold/sdk/bin/leasehold.js', bin);
}

/** All that a package depends on, directly or not. */
function dependenciesOf(manifest: string): ReadonlySet<string> {
  const read = (path: string) => {
    const { dependencies = {} } = JSON.parse(readFileSync(path, 'utf8')) as { dependencies?: Record<string, string> };
    return Object.keys(dependencies);
  };
  const all = new Set(read(manifest));
  // A Set is iterated in insertion order and sees what is added on the way.
  for (const name of all) for (const each of read(join(modules, name, 'package.json'))) all.add(each);
  return all;
}

function place(name: string, directory: string, put: (from: string, to: string) => void): void {
  const to = join(directory, 'node_modules', name);
  if (existsSync(to)) return;
  mkdirSync(dirname(to), { recursive: true });
  put(join(modules, name), to);
}
