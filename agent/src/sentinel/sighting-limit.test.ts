import { expect, test } from 'vitest';
import { SightingLimit } from './sighting-limit.js';

test('the same is told once a minute', () => {
  const limit = new SightingLimit();
  expect([0, 59_999, 60_000, 119_999, 120_000].map((ms) => limit.allows('a', ms))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ]);
});

test('all together are told of a hundred times at once, and then ten times a second', () => {
  const limit = new SightingLimit();
  const told = (from: number, ms: number) =>
    Array.from({ length: 1_000 }, (_, i) => limit.allows(`${from + i}`, ms)).filter(Boolean).length;
  expect(told(0, 0)).toBe(100);
  expect(told(1_000, 1_000)).toBe(10);
  expect(told(2_000, 1_000_000)).toBe(100);
});
