// Where the server of go-ipam comes from: the cache, or by Go into the cache, as its makers publish it. It is what we are
// compared with, and no part of Leasehold.
//
//   G1. It is one version, and the program of its module unchanged.
//   G2. Only what ran here gets into the cache, whole or not at all.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { intoCache } from '../support/binary-cache.js';
import { cacheDirectory } from '../support/repository.js';
import { must, run } from '../support/run.js';
import type { Progress } from './benchmark.js';

/** The path of a go-ipam server that runs here, or in one line why there is none. */
export type GoIpamBinary =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly problem: string };

const MODULE = 'github.com/metal-stack/go-ipam';
const VERSION = 'v1.14.14';
const GO = '1.25';
const CACHED = join(cacheDirectory, `go-ipam-${VERSION}`);

/** Finds the server in the cache, or builds it. */
export async function findGoIpam(progress: Progress): Promise<GoIpamBinary> {
  if ((await whyUnusable(CACHED)) === undefined) return { ok: true, path: CACHED };
  progress(`building go-ipam ${VERSION}, which takes minutes the first time`);
  const why = await intoCache(CACHED, build);
  if (why === undefined) return { ok: true, path: CACHED };
  const advice = `install Go ${GO} or newer, and let it fetch modules`;
  return { ok: false, problem: `there is no go-ipam here: ${advice} (${why})` };
}

/** Builds the server; its path. */
async function build(work: string): Promise<string> {
  // Not `go install MODULE@VERSION`: that also asks for all versions there are, which not every module proxy answers.
  writeFileSync(join(work, 'go.mod'), `module build\n\ngo ${GO}\n\nrequire ${MODULE} ${VERSION}\n`);
  const binary = join(work, 'server');
  await must('go', ['build', '-mod=mod', '-o', binary, `${MODULE}/cmd/server`], { cwd: work });
  const why = await whyUnusable(binary);
  if (why !== undefined) throw new Error(why);
  return binary;
}

/** Why a server cannot be used, in one line; undefined: it can. */
async function whyUnusable(path: string): Promise<string | undefined> {
  const { code } = await run(path, ['--version']);
  return code === 0 ? undefined : `${path} does not run (exit code ${code})`;
}
