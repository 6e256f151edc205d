// Schedules of random faults against servers and agents in virtual time. A failing one names its seed:
// `SEED=n npm test -- test/simulate/simulate.test.ts` replays exactly that run, and `npm run simulate` runs many.

import { describe, expect, test } from 'vitest';
import { runSchedule } from './run.js';
import { MOODS, type Mood, scheduleOf } from './schedule.js';

const SEED = process.env['SEED'];
const SEEDS: Record<Mood, number> = { any: 40, restarts: 20, sick: 40 };

describe.each(MOODS)('mood %s', (mood) => {
  const seeds = SEED ? [Number(SEED)] : Array.from({ length: SEEDS[mood] }, (_, i) => i + 1);

  test.each(seeds)('seed %s: what must never happen does not, and all heals', async (seed) => {
    const { violation, trace } = await runSchedule(scheduleOf(seed, { mood }));
    expect(violation, trace.join('\n')).toBeUndefined();
  });
});

test('a seed replays exactly', async () => {
  const [first, second] = [await runSchedule(scheduleOf(7)), await runSchedule(scheduleOf(7))];
  expect(second.digest).toBe(first.digest);
  expect(second.turns).toBe(first.turns);
  expect((await runSchedule(scheduleOf(8))).digest).not.toBe(first.digest);
});

test('runs beside each other are as they are alone', async () => {
  const alone = await runSchedule(scheduleOf(9, { minutes: 3 }));
  const beside = await Promise.all([9, 10, 11].map((seed) => runSchedule(scheduleOf(seed, { minutes: 3 }))));
  expect(beside[0]?.digest).toBe(alone.digest);
});
