// Makes a broken schedule as short as it can be and still break the same invariant: a person reads the rest.

import type { Outcome } from './run.js';
import type { Action, Schedule } from './schedule.js';

/** A schedule with what came of it. */
export interface Shrunk {
  readonly schedule: Schedule;
  readonly outcome: Outcome;
  /** How many runs it took. */
  readonly runs: number;
}

const AFTERWARDS_MS = 2_000;

/** Shrinks, with at most `maxRuns` runs; a schedule that breaks nothing stays as it is. */
export async function shrink(
  schedule: Schedule,
  run: (schedule: Schedule) => Promise<Outcome>,
  maxRuns: number,
): Promise<Shrunk> {
  let best = schedule;
  let outcome = await run(schedule);
  let runs = 1;
  const broken = outcome.violation?.invariant;
  const tries = async (actions: readonly Action[]): Promise<boolean> => {
    if (runs >= maxRuns || !outcome.violation) return false;
    // Nothing that comes after it matters; what is only seen after healing needs all the time there is.
    const endMs = Math.min(schedule.endMs, outcome.violation.atMs + AFTERWARDS_MS);
    const shorter = { ...schedule, actions: actions.filter(({ atMs }) => atMs <= endMs), endMs };
    const tried = await run(shorter);
    runs++;
    if (tried.violation?.invariant !== broken) return false;
    [best, outcome] = [shorter, tried];
    return true;
  };
  await tries(best.actions);
  // Most kinds have nothing to do with it.
  for (const kind of new Set(best.actions.map((action) => action.kind))) {
    await tries(best.actions.filter((action) => action.kind !== kind));
  }
  for (let size = Math.ceil(best.actions.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let end = best.actions.length; end > 0; end -= size) {
      const { actions } = best;
      await tries([...actions.slice(0, Math.max(0, end - size)), ...actions.slice(end)]);
    }
  }
  return { schedule: best, outcome, runs };
}
