import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { knows, slowest, told, welcomed } from './dictated.js';

const pace = (intervalMs: number, spreadMs = 0) => ({ intervalMs, spreadMs });

describe('an agent', () => {
  test('that is told a longer interval is judged by it at once', () => {
    expect(slowest(told(welcomed(pace(1_000)), pace(3_000), 4n)).intervalMs).toBe(3_000);
  });

  test('that is told a shorter interval is judged by it once it says that it has it, and not before', () => {
    const both = told(welcomed(pace(3_000)), pace(1_000), 4n);
    expect(slowest(knows(both, 3n)).intervalMs).toBe(3_000);
    expect(slowest(knows(both, 4n)).intervalMs).toBe(1_000);
    expect(slowest(knows(both, 9n)).intervalMs).toBe(1_000);
  });

  test('that says nothing of what it has is judged by the longest it was told', () => {
    const all = told(told(welcomed(pace(2_000)), pace(5_000), 1n), pace(1_000), 2n);
    expect(slowest(knows(all, 0n)).intervalMs).toBe(5_000);
  });

  test('that says nothing for long is not remembered without end, and its longest still counts', () => {
    let dictated = welcomed(pace(1_000));
    for (let i = 1; i <= 1_000; i++) dictated = told(dictated, pace(i === 3 ? 9_000 : 1_000 + i), BigInt(i));
    expect(dictated.length).toBeLessThanOrEqual(16);
    expect(slowest(dictated).intervalMs).toBe(9_000);
    expect(slowest(knows(dictated, 1_000n)).intervalMs).toBe(2_000);
  });

  test('that is told the same again is told nothing new', () => {
    const before = welcomed(pace(1_000));
    expect(told(before, pace(1_000), 7n)).toBe(before);
  });
});

test('whatever an agent goes by is never slower than what it is judged by, however late it hears', () => {
  const step = fc.record({ intervalMs: fc.integer({ min: 1, max: 5 }), spreadMs: fc.nat(5), behind: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let dictated = welcomed(pace(1, 1));
      const sent = [pace(1, 1)];
      let received = 0;
      steps.forEach(({ behind, ...next }, i) => {
        const sequence = BigInt(i + 1);
        // A heartbeat that tells what the agent had when it was sent; its acknowledgement tells the next pace.
        dictated = told(knows(dictated, BigInt(received)), next, sequence);
        sent.push(next);
        received = Math.max(received, i + 1 - behind);
        const goesBy = sent[received] ?? pace(Number.NaN);
        expect(slowest(dictated).intervalMs).toBeGreaterThanOrEqual(goesBy.intervalMs);
        expect(slowest(dictated).spreadMs).toBeGreaterThanOrEqual(goesBy.spreadMs);
      });
    }),
  );
});
