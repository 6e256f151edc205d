import { describe, expect, test } from 'vitest';
import { brakesNow, followMassSilence, forgetsAges, maybeMassSilence } from './brakes.js';
import type { HostId } from './ids.js';
import type { Liveness } from './liveness.js';
import type { PlanHost } from './plan-host.js';

const INTERVAL_MS = 1_000;

const hosts = (liveness: Liveness, count: number, managed = true): PlanHost[] =>
  Array.from(
    { length: count },
    (_, n) => ({ hostId: `${liveness}-${n}`, liveness, managed, silentForMs: 0, intervalMs: INTERVAL_MS }) as PlanHost,
  );

const longAgo = (all: readonly PlanHost[]): PlanHost[] => all.map((each) => ({ ...each, silentForMs: 60_000 }));

describe('mass silence', () => {
  test.each<[string, readonly PlanHost[], number | undefined]>([
    ['50 of 100', [...hosts('down', 50), ...hosts('up', 50)], 50],
    ['49 of 100', [...hosts('down', 49), ...hosts('up', 51)], undefined],
    ['20 of 100', [...hosts('down', 20), ...hosts('up', 80)], undefined],
    ['3 of 6', [...hosts('down', 3), ...hosts('up', 3)], 3],
    ['2 of 4', [...hosts('down', 2), ...hosts('up', 2)], undefined],
    ['1 of 2', [...hosts('down', 1), ...hosts('up', 1)], undefined],
    ['3 of 5', [...hosts('down', 2), ...hosts('suspect', 1), ...hosts('up', 2)], 3],
    ['2 of 2', hosts('down', 2), undefined],
    ['3 of 3 that are not managed', hosts('down', 3, false), undefined],
  ])('of %s hosts', (_, all, silent) => {
    expect(followMassSilence(undefined, all, INTERVAL_MS, 0)?.hosts.size).toBe(silent);
  });

  test('may be beginning while the others are quiet, too', () => {
    const quiet = hosts('up', 3).map((each) => ({ ...each, doubtful: true }));
    expect(followMassSilence(undefined, [...hosts('suspect', 1), ...quiet], INTERVAL_MS, 0)).toBeUndefined();
    expect(maybeMassSilence([...hosts('suspect', 1), ...quiet], INTERVAL_MS, 0)).toBe(true);
    expect(maybeMassSilence([...hosts('suspect', 1), ...hosts('up', 3)], INTERVAL_MS, 0)).toBe(false);
  });

  test('may still be while hosts came back that were cut off together with those that are lost, not before them', () => {
    const lost = hosts('down', 1).map((each) => ({ ...each, contactMs: 10_000 }));
    const back = (mendedMs: number) => hosts('up', 3).map((each) => ({ ...each, contactMs: 14_000, mendedMs }));
    expect(maybeMassSilence([...lost, ...back(13_000)], INTERVAL_MS, 14_000)).toBe(true);
    expect(maybeMassSilence([...lost, ...back(13_000)], INTERVAL_MS, 28_000)).toBe(false);
    expect(maybeMassSilence([...lost, ...back(9_000)], INTERVAL_MS, 14_000)).toBe(false);
  });

  test('may be beginning while the others were not heard since those that are silent missed their last heartbeat', () => {
    const lost = hosts('suspect', 1).map((each) => ({ ...each, connected: true, silentForMs: 2_501 }));
    const heard = (contactMs: number) =>
      hosts('up', 3).map((each) => ({ ...each, contactMs, mendedMs: Number.NEGATIVE_INFINITY }));
    expect(maybeMassSilence([...lost, ...heard(9_600)], INTERVAL_MS, 10_000)).toBe(true);
    expect(maybeMassSilence([...lost, ...heard(9_700)], INTERVAL_MS, 10_000)).toBe(false);
    // A stream that broke is no heartbeat that was missed.
    const broken = lost.map((each) => ({ ...each, connected: false }));
    expect(maybeMassSilence([...broken, ...heard(9_600)], INTERVAL_MS, 10_000)).toBe(false);
  });

  test('may be while a host came first after the lost one was heard last, for 5 s: it was not there before', () => {
    const lost = hosts('down', 1).map((each) => ({ ...each, contactMs: 10_000, connected: true, silentForMs: 4_000 }));
    const back = hosts('up', 2).map((each) => ({ ...each, contactMs: 14_000, mendedMs: Number.NEGATIVE_INFINITY }));
    const came = (firstContactMs: number) => [...lost, ...back.map((each) => ({ ...each, firstContactMs }))];
    expect(maybeMassSilence(came(13_500), INTERVAL_MS, 14_000)).toBe(true);
    expect(maybeMassSilence(came(9_000), INTERVAL_MS, 14_000)).toBe(false);
    const later = came(13_500).map((each) => ({ ...each, silentForMs: 8_600, contactMs: each.contactMs + 4_500 }));
    expect(maybeMassSilence(later, INTERVAL_MS, 18_600)).toBe(false);
  });

  test('holds for 15 s after it was seen last, or for two intervals when they are long', () => {
    const seen = followMassSilence(undefined, hosts('down', 3), INTERVAL_MS, 0);
    expect(followMassSilence(seen, hosts('up', 3), 20_000, 39_999)).toBe(seen);
    expect(followMassSilence(seen, hosts('up', 3), INTERVAL_MS, 14_999)).toBe(seen);
    expect(followMassSilence(seen, hosts('up', 3), INTERVAL_MS, 15_000)).toBeUndefined();
  });

  test('goes on while the hosts that fell silent together stay away, however long', () => {
    const all = [...hosts('down', 3), ...hosts('up', 2)];
    const seen = followMassSilence(undefined, all, INTERVAL_MS, 0);
    expect(followMassSilence(seen, longAgo(all), INTERVAL_MS, 3_600_000)?.hosts.size).toBe(3);
  });

  test('ends after ten minutes for hosts that were never heard since a start: they are the long dead', () => {
    const never = hosts('down', 3).map((each) => ({ ...each, heard: false, silentForMs: 600_000 }));
    const seen = followMassSilence(undefined, hosts('down', 3), INTERVAL_MS, 0);
    expect(followMassSilence(seen, [...never, ...hosts('up', 2)], INTERVAL_MS, 600_000)).toBeUndefined();
  });

  test('is not made of hosts that died one by one, long ago', () => {
    const dead = longAgo(hosts('down', 8));
    expect(followMassSilence(undefined, [...dead, ...hosts('up', 2)], INTERVAL_MS, 0)).toBeUndefined();
    expect(
      followMassSilence(undefined, [...dead, ...hosts('suspect', 3), ...hosts('up', 2)], INTERVAL_MS, 0),
    ).toMatchObject({
      managed: 5,
    });
  });
});

