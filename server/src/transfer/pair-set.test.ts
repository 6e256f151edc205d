import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PairSet } from './pair-set.js';

test('a pair is new once, whatever else was added', () => {
  const number = fc.oneof(fc.nat({ max: 3 }), fc.maxSafeNat());
  fc.assert(
    fc.property(fc.array(fc.tuple(number, number), { maxLength: 3_000 }), (pairs) => {
      const set = new PairSet();
      const known = new Set<string>();
      for (const [a, b] of pairs) {
        expect(set.add(a, b)).toBe(!known.has(`${a} ${b}`));
        known.add(`${a} ${b}`);
      }
    }),
    { numRuns: 50 },
  );
});

test('neighbouring numbers by the hundred thousand are found again, none is taken for another', () => {
  const set = new PairSet();
  let added = 0;
  for (let i = 0; i < 300_000; i++) if (set.add(i % 7, 0x525400000000 + i)) added++;
  for (let i = 0; i < 300_000; i++) if (set.add(i % 7, 0x525400000000 + i)) added++;
  expect(added).toBe(300_000);
});
