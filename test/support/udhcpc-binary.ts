// Where udhcpc, the DHCP client of the tests, comes from: the machine, or Debian's busybox unpacked into the cache,
// which needs no root. There is no way out of the sandbox, so `findUdhcpc` is called before it is entered.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { intoCache } from './binary-cache.js';
import { cacheDirectory } from './repository.js';
import { lastLine, must, run } from './run.js';

/** The command line that is udhcpc, or in one line what is missing. */
export type UdhcpcBinary =
  | { readonly ok: true; readonly command: readonly [string, ...string[]] }
  | { readonly ok: false; readonly problem: string };

const CACHED = join(cacheDirectory, 'busybox');

/** Finds udhcpc on the path, as an applet of busybox, in the cache, or by download, in this order. */
export async function findUdhcpc(): Promise<UdhcpcBinary> {
  const present = await firstThatRuns([['udhcpc'], ['busybox', 'udhcpc'], [CACHED, 'udhcpc']]);
  if (present) return { ok: true, command: present };
  const why = await intoCache(CACHED, fetchBusybox);
  const downloaded = why === undefined ? await firstThatRuns([[CACHED, 'udhcpc']]) : undefined;
  if (downloaded) return { ok: true, command: downloaded };
  return { ok: false, problem: `No udhcpc here: apt-get install udhcpc (${why ?? 'the downloaded busybox has none'})` };
}

type Command = readonly [string, ...string[]];

async function firstThatRuns(commands: readonly Command[]): Promise<Command | undefined> {
  for (const command of commands) {
    const [file, ...args] = command;
    const outcome = await run(file, [...args, '--help']);
    // Another build of busybox may lack the applet: it says "applet not found" then.
    if (/Usage: udhcpc/.test(outcome.stdout + outcome.stderr)) return command;
  }
  return undefined;
}

/** Unpacks Debian's busybox; its path. */
async function fetchBusybox(work: string): Promise<string> {
  const missing = await fetchPackage(work);
  if (missing !== undefined) throw new Error(missing);
  const archive = readdirSync(work).find((name) => name.endsWith('.deb'));
  if (archive === undefined) throw new Error('apt-get download left no package');
  await must('dpkg', ['-x', join(work, archive), join(work, 'root')]);
  const binary = ['bin/busybox', 'usr/bin/busybox'].map((path) => join(work, 'root', path)).find(existsSync);
  if (binary === undefined) throw new Error('the package holds no busybox');
  return binary;
}

/** Downloads the package into `work`; in one line, what went wrong. */
async function fetchPackage(work: string): Promise<string | undefined> {
  if ((await aptGet(work, ['download', 'busybox'])) === undefined) return undefined;
  // Machines without package lists, such as fresh containers, get private ones: the system's need root.
  const state = join(work, 'state');
  const cache = join(work, 'cache');
  for (const path of [join(state, 'lists/partial'), join(cache, 'archives/partial')])
    mkdirSync(path, { recursive: true });
  const settings = { 'Dir::State': state, 'Dir::State::status': '/var/lib/dpkg/status', 'Dir::Cache': cache };
  const options = Object.entries(settings).flatMap(([key, path]) => ['-o', `${key}=${path}`]);
  return (await aptGet(work, [...options, 'update'])) ?? (await aptGet(work, [...options, 'download', 'busybox']));
}

async function aptGet(cwd: string, args: readonly string[]): Promise<string | undefined> {
  // As root, apt would drop to the user _apt, who may not write into the cache.
  const outcome = await run('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', ...args], { cwd });
  return outcome.code === 0 ? undefined : (lastLine(outcome.stderr) ?? `apt-get ${args.at(-1)} failed`);
}
