// One run of the command line: everything but the process itself, so that tests run it too.
//
// Exit codes: 0 done, 1 refused by the server, 2 bad usage, 3 no connection or no answer in time.

import { type ConnectOptions, connectWith, DEFAULT_SERVER, type Leasehold, tryConnect } from '../connect.js';
import { LeaseholdError } from '../errors.js';
import type { Runtime } from '../system.js';
import type { GlobalValues, Shell } from './command.js';
import { COMMANDS } from './commands.js';
import { type Candidate, readIds, type Wanted, wantedAt } from './complete.js';
import { errorText, exitCode, inFlags } from './errors.js';
import type { Parsed } from './flags.js';
import { help } from './help.js';
import {
  cellText,
  type Line,
  type Output,
  type OutputFormat,
  printable,
  render,
  renderLine,
  serialize,
} from './output.js';
import { type Invocation, parse, wantedOutput } from './parse.js';
import { openScreen, type Screen } from './screen.js';
import { wantsColours } from './tones.js';
import { looks, type Watched } from './watching.js';

/** What a run touches of the process. */
export interface Io {
  readonly runtime: Runtime;
  readonly version: string;
  stdout(text: string): void;
  stderr(text: string): void;
  /** Lines of the terminal that stdout is; undefined: it is none. */
  rows(): number | undefined;
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
  if (argv[0] === '__complete') return complete(argv.slice(1), io);
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
  const { output: format = 'table' } = globals;
  if (command.kind === 'offline') return show(command.run(args), command.path, format, io);
  // Who gives no time is at a shell and wants to know at once that nobody is there.
  const patience = { timeoutMs: globals.timeout, waitForServer: globals.timeout !== undefined };
  const options = { ...patience, onStale: stale(io) };
  const opened = clientOf(globals, options, io);
  if (!opened.ok) return badUsage(inFlags(opened.problem), command.path, format, io);
  await using leasehold = opened.value;
  try {
    const { watch, ...own } = flags;
    const look = () => command.run(leasehold, args, own, io.runtime.wallMs(), shellOf(globals, options, io));
    if (watch !== true || !command.watched) return await show(await look(), command.path, format, io);
    return await keepShowing(look, command.watched(args, own), leasehold, command.path, format, io);
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    io.stderr(errorText(error, format));
    return exitCode(error);
  }
}

async function show(output: Output, path: readonly string[], format: OutputFormat, io: Io): Promise<number> {
  if (output.kind === 'usage') return badUsage(output.problem, path, format, io);
  if (output.kind === 'stream') return follow(output.lines, format, io);
  io.stdout(render(output, format, coloursOf(io)));
  if (output.kind === 'item' && output.note !== undefined) io.stderr(`leasehold: ${output.note}\n`);
  return output.kind === 'report' ? output.code : 0;
}

async function keepShowing(
  look: () => Promise<Output>,
  { networkId, concerns }: Watched,
  leasehold: Leasehold,
  path: readonly string[],
  format: OutputFormat,
  io: Io,
): Promise<number> {
  const signal = io.interrupted();
  const watch = (ended: AbortSignal) => leasehold.watch({ networkId, signal: ended });
  let screen: Screen | undefined;
  try {
    for await (const { seen, ...when } of looks(look, watch, concerns, io.runtime, signal)) {
      if (seen.kind === 'usage' || seen.kind === 'stream') return await show(seen, path, format, io);
      // Only now: what is refused at once shall not flash up on another screen.
      screen ??= openScreen(`leasehold ${path.join(' ')}`, format, coloursOf(io), io);
      screen.show({ seen, ...when });
    }
    return 0;
  } finally {
    screen?.[Symbol.dispose]();
  }
}

function coloursOf(io: Io): boolean {
  return wantsColours({ isTerminal: io.terminals.stdout, env: io.runtime.env });
}

/** A client of the servers that the flags name, or which flag cannot be. */
function clientOf(globals: GlobalValues, options: ConnectOptions, io: Io): ReturnType<typeof tryConnect> {
  return tryConnect({ ...connectionOf(globals), ...options }, io.runtime);
}

// Who presses Tab does not wait for long, and reads no errors.
const COMPLETION_TIMEOUT_MS = 1_000;

async function complete(words: readonly string[], io: Io): Promise<number> {
  const { wanted, prefix } = wantedAt(words, io.runtime.env, COMMANDS);
  const lines: string[] = [];
  if (wanted.kind === 'files') lines.push(':files');
  for (const { word, help: what } of await candidatesOf(wanted, io)) {
    if (`${prefix}${word}`.startsWith(words.at(-1) ?? ''))
      lines.push(`${prefix}${printable(word)}\t${printable(what)}`);
  }
  if (lines.length > 0) io.stdout(`${lines.join('\n')}\n`);
  return 0;
}

async function candidatesOf(wanted: Wanted, io: Io): Promise<readonly Candidate[]> {
  if (wanted.kind !== 'ids') return wanted.kind === 'words' ? wanted.candidates : [];
  const opened = clientOf(wanted.globals, { timeoutMs: COMPLETION_TIMEOUT_MS, waitForServer: false }, io);
  if (!opened.ok) return [];
  await using leasehold = opened.value;
  return await readIds(leasehold, wanted);
}

function shellOf(globals: GlobalValues, options: ConnectOptions, io: Io): Shell {
  return {
    clientsOfEach: () =>
      (globals.server ?? [DEFAULT_SERVER]).map((name) => ({
        name,
        leasehold: connectWith({ ...connectionOf({ ...globals, server: [name] }), ...options }, io.runtime),
      })),
    async ownCertificate() {
      const { tlsCert: given } = globals;
      if (given === undefined || given.includes('-----BEGIN ')) return given;
      const read = await io.readText(given);
      return read.ok ? read.value : undefined;
    },
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

function connectionOf(globals: GlobalValues): ConnectOptions {
  const { server: servers, tlsCa, tlsCert: cert, tlsKey: key, tlsServerName, tlsTrustDomain, ...same } = globals;
  const saysTls = tlsCa ?? cert ?? key ?? tlsServerName ?? tlsTrustDomain;
  const tls = { ca: tlsCa ?? '', cert, key, serverName: tlsServerName, trustDomain: tlsTrustDomain };
  return { ...same, servers, tls: saysTls === undefined ? undefined : tls };
}

function badUsage(problem: string, path: readonly string[], format: OutputFormat, io: Io): number {
  const see = `See '${['leasehold', ...path].join(' ')} --help'`;
  if (format === 'table') io.stderr(`leasehold: ${problem}\n${see}\n`);
  else io.stderr(serialize({ error: { code: 'INVALID_ARGUMENT', reason: 'BAD_USAGE', message: problem } }, format));
  return 2;
}
