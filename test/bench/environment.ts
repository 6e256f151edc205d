// Where a benchmark ran, as far as it changes numbers.

import { readFileSync, statfsSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { repositoryRoot } from '../support/repository.js';
import { run } from '../support/run.js';

/** The machine and the code. */
export interface Environment {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  /** `unknown` outside a git checkout; with `+` there are uncommitted changes. */
  readonly commit: string;
  /** Load average of the last minute, before we began. */
  readonly loadBefore: number;
  /** A store in memory flushes for nothing. */
  readonly storeInMemory: boolean;
}

const TMPFS = 0x01021994;

/** Looks at the machine. */
export async function readEnvironment(): Promise<Environment> {
  const all = cpus();
  return {
    cores: all.length,
    processor: all[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 1e9),
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    node: process.version,
    commit: await commit(),
    loadBefore: loadavg()[0] ?? 0,
    storeInMemory: statfsSync(tmpdir()).type === TMPFS,
  };
}

async function commit(): Promise<string> {
  const git = (...args: readonly string[]) => run('git', ['-C', repositoryRoot, ...args]);
  const head = await git('rev-parse', '--short', 'HEAD');
  if (head.code !== 0) return 'unknown';
  const changes = await git('status', '--porcelain', '--untracked-files=no');
  return head.stdout.trim() + (changes.stdout === '' ? '' : '+');
}

/** For people. */
export function formatEnvironment(environment: Environment): readonly string[] {
  const { cores, processor, memoryGb, kernel, node, commit, loadBefore, storeInMemory } = environment;
  return [
    `commit ${commit}, Node ${node}, Linux ${kernel}`,
    `${cores} cores (${processor}), ${memoryGb} GB, load ${loadBefore.toFixed(1)} before we began`,
    ...(loadBefore > cores / 4
      ? ['The machine is busy with other work: single numbers are noisy, ratios less so']
      : []),
    ...(storeInMemory ? ['The store is on a memory file system, whose flushes cost nothing'] : []),
  ];
}
