import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Batcher } from './batcher.js';

/** A batcher whose exchanges end when told to. */
function controlled(maxItems = 3, maxExchanges = 2) {
  const exchanges: { readonly items: readonly string[]; end(): void; fail(error: Error): void }[] = [];
  const door = new AbortController();
  let refusal: Error | undefined;
  const batcher = new Batcher<string, string>({
    maxItems,
    maxExchanges,
    check: () => {
      if (refusal) throw refusal;
      return door.signal;
    },
    handle: (items) =>
      new Promise((resolve, reject) => {
        exchanges.push({ items, end: () => resolve(items.map((item) => item.toUpperCase())), fail: reject });
      }),
  });
  /** Lets everything that waits for nothing but its turn run. */
  const settle = async () => {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  };
  const refuse = (error: Error) => {
    refusal = error;
    door.abort(error);
  };
  return { batcher, exchanges, settle, refuse };
}

describe('a batcher', () => {
  test('takes into an exchange what one turn brings, and answers each its own', async () => {
    const { batcher, exchanges, settle } = controlled();
    const answers = ['a', 'b', 'c'].map((item) => batcher.submit(item));
    await settle();
    expect(exchanges.map(({ items }) => items)).toEqual([['a', 'b', 'c']]);
    exchanges[0]?.end();
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'C']);
  });

  test('lets what comes while its exchanges are under way share the next one', async () => {
    const { batcher, exchanges, settle } = controlled(3, 1);
    const answers = [batcher.submit('a')];
    await settle();
    for (const item of 'bcdefg') answers.push(batcher.submit(item));
    await settle();
    expect(exchanges).toHaveLength(1);
    for (let n = 0; n < 3; n++) {
      exchanges[n]?.end();
      await settle();
    }
    expect(exchanges.map(({ items }) => items.join(''))).toEqual(['a', 'bcd', 'efg']);
    expect((await Promise.all(answers)).join('')).toBe('ABCDEFG');
  });

  test('rejects with the failure of an exchange those that were in it, and goes on', async () => {
    const { batcher, exchanges, settle } = controlled(1, 1);
    const first = batcher.submit('a');
    const second = batcher.submit('b');
    await settle();
    const failure = new Error('gone');
    exchanges[0]?.fail(failure);
    await expect(first).rejects.toBe(failure);
    await settle();
    exchanges[1]?.end();
    expect(await second).toBe('B');
  });

  test('takes in nothing that is refused at the door', async () => {
    const { batcher, exchanges, settle, refuse } = controlled();
    refuse(new Error('closed'));
    await expect(batcher.submit('a')).rejects.toThrow('closed');
    await settle();
    expect(exchanges).toEqual([]);
  });

  test('refuses what waits when the door shuts, and not what is under way', async () => {
    const { batcher, exchanges, settle, refuse } = controlled(1, 1);
    const first = batcher.submit('a');
    await settle();
    const second = batcher.submit('b');
    refuse(new Error('closed'));
    await expect(second).rejects.toThrow('closed');
    exchanges[0]?.end();
    expect(await first).toBe('A');
    await batcher.idle();
    expect(exchanges).toHaveLength(1);
  });

  test('is idle when nothing is under way any more', async () => {
    const { batcher, exchanges, settle } = controlled();
    const answer = batcher.submit('a');
    await settle();
    let isIdle = false;
    const idle = batcher.idle().then(() => {
      isIdle = true;
    });
    await settle();
    expect(isIdle).toBe(false);
    exchanges[0]?.end();
    await Promise.all([answer, idle]);
    expect(isIdle).toBe(true);
    await batcher.idle();
  });
});
