// A thread of `npm run simulate`: runs the seeds it is sent, several at a time, because every turn of a run waits for a
// turn of the event loop.

import { parentPort, workerData } from 'node:worker_threads';
import { mutantOf } from './mutants/list.js';
import { switchOn } from './mutants/mutation.js';
import type { ScheduleOptions } from './schedule.js';

/** What a worker is sent. */
export interface Order extends ScheduleOptions {
  readonly seed: number;
}

if (!parentPort) throw new Error('worker.ts runs in a thread of main.ts');
const port = parentPort;
// A store that is away makes errors by the thousand, and nobody reads where.
Error.stackTraceLimit = 0;
const mutant = typeof workerData === 'string' ? mutantOf(workerData) : undefined;
if (mutant) switchOn(mutant);
// Not before: a mistake is only in what is imported after it was switched on.
const { runSchedule } = await import('./run.js');
const { scheduleOf } = await import('./schedule.js');
port.on('message', ({ seed, ...options }: Order) => {
  runSchedule(scheduleOf(seed, options)).then(
    (outcome) => port.postMessage(outcome),
    (error: unknown) => {
      throw error;
    },
  );
});
