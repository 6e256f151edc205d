import { describe, expect, test } from 'vitest';
import { askAt } from './unanswered.js';

const ALMOST_ONE = 0.999_999;

describe('another server is asked', () => {
  test('after five seconds, or three intervals where those are longer', () => {
    expect(askAt(500, { intervalMs: 1_000, spreadMs: 0 }, 0)).toBe(5_500);
    expect(askAt(500, { intervalMs: 4_000, spreadMs: 0 }, 0)).toBe(12_500);
  });

  test('as far spread as agents come back, and by an interval at least', () => {
    const few = askAt(0, { intervalMs: 1_000, spreadMs: 0 }, ALMOST_ONE);
    expect(Math.round(few)).toBe(6_000);
    const many = askAt(0, { intervalMs: 20_000, spreadMs: 50_000 }, ALMOST_ONE);
    expect(Math.round(many)).toBe(110_000);
  });
});