describe('the budget', () => {
  const allowed = (managed: number, losses: ReadonlyMap<HostId, number>, nowMs: number) => {
    const all = hosts('up', managed);
    const brakes = brakesNow(new Map(all.map((each) => [each.hostId, each])), false, losses, nowMs);
    return ['x', 'y', 'z', 'x'].map((id) => brakes.mayLose(id as HostId));
  };

  test('is one host in a hundred, at least one, and a host counts once', () => {
    expect(allowed(99, new Map(), 0)).toEqual([true, false, false, true]);
    expect(allowed(200, new Map(), 0)).toEqual([true, true, false, true]);
  });

  test('is back a minute after it was spent', () => {
    const losses = new Map([['z' as HostId, 0]]);
    expect(allowed(99, losses, 59_999)).toEqual([false, false, true, false]);
    expect(allowed(99, losses, 60_000)).toEqual([true, false, false, true]);
  });
});

test('what was lost makes all ages begin anew when it is longer than an interval, at most once a minute', () => {
  expect(forgetsAges(1_000, 1_000, undefined, 0)).toBe(false);
  expect(forgetsAges(1_001, 1_000, undefined, 0)).toBe(true);
  expect(forgetsAges(1_001, 1_000, 0, 59_999)).toBe(false);
  expect(forgetsAges(1_001, 1_000, 0, 60_000)).toBe(true);
  // A holder could not act meanwhile.
  expect(forgetsAges(3_999, 1_000, 0, 1)).toBe(false);
  expect(forgetsAges(4_000, 1_000, 0, 1)).toBe(true);
});
