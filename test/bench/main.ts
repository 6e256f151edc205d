// `npm run bench`: numbers as ratios of things measured side by side in one run. Never a test: a missed target is
// printed, and the exit code tells only whether everything could be measured.
//
// This is the outer part; the benchmarks run in the sandbox (run-benchmarks.ts).

import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findMongod, MONGOD_VARIABLE } from '../support/mongod-binary.js';
import { findEntrance, inSandbox, temporaryDirectory } from '../support/sandbox.js';
import type { Benchmark } from './benchmark.js';
import { BENCHMARKS, selectBenchmarks } from './benchmarks.js';
import { goIpam } from './go-ipam.js';
import { findGoIpam } from './go-ipam-binary.js';
import { GO_IPAM_VARIABLES } from './go-ipam-server.js';
import type { RunOptions } from './run-benchmarks.js';
import { NO_MONGOD_VARIABLE } from './target.js';

const HELP = `Usage: npm run bench -- [--only NAME]... [--quick] [--faults N] [--output FILE]

Options:
  --only NAME    run only this benchmark; repeatable (default: all but go-ipam)
  --quick        smaller, where a benchmark can: to see that it runs, not what comes out
  --faults N     faults of each kind in failover (default: 50)
  --output FILE  where the results go as JSON (default: bench-results.json)
  --help         print this

Benchmarks:
${BENCHMARKS.map(({ name, summary }) => `  ${name.padEnd(16)}${summary}`).join('\n')}

How to read the results: docs/benchmarks.md
`;

async function main(args: readonly string[]): Promise<number> {
  const options = readArgs(args);
  if (typeof options === 'string') {
    console.error(`bench: ${options} (see --help)`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const entrance = await findEntrance();
  if (!entrance.ok) {
    console.log(
      `The benchmarks need network namespaces, which cannot be made here (${entrance.why}): run them as root`,
    );
    return 1;
  }
  mkdirSync(dirname(options.output), { recursive: true });
  using temporary = temporaryDirectory('leasehold-bench-');
  const program = fileURLToPath(new URL('./run-benchmarks.js', import.meta.url));
  const selected = selectBenchmarks(options.only);
  const env = { TMPDIR: temporary.path, ...(await mongodEnv(selected)), ...(await goIpamEnv(selected)) };
  return await inSandbox(entrance, process.execPath, [program, JSON.stringify(options)], env);
}

/** Where mongod is, or why there is none: there is no way out of the sandbox. */
async function mongodEnv(selected: readonly Benchmark[]): Promise<Readonly<Record<string, string>>> {
  if (!selected.some(({ needsMongod }) => needsMongod)) return {};
  const mongod = await findMongod();
  return mongod.ok ? { [MONGOD_VARIABLE]: mongod.path } : { [NO_MONGOD_VARIABLE]: mongod.problem };
}

/** The same of go-ipam. */
async function goIpamEnv(selected: readonly Benchmark[]): Promise<Readonly<Record<string, string>>> {
  if (!selected.includes(goIpam)) return {};
  const found = await findGoIpam((line) => console.log(line));
  return found.ok ? { [GO_IPAM_VARIABLES.path]: found.path } : { [GO_IPAM_VARIABLES.problem]: found.problem };
}

/** What to run; undefined: help is wanted; a string: what is wrong. */
function readArgs(args: readonly string[]): RunOptions | undefined | string {
  const options = {
    only: { type: 'string', multiple: true, default: [] as string[] },
    quick: { type: 'boolean', default: false },
    faults: { type: 'string', default: '50' },
    output: { type: 'string', default: 'bench-results.json' },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values.help) return undefined;
    const unknown = values.only.find((name) => !BENCHMARKS.some((each) => each.name === name));
    if (unknown !== undefined) return `there is no benchmark ${unknown}`;
    const size = values.quick ? 'quick' : 'full';
    const faults = Number(values.faults);
    if (!(Number.isInteger(faults) && faults > 0)) return `--faults ${values.faults} is no number above 0`;
    return { only: values.only, size, faults, output: resolve(process.env['INIT_CWD'] ?? '.', values.output) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.exitCode = await main(process.argv.slice(2));
