// One run of the command line: everything but the process itself, so that tests run it too.
//
// Exit codes: 0 done, 1 refused by the server, 2 bad usage, 3 no connection or no answer in time.

import { connectProblem, connectWith, DEFAULT_SERVER } from '../connect.js';
import { LeaseholdError } from '../errors.js';
import type { Runtime } from '../system.js';
import type { GlobalValues, Shell } from './command.js';
import { COMMANDS } from './commands.js';
import { errorText, exitCode } from './errors.js';
import type { Parsed } from './flags.js';
import { help } from './help.js';
import { cellText, type Line, type OutputFormat, render, renderLine, serialize } from './output.js';
import { type Invocation, parse, wantedOutput } from './parse.js';
import { wantsColours } from './tones.js';

/** What a run touches of the process. */
export interface Io {
  readonly runtime: Runtime;
  readonly version: string;
  stdout(text: string): void;
  stderr(text: string): void;
  /** Which of both a person looks at. */
  readonly terminals: { readonly stdout: boolean; readonly stderr: boolean };
  /** Reads a file, `-` standard input, as UTF-8; why it cannot is a value. */
  readText(path: string): Promise<Parsed<string>>;
  /** A signal that Ctrl-C aborts from now on, instead of ending the process. */
  interrupted(): AbortSignal;
}

/** Runs a command line and answers its exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const { env } = io.runtime;
  const invocation = parse(argv, env, COMMANDS);
  const format = wantedOutput(argv, env);
  switch (invocation.kind) {
    case 'help':
      io.stdout(help(invocation.path, COMMANDS));
      return 0;
    case 'version':
      io.stdout(`leasehold ${io.version}\n`);
      return 0;
    case 'usage':
      return badUsage(invocation.problem, invocation.path, format, io);
    case 'run':
      return execute(invocation, io);
  }
}

async function execute(invocation: Extract<Invocation, { kind: 'run' }>, io: Io): Promise<number> {
  const { command, args, flags, globals } = invocation;
  const { server = DEFAULT_SERVER, output: format = 'table' } = globals;
  const problem = serverProblem(server, globals);
  if (problem !== undefined) return badUsage(problem, command.path, format, io);
  // Who gives no time is at a shell and wants to know at once that nobody is there.
  const patience = { timeoutMs: globals.timeout, waitForServer: globals.timeout !== undefined };
  await using leasehold = connectWith({ ...globals, ...patience, server, onStale: stale(io) }, io.runtime);
  try {
    const output = await command.run(leasehold, args, flags, io.runtime.wallMs(), shellOf(io));
    if (output.kind === 'usage') return badUsage(output.problem, command.path, format, io);
    if (output.kind === 'stream') return await follow(output.lines, format, io);
    io.stdout(render(output, format, wantsColours({ isTerminal: io.terminals.stdout, env: io.runtime.env })));
    if (output.kind === 'item' && output.note !== undefined) io.stderr(`leasehold: ${output.note}\n`);
    return output.kind === 'report' ? output.code : 0;
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    io.stderr(errorText(error, format));
    return exitCode(error);
  }
}

function shellOf(io: Io): Shell {
  return {
    readText: (path) => io.readText(path),
    progress(text, wanted = io.terminals.stderr) {
      if (!wanted) return;
      // On a terminal each takes the place of the one before.
      if (io.terminals.stderr) io.stderr(`\r\u001b[K${text}`);
      else if (text !== '') io.stderr(`leasehold: ${text}\n`);
    },
  };
}

async function follow(
  lines: (signal: AbortSignal) => AsyncIterable<Line>,
  format: OutputFormat,
  io: Io,
): Promise<number> {
  const signal = io.interrupted();
  try {
    for await (const line of lines(signal)) io.stdout(renderLine(line, format));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return 0;
}

// Said once: the pages of a list may all be from memory.
function stale(io: Io): (since: Date) => void {
  let said = false;
  return (since) => {
    if (!said) io.stderr(`leasehold: answered from memory, the store is away since ${cellText(since)}\n`);
    said = true;
  };
}

function serverProblem(server: string, globals: GlobalValues): string | undefined {
  return connectProblem(server, globals.insecureNetwork ?? false)?.replace('insecureNetwork', '--insecure-network');
}

function badUsage(problem: string, path: readonly string[], format: OutputFormat, io: Io): number {
  const see = `See '${['leasehold', ...path].join(' ')} --help'`;
  if (format === 'table') io.stderr(`leasehold: ${problem}\n${see}\n`);
  else io.stderr(serialize({ error: { code: 'INVALID_ARGUMENT', reason: 'BAD_USAGE', message: problem } }, format));
  return 2;
}
