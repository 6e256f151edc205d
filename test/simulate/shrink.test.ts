import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shrink } from './shrink.js';

const GENEROUS = { tries: 10_000 };

test('what a failure needs is left, in its order, and nothing else', async () => {
  const cases = fc.tuple(fc.uniqueArray(fc.nat(200), { minLength: 1, maxLength: 60 }), fc.infiniteStream(fc.boolean()));
  await fc.assert(
    fc.asyncProperty(cases, async ([items, coins]) => {
      const needed = items.filter(() => coins.next().value === true);
      const fails = async (part: readonly number[]) => needed.every((item) => part.includes(item));
      expect(await shrink(items, fails, GENEROUS)).toEqual(needed);
    }),
  );
});

test('no item of what is left can be dropped alone', async () => {
  // Any three even ones fail.
  const fails = async (part: readonly number[]) => part.filter((item) => item % 2 === 0).length >= 3;
  const left = await shrink(
    Array.from({ length: 50 }, (_, i) => i),
    fails,
    GENEROUS,
  );
  expect(left).toHaveLength(3);
  expect(await fails(left)).toBe(true);
});

test('it tries no more than it may, and answers something that was seen to fail', async () => {
  let tried = 0;
  const fails = async (part: readonly number[]) => {
    tried++;
    return part.includes(7);
  };
  const left = await shrink(
    Array.from({ length: 100 }, (_, i) => i),
    fails,
    { tries: 5 },
  );
  expect(tried).toBe(5);
  expect(left).toContain(7);
  expect(left.length).toBeLessThan(100);
});
