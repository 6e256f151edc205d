// The programs of the benchmarks: started with one JSON argument, they print their result as one line of JSON.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../support/netns.js';
import { WatchedProcess } from '../support/processes.js';

// Of `times` in /proc: USER_HZ, which is 100 on every Linux that runs Node.
const TICKS_PER_SECOND = 100;

/** Starts a program of this directory. */
export function startChild(name: string, argument: unknown, namespace?: Namespace): WatchedProcess {
  const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  return new WatchedProcess(process.execPath, [program, JSON.stringify(argument)], namespace ? { namespace } : {});
}

/** Runs a program of this directory to its end; its result. */
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

/** Seconds of processor time a process used so far, all its threads together. */
export function cpuSeconds(pid: number): number {
  // After the name, which may hold blanks, fields 14 and 15 are user and system time (proc_pid_stat(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
