import { expect, test } from 'vitest';
import { formatTotals, totalOf, totalsOf } from './totals.js';

const file = (status: string, ...states: string[]) => ({
  status,
  assertionResults: states.map((state) => ({ status: state })),
});

test('passed, failed and all that did not run are counted across files', () => {
  const report = {
    testResults: [file('passed', 'passed', 'skipped', 'todo'), file('failed', 'failed', 'failed', 'passed')],
  };
  expect(formatTotals(totalsOf(report))).toBe('2 passed, 2 failed, 2 skipped');
});

test('a file that did not load counts as a failure', () => {
  expect(formatTotals(totalsOf({ testResults: [file('failed'), file('passed', 'passed')] }))).toBe(
    '1 passed, 1 failed',
  );
});

test('a file whose hook failed counts as a failure although its tests passed', () => {
  expect(totalsOf({ testResults: [file('failed', 'passed')] })).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('several runs are one sum', () => {
  const runs = [
    { passed: 1, failed: 2, skipped: 3 },
    { passed: 10, failed: 20, skipped: 30 },
  ];
  expect([totalOf(runs), totalOf([])]).toEqual([
    { passed: 11, failed: 22, skipped: 33 },
    { passed: 0, failed: 0, skipped: 0 },
  ]);
});
