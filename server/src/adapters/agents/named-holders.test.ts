import { expect, test } from 'vitest';
import type { HostId } from '../../domain/ids.js';
import { NamedHolders } from './named-holders.js';

const [H1, H2] = ['h1' as HostId, 'h2' as HostId];

test('a host to which the holder was named is known until the next beat, and no other one is', () => {
  const named = new NamedHolders();
  const holder = { epoch: 3, beat: 7 };
  expect(named.wasNamed(H1, holder)).toBe(false);
  named.named(H1, holder);
  expect([H1, H2].map((hostId) => named.wasNamed(hostId, holder))).toEqual([true, false]);
  expect(named.wasNamed(H1, { epoch: 3, beat: 8 })).toBe(false);
  expect(named.wasNamed(H1, { epoch: 4, beat: 7 })).toBe(false);
  named.named(H2, { epoch: 3, beat: 8 });
  expect([H1, H2].map((hostId) => named.wasNamed(hostId, { epoch: 3, beat: 8 }))).toEqual([false, true]);
});

test('no more hosts are kept than any installation has', () => {
  const named = new NamedHolders();
  const holder = { epoch: 1, beat: 1 };
  for (let n = 0; n <= 20_000; n++) named.named(`h${n}` as HostId, holder);
  expect(named.wasNamed('h0' as HostId, holder)).toBe(false);
  expect(named.wasNamed('h20000' as HostId, holder)).toBe(true);
});
