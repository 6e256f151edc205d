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
}

/** Runs them all; `ran` is told of each as it ends, in no order. */
export async function runSeeds(options: CrewOptions, ran: (outcome: Outcome) => void): Promise<void> {
  const { from, seeds, workers, minutes, mood } = options;
  let next = from;
  const runOn = (worker: Worker) =>
    new Promise<void>((resolve, reject) => {
      let underWay = 0;
      const order = () => {
        if (next >= from + seeds) {
          if (underWay === 0) resolve();
          return;
        }
        underWay++;
        const message: Order = { seed: next++, minutes, mood };
        worker.postMessage(message);
      };
      worker.on('error', reject);
      worker.on('message', (outcome: Outcome) => {
        underWay--;
        ran(outcome);
        order();
      });
      for (let i = 0; i < AT_A_TIME; i++) order();
    });
  const crew = Array.from({ length: workers }, () => new Worker(new URL('./worker.js', import.meta.url)));
  try {
    await Promise.all(crew.map(runOn));
  } finally {
    await Promise.all(crew.map((worker) => worker.terminate()));
  }
}
