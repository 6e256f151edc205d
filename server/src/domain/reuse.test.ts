import { describe, expect, test } from 'vitest';
import type { HostId, Uid, WallTime } from './ids.js';
import type { FormerServer, Placement } from './network.js';
import { becomeFormer, withPlacement } from './placement.js';
import {
  atMostMs,
  blocking,
  clearedBeforeMs,
  countedHosts,
  type HostAnswer,
  mayAnswerForMs,
  reuseAtMs,
} from './reuse.js';

const NEVER = Number.POSITIVE_INFINITY;
const NOTHING = Number.NEGATIVE_INFINITY;

function said(hostId: string, takenInMs: number, silencedMs = NEVER): HostAnswer {
  return { hostId: hostId as HostId, takenInMs, silencedMs };
}

describe('a release is cleared', () => {
  test.each<[what: string, answers: readonly HostAnswer[], isCleared: boolean]>([
    ['when no host counts', [], true],
    ['when the only host took in what came after it', [said('h1', 1_001)], true],
    ['not by what a host took in before it, or at the same moment', [said('h1', 1_000)], false],
    ['not while one of two hosts did not acknowledge', [said('h1', 5_000), said('h2', NOTHING)], false],
    ['when that one cannot answer any more', [said('h1', 5_000), said('h2', NOTHING, 10_000)], true],
    ['not a moment before it cannot', [said('h1', 5_000), said('h2', NOTHING, 10_001)], false],
  ])('%s', (_, answers, isCleared) => {
    expect(clearedBeforeMs(answers, 10_000) > 1_000).toBe(isCleared);
    expect(blocking(1_000, answers, 10_000).length === 0).toBe(isCleared);
  });
});

describe('a cleared slot is free', () => {
  const rest = { seenMs: 0, clearedMs: 0, vouched: true, reuseDelayS: 60, leaseTimeCeilingS: 3_600 };
  test.each<[what: string, more: Partial<typeof rest>, atMs: number]>([
    ['after the delay when it is vouched for', {}, 60_000],
    ['not before it is cleared', { clearedMs: 90_000 }, 90_000],
    ['a lease time after both without a vouch', { vouched: false }, 60_000 + atMostMs(3_600)],
    ['a lease time after the last host', { vouched: false, clearedMs: 90_000 }, 90_000 + atMostMs(3_600)],
  ])('%s', (_, more, atMs) => {
    expect(reuseAtMs({ ...rest, ...more })).toBe(atMs);
  });
});

test('a span of another machine is taken with two percent of drift between the clocks, and silence with slack', () => {
  expect(atMostMs(99)).toBeCloseTo(101_000);
  expect(mayAnswerForMs(99)).toBeCloseTo(111_000);
});

describe('of the hosts of a network count', () => {
  const since = 0 as WallTime;
  const empty = { placements: [] as Placement[], formerServers: [] as FormerServer[], placementCounter: 0 };
  const first = withPlacement(empty as never, 'h1' as HostId, 'u1' as Uid, since);
  const counting = (network: typeof first, chainCounter: number) =>
    countedHosts(network, chainCounter).map(({ hostId }) => hostId);

  test('those that serve, whatever the reserver knew', () => {
    expect(counting(first, 0)).toEqual(['h1']);
    expect(counting(first, 99)).toEqual(['h1']);
  });

  test('a former server of what was reserved by somebody who knew no later placement', () => {
    const stopped = becomeFormer(first, [1], 3_600, since);
    expect(counting(stopped, stopped.placementCounter)).toEqual(['h1']);
    const replaced = withPlacement(stopped, 'h2' as HostId, 'u2' as Uid, since);
    expect(counting(replaced, first.placementCounter)).toEqual(['h2', 'h1']);
    // Whoever knows the placement that came with it knows that it stopped.
    expect(counting(replaced, replaced.placementCounter)).toEqual(['h2']);
  });
});
