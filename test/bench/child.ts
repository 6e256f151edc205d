// The programs of the benchmarks: processes of their own, so that what measures does not slow what is measured.

import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../support/netns.js';
import { WatchedProcess } from '../support/processes.js';

// Of `times` in /proc: USER_HZ, which is 100 on every Linux that runs Node.
const TICKS_PER_SECOND = 100;

/** Starts a program of this directory. */
export function startChild(name: string, argument: unknown, namespace?: Namespace): WatchedProcess {
  return new WatchedProcess(process.execPath, [pathOf(name), JSON.stringify(argument)], namespace ? { namespace } : {});
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}

/** Runs a program of this directory to its end; its result, one line of JSON. */
export async function runChild<Result>(name: string, argument: unknown, namespace?: Namespace): Promise<Result> {
  await using child = startChild(name, argument, namespace);
  const code = await child.exited;
  const result = child.lines.findLast(({ stream }) => stream === 'stdout');
  if (code === 0 && result) return result.fields as Result;
  throw new Error(`${name} exited with ${code}: ${child.lines.map(({ text }) => text).join('\n')}`);
}

/** In a program: its argument. */
export function childArgument<Argument>(): Argument {
  return JSON.parse(process.argv[2] ?? '') as Argument;
}

/** In a program: prints its result. */
export function childResult(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** A program of this directory that does one task after another: once warm it stays warm. */
export class TaskProgram<Task, Result> implements AsyncDisposable {
  readonly #name: string;
  readonly #child: ChildProcess;

  constructor(name: string) {
    this.#name = name;
    this.#child = fork(pathOf(name), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  /** Does a task; its result. One at a time. */
  run(task: Task): Promise<Result> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#child.off('message', answered);
        this.#child.off('exit', ended);
      };
      const answered = (result: unknown) => {
        done();
        resolve(result as Result);
      };
      const ended = (code: number | null) => {
        done();
        reject(new Error(`${this.#name} exited with ${code}: see above`));
      };
      this.#child.once('message', answered);
      this.#child.once('exit', ended);
      this.#child.send(task as object);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** In such a program: does the tasks. What `work` throws ends the program. */
export function doTasks<Task, Result extends object>(work: (task: Task) => Promise<Result>): void {
  process.on('message', (task) => {
    work(task as Task).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
}

/** Seconds of processor time a process used so far, all its threads together. */
export function cpuSeconds(pid: number): number {
  // After the name, which may hold blanks, fields 14 and 15 are user and system time (proc_pid_stat(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
