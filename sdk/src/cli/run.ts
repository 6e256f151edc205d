// One run of the command line: everything but the process itself, so that tests run it too.
//
// Exit codes: 0 done, 1 refused by the server, 2 bad usage, 3 no connection or no answer in time.

import { type ConnectOptions, tryConnect } from '../connect.js';
import { LeaseholdError } from '../errors.js';
import type { Runtime } from '../system.js';
import type { GlobalValues } from './command.js';
import { COMMANDS } from './commands.js';
import { help } from './help.js';
import { cellText, type Line, type OutputFormat, printable, render, renderLine, serialize } from './output.js';
import { type Invocation, parse, wantedOutput } from './parse.js';
import type { Json } from './yaml.js';

/** What a run touches of the process. */
export interface Io {
  readonly runtime: Runtime;
  readonly version: string;
  stdout(text: string): void;
  stderr(text: string): void;
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
  const { output: format = 'table' } = globals;
  // Who gives no time is at a shell and wants to know at once that nobody is there.
  const patience = { timeoutMs: globals.timeout, waitForServer: globals.timeout !== undefined };
  const opened = tryConnect({ ...connectionOf(globals), ...patience, onStale: stale(io) }, io.runtime);
  if (!opened.ok) return badUsage(inFlags(opened.problem), command.path, format, io);
  await using leasehold = opened.value;
  try {
    const output = await command.run(leasehold, args, flags, io.runtime.wallMs());
    if (output.kind === 'usage') return badUsage(output.problem, command.path, format, io);
    if (output.kind === 'stream') return await follow(output.lines, format, io);
    io.stdout(render(output, format));
    if (output.kind === 'item' && output.note !== undefined) io.stderr(`leasehold: ${output.note}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    io.stderr(errorText(error, format));
    return exitCode(error);
  }
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
  const { server: servers, tlsCa, tlsCert: cert, tlsKey: key, tlsServerName: serverName, ...same } = globals;
  const saysTls = tlsCa ?? cert ?? key ?? serverName;
  return { ...same, servers, tls: saysTls === undefined ? undefined : { ca: tlsCa ?? '', cert, key, serverName } };
}

const FLAGS = { serverName: 'server-name', ca: 'ca', cert: 'cert', key: 'key' } as const;

/** What is wrong with options of `connect`, in the words of the command line. */
function inFlags(problem: string): string {
  return problem
    .replace(/\btls\.(serverName|ca|cert|key)\b/g, (_, part: keyof typeof FLAGS) => `--tls-${FLAGS[part]}`)
    .replace(/\bset tls\b/, 'set --tls-ca')
    .replace(/\binsecureNetwork\b/, '--insecure-network');
}

function badUsage(problem: string, path: readonly string[], format: OutputFormat, io: Io): number {
  const see = `See '${['leasehold', ...path].join(' ')} --help'`;
  if (format === 'table') io.stderr(`leasehold: ${problem}\n${see}\n`);
  else io.stderr(serialize({ error: { code: 'INVALID_ARGUMENT', reason: 'BAD_USAGE', message: problem } }, format));
  return 2;
}

const UNANSWERED: ReadonlySet<string> = new Set(['NO_CONNECTION', 'OUTCOME_UNKNOWN', 'DEADLINE_EXCEEDED']);

function exitCode({ reason }: LeaseholdError): number {
  return UNANSWERED.has(reason) ? 3 : 1;
}

function errorText(error: LeaseholdError, format: OutputFormat): string {
  if (format !== 'table') return serialize({ error: errorJson(error) }, format);
  // The message of a server holds what fits of them: what it says is not said twice.
  const unsaid = error.fieldViolations.filter(
    ({ field, description }) => !error.message.includes(`${field}: ${description}`),
  );
  const fields = unsaid.map(({ field, description }) => `  ${printable(`${field}: ${description}`)}\n`);
  return `leasehold: ${printable(error.message)} (${error.reason})\n${fields.join('')}`;
}

function errorJson(error: LeaseholdError): Json {
  const { code, reason, message, metadata, fieldViolations, retryable, retryAfterMs } = error;
  return {
    code,
    reason,
    message,
    metadata,
    field_violations: fieldViolations.map(({ field, description }) => ({ field, description })),
    retryable,
    ...(retryAfterMs === undefined ? {} : { retry_after: `${retryAfterMs / 1_000}s` }),
  };
}
