import { expect, test } from 'vitest';
import type { HostId } from '../../domain/ids.js';
import { HeardHosts } from './heard-hosts.js';

const [H1, H2] = ['h1', 'h2'] as [HostId, HostId];

function world() {
  const at = { nowMs: 0 };
  const never = () => {
    throw new Error('It waits for nothing');
  };
  const clock = { now: () => at.nowMs, wallTime: () => new Date(at.nowMs), after: never };
  return { at, hosts: new HeardHosts(clock, () => ({ intervalMs: 1_000, spreadMs: 0 })) };
}

test('a host that was at the door long ago, and left, is there anew when it comes', () => {
  const { at, hosts } = world();
  hosts.knocks(H1);
  at.nowMs = 600_000;
  expect(hosts.atTheDoorMs(H1)).toBeUndefined();
  hosts.knocks(H1);
  expect(hosts.atTheDoorMs(H1)).toBe(600_000);
});

test('a host that comes again and again without a session is there since it came first, whoever else comes', () => {
  const { at, hosts } = world();
  for (; at.nowMs < 600_000; at.nowMs += 10_000) {
    hosts.knocks(H1);
    hosts.knocks(H2);
    hosts.leftTheDoor(H2);
    expect(hosts.atTheDoorMs(H1)).toBe(0);
  }
  hosts.isTurnedAway(H1);
  expect(hosts.atTheDoorMs(H1)).toBe(600_000);
});

test('a host that was turned away is at the door for as long as ten thousand may take to come again', () => {
  const { at, hosts } = world();
  hosts.isTurnedAway(H1);
  at.nowMs = 105_000;
  hosts.knocks(H2);
  expect(hosts.atTheDoorMs(H1)).toBe(0);
});
