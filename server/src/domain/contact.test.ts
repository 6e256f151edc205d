import { describe, expect, test } from 'vitest';
import { type Contact, greeted, isDoubtful, shown } from './contact.js';

const INTERVAL_MS = 1_000;
const RECENT_MS = 15_000;
const heard = (before: Contact, acknowledged: bigint, nowMs: number) => shown(before, acknowledged, INTERVAL_MS, nowMs);
const doubtful = (contact: Contact, nowMs: number) => isDoubtful(contact, INTERVAL_MS, RECENT_MS, nowMs);

/** Heartbeats at these times, each after the acknowledgement of the one before arrived. */
function beats(before: Contact, ...timesMs: readonly number[]): Contact {
  return timesMs.reduce((contact, atMs, i) => heard(contact, BigInt(i), atMs), before);
}

describe('contact', () => {
  test('is shown by the first heartbeat: until then nobody knows whether the welcome arrived', () => {
    expect(doubtful(greeted(undefined, undefined, 0), 0)).toBe(true);
    expect(doubtful(beats(greeted(undefined, undefined, 0), 1_000), 1_000)).toBe(false);
  });

  test('goes on while heartbeats come on time, however late their acknowledgements are', () => {
    const late = heard(heard(beats(greeted(undefined, undefined, 0), 1_000, 2_000, 3_100), 3n, 4_200), 5n, 5_300);
    expect(doubtful(late, 5_300)).toBe(false);
  });

  test('is in doubt while heartbeats know of no new acknowledgement', () => {
    const before = beats(greeted(undefined, undefined, 0), 1_000, 2_000);
    const deaf = heard(heard(before, 1n, 3_000), 1n, 4_000);
    expect(deaf).toEqual(before);
    expect([3_250, 3_251].map((nowMs) => doubtful(deaf, nowMs))).toEqual([false, true]);
  });

  test('is in doubt for a while after a gap, in the same session or the next one', () => {
    const before = beats(greeted(undefined, undefined, 0), 1_000, 2_000);
    for (const after of [heard(before, 2n, 5_000), heard(greeted(before, 0, 4_000), 0n, 5_000)]) {
      expect([5_000, 19_999, 20_000].map((nowMs) => doubtful({ ...after, shownMs: nowMs }, nowMs))).toEqual([
        true,
        true,
        false,
      ]);
    }
  });

  test('is in doubt for a while of who came long after the first one', () => {
    const [inTime, late] = [5_500, 8_000].map((atMs) => heard(greeted(undefined, 0, atMs), 0n, atMs + 500));
    expect(inTime && doubtful(inTime, 6_000)).toBe(false);
    expect(late && doubtful(late, 8_500)).toBe(true);
  });

  test('knows no gap of who came back at once, or said hello at a start', () => {
    const before = beats(greeted(undefined, undefined, 0), 1_000, 2_000);
    expect(doubtful(heard(greeted(before, 0, 2_100), 0n, 3_200), 3_200)).toBe(false);
  });
});
