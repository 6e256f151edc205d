import { expect, test } from 'vitest';
import { longestGap } from './prober.js';

test.each([
  [[], 0],
  [[7], 0],
  [[3, 3, 4, 5], 0],
  [[9, 4, 6, 5], 2],
  [[1, 12, 13, 20], 10],
])('between %j at most %i are missing', (numbers, missing) => {
  expect(longestGap(numbers)).toBe(missing);
});
