import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { expect, test } from 'vitest';
import { ROLES, withNames } from './roles.js';

const servers = [
  { name: 's1', isActing: false },
  { name: 's2', isActing: true },
];
const cast = { servers, hosts: [{ hostId: 'h1' }], disk: new MemoryDisk() };

test('a fault befalls who has its role when it begins', () => {
  const cut = { kind: 'cut', of: [ROLES.leading, 'h1'], from: ['store', ROLES.other], way: 'both', forMs: 1 } as const;
  expect(withNames(cut, cast)).toEqual({ ...cut, of: ['s2', 'h1'], from: ['store', 's1'] });
  expect(withNames({ kind: 'lose-watch', server: ROLES.leading }, cast)).toEqual({ kind: 'lose-watch', server: 's2' });
});

test('nothing befalls anybody when nobody has its role', () => {
  expect(withNames({ kind: 'reboot-host', host: ROLES.serving, forMs: 1 }, cast)).toBeUndefined();
});

test('a fault that names whom it befalls is as it was', () => {
  const fault = { kind: 'stall-host', host: 'h3', forMs: 5 } as const;
  expect(withNames(fault, cast)).toEqual(fault);
});
