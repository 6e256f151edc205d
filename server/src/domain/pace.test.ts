import { expect, test } from 'vitest';
import { ACCEPTED_PER_S, allBackMs, lettingInMs, paceOf } from './pace.js';

test('500 heartbeats a second at most, and one of each host a second', () => {
  const intervals = [0, 1, 500, 501, 10_000].map((hosts) => paceOf(hosts).intervalMs);
  expect(intervals).toEqual([1_000, 1_000, 1_000, 1_100, 20_000]);
});

test('up to 500 hosts come back at once, ten thousand within a minute', () => {
  expect([0, 1, 500, 750, 1_000, 10_000].map((hosts) => paceOf(hosts).spreadMs)).toEqual([
    0, 0, 0, 1_900, 5_000, 50_000,
  ]);
});

test('what is spread comes slower than it is let in, once there is much of it', () => {
  for (const hosts of [1_000, 2_500, 5_000, 10_000, 50_000]) {
    expect(hosts / (paceOf(hosts).spreadMs / 1_000)).toBeLessThanOrEqual(ACCEPTED_PER_S);
  }
});

test('a hundred connections are let in at once, the others 250 a second', () => {
  expect([0, 1, 100, 350, 500].map(lettingInMs)).toEqual([0, 0, 0, 1_000, 1_600]);
});

test('with up to 500 hosts none is waited for because of the others, with ten thousand for a minute and a half', () => {
  expect([1, 500, 10_000].map(allBackMs)).toEqual([0, 0, 88_000]);
});
