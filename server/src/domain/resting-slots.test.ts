import type { Ipv4, Mac } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { DueQueue } from './due-queue.js';
import type { NetworkId, ReservationId } from './ids.js';
import { RestingSlots } from './resting-slots.js';

const RED = 'red' as NetworkId;

function slot(n: number, more: { chainCounter?: number; vouched?: boolean; chainSoFar?: 'vouched'; id?: string } = {}) {
  const { id = `r${n}`, ...rest } = more;
  const mac = `52:54:00:00:00:${String(n).padStart(2, '0')}` as Mac;
  const names = { networkId: RED, address: n as Ipv4, reservationId: id as ReservationId, mac };
  return { ...names, reuseDelayS: 60, leaseTimeCeilingS: 3_600, chainCounter: 1, ...rest };
}

function due(slots: RestingSlots, nowMs: number): readonly number[] {
  return slots.takeDue(nowMs, 100).map(({ address }) => address);
}

test('what is due comes earliest first, whatever the order in which it was added', () => {
  const queue = new DueQueue<number>();
  const moments = Array.from({ length: 100 }, (_, i) => (i * 37) % 100);
  for (const ms of moments) queue.add(ms, ms);
  const taken: (number | undefined)[] = [];
  for (let item = queue.take(49); item !== undefined; item = queue.take(49)) taken.push(item);
  expect(taken).toEqual(Array.from({ length: 50 }, (_, i) => i));
});

test('a slot is due after its delay once it is cleared, and only once', () => {
  const slots = new RestingSlots();
  slots.released(slot(1), 0);
  expect(due(slots, 100_000)).toEqual([]);
  slots.clear(() => 1, 1_000);
  expect(due(slots, 59_999)).toEqual([]);
  expect(due(slots, 60_000)).toEqual([1]);
  expect(due(slots, 90_000)).toEqual([]);
});

test('a slot that is put off twice is taken at the later time alone', () => {
  const slots = new RestingSlots();
  slots.released(slot(1), 0);
  slots.clear(() => 1, 0);
  const [taken] = slots.takeDue(60_000, 1);
  if (!taken) throw new Error('It is due');
  slots.putOff(taken, 61_000);
  slots.putOff(taken, 90_000, false);
  expect(due(slots, 89_999)).toEqual([]);
  expect(due(slots, 90_000)).toEqual([1]);
});

test('of those that the same hosts hold up none is looked at behind one that is not cleared', () => {
  const slots = new RestingSlots();
  for (const n of [1, 2, 3]) slots.released(slot(n), n);
  slots.released(slot(4, { chainCounter: 2 }), 4);
  const asked: number[] = [];
  const ask = (limitMs: number) => (_: NetworkId, chainCounter: number) => {
    asked.push(chainCounter);
    return chainCounter === 2 ? 10 : limitMs;
  };
  slots.clear(ask(2), 1_000);
  expect(asked).toEqual([1, 2]);
  expect(due(slots, 100_000)).toEqual([1, 4]);
  slots.clear(ask(10), 200_000);
  expect(due(slots, 200_000)).toEqual([2, 3]);
});

test('an address that is gone, or released anew, is not due for what was there', () => {
  const slots = new RestingSlots();
  slots.released(slot(1), 0);
  slots.released(slot(2), 0);
  slots.clear(() => 1, 0);
  slots.gone(RED, 1 as Ipv4);
  slots.released(slot(2, { id: 'another' }), 50_000);
  expect(due(slots, 100_000)).toEqual([]);
  slots.clear(() => 50_001, 100_000);
  expect(due(slots, 110_000)).toEqual([2]);
});

test('a vouch that comes later makes a cleared slot due at once', () => {
  const slots = new RestingSlots();
  slots.released(slot(1, { vouched: false }), 0);
  slots.clear(() => 1, 0);
  const [taken] = slots.takeDue(60_000, 1);
  if (!taken) throw new Error('It is due');
  slots.putOff(taken, 3_000_000);
  slots.released(slot(1, { vouched: true }), 70_000);
  expect(due(slots, 70_000)).toEqual([1]);
});

test('the first release of a chain is known while it goes on, unless it was before the term', () => {
  const slots = new RestingSlots();
  const chainSeenMs = (n: number) => slots.get(RED, n as Ipv4)?.chainSeenMs;
  slots.released(slot(1, { vouched: true }), 5);
  slots.released(slot(2, { vouched: true }), 5, true);
  expect([chainSeenMs(1), chainSeenMs(2)]).toEqual([5, undefined]);
  for (const n of [1, 2]) {
    slots.gone(RED, n as Ipv4, slot(n).mac);
    slots.released(slot(n, { id: `again-${n}`, vouched: true, chainSoFar: 'vouched' }), 9);
  }
  expect([chainSeenMs(1), chainSeenMs(2)]).toEqual([5, undefined]);
  slots.gone(RED, 1 as Ipv4);
  slots.released(slot(1, { id: 'new', vouched: true }), 20);
  expect(chainSeenMs(1)).toBe(20);
});

test('what the store only sums up is not taken for the first of its chain', () => {
  const slots = new RestingSlots();
  slots.released(slot(1), 5);
  expect(slots.get(RED, 1 as Ipv4)?.chainSeenMs).toBeUndefined();
});
