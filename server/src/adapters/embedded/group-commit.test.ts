import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Change } from '../../domain/change.js';
import type { NetworkId } from '../../domain/ids.js';
import { type Position, StoreUnavailableError } from '../../ports/store.js';
import { GroupCommit } from './group-commit.js';

const gone = (id: string): Change => ({ kind: 'network-gone', networkId: id as NetworkId });

/** A commit whose flushes end when told to. */
function controlled() {
  const flushes: { resolve(): void; reject(error: Error): void }[] = [];
  const durable: (readonly Change[])[] = [];
  const fatal: Error[] = [];
  const commit = new GroupCommit({
    stage: (changes) => changes.map((change) => ({ ...change, position: '1' as Position })),
    flush: () => new Promise<void>((resolve, reject) => flushes.push({ resolve, reject })),
    onDurable: (changes) => durable.push(changes.map(({ position: _, ...change }) => change)),
    onFatal: (error) => fatal.push(error),
  });
  const submit = (id: string) =>
    commit.submit((changes) => {
      changes.push(gone(id));
      return id;
    });
  /** Lets the commit come to rest: nothing in it takes more turns than this. */
  const settle = async () => {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  };
  return { commit, flushes, durable, fatal, submit, settle };
}

describe('GroupCommit', () => {
  test('answers only after the flush, and after the listeners', async () => {
    const { flushes, durable, submit, settle } = controlled();
    const order: string[] = [];
    const done = submit('a').then((answer) => order.push(answer, `heard ${durable.length}`));
    await settle();
    expect([flushes.length, durable.length, order.length]).toEqual([1, 0, 0]);
    flushes[0]?.resolve();
    await done;
    expect(order).toEqual(['a', 'heard 1']);
  });

  test('lets everything that comes during a flush share the next one, in order', async () => {
    const { flushes, durable, submit, settle } = controlled();
    const first = submit('a');
    await settle();
    const others = [submit('b'), submit('c')];
    await settle();
    expect(flushes).toHaveLength(1);
    flushes[0]?.resolve();
    await first;
    await settle();
    expect(flushes).toHaveLength(2);
    flushes[1]?.resolve();
    expect(await Promise.all(others)).toEqual(['b', 'c']);
    expect(durable).toEqual([[gone('a')], [gone('b'), gone('c')]]);
  });

  test('answers half of a group a turn earlier when nobody waits, and all of it whatever becomes of the next one', async () => {
    const { commit, flushes, submit, settle } = controlled();
    const answered: string[] = [];
    const calls = ['a', 'b', 'c', 'd', 'e'].map((id) => submit(id).then((answer) => answered.push(answer)));
    await settle();
    flushes[0]?.resolve();
    while (answered.length === 0) await Promise.resolve();
    await Promise.resolve();
    expect(answered).toEqual(['a', 'b', 'c']);
    const next = submit('f');
    await settle();
    flushes[1]?.reject(new Error('disk is gone'));
    await Promise.all(calls);
    expect(answered).toEqual(['a', 'b', 'c', 'd', 'e']);
    await expect(next).rejects.toThrow(StoreUnavailableError);
    expect(() => commit.check()).toThrow('disk is gone');
  });

  test('after a failing flush rejects what waits and what comes, writes nothing more, and says so once', async () => {
    const { commit, flushes, durable, fatal, submit, settle } = controlled();
    const writing = submit('a');
    await settle();
    const waiting = submit('b');
    flushes[0]?.reject(new Error('disk is gone'));
    for (const call of [writing, waiting, submit('c')]) await expect(call).rejects.toThrow(StoreUnavailableError);
    await settle();
    expect(() => commit.check()).toThrow('disk is gone');
    expect([flushes.length, durable.length]).toEqual([1, 0]);
    expect(fatal.map(({ message }) => message)).toEqual(['disk is gone']);
  });

  test('a close lets what was submitted finish, and refuses what comes later', async () => {
    const { commit, flushes, submit, settle } = controlled();
    const before = submit('a');
    const closed = commit.close();
    await expect(submit('b')).rejects.toThrow(StoreUnavailableError);
    await settle();
    flushes[0]?.resolve();
    await closed;
    expect(await before).toBe('a');
  });
});
