import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { placedNetwork, planHost, WHEN } from '../testing/plan-world.js';
import type { HostId, NetworkId, Uid } from './ids.js';
import type { Network } from './network.js';
import { becomeFormer, withPlacement } from './placement.js';
import { type PlanHost, placementKey } from './plan-host.js';
import { areStillPossible, type Move, rebalance } from './rebalance.js';

const ALL = () => true;

const network = (id: string, on: readonly string[], rest: Partial<Network> = {}) =>
  placedNetwork(id, on.length, on, rest);

/** Hosts that have every network, and confirmed what they have. */
function hostsOf(
  domains: Readonly<Record<string, string>>,
  networks: readonly Network[],
  rest: (hostId: string) => Partial<PlanHost> = () => ({}),
): ReadonlyMap<HostId, PlanHost> {
  const ready = new Set(networks.map(({ networkId }) => networkId));
  const all = Object.entries(domains).map(([id, failureDomain]): PlanHost => {
    const hostId = id as HostId;
    const own = networks.flatMap(({ networkId, placements }) =>
      placements.filter((each) => each.hostId === hostId).map(({ epoch }) => placementKey(networkId, epoch)),
    );
    return planHost(id, { failureDomain, ready, serving: new Set(own), ...rest(id) });
  });
  return new Map(all.map((each) => [each.hostId, each]));
}

const FLAT = { a: '', b: '', c: '' };

function after(networks: readonly Network[], moves: readonly Move[]): readonly Network[] {
  return networks.map((each) => {
    const own = moves.filter(({ networkId }) => networkId === each.networkId);
    const left = becomeFormer(
      each,
      own.map(({ epoch }) => epoch),
      0,
      WHEN,
    );
    return own.reduce((all, { toHostId }) => withPlacement(all, toHostId, `uid-${toHostId}` as Uid, WHEN), left);
  });
}

function loads(networks: readonly Network[], hostIds: Iterable<string>): number[] {
  return [...hostIds].map(
    (id) => networks.flatMap(({ placements }) => placements).filter(({ hostId }) => hostId === id).length,
  );
}

