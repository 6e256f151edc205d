// Short commands: run to the end, output captured.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** How a command ended. */
export interface Outcome {
  /** The exit code, or 128 + n when signal n ended it, as shells count. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command starts with. */
export interface RunOptions {
  /** Text on its standard input; without it, the input is empty. */
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Our environment, with the directories of `ip` and `udhcpc` on the path: ordinary users of Debian lack them. */
export function systemEnv(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin` };
}

/** Runs a command to its end. A command that cannot be started ends with 127, as in a shell. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: options.cwd, env: { ...systemEnv(), ...options.env }, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (error) => resolve({ code: 127, stdout, stderr: error.message }));
    child.on('close', (code, signal) => resolve({ code: exitCode(code, signal), stdout, stderr }));
    // A command that ends without reading its input is judged by its exit code, not by our broken pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** Runs a command that must succeed; its standard output. */
export async function runOrThrow(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(command, args, options);
  if (outcome.code === 0) return outcome.stdout;
  const input = options.input ? `\n${options.input}` : '';
  throw new Error(`${[command, ...args].join(' ')} exited with ${outcome.code}: ${outcome.stderr.trim()}${input}`);
}

/** Runs a command that must succeed; throws with the last line of what it says, which is the reason. */
export async function must(command: string, args: readonly string[], options: RunOptions = {}): Promise<void> {
  const { code, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(lastLine(stderr) ?? `${command} exited with ${code}`);
}

/** The last line of a text; undefined when it is empty. */
export function lastLine(text: string): string | undefined {
  return text.trim().split('\n').at(-1) || undefined;
}

/** The exit code as shells count it. */
export function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal ? (constants.signals[signal] ?? 0) : 0);
}
