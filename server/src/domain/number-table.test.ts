import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NumberTable } from './number-table.js';

test('it answers what a map would, whatever is set and deleted', () => {
  // Few keys, so that they are met again, from everywhere in 48 bits.
  const key = fc.integer({ min: 0, max: 40 }).map((n) => 1 + n * 6_700_417_000_003);
  const value = fc.option(fc.integer({ min: 0, max: 0xffffffff }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.record({ key, value }), { maxLength: 200 }), (steps) => {
      const table = new NumberTable();
      const model = new Map<number, number>();
      for (const step of steps) {
        if (step.value === undefined) {
          table.delete(step.key);
          model.delete(step.key);
        } else {
          table.set(step.key, step.value);
          model.set(step.key, step.value);
        }
        expect(table.get(step.key)).toBe(step.value);
        expect(table.size).toBe(model.size);
      }
      expect([...table.entries()].sort(([a], [b]) => a - b)).toEqual([...model].sort(([a], [b]) => a - b));
    }),
  );
});

test('it holds 100,000 keys in a row, and forgets every other one', () => {
  const table = new NumberTable();
  const first = 0x525400000000;
  for (let n = 0; n < 100_000; n++) table.set(first + n, n);
  for (let n = 0; n < 100_000; n += 2) table.delete(first + n);
  expect(table.size).toBe(50_000);
  const wrong: number[] = [];
  for (let n = 0; n < 100_000; n++) if (table.get(first + n) !== (n % 2 === 0 ? undefined : n)) wrong.push(n);
  expect(wrong).toEqual([]);
});

test('nothing is in it when it was cleared', () => {
  const table = new NumberTable();
  table.set(1, 7);
  table.clear();
  expect(table.size).toBe(0);
  expect(table.get(1)).toBeUndefined();
});
