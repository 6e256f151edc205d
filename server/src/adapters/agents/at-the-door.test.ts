import { expect, test } from 'vitest';
import type { HostId } from '../../domain/ids.js';
import { AtTheDoor } from './at-the-door.js';

const [A, B] = ['a', 'b'] as HostId[] as [HostId, HostId];

test('knows for a minute when a host was at the door last', () => {
  const door = new AtTheDoor();
  door.add(A, 0);
  door.add(B, 1_000);
  door.add(A, 2_000);
  expect([door.lastMs(A), door.lastMs(B)]).toEqual([2_000, 1_000]);
  door.add(A, 61_000);
  expect([door.lastMs(A), door.lastMs(B)]).toEqual([61_000, undefined]);
});

test('forgets who has a session, and all when another server leads', () => {
  const door = new AtTheDoor();
  door.add(A, 0);
  door.add(B, 0);
  door.remove(A);
  expect([door.lastMs(A), door.lastMs(B)]).toEqual([undefined, 0]);
  door.clear();
  expect(door.lastMs(B)).toBeUndefined();
});
