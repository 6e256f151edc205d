import { formatIpv4, type Ipv4, parseCidr, parseIpv4 } from '@leasehold/proto/values';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededNumbers } from '../../../test/fakes/seeded-numbers.js';
import { type SpaceSettings, SubnetSpace } from './subnet-space.js';

const ip = (text: string): Ipv4 => {
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
};
const range = (first: string, last: string) => ({ first: ip(first), last: ip(last) });

function settings(cidr: string, rest: Partial<SpaceSettings> = {}): SpaceSettings {
  const parsed = parseCidr(cidr);
  if (!parsed.ok) throw new Error(parsed.problem);
  return { cidr: parsed.value, allocationRanges: [], excludedRanges: [], ...rest };
}

function drain(space: SubnetSpace): string[] {
  const found: string[] = [];
  for (let address = space.next(); address !== undefined; address = space.next()) found.push(formatIpv4(address));
  return found;
}

describe('SubnetSpace', () => {
  test('offers every address once, but never network, broadcast, gateway or exclusions', () => {
    const space = new SubnetSpace(
      settings('10.0.0.0/28', { gateway: ip('10.0.0.1'), excludedRanges: [range('10.0.0.4', '10.0.0.11')] }),
      () => 0,
    );
    expect(space.capacity).toBe(5);
    expect(drain(space)).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.12', '10.0.0.13', '10.0.0.14']);
    expect([space.used, space.free]).toEqual([5, 0]);
  });

  test('offers only from the allocation ranges when there are some', () => {
    const ranges = [range('10.0.0.8', '10.0.0.9'), range('10.0.0.14', '10.0.0.200')];
    expect(drain(new SubnetSpace(settings('10.0.0.0/28', { allocationRanges: ranges }), () => 0))).toEqual([
      '10.0.0.8',
      '10.0.0.9',
      '10.0.0.14',
    ]);
  });

  test('begins at its own offset, wraps around, and offers a freed address last', () => {
    const space = new SubnetSpace(settings('10.0.0.0/29'), () => 0.5);
    expect(formatIpv4(space.next() ?? (0 as Ipv4))).toBe('10.0.0.4');
    space.markFree(ip('10.0.0.4'));
    expect(drain(space)).toEqual(['10.0.0.5', '10.0.0.6', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']);
  });

  test('says why an address cannot be reserved by name', () => {
    const space = new SubnetSpace(
      settings('10.0.0.0/24', {
        gateway: ip('10.0.0.1'),
        allocationRanges: [range('10.0.0.100', '10.0.0.200')],
        excludedRanges: [range('10.0.0.150', '10.0.0.160')],
      }),
      () => 0,
    );
    const reasons = ['10.0.0.0', '10.0.0.255', '10.0.0.1', '10.0.0.155', '10.0.1.0', '10.0.0.5', '10.0.0.100'];
    expect(reasons.map((text) => space.isUsable(ip(text)))).toEqual([
      'network',
      'broadcast',
      'gateway',
      'excluded',
      'outside',
      undefined,
      undefined,
    ]);
  });

  test('counts a named address outside the ranges as used, without taking from what is free', () => {
    const space = new SubnetSpace(
      settings('10.0.0.0/24', { allocationRanges: [range('10.0.0.8', '10.0.0.9')] }),
      () => 0,
    );
    space.markUsed(ip('10.0.0.77'));
    space.markUsed(ip('10.0.0.77'));
    expect([space.capacity, space.used, space.free, space.isUsed(ip('10.0.0.77'))]).toEqual([2, 1, 2, true]);
    space.markFree(ip('10.0.0.77'));
    expect([space.used, space.isUsed(ip('10.0.0.77'))]).toEqual([0, false]);
  });

  test('goes on elsewhere where another server takes addresses, and shares with it what is left', () => {
    const random = [0, 0.5, 0.5];
    const space = new SubnetSpace(settings('10.0.0.0/24'), () => random.shift() ?? 0);
    expect(formatIpv4(space.next() ?? (0 as Ipv4))).toBe('10.0.0.1');
    space.markSeen(ip('10.0.0.2'));
    space.markSeen(ip('10.0.0.3'));
    expect(formatIpv4(space.next() ?? (0 as Ipv4))).toBe('10.0.0.129');
    space.markSeen(ip('10.0.0.4'));
    space.markLost(ip('10.0.0.129'));
    expect(formatIpv4(space.next() ?? (0 as Ipv4))).toBe('10.0.0.254');
    expect(drain(space)).toHaveLength(248);
  });

  test.each([2, 3])('%i servers seldom pick the same address until the last one is gone', (servers) => {
    for (let seed = 1; seed <= 5; seed++) expect(retriesPerSuccess(servers, seed), `seed ${seed}`).toBeLessThan(0.05);
  });

  test('knows the same used addresses after any change of settings', () => {
    const anyRange = fc.tuple(fc.nat(63), fc.nat(63)).map(([a, b]) => ({
      first: (ip('10.0.0.0') + Math.min(a, b)) as Ipv4,
      last: (ip('10.0.0.0') + Math.max(a, b)) as Ipv4,
    }));
    const anySettings = fc
      .record({
        allocationRanges: fc.array(anyRange, { maxLength: 3 }),
        excludedRanges: fc.array(anyRange, { maxLength: 2 }),
        gateway: fc.nat(63).map((n) => (ip('10.0.0.0') + n) as Ipv4),
      })
      .map((rest) => settings('10.0.0.0/26', rest));
    const all = Array.from({ length: 64 }, (_, n) => (ip('10.0.0.0') + n) as Ipv4);
    fc.assert(
      fc.property(anySettings, anySettings, fc.uniqueArray(fc.nat(63)), fc.nat(99), (before, after, used, percent) => {
        const old = new SubnetSpace(before, () => percent / 100);
        for (const n of used) old.markUsed(all[n] as Ipv4);
        const changed = old.withSettings(after);
        expect(all.filter((address) => changed.isUsed(address))).toEqual(all.filter((_, n) => used.includes(n)));
        expect(changed.used).toBe(used.length);
        expect(changed.withSettings(before).free).toBe(old.free);
        const fresh = new SubnetSpace(after, () => 0);
        for (const n of used) fresh.markUsed(all[n] as Ipv4);
        expect(drain(changed).toSorted()).toEqual(drain(fresh).toSorted());
      }),
    );
  });
});

/** Servers that fill a /16 as fast as they can: what one takes, the others hear of some exchanges later. */
function retriesPerSuccess(count: number, seed: number): number {
  const IN_FLIGHT = 128;
  const HEARD_AFTER = 5;
  const random = seededNumbers(seed);
  const spaces = Array.from({ length: count }, () => new SubnetSpace(settings('10.0.0.0/16'), random));
  const taken = new Set<Ipv4>();
  const underWay: (readonly { readonly address: Ipv4; readonly by: SubnetSpace }[])[] = [];
  let retries = 0;
  while (taken.size < 65_534) {
    // Every one is slower than the others for a while.
    const asked = spaces.flatMap((by) =>
      Array.from({ length: Math.ceil(IN_FLIGHT * (0.5 + random() / 2)) }, () => ({ address: by.next(), by })),
    );
    const won: { readonly address: Ipv4; readonly by: SubnetSpace }[] = [];
    for (const { address, by } of asked) {
      if (address === undefined) continue;
      if (taken.has(address)) {
        by.markLost(address);
        retries++;
      } else {
        taken.add(address);
        won.push({ address, by });
      }
    }
    underWay.push(won);
    for (const { address, by } of (underWay.length > HEARD_AFTER && underWay.shift()) || []) {
      for (const space of spaces) if (space !== by) space.markSeen(address);
    }
  }
  return retries / taken.size;
}
