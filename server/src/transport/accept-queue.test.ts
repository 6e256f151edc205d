import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/fakes/virtual-clock.js';
import { AcceptQueue, AGENT_ACCEPTS } from './accept-queue.js';

const LIMITS = { perSecond: 100, atOnce: 10, maxWaiting: 50, maxWaitMs: 400, inOrderMs: 300 };

function start(limits = LIMITS) {
  const clock = new VirtualClock(0);
  const taken: number[] = [];
  const waited: number[] = [];
  const refused: number[] = [];
  const queue = new AcceptQueue<number>(limits, clock, {
    take: (connection, waitedMs) => {
      taken.push(connection);
      waited.push(waitedMs);
    },
    refuse: (connection) => void refused.push(connection),
  });
  const come = (from: number, count: number) => {
    for (let i = from; i < from + count; i++) queue.arrived(i);
  };
  return { clock, queue, taken, waited, refused, come };
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('connections', () => {
  test('are let in at once while they are few', () => {
    const { taken, waited, come } = start();
    come(0, 10);
    expect(taken).toEqual(upTo(10));
    expect(Math.max(...waited)).toBe(0);
  });

  test('beyond that are let in by the rate, in their order', async () => {
    const { clock, taken, come } = start();
    come(0, 40);
    expect(taken).toHaveLength(10);
    await clock.advance(100);
    expect(taken).toHaveLength(20);
    await clock.advance(200);
    expect(taken).toEqual(upTo(40));
  });

  test('that keep coming faster than they are let in hardly wait, or are closed: none is let in that is about to leave', async () => {
    const { clock, taken, waited, refused, come } = start({ ...LIMITS, maxWaiting: 200, inOrderMs: 100 });
    for (let i = 0; i < 1_000; i += 4) {
      come(i, 4);
      await clock.advance(10);
    }
    expect(taken.length).toBeGreaterThanOrEqual(250);
    // Until the first had waited for long, they came in their order.
    expect(Math.max(...waited)).toBeLessThanOrEqual(120);
    expect(Math.max(...waited.slice(50))).toBeLessThanOrEqual(20);
    expect(refused.length).toBeGreaterThan(500);
  });

  test('do not save up what was not used', async () => {
    const { clock, taken, come } = start();
    await clock.advance(60_000);
    come(0, 40);
    expect(taken).toHaveLength(10);
  });

  test('that came first are refused while too many wait, and others let in again after', async () => {
    const { clock, taken, refused, come } = start();
    come(0, 65);
    expect(refused).toEqual([10, 11, 12, 13, 14]);
    await clock.advance(400);
    expect(taken).toHaveLength(50);
    come(65, 1);
    await clock.advance(200);
    expect(taken.slice(50)).toEqual([65]);
  });

  test('that wait too long are refused, and take nobody his turn: a server that stood still', async () => {
    const { clock, taken, refused, come } = start();
    come(0, 30);
    clock.jump(1_000);
    come(30, 5);
    await clock.advance(20);
    expect(refused).toEqual(upTo(30).slice(10));
    expect(taken.slice(10)).toEqual([30, 31, 32, 33, 34]);
  });

  test('that left while they waited take nobody his turn', async () => {
    const { clock, queue, taken, come } = start();
    come(0, 14);
    for (const gone of [10, 11]) queue.left(gone);
    await clock.advance(20);
    expect(taken.slice(10)).toEqual([12, 13]);
  });

  test('are refused when it closes, those that wait and those that come', async () => {
    const { clock, queue, taken, refused, come } = start();
    come(0, 12);
    queue.close();
    come(12, 1);
    await clock.advance(1_000);
    expect(refused).toEqual([10, 11, 12]);
    expect(taken).toHaveLength(10);
  });
});

test('as many agents may wait as are let in before the first of them would be refused', () => {
  const { perSecond, maxWaiting, maxWaitMs } = AGENT_ACCEPTS;
  expect((maxWaiting / perSecond) * 1_000).toBeLessThanOrEqual(maxWaitMs);
});
