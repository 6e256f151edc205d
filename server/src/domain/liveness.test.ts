import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Heard, isQuiet, liveness, nextLivenessChangeMs } from './liveness.js';

const heardAt = (lastHeardMs: number, more: Partial<Heard> = {}): Heard => ({
  lastHeardMs,
  brokenSinceMs: undefined,
  intervalMs: 1_000,
  returnMs: 0,
  ...more,
});

describe('liveness', () => {
  test('is up for two and a half intervals of silence, suspect for the next half, then down', () => {
    expect([0, 2_500, 2_501, 3_000, 3_001].map((now) => liveness(heardAt(0), now))).toEqual([
      'up',
      'up',
      'suspect',
      'suspect',
      'down',
    ]);
  });

  test('of a broken stream is suspect after a second, and down no sooner than of a silent one', () => {
    const broken = heardAt(0, { brokenSinceMs: 0 });
    expect([0, 999, 1_000, 3_000, 3_001].map((now) => liveness(broken, now))).toEqual([
      'up',
      'up',
      'suspect',
      'suspect',
      'down',
    ]);
  });

  test('of a broken stream is up for as long as its agent may need to be back, then what its silence says', () => {
    const broken = heardAt(0, { brokenSinceMs: 900, returnMs: 5_000 });
    expect([900, 6_899, 6_900].map((now) => liveness(broken, now))).toEqual(['up', 'up', 'down']);
  });

  test('of a host that was silent before its stream broke is what its silence says', () => {
    const hanging = heardAt(0, { brokenSinceMs: 2_501, returnMs: 60_000 });
    expect([2_501, 3_001].map((now) => liveness(hanging, now))).toEqual(['suspect', 'down']);
  });

  test('does not change before it is said to', () => {
    const span = fc.nat(10_000);
    const heard = fc.record({
      lastHeardMs: span,
      brokenSinceMs: fc.option(span, { nil: undefined }),
      intervalMs: fc.integer({ min: 1_000, max: 20_000 }),
      returnMs: span,
    });
    fc.assert(
      fc.property(heard, span, (host, now) => {
        // A stream breaks before anybody looks.
        fc.pre((host.brokenSinceMs ?? 0) <= now);
        const next = nextLivenessChangeMs(host, now);
        expect(liveness(host, (next ?? 1e9) - 1)).toBe(liveness(host, now));
      }),
    );
  });
});

test('hosts that fall silent together are all quiet when the first of them is suspect', () => {
  // The last heartbeats before the fault lie at most 1.1 intervals apart.
  expect(liveness(heardAt(0), 2_501)).toBe('suspect');
  expect([0, 500, 1_100].map((heardMs) => isQuiet(heardAt(heardMs), 2_501))).toEqual([true, true, true]);
  expect(isQuiet(heardAt(2_501, { brokenSinceMs: 2_501 }), 2_501)).toBe(true);
  expect(isQuiet(heardAt(1_300), 2_501)).toBe(false);
});
