import { expect, test } from 'vitest';
import type { HostId } from '../../domain/ids.js';
import { Recent } from './recent.js';

const [A, B] = ['a', 'b'] as HostId[] as [HostId, HostId];

test('knows for a minute what was noted last, and when', () => {
  const recent = new Recent<HostId, string>(60_000);
  recent.note(A, 'first', 0);
  recent.note(B, 'other', 1_000);
  recent.note(A, 'second', 2_000);
  expect([recent.get(A, 60_999), recent.get(B, 60_999)]).toEqual([
    { value: 'second', atMs: 2_000 },
    { value: 'other', atMs: 1_000 },
  ]);
  recent.note(A, 'third', 61_000);
  expect([recent.get(A, 61_000)?.atMs, recent.get(B, 61_000)]).toEqual([61_000, undefined]);
});

test('does not give what is older, though nothing was noted since', () => {
  const recent = new Recent<HostId, string>(60_000);
  recent.note(A, 'first', 0);
  expect([recent.get(A, 59_999)?.value, recent.get(A, 60_000)]).toEqual(['first', undefined]);
});

test('forgets one, and all', () => {
  const recent = new Recent<HostId, string>(60_000);
  recent.note(A, '', 0);
  recent.note(B, '', 0);
  recent.forget(A);
  expect([recent.get(A, 0), recent.get(B, 0)?.atMs]).toEqual([undefined, 0]);
  recent.clear();
  expect(recent.get(B, 0)).toBeUndefined();
});
