// Runs with guests on wires: the rules of the wire hold through whatever a schedule does.

import { expect, test } from 'vitest';
import { runSchedule } from './run.js';
import { scheduleOf } from './schedule.js';

test.each([1, 2, 3, 4, 5, 6])(
  'seed %s: guests of every kind break no rule of the wire, nor does anybody else',
  async (seed) => {
    const { violation, trace } = await runSchedule(scheduleOf(seed, { minutes: 5, hasGuests: true }));
    expect(violation, trace.slice(-40).join('\n')).toBeUndefined();
    expect(trace.some((line) => / has 10\.0\.\d\.\d+ of /.test(line))).toBe(true);
  },
);

test('with guests, too, a seed sees the same again, and another one something else', async () => {
  const digests: string[] = [];
  for (const seed of [7, 7, 8]) {
    digests.push((await runSchedule(scheduleOf(seed, { minutes: 2, hasGuests: true }))).digest);
  }
  expect(digests[1]).toBe(digests[0]);
  expect(digests[2]).not.toBe(digests[0]);
});
