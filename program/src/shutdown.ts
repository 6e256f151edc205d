// How a program ends: asked by a signal, or because it cannot go on.
//
//   E1. The first SIGTERM or SIGINT drains, once; drained in time is exit 0, everything else exit 1 with a line.
//   E2. A second signal exits at once.
//   E3. What an operator can put right is one line on stderr, without a stack trace: exit 2 for usage, 1 otherwise.

import type { Clock } from './clock.js';
import type { Log } from './log.js';
import type { OptionSources, OptionTable, ProgramSpec, Resolved } from './options.js';
import { readOptions } from './options.js';

/** Of the 10 s an operator is promised, half a second is left for the end itself. */
const DRAIN_MS = 9_500;

/** The part of `process` that ends a program. */
export interface EndingProcess {
  on(signal: 'SIGTERM' | 'SIGINT', listener: (signal: string) => void): unknown;
  exit(code: number): void;
}

/** Ends the process on SIGTERM or SIGINT, after `drain`. */
export function drainOnSignal(
  process: EndingProcess,
  { clock, log, drain }: { readonly clock: Clock; readonly log: Log; readonly drain: () => Promise<void> },
): void {
  let draining = false;
  const end = (signal: string) => {
    if (draining) {
      log.warn('Second signal, exiting at once', { signal });
      return process.exit(1);
    }
    draining = true;
    log.info('Draining', { signal });
    clock.after(DRAIN_MS, () => {
      log.error('Not drained in time, exiting', { drainMs: DRAIN_MS });
      process.exit(1);
    });
    drain().then(
      () => {
        log.info('Drained, exiting');
        process.exit(0);
      },
      (error: unknown) => {
        log.error('Draining failed, exiting', { error });
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

/** Says on stderr in one line what is wrong, and exits. Exit code 2: the command line is wrong; 1: anything else. */
export function fail(program: string, message: string, exitCode: 1 | 2 = 1): never {
  // Synchronous on Linux for files, pipes and terminals, so the line is out before the exit.
  process.stderr.write(`${program}: ${message.replaceAll('\n', ' ')}\n`);
  process.exit(exitCode);
}

/** The options of this run; prints and exits instead when they ask for help, for the version, or for what cannot be. */
export function optionsOrExit<T extends OptionTable>(program: ProgramSpec<T>, sources: OptionSources): Resolved<T> {
  const invocation = readOptions(program, sources);
  if (invocation.kind === 'run') return invocation.options;
  if (invocation.kind === 'usage-error') fail(program.name, `${invocation.message} (see --help)`, 2);
  process.stdout.write(invocation.text);
  process.exit(0);
}
