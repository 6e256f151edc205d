import { describe, expect, test } from 'vitest';
import { askAt } from './unanswered.js';

const ALMOST_ONE = 0.999_999;

describe('another server is asked', () => {
  test('after five seconds, or three intervals where those are longer', () => {
    expect(askAt({ sinceMs: 500, asked: 0 }, { intervalMs: 1_000, spreadMs: 0 }, 0)).toBe(5_500);
    expect(askAt({ sinceMs: 500, asked: 0 }, { intervalMs: 4_000, spreadMs: 0 }, 0)).toBe(12_500);
  });

  test('as far spread as agents come back, and by an interval at least', () => {
    const few = askAt({ sinceMs: 0, asked: 0 }, { intervalMs: 1_000, spreadMs: 0 }, ALMOST_ONE);
    expect(Math.round(few)).toBe(6_000);
    const many = askAt({ sinceMs: 0, asked: 0 }, { intervalMs: 20_000, spreadMs: 50_000 }, ALMOST_ONE);
    expect(Math.round(many)).toBe(110_000);
  });

  test('half as often every time, down to once in a minute', () => {
    const pace = { intervalMs: 1_000, spreadMs: 0 };
    expect([1, 2, 3, 4, 9].map((asked) => askAt({ sinceMs: 0, asked }, pace, 0))).toEqual([
      10_000, 20_000, 40_000, 60_000, 60_000,
    ]);
    const slow = { intervalMs: 20_000, spreadMs: 50_000 };
    expect(askAt({ sinceMs: 0, asked: 3 }, slow, 0.5)).toBe(85_000);
  });
});
