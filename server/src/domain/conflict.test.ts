import type { Mac } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { CONFLICT_AGAIN_MS, type ConflictKind, type Sighting, withConflict } from './conflict.js';
import type { HostId, ReservationId, WallTime } from './ids.js';
import type { Slot } from './slot.js';

const OWN = '52:54:00:00:00:01' as Mac;
const OTHER = '52:54:00:00:00:02' as Mac;
const NOW = 1_000_000 as WallTime;
const SLOT = { reservationId: 'r1', state: 'reserved', mac: OWN } as unknown as Slot;

function sighting(kind: ConflictKind, change: Partial<Sighting> = {}): Sighting {
  const sourceMac = kind === 'address-in-use' ? OTHER : OWN;
  return { reservationId: 'r1' as ReservationId, kind, sourceMac, hostId: 'h1' as HostId, ...change };
}

function later(ms: number): WallTime {
  return (NOW + ms) as WallTime;
}

test.each(['declined', 'address-in-use', 'released'] as const)('%s is written, and nothing else changes', (kind) => {
  const { sourceMac, hostId } = sighting(kind);
  expect(withConflict(SLOT, sighting(kind), NOW)).toEqual({
    ...SLOT,
    conflict: { time: NOW, kind, sourceMac, hostId },
  });
});

describe('nothing is written', () => {
  test('of another tenure, or one that was released', () => {
    expect(withConflict(SLOT, sighting('declined', { reservationId: 'r0' as ReservationId }), NOW)).toBeUndefined();
    expect(withConflict({ ...SLOT, state: 'quarantined' }, sighting('declined'), NOW)).toBeUndefined();
  });

  test('when its own MAC uses an address, or another one declines or releases it', () => {
    expect(withConflict(SLOT, sighting('address-in-use', { sourceMac: OWN }), NOW)).toBeUndefined();
    expect(withConflict(SLOT, sighting('declined', { sourceMac: OTHER }), NOW)).toBeUndefined();
    expect(withConflict(SLOT, sighting('released', { sourceMac: OTHER }), NOW)).toBeUndefined();
  });

  test('twice within a minute, whichever way the clock was set', () => {
    const noted = withConflict(SLOT, sighting('declined'), NOW) as Slot;
    expect(withConflict(noted, sighting('declined'), later(CONFLICT_AGAIN_MS - 1))).toBeUndefined();
    expect(withConflict(noted, sighting('declined'), later(1 - CONFLICT_AGAIN_MS))).toBeUndefined();
    expect(withConflict(noted, sighting('declined'), later(CONFLICT_AGAIN_MS))?.conflict?.time).toBe(
      NOW + CONFLICT_AGAIN_MS,
    );
    expect(withConflict(noted, sighting('declined'), later(-CONFLICT_AGAIN_MS))).toBeDefined();
  });

  test('within a minute of another MAC, another host or another kind', () => {
    const noted = withConflict(SLOT, sighting('address-in-use'), NOW) as Slot;
    const others = [{ sourceMac: '52:54:00:00:00:03' as Mac }, { hostId: 'h2' as HostId }];
    for (const other of others) {
      expect(withConflict(noted, sighting('address-in-use', other), later(1))).toBeUndefined();
    }
    expect(withConflict(noted, sighting('declined'), later(1))).toBeUndefined();
  });

  test('of a release after what is worse', () => {
    const noted = withConflict(SLOT, sighting('address-in-use'), NOW) as Slot;
    expect(withConflict(noted, sighting('released'), later(CONFLICT_AGAIN_MS))).toBeUndefined();
    const released = withConflict(SLOT, sighting('released'), NOW) as Slot;
    expect(withConflict(released, sighting('declined'), later(1))?.conflict?.kind).toBe('declined');
  });
});
