import { expect, test } from 'vitest';
import type { Outcome } from './run.js';
import { type Schedule, scheduleOf } from './schedule.js';
import { shrink } from './shrink.js';

/** Breaks S4 at the last of these actions, if a schedule has them all. */
function breaksBy(schedule: Schedule, picked: readonly number[]): (tried: Schedule) => Promise<Outcome> {
  const needed = picked.map((i) => schedule.actions[i]);
  return async ({ seed, actions, endMs }) => {
    const atMs = needed.at(-1)?.atMs ?? 0;
    const isBroken = atMs <= endMs && needed.every((each) => actions.some((action) => action === each));
    const violation = isBroken ? { invariant: 'S4', what: 'broken', atMs } : undefined;
    return { seed, violation, trace: [], digest: '', turns: 0, virtualMs: 0, counts: new Map() };
  };
}

test('what is left of a broken schedule is what breaks it', async () => {
  const schedule = scheduleOf(1);
  const picked = [3, 40, 41, 97];
  const { schedule: shrunk } = await shrink(schedule, breaksBy(schedule, picked), 2_000);
  expect(shrunk.actions).toEqual(picked.map((i) => schedule.actions[i]));
});

test('it ends when it may run no more, with what it has', async () => {
  const schedule = scheduleOf(1);
  const { schedule: shrunk, outcome, runs } = await shrink(schedule, breaksBy(schedule, [3, 97]), 5);
  expect(runs).toBe(5);
  expect(outcome.violation?.invariant).toBe('S4');
  expect(shrunk.actions.length).toBeLessThan(schedule.actions.length);
});

test('a schedule that breaks nothing stays', async () => {
  const schedule = scheduleOf(1);
  const { schedule: shrunk, runs } = await shrink(schedule, breaksBy(scheduleOf(2), [0]), 100);
  expect(shrunk).toBe(schedule);
  expect(runs).toBe(1);
});
