// Real programs under test: started, watched line by line, killed. Nothing here sleeps: a wait ends with the line it is
// for, with the end of the process, or at a generous deadline, and then it shows what the program did say.

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Namespace } from './netns.js';
import { repositoryRoot } from './repository.js';
import { exitCode, systemEnv } from './run.js';

/** One line of output. */
export interface OutputLine {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  /** The fields of a JSON line, with `msg` and `level` among them; empty for other lines. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a process starts with. */
export interface StartOptions {
  /** Where it runs; without it, where we do. */
  readonly namespace?: Namespace;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The command that runs it, as `strace`, with its arguments; it must end as what it runs. */
  readonly under?: readonly string[];
}

/** How long a wait may last at most. Far beyond what is ever needed, also on a busy machine. */
const DEADLINE_MS = 30_000;
const DRAIN_MS = 500;
const SHOWN_LINES = 100;

/** A running process. Disposing kills it and waits until it is gone. */
export class WatchedProcess implements AsyncDisposable {
  readonly title: string;
  readonly lines: OutputLine[] = [];
  /** Resolves with the exit code, or 128 + the number of the signal that ended it. */
  readonly exited: Promise<number>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #code: number | undefined;

  constructor(command: string, args: readonly string[], options: StartOptions = {}) {
    this.title = [command, ...args].join(' ');
    const inside = [
      ...(options.namespace ? ['ip', 'netns', 'exec', options.namespace.name] : []),
      ...(options.under ?? []),
    ];
    const [file = command, ...rest] = [...inside, command, ...args];
    this.#child = spawn(file, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...systemEnv(), ...options.env },
      cwd: options.cwd,
    });
    this.#read('stdout', this.#child.stdout);
    this.#read('stderr', this.#child.stderr);
    this.exited = new Promise((resolve) => {
      const end = (code: number) => {
        this.#code = code;
        resolve(code);
        this.#wake();
      };
      this.#child.on('error', (error) => {
        this.lines.push({ stream: 'stderr', text: error.message, fields: {} });
        end(127);
      });
      this.#child.on('exit', (code, signal) => {
        const done = () => {
          clearTimeout(patience);
          end(exitCode(code, signal));
        };
        // Its last lines are read before it counts as gone, but a child of it that lives on may keep the pipe open.
        const patience = setTimeout(done, DRAIN_MS);
        this.#child.on('close', done);
      });
    });
  }

  /** The process id, the program's own also inside a namespace (`ip netns exec` becomes the program). */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.title} was not started`);
    return this.#child.pid;
  }

  /** The exit code, once it exited. */
  get exitCode(): number | undefined {
    return this.#code;
  }

  /** The first line from number `from` on that fits; waits for it. To see only what is to come, pass `lines.length`. */
  waitForLine(what: string | ((line: OutputLine) => boolean), from = 0): Promise<OutputLine> {
    const fits = typeof what === 'string' ? (line: OutputLine) => line.text.includes(what) : what;
    let next = from;
    return this.#until(
      () => {
        for (; next < this.lines.length; next++) {
          const line = this.lines[next];
          if (line && fits(line)) return line;
        }
        return undefined;
      },
      typeof what === 'string' ? JSON.stringify(what) : 'a line',
    );
  }

  /** Sends a signal. To a process that is gone, nothing. */
  signal(name: NodeJS.Signals): void {
    if (this.#code === undefined) this.#child.kill(name);
  }

  /** Kills it as by `kill -9` and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Asks it to end (SIGTERM) and waits; the exit code. */
  async stop(): Promise<number> {
    this.signal('SIGTERM');
    return this.#until(() => this.#code, 'its end');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A stopped process (SIGSTOP) dies of SIGKILL all the same.
    await this.kill();
  }

  #read(stream: 'stdout' | 'stderr', source: Readable | null): void {
    if (!source) return;
    createInterface({ input: source }).on('line', (text) => {
      this.lines.push({ stream, text, fields: fieldsOf(text) });
      this.#wake();
    });
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #until<T>(find: () => T | undefined, wanted: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (result: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        result();
      };
      const look = () => {
        const found = find();
        if (found !== undefined) finish(() => resolve(found));
        else if (this.#code !== undefined) finish(() => reject(this.#missed(wanted, `it exited with ${this.#code}`)));
      };
      const timer = setTimeout(() => finish(() => reject(this.#missed(wanted, 'the time is over'))), DEADLINE_MS);
      this.#watchers.add(look);
      look();
    });
  }

  #missed(wanted: string, why: string): Error {
    const output = this.lines.slice(-SHOWN_LINES).map((line) => `  ${line.text}`);
    return new Error(`Waited for ${wanted} of ${this.title}, but ${why}. It said:\n${output.join('\n')}`);
  }
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  if (!text.startsWith('{')) return {};
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

const PROGRAMS = {
  'leasehold-server': 'server/bin/leasehold-server.js',
  'leasehold-agent': 'agent/bin/leasehold-agent.js',
  leasehold: 'sdk/bin/leasehold.js',
} as const;

/** The lines that belong to a stack trace, plain or inside JSON. Operators shall see none. */
export function traceLines(lines: readonly OutputLine[]): readonly string[] {
  return lines.map(({ text }) => text).filter((text) => /^\s+at |\\n\s+at /.test(text));
}

/** Starts one of our programs as built, by the command that users have. */
export function startProgram(
  name: keyof typeof PROGRAMS,
  args: readonly string[],
  options: StartOptions = {},
): WatchedProcess {
  return new WatchedProcess(join(repositoryRoot, PROGRAMS[name]), args, options);
}
