import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { heartbeatIntervalMs, isQuiet, liveness, nextLivenessChangeMs } from './liveness.js';

describe('liveness', () => {
  test('is up for two intervals of silence, suspect for the third, then down', () => {
    expect([0, 2_000, 2_001, 3_000, 3_001].map((now) => liveness(0, undefined, now, 1_000))).toEqual([
      'up',
      'up',
      'suspect',
      'suspect',
      'down',
    ]);
  });

  test('of a broken stream is suspect after a second, and down no sooner than of a silent one', () => {
    expect([0, 999, 1_000, 3_000, 3_001].map((now) => liveness(0, 0, now, 1_000))).toEqual([
      'up',
      'up',
      'suspect',
      'suspect',
      'down',
    ]);
  });

  test('does not change before it is said to', () => {
    const span = fc.nat(10_000);
    fc.assert(
      fc.property(
        span,
        fc.option(span, { nil: undefined }),
        span,
        fc.integer({ min: 1_000, max: 20_000 }),
        (...args) => {
          const [heard, broken, now, interval] = args;
          const next = nextLivenessChangeMs(heard, broken, now, interval);
          const at = (ms: number) => liveness(heard, broken, ms, interval);
          expect(at((next ?? 1e9) - 1)).toBe(at(now));
        },
      ),
    );
  });
});

test('hosts that fall silent together are all quiet when the first of them is suspect', () => {
  // The last heartbeats before the fault lie at most 1.1 intervals apart.
  expect(liveness(0, undefined, 2_001, 1_000)).toBe('suspect');
  expect([0, 500, 1_100].map((heardMs) => isQuiet(heardMs, undefined, 2_001, 1_000))).toEqual([true, true, true]);
  expect(isQuiet(2_001, 2_001, 2_001, 1_000)).toBe(true);
  expect(isQuiet(1_200, undefined, 2_001, 1_000)).toBe(false);
});

test('500 heartbeats a second at most, and one of each host a second', () => {
  expect([0, 1, 500, 501, 10_000].map(heartbeatIntervalMs)).toEqual([1_000, 1_000, 1_000, 1_002, 20_000]);
});
