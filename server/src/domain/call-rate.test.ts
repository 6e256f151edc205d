// The buckets of callers: what is let in, what is owed, and what is forgotten.

import { expect, test } from 'vitest';
import { CallRates } from './call-rate.js';

/** How many of `tries` calls are let in at one moment. */
function letIn(rates: CallRates, caller: string, now: number, tries = 100): number {
  return Array.from({ length: tries }, () => rates.take(caller, now)).filter((waitMs) => waitMs === 0).length;
}

test.each([1, 3, 7, 10, 60])(
  'a caller makes the calls of one second at once, and then so many a second: %i',
  (rate) => {
    const rates = new CallRates(rate);
    expect(letIn(rates, 'a', 5_000)).toBe(rate);
    let calls = 0;
    for (let now = 5_001; now <= 15_000; now++) calls += letIn(rates, 'a', now, 2);
    expect(calls).toBe(10 * rate);
  },
);

test('one that is refused is told when it is let in, and pays nothing for having asked', () => {
  const rates = new CallRates(10);
  letIn(rates, 'a', 0);
  expect(rates.take('a', 30)).toBe(70);
  expect(rates.take('a', 99)).toBe(1);
  expect(rates.take('a', 100)).toBe(0);
});

test('callers do not take from each other', () => {
  const rates = new CallRates(10);
  letIn(rates, 'a', 0);
  expect(letIn(rates, 'b', 0)).toBe(10);
});

test('what a call was more than one is owed, however much, and paid before the next', () => {
  const rates = new CallRates(10);
  expect(rates.take('a', 0)).toBe(0);
  rates.owe('a', 999, 0);
  expect(rates.take('a', 0)).toBe(99_100);
  expect(rates.take('a', 99_099)).toBe(1);
  expect(rates.take('a', 99_100)).toBe(0);
});

test('who owes nothing is forgotten within a second', () => {
  const rates = new CallRates(10);
  for (let n = 0; n < 1_000; n++) rates.take(`caller ${n}`, 0);
  rates.owe('caller 7', 100, 0);
  expect(rates.size).toBe(1_000);
  rates.take('b', 1_000);
  expect(rates.size).toBe(2);
});