describe('rebalance', () => {
  test('takes from hosts that have at least two more than others, and no more than that', () => {
    const networks = Array.from({ length: 9 }, (_, n) => network(`n${n}`, [n < 7 ? 'a' : 'b']));
    const moves = rebalance(networks, hostsOf(FLAT, networks), ALL);
    expect(moves).toHaveLength(4);
    expect(loads(after(networks, moves), Object.keys(FLAT))).toEqual([3, 3, 3]);
    const even = [network('n1', ['a']), network('n2', ['a']), network('n3', ['b']), network('n4', ['c'])];
    expect(rebalance(even, hostsOf(FLAT, even), ALL)).toEqual([]);
  });

  test('spreads a network over failure domains, whatever the load', () => {
    const racks = { a: 'r1', b: 'r1', c: 'r2' };
    const networks = [network('red', ['a', 'b']), network('n1', ['c']), network('n2', ['c']), network('n3', ['c'])];
    const moves = rebalance(networks, hostsOf(racks, networks), ({ networkId }) => networkId === 'red');
    expect(moves).toEqual([{ networkId: 'red', fromHostId: 'a', epoch: 1, toHostId: 'c' }]);
  });

  test('looks only at the networks it is asked for, and counts the others', () => {
    const networks = [network('red', ['a']), network('n1', ['a']), network('n2', ['b']), network('n3', ['b'])];
    const only = ({ networkId }: Network) => networkId === 'red';
    expect(rebalance(networks, hostsOf(FLAT, networks), only)).toEqual([
      { networkId: 'red', fromHostId: 'a', epoch: 1, toHostId: 'c' },
    ]);
  });

  const crowded = [network('n1', ['a']), network('n2', ['a']), network('n3', ['a'])];
  test.each<[string, Partial<PlanHost>]>([
    ['in maintenance', { maintenance: true }],
    ['not managed', { managed: false }],
    ['down', { liveness: 'down' }],
    ['behind an open breaker', { reachable: false }],
    ['without the networks', { ready: new Set() }],
    ['that just came back', { steady: false }],
    ['that failed to confirm them', { failing: new Set(['n1', 'n2', 'n3'] as NetworkId[]) }],
  ])('moves nothing to a host %s', (_, rest) => {
    const hosts = hostsOf({ a: '', b: '' }, crowded, (id) => (id === 'b' ? rest : {}));
    expect(rebalance(crowded, hosts, ALL)).toEqual([]);
  });

  test('moves nothing of a network that is short, or whose servers are not well', () => {
    const short = crowded.map((each) => ({ ...each, dhcpServerCount: 2 }));
    expect(rebalance(short, hostsOf(FLAT, short), ALL)).toEqual([]);
    const silent = hostsOf(FLAT, crowded, (id) => (id === 'a' ? { serving: new Set() } : {}));
    expect(rebalance(crowded, silent, ALL)).toEqual([]);
  });

  test('makes no move that fits no more when its turn comes', () => {
    const red = network('red', ['a', 'c']);
    const move = { networkId: red.networkId, fromHostId: 'a' as HostId, epoch: 1, toHostId: 'b' as HostId };
    const possible = (now: Network, rest: Partial<PlanHost> = {}) =>
      areStillPossible(
        [move],
        now,
        hostsOf(FLAT, [red], (id) => (id === 'b' ? rest : {})),
      );
    expect(possible(red)).toBe(true);
    expect(possible(network('red', ['a', 'b']))).toBe(false);
    expect(possible(becomeFormer(red, [1], 0, WHEN))).toBe(false);
    expect(possible(red, { maintenance: true })).toBe(false);
    expect(areStillPossible([move], red, new Map())).toBe(false);
  });

  const HOSTS = ['a', 'b', 'c', 'd', 'e', 'f'];
  const anyWorld = fc
    .record({
      on: fc.array(fc.shuffledSubarray(HOSTS, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 }),
      domains: fc.tuple(...HOSTS.map(() => fc.constantFrom('', 'r1', 'r2', 'r3'))),
      missing: fc.tuple(...HOSTS.map(() => fc.nat(3))),
      sick: fc.subarray(HOSTS, { maxLength: 1 }),
    })
    .map(({ on, domains, missing, sick }) => {
      const networks = on.map((hostIds, n) => network(`n${String(n).padStart(2, '0')}`, hostIds));
      const byHost = Object.fromEntries(HOSTS.map((id, n) => [id, domains[n] ?? '']));
      const hosts = (of: readonly Network[]) =>
        hostsOf(byHost, of, (id) => ({
          // Some hosts lack some networks.
          ready: new Set(
            networks.flatMap(({ networkId }, n) => (n % 4 < (missing[HOSTS.indexOf(id)] ?? 0) ? [] : [networkId])),
          ),
          maintenance: sick.includes(id),
        }));
      return { networks, hosts };
    });

  const crowding = (networks: readonly Network[], hosts: ReadonlyMap<HostId, PlanHost>) =>
    networks
      .flatMap(({ placements }) =>
        placements.flatMap((a, i) =>
          placements.slice(i + 1).map((b) => [a, b].map(({ hostId }) => hosts.get(hostId)?.failureDomain)),
        ),
      )
      .filter(([a, b]) => a !== '' && a === b).length;
  const unevenness = (networks: readonly Network[]) =>
    loads(networks, HOSTS).reduce((sum, load) => sum + load * load, 0);

  test('asked again, moves nothing', () => {
    fc.assert(
      fc.property(anyWorld, ({ networks, hosts }) => {
        const balanced = after(networks, rebalance(networks, hosts(networks), ALL));
        expect(rebalance(balanced, hosts(balanced), ALL)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('leaves every network as many servers, on hosts of which no two are the same and all can serve it', () => {
    fc.assert(
      fc.property(anyWorld, ({ networks, hosts }) => {
        const known = hosts(networks);
        const moves = rebalance(networks, known, ALL);
        for (const { networkId, toHostId } of moves) expect(known.get(toHostId)?.ready.has(networkId)).toBe(true);
        for (const [n, { placements }] of after(networks, moves).entries()) {
          expect(placements).toHaveLength(networks[n]?.placements.length ?? 0);
          expect(new Set(placements.map(({ hostId }) => hostId)).size).toBe(placements.length);
        }
      }),
    );
  });

  test('moves nothing without making something better', () => {
    fc.assert(
      fc.property(anyWorld, ({ networks, hosts }) => {
        const known = hosts(networks);
        const moves = rebalance(networks, known, ALL);
        const moved = after(networks, moves);
        const [before, now] = [crowding(networks, known), crowding(moved, known)];
        expect(now).toBeLessThanOrEqual(before);
        if (moves.length > 0 && now === before) expect(unevenness(moved)).toBeLessThan(unevenness(networks));
      }),
      { numRuns: 500 },
    );
  });

  test('is the same in whatever order networks and hosts come', () => {
    fc.assert(
      fc.property(anyWorld, ({ networks, hosts }) => {
        const known = hosts(networks);
        const reversed = new Map([...known].reverse());
        expect(rebalance(networks.toReversed(), reversed, ALL)).toEqual(rebalance(networks, known, ALL));
      }),
    );
  });
});
