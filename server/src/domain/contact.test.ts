import { describe, expect, test } from 'vitest';
import { type Contact, greeted, isOutOfContact, shown } from './contact.js';

const INTERVAL_MS = 1_000;
const heard = (before: Contact, acknowledged: bigint, nowMs: number) => shown(before, acknowledged, INTERVAL_MS, nowMs);
const doubtful = (contact: Contact, nowMs: number) => isOutOfContact(contact, INTERVAL_MS, nowMs);

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

  test('is there again after a gap, in the same session or the next one, and the gap is known', () => {
    const before = beats(greeted(undefined, undefined, 0), 1_000, 2_000);
    for (const after of [heard(before, 2n, 5_000), heard(greeted(before, 0, 4_000), 0n, 5_000)]) {
      expect(doubtful(after, 5_000)).toBe(false);
      expect(after.mendedMs).toBe(5_000);
    }
  });

  test('has a gap behind it of who came long after the first one', () => {
    const [inTime, late] = [5_500, 8_000].map((atMs) => heard(greeted(undefined, 0, atMs), 0n, atMs + 500));
    expect([inTime?.mendedMs, late?.mendedMs]).toEqual([Number.NEGATIVE_INFINITY, 8_500]);
    expect([inTime?.firstMs, late?.firstMs]).toEqual([6_000, 8_500]);
  });

  test('knows no gap of who came back at once, or said hello at a start', () => {
    const before = beats(greeted(undefined, undefined, 0), 1_000, 2_000);
    expect(heard(greeted(before, 0, 2_100), 0n, 3_200)).toMatchObject({
      mendedMs: Number.NEGATIVE_INFINITY,
      firstMs: 1_000,
    });
  });
});
