import { describe, expect, test } from 'vitest';
import { inTurns, Turns } from './turns.js';

const AT_ONCE = 32;
const OF_A_LOT_AT_ONCE = 12;
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, n) => from + n);

/** Work that ends when it is told to. */
function held() {
  const begun: number[] = [];
  const ends = new Map<number, () => void>();
  const work = (n: number) =>
    new Promise<void>((resolve) => {
      begun.push(n);
      ends.set(n, resolve);
    });
  const end = async (n: number) => {
    ends.get(n)?.();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  return { begun, work, end };
}

describe('turns', () => {
  test('are taken in order, so many at a time, and one that takes long holds up no other', async () => {
    const { begun, work, end } = held();
    new Turns(work).tell(numbers(0, 100));
    expect(begun).toEqual(numbers(0, AT_ONCE));
    for (const n of numbers(1, 50)) await end(n);
    expect(begun).toEqual(numbers(0, AT_ONCE + 50));
  });

  test('are those that were told last, after what began', async () => {
    const { begun, work, end } = held();
    const turns = new Turns(work);
    turns.tell(numbers(0, 100));
    turns.tell([200, 201]);
    expect(begun).toEqual(numbers(0, AT_ONCE));
    for (const n of numbers(0, AT_ONCE)) await end(n);
    expect(begun).toEqual([...numbers(0, AT_ONCE), 200, 201]);
    turns.tell(numbers(300, 40));
    expect(begun.slice(AT_ONCE + 2)).toEqual(numbers(300, AT_ONCE - 2));
  });

  test('of one lot are over when all are', async () => {
    const { begun, work, end } = held();
    let isOver = false;
    void inTurns(numbers(0, 40), work).then(() => {
      isOver = true;
    });
    expect(begun).toEqual(numbers(0, OF_A_LOT_AT_ONCE));
    for (const n of numbers(0, 39)) await end(n);
    expect([begun.length, isOver]).toEqual([40, false]);
    await end(39);
    expect(isOver).toBe(true);
  });

  test('of one lot end after a failure, with those that began', async () => {
    const { begun, work, end } = held();
    const failed = new Error('failed');
    const ended: unknown[] = [];
    const lot = inTurns(numbers(0, 40), async (n) => {
      await work(n);
      if (n === 1) throw failed;
    });
    lot.catch((error: unknown) => ended.push(error));
    for (const n of [1, ...numbers(2, OF_A_LOT_AT_ONCE - 2)]) await end(n);
    expect(ended).toEqual([]);
    await end(0);
    expect(begun).toEqual(numbers(0, OF_A_LOT_AT_ONCE));
    expect(ended).toEqual([failed]);
  });
});
