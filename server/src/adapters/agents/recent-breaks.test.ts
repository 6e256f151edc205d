import { expect, test } from 'vitest';
import { RecentBreaks } from './recent-breaks.js';

test('streams that broke in the last minute and a half are counted, however often they are', () => {
  const breaks = new RecentBreaks();
  for (let ms = 0; ms < 300_000; ms += 100) {
    breaks.add(ms);
    expect(breaks.count(ms)).toBe(Math.min(900, ms / 100 + 1));
  }
  expect(breaks.count(389_899)).toBe(1);
  expect(breaks.count(389_900)).toBe(0);
});
