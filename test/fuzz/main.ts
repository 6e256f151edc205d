// `npm run fuzz`: hostile input to a real server and to an agent, as much as you like.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../support/sandbox.js';
import { TestServer } from '../support/test-server.js';
import { ATTACKS, type FuzzOptions, fuzzServer, SMALL_HEAP } from './fuzz-server.js';

const HELP = `Usage: npm run fuzz -- [--inputs N] [--seed S] [--only ATTACK]

Sends a server whatever an attacker may: HTTP/2 that is none, gRPC in other frames, messages of every type with values
that nobody means, agents that say what they like. The server must stay up, must not grow, and must keep what it had.

Options:
  --inputs N   how many inputs (default: 1000000, some ten minutes)
  --seed S     of the first input; input n of a seed is the same in every run (default: 1)
  --only NAME  one attack: ${ATTACKS.join(', ')} (default: all of them)
  --help       print this
`;

async function main(args: readonly string[]): Promise<number> {
  const options = readArgs(args);
  if (typeof options === 'string') {
    console.error(`fuzz: ${options} (see --help)`);
    return 2;
  }
  if (!options) {
    process.stdout.write(HELP);
    return 0;
  }
  using directory = temporaryDirectory('leasehold-fuzz-');
  await using server = new TestServer(directory.path, '', `embedded:${join(directory.path, 'data')}`);
  await server.start([], SMALL_HEAP);
  const startMs = performance.now();
  const progress = (sent: number) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${sent} of ${options.inputs} `);
  };
  const { sent, settledMb, residentMb, problems } = await fuzzServer(server, { ...options, progress });
  if (process.stderr.isTTY) process.stderr.write('\r');
  for (const problem of problems) console.log(problem);
  for (const [attack, count] of sent) console.log(`${String(count).padStart(9)} ${attack}`);
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
  const total = [...sent.values()].reduce((sum, count) => sum + count, 0);
  console.log(`${total} inputs, ${problems.length} problems; ${settledMb} to ${residentMb} MB, ${seconds} s`);
  return problems.length === 0 ? 0 : 1;
}

/** How much; undefined: only help; a string: what is wrong. */
function readArgs(args: readonly string[]): FuzzOptions | string | undefined {
  const options = {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values.help) return undefined;
    const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
    if (!Number.isInteger(inputs) || inputs < 1) return '--inputs is a number from 1';
    if (!Number.isInteger(seed)) return '--seed is a number';
    const { only } = values;
    if (only === undefined) return { inputs, seed };
    if (!ATTACKS.some((name) => name === only)) return `--only is one of ${ATTACKS.join(', ')}`;
    return { inputs, seed, only };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.exitCode = await main(process.argv.slice(2));
