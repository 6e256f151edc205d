import { expect, test } from 'vitest';
import type { HostId } from '../../domain/ids.js';
import { TurnedAway } from './turned-away.js';

const [A, B] = ['a', 'b'] as HostId[] as [HostId, HostId];

test('knows for a minute when a host was turned away last', () => {
  const hosts = new TurnedAway();
  hosts.add(A, 0);
  hosts.add(B, 1_000);
  hosts.add(A, 2_000);
  expect([hosts.lastMs(A), hosts.lastMs(B)]).toEqual([2_000, 1_000]);
  hosts.add(A, 61_000);
  expect([hosts.lastMs(A), hosts.lastMs(B)]).toEqual([61_000, undefined]);
  hosts.clear();
  expect(hosts.lastMs(A)).toBeUndefined();
});
