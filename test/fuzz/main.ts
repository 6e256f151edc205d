// `npm run fuzz`: hostile input to a real server, or to real agents, as much as you like.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findEntrance, inSandbox, SANDBOX_VARIABLE, temporaryDirectory } from '../support/sandbox.js';
import { TestServer } from '../support/test-server.js';
import { AGENT_BYTES, fuzzAgentBytes } from './fuzz-agent-bytes.js';
import { ATTACKS, type FuzzOptions, type FuzzReport, fuzzServer, SMALL_HEAP } from './fuzz-server.js';

const HELP = `Usage: npm run fuzz -- [--inputs N] [--seed S] [--only ATTACK]

Sends a server whatever an attacker may: HTTP/2 that is none, gRPC in other frames, messages of every type with values
that nobody means, agents that say what they like. The server must stay up, must not grow, and must keep what it had.
With --only ${AGENT_BYTES} agents are sent the like by their servers, in a sandbox; they must serve again after it.

Options:
  --inputs N   how many inputs (default: 1000000, some ten minutes; of ${AGENT_BYTES} 1000)
  --seed S     of the first input; input n of a seed is the same in every run (default: 1)
  --only NAME  one attack: ${ATTACKS.join(', ')} (default: all of these), ${AGENT_BYTES}
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
  if (options.only === AGENT_BYTES && process.env[SANDBOX_VARIABLE] === undefined) return runInSandbox(args);
  const startMs = performance.now();
  const progress = (sent: number) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${sent} of ${options.inputs} `);
  };
  const fuzz = options.only === AGENT_BYTES ? fuzzAgentBytes : fuzzOwnServer;
  const { sent, settledMb, residentMb, problems } = await fuzz({ ...options, progress });
  if (process.stderr.isTTY) process.stderr.write('\r');
  for (const problem of problems) console.log(problem);
  for (const [attack, count] of sent) console.log(`${String(count).padStart(9)} ${attack}`);
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
  const total = [...sent.values()].reduce((sum, count) => sum + count, 0);
  console.log(`${total} inputs, ${problems.length} problems; ${settledMb} to ${residentMb} MB, ${seconds} s`);
  return problems.length === 0 ? 0 : 1;
}

async function fuzzOwnServer(options: FuzzOptions): Promise<FuzzReport> {
  using directory = temporaryDirectory('leasehold-fuzz-');
  await using server = new TestServer(directory.path, '', `embedded:${join(directory.path, 'data')}`);
  await server.start([], SMALL_HEAP);
  return await fuzzServer(server, options);
}

/** An agent has interfaces. */
async function runInSandbox(args: readonly string[]): Promise<number> {
  const entrance = await findEntrance();
  if (entrance.ok) {
    return inSandbox(entrance, process.execPath, [fileURLToPath(import.meta.url), ...args], { TMPDIR: '/run' });
  }
  console.error(`fuzz: no network namespaces can be made here (${entrance.why}): run it as root`);
  return 1;
}

/** How much; undefined: only help; a string: what is wrong. */
function readArgs(args: readonly string[]): FuzzOptions | string | undefined {
  const options = {
    inputs: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values.help) return undefined;
    const { only, inputs: asked = only === AGENT_BYTES ? '1000' : '1000000' } = values;
    const [inputs, seed] = [Number(asked), Number(values.seed)];
    if (!Number.isInteger(inputs) || inputs < 1) return '--inputs is a number from 1';
    if (!Number.isInteger(seed)) return '--seed is a number';
    if (only === undefined) return { inputs, seed };
    const attacks: readonly string[] = [...ATTACKS, AGENT_BYTES];
    if (!attacks.includes(only)) return `--only is one of ${attacks.join(', ')}`;
    return { inputs, seed, only };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.exitCode = await main(process.argv.slice(2));
