// Runs many seeds on several threads.

import { Worker } from 'node:worker_threads';
import type { Outcome } from './run.js';
import type { ScheduleOptions } from './schedule.js';
import type { Order } from './worker.js';

const AT_A_TIME = 4;

/** Which seeds to run, and where. */
export interface CrewOptions extends ScheduleOptions {
  readonly from: number;
  readonly seeds: number;
  readonly workers: number;
  /** The name of a mistake that is switched on (mutants/list.ts). */
  readonly mutant?: string | undefined;
}

/**
 * Runs them all, as long as `ran` does not say that it heard enough; it is told of each as it ends, in no order. With a
 * mistake they run one after the other: what it breaks mostly breaks early.
 */
export async function runSeeds(options: CrewOptions, ran: (outcome: Outcome) => boolean): Promise<void> {
  const { from, seeds, workers, minutes, mood, hasGuests, scene, mutant } = options;
  let next = from;
  const end = from + seeds;
  const runOn = (worker: Worker) =>
    new Promise<void>((resolve, reject) => {
      let underWay = 0;
      const order = () => {
        if (next >= end) {
          if (underWay === 0) resolve();
          return;
        }
        underWay++;
        const message: Order = { seed: next++, minutes, mood, hasGuests, scene };
        worker.postMessage(message);
      };
      worker.on('error', reject);
      worker.on('message', (outcome: Outcome) => {
        underWay--;
        if (ran(outcome)) order();
        else resolve();
      });
      for (let i = 0; i < (mutant === undefined ? AT_A_TIME : 1); i++) order();
    });
  const crew = Array.from(
    { length: workers },
    () => new Worker(new URL('./worker.js', import.meta.url), { workerData: mutant }),
  );
  try {
    await Promise.all(crew.map(runOn));
  } finally {
    await Promise.all(crew.map((worker) => worker.terminate()));
  }
}
