import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plainPlan } from '../testing/plain-plan.js';
import { placedNetwork as network, planHost, WHEN } from '../testing/plan-world.js';
import { brakesNow } from './brakes.js';
import type { HostId, NetworkId, Uid } from './ids.js';
import type { Liveness } from './liveness.js';
import type { Network } from './network.js';
import { becomeFormer, serversWanted, withPlacement } from './placement.js';
import { type Plan, type PlanBrakes, plan, type Why } from './plan.js';
import { type PlanHost, placementKey } from './plan-host.js';

const FREE: PlanBrakes = { massSilence: false, mayLose: () => true };
const HELD: PlanBrakes = { massSilence: false, mayLose: () => false };
const MASS: PlanBrakes = { massSilence: true, mayLose: () => false };

const host = (id: string, rest: Partial<PlanHost> = {}) =>
  planHost(id, { ready: new Set(['red', 'blue', 'green'] as NetworkId[]), ...rest });

const down = { liveness: 'down', connected: false } as const;
const suspect = { liveness: 'suspect', connected: false } as const;

const byId = (hosts: readonly PlanHost[]) => new Map(hosts.map((each) => [each.hostId, each]));

/** The plan for one network, as `-host why` and `+host`. */
function moves(planned: Plan, networkId = 'red'): string[] {
  const found = planned.networks.find((each) => each.networkId === networkId);
  return [
    ...(found?.withdraw ?? []).map(({ hostId, why }) => `-${hostId} ${why}`),
    ...(found?.place ?? []).map((hostId) => `+${hostId}`),
  ];
}

const planRed = (red: Network, hosts: readonly PlanHost[], brakes = FREE) => moves(plan([red], byId(hosts), brakes));

describe('plan places', () => {
  test('as many hosts as are wanted, and no more than there are', () => {
    expect(planRed(network('red', 2), [host('a'), host('b'), host('c')])).toHaveLength(2);
    expect(planRed(network('red', 3), [host('a')])).toEqual(['+a']);
    expect(planRed(network('red', 0), [host('a')])).toEqual([]);
  });

  test.each<[string, Partial<PlanHost>]>([
    ['not managed', { managed: false }],
    ['in maintenance', { maintenance: true }],
    ['suspect', suspect],
    ['down', down],
    ['not heard yet', { connected: false }],
    ['behind an open breaker', { reachable: false }],
    ['without the network', { ready: new Set() }],
  ])('nothing on a host that is %s', (_, rest) => {
    expect(planRed(network('red', 1), [host('a', rest)])).toEqual([]);
  });

  test.each<[string, Partial<Network>]>([
    ['disabled', { ipamEnabled: false }],
    ['without subnets', { subnets: [] }],
    ['deleted', { deleted: true }],
  ])('nothing for a network that is %s, and stops what serves it', (_, rest) => {
    expect(planRed(network('red', 1, [], rest), [host('a')])).toEqual([]);
    expect(planRed(network('red', 1, ['a'], rest), [host('a')])).toEqual(['-a network not served']);
  });

  test('in another failure domain first, then where there is least to do', () => {
    const rack = (id: string, failureDomain: string) => host(id, { failureDomain });
    const hosts = [rack('a', 'r1'), rack('b', 'r1'), rack('c', 'r2')];
    const busy = network('blue', 1, ['c']);
    expect(moves(plan([busy, network('red', 2, ['a'])], byId(hosts), FREE))).toEqual(['+c']);
    expect(moves(plan([busy, network('red', 1)], byId([host('c'), host('d')]), FREE))).toEqual(['+d']);
  });

  test('on a host that just came back only when there is no other', () => {
    const back = host('a', { steady: false });
    const busy = network('blue', 1, ['c']);
    expect(moves(plan([busy, network('red', 1)], byId([back, host('c')]), FREE))).toEqual(['+c']);
    expect(planRed(network('red', 1), [back])).toEqual(['+a']);
  });

  test('on a host that failed to confirm only when there is no other', () => {
    const failed = host('a', { failing: new Set(['red'] as NetworkId[]) });
    const busy = network('blue', 1, ['c']);
    const back = host('c', { steady: false });
    expect(moves(plan([busy, network('red', 1)], byId([failed, back]), FREE))).toEqual(['+c']);
    expect(planRed(network('red', 1), [failed])).toEqual(['+a']);
    expect(planRed(network('red', 2), [failed, host('b')])).toEqual(['+b', '+a']);
  });

  test('nothing of a network that is being written, and counts what will be there', () => {
    const [busy, red] = [network('blue', 2, ['a']), network('red', 1)];
    const planned = plan([busy, red], byId([host('a'), host('b')]), FREE, new Set([busy.networkId]));
    expect(planned.networks.map(({ networkId, place }) => [networkId, place])).toEqual([['red', ['b']]]);
  });

  test('evenly, also within one plan', () => {
    const networks = Array.from({ length: 30 }, (_, n) => network(`n${n}`, 1));
    const ready = new Set(networks.map(({ networkId }) => networkId));
    const planned = plan(networks, byId(['a', 'b', 'c'].map((id) => host(id, { ready }))), FREE);
    const placed = planned.networks.map(({ place }) => place[0]);
    expect(['a', 'b', 'c'].map((id) => placed.filter((each) => each === id).length)).toEqual([10, 10, 10]);
  });
});

describe('plan replaces', () => {
  test.each<[Why, Partial<PlanHost>]>([
    ['host down', down],
    ['host in maintenance', { maintenance: true }],
    ['interface not ready', { ready: new Set() }],
    ['host does not confirm', { reachable: false }],
  ])('a server because of "%s" when there is another host, and keeps it when there is none', (why, rest) => {
    const red = network('red', 1, ['a']);
    expect(planRed(red, [host('a', rest), host('b')])).toEqual([`-a ${why}`, '+b']);
    expect(planRed(red, [host('a', rest)])).toEqual([]);
  });

  test('a suspect that is the only server at once, and one of several not', () => {
    expect(planRed(network('red', 1, ['a']), [host('a', suspect), host('b')], HELD)).toEqual([
      '-a only server suspect',
      '+b',
    ]);
    expect(planRed(network('red', 2, ['a', 'b']), [host('a', suspect), host('b'), host('c')])).toEqual([]);
    const both = [host('a', suspect), host('b', suspect), host('c'), host('d')];
    expect(planRed(network('red', 2, ['a', 'b']), both)).toEqual([
      '-a only server suspect',
      expect.stringMatching(/^\+[cd]$/),
    ]);
  });

  const failed = { failing: new Set(['red'] as NetworkId[]) };
  test.each<[Why, Partial<PlanHost>, boolean]>([
    ['host down', down, true],
    ['only server suspect', suspect, true],
    ['interface not ready', { ready: new Set() }, true],
    ['host does not confirm', failed, false],
    ['host does not confirm', { reachable: false }, false],
    ['host in maintenance', { maintenance: true }, false],
  ])('a server because of "%s" by one that failed, when there is no other: %s', (why, rest, isReplaced) => {
    const hosts = [host('a', rest), host('b', failed)];
    expect(planRed(network('red', 1, ['a']), hosts)).toEqual(isReplaced ? [`-a ${why}`, '+b'] : []);
    expect(planRed(network('red', 1, ['a']), [...hosts, host('c')])).toEqual([`-a ${why}`, '+c']);
  });

  test('all dead servers at once while none of the others is live, though one was found', () => {
    const hosts = [host('a', down), host('b', down), host('c', failed), host('d', failed)];
    expect(planRed(network('red', 2, ['a', 'b']), hosts, HELD)).toHaveLength(4);
  });

  test('nothing of a host that was not heard since this server started', () => {
    const unheard = host('a', { connected: false, ready: new Set(), reachable: false });
    expect(planRed(network('red', 1, ['a']), [unheard, host('b')])).toEqual([]);
  });

  test('a host that is not managed or was forgotten, whether or not there is another', () => {
    const red = network('red', 1, ['a']);
    expect(planRed(red, [host('a', { managed: false })])).toEqual(['-a host not managed']);
    expect(planRed(red, [])).toEqual(['-a host forgotten']);
    expect(planRed(red, [host('a', { uid: 'another' as Uid })])).toEqual(['-a host forgotten']);
  });

  test('too many servers by those that serve least', () => {
    const confirmed = (id: string, epoch: number) =>
      host(id, { serving: new Set([placementKey('red' as NetworkId, epoch)]) });
    const red = network('red', 1, ['a', 'b', 'c']);
    expect(planRed(red, [host('a', down), host('b'), confirmed('c', 3)])).toEqual([
      '-a too many servers',
      '-b too many servers',
    ]);
    expect(planRed(red, [confirmed('a', 1), confirmed('b', 2), confirmed('c', 3)])).toEqual([
      '-c too many servers',
      '-b too many servers',
    ]);
  });
});

describe('plan, braked,', () => {
  const twoServed = network('red', 2, ['a', 'b']);

  test('keeps a dead host while the network has another server, and says whom it kept', () => {
    const hosts = byId([host('a', down), host('b'), host('c')]);
    const planned = plan([twoServed], hosts, HELD);
    expect(planned).toEqual({ networks: [], kept: ['a'] });
  });

  test('rescues a network without any live server, but not when all are silent at once', () => {
    const hosts = [host('a', down), host('b', down), host('c'), host('d')];
    expect(planRed(twoServed, hosts, HELD)).toHaveLength(2);
    expect(planRed(twoServed, hosts, MASS)).toEqual([]);
  });

  test('does what was asked for all the same', () => {
    expect(planRed(network('red', 1, ['a']), [host('a', { maintenance: true }), host('b')], MASS)).toHaveLength(2);
    expect(planRed(network('red', 1, ['a'], { ipamEnabled: false }), [host('a')], MASS)).toHaveLength(1);
    expect(planRed(network('red', 1), [host('a')], MASS)).toEqual(['+a']);
  });

  test('spends nothing on a dead host that nobody can replace', () => {
    const only = (id: string) => ({ ready: new Set([id as NetworkId]) });
    const hosts = byId([
      host('a', { ...down, ...only('blue') }),
      host('b', { ...down, ...only('red') }),
      host('live-blue', only('blue')),
      host('live-red', only('red')),
      host('spare-red', only('red')),
    ]);
    const networks = [network('blue', 2, ['a', 'live-blue']), network('red', 2, ['b', 'live-red'])];
    expect(moves(plan(networks, hosts, brakesNow(hosts, false, new Map(), 0)))).toEqual(['-b host down', '+spare-red']);
  });

  test('lets one dead host in a minute lose all its placements', () => {
    const hosts = byId([host('a', down), host('b', down), ...['c', 'd', 'e', 'f'].map((id) => host(id))]);
    const networks = [network('blue', 2, ['a', 'c']), network('green', 2, ['b', 'c']), network('red', 2, ['a', 'd'])];
    const first = plan(networks, hosts, brakesNow(hosts, false, new Map(), 0));
    expect(first.networks.map(({ networkId }) => networkId)).toEqual(['blue', 'red']);
    expect(first.kept).toEqual(['b']);
    const losses = new Map([['a' as HostId, 0]]);
    expect(plan([networks[1] as Network], hosts, brakesNow(hosts, false, losses, 59_999)).networks).toEqual([]);
    expect(plan([networks[1] as Network], hosts, brakesNow(hosts, false, losses, 60_000)).networks).toHaveLength(1);
  });
});

describe('plan begins with', () => {
  test('the networks that have no live server, then with those that are short', () => {
    const hosts = byId([
      host('dead', down),
      host('live', { ready: new Set(['short', 'fine'] as NetworkId[]) }),
      host('moving', { maintenance: true, ready: new Set(['rest'] as NetworkId[]) }),
      host('last', { ready: new Set(['short', 'unserved', 'rest'] as NetworkId[]) }),
    ]);
    const networks = [
      network('rest', 1, ['moving']),
      network('short', 2, ['live']),
      network('unserved', 1, ['dead']),
      network('fine', 1, ['live']),
    ];
    const ids = (all: readonly { readonly networkId: string }[]) => all.map(({ networkId }) => networkId);
    expect(ids(plan(networks, hosts, HELD).networks)).toEqual(['unserved', 'short', 'rest']);
  });

  test('rescues, which use up nothing of what the brakes allow', () => {
    const hosts = byId([host('a', down), host('b', down), ...['c', 'd', 'e'].map((id) => host(id))]);
    const networks = [network('blue', 2, ['a', 'c']), network('red', 1, ['b'])];
    const planned = plan(networks, hosts, brakesNow(hosts, false, new Map(), 0));
    expect(planned.networks.map(({ networkId }) => networkId)).toEqual(['red', 'blue']);
    expect(planned.networks.flatMap(({ withdraw }) => withdraw.map(({ counts }) => counts))).toEqual([false, true]);
  });
});

const HOSTS = ['a', 'b', 'c', 'd', 'e'];
const NETWORKS = ['red', 'blue', 'green'];
const mostly = fc.nat(4).map((each) => each > 0);

const anyHost = (id: string): fc.Arbitrary<PlanHost> =>
  fc
    .record({
      managed: mostly,
      maintenance: mostly.map((each) => !each),
      failureDomain: fc.constantFrom('', 'r1', 'r2'),
      liveness: fc.constantFrom<Liveness>('up', 'up', 'up', 'suspect', 'down'),
      reachable: mostly,
      ready: fc.subarray(NETWORKS as NetworkId[]).map((each) => new Set(each)),
      failing: mostly.map((each) => new Set(each ? [] : (NETWORKS as NetworkId[]))),
    })
    .map((rest) => host(id, { ...rest, connected: rest.liveness === 'up' }));

const MANY_HOSTS = Array.from({ length: 12 }, (_, n) => `h${n}`);
const MANY_NETWORKS = Array.from({ length: 10 }, (_, n) => `n${n}`) as NetworkId[];

/** Hosts that have most networks, or next to none, some of which fail, in some or no failure domains. */
const manyHosts = (networksOfEach: number) =>
  fc.tuple(
    ...MANY_HOSTS.map((id) =>
      fc
        .record({
          managed: mostly,
          maintenance: mostly.map((each) => !each),
          failureDomain: fc.constantFrom('', 'r1', 'r2', 'r3'),
          liveness: fc.constantFrom<Liveness>('up', 'up', 'up', 'suspect', 'down'),
          reachable: mostly,
          steady: mostly,
          ready: fc.subarray(MANY_NETWORKS, { maxLength: networksOfEach }).map((each) => new Set(each)),
          failing: fc.subarray(MANY_NETWORKS, { maxLength: 1 }).map((each) => new Set(each)),
          serving: fc.subarray(MANY_NETWORKS, { maxLength: 3 }).map((all) => new Set(all.map((each) => `${each} 1`))),
        })
        .map((rest) => host(id, { ...rest, connected: rest.liveness === 'up' })),
    ),
  );

/** Hosts that were heard, or not yet; some placements of hosts that are not stored any more. */
const largerWorld = fc.record({
  hosts: fc.oneof(manyHosts(10), manyHosts(1)),
  networks: fc.tuple(
    ...MANY_NETWORKS.map((id) =>
      fc
        .record({
          count: fc.nat(5),
          on: fc.shuffledSubarray([...MANY_HOSTS, 'gone'], { maxLength: 5 }),
          enabled: mostly,
        })
        .map(({ count, on, enabled }) => network(id, count, on, { ipamEnabled: enabled })),
    ),
  ),
  busy: fc.subarray(MANY_NETWORKS, { maxLength: 3 }).map((each) => new Set(each)),
  massSilence: mostly.map((each) => !each),
  losses: fc.subarray(MANY_HOSTS, { maxLength: 2 }).map((ids) => new Map(ids.map((id) => [id as HostId, 0]))),
});

const anyNetwork = (id: string): fc.Arbitrary<Network> =>
  fc
    .record({ count: fc.nat(4), on: fc.shuffledSubarray(HOSTS), enabled: mostly })
    .map(({ count, on, enabled }) => network(id, count, on, { ipamEnabled: enabled }));

const anyWorld = fc.record({
  hosts: fc.tuple(...HOSTS.map(anyHost)),
  networks: fc.tuple(...NETWORKS.map(anyNetwork)),
  brakes: fc.constantFrom(FREE, HELD, MASS),
});

/** The networks after a plan. */
function after(networks: readonly Network[], planned: Plan): readonly Network[] {
  return networks.map((each) => {
    const own = planned.networks.find(({ networkId }) => networkId === each.networkId);
    if (!own) return each;
    const left = becomeFormer(
      each,
      own.withdraw.map(({ epoch }) => epoch),
      0,
      WHEN,
    );
    return own.place.reduce((all, id) => withPlacement(all, id, `uid-${id}` as Uid, WHEN), left);
  });
}

/** The hosts once everybody who can has confirmed its placements. */
function confirming(hosts: readonly PlanHost[], networks: readonly Network[]): readonly PlanHost[] {
  return hosts.map((each) => {
    const can = each.liveness === 'up' && each.reachable;
    const own = networks.flatMap(({ networkId, placements }) =>
      placements
        .filter(({ hostId }) => can && hostId === each.hostId && each.ready.has(networkId))
        .filter(() => !each.failing.has(networkId))
        .map(({ epoch }) => placementKey(networkId, epoch)),
    );
    return { ...each, serving: new Set(own) };
  });
}

const isFitting = (each: PlanHost | undefined, networkId: NetworkId) =>
  each?.managed && !each.maintenance && each.liveness === 'up' && each.reachable && each.ready.has(networkId);

const isHealthy = (each: PlanHost | undefined, networkId: NetworkId) =>
  isFitting(each, networkId) && !each?.failing.has(networkId);

describe('any plan', () => {
  test('is the one that a look at every host for every placement makes', () => {
    fc.assert(
      fc.property(largerWorld, ({ hosts, networks, busy, massSilence, losses }) => {
        const known = byId(hosts);
        // Brakes remember whom they let go.
        const brakes = () => brakesNow(known, massSilence, losses, 1);
        expect(plan(networks, known, brakes(), busy)).toEqual(plainPlan(networks, known, brakes(), busy));
      }),
      { numRuns: 500 },
    );
  });

  test('is followed by an empty one, as long as the hosts stay as they are', () => {
    fc.assert(
      fc.property(anyWorld, ({ hosts, networks, brakes }) => {
        const settled = after(networks, plan(networks, byId(hosts), brakes));
        // A network that was without a live server may have been rescued first and be completed now.
        const again = after(settled, plan(settled, byId(confirming(hosts, settled)), brakes));
        expect(plan(again, byId(confirming(hosts, again)), brakes).networks).toEqual([]);
      }),
    );
  });

  test('leaves at most as many placements as are wanted, and never two on one host', () => {
    fc.assert(
      fc.property(anyWorld, ({ hosts, networks, brakes }) => {
        for (const each of after(networks, plan(networks, byId(hosts), brakes))) {
          expect(each.placements.length).toBeLessThanOrEqual(serversWanted(each));
          expect(new Set(each.placements.map(({ hostId }) => hostId)).size).toBe(each.placements.length);
        }
      }),
    );
  });

  test('moves no healthy placement, but where fewer are wanted', () => {
    fc.assert(
      fc.property(anyWorld, ({ hosts, networks, brakes }) => {
        const confirmed = byId(confirming(hosts, networks));
        const moved = plan(networks, confirmed, brakes).networks.flatMap(({ networkId, withdraw }) =>
          withdraw.filter(({ hostId }) => isHealthy(confirmed.get(hostId), networkId)).map(({ why }) => why),
        );
        expect(moved.filter((why) => why !== 'too many servers' && why !== 'network not served')).toEqual([]);
      }),
    );
  });

  test('fills every place that a fitting host could take', () => {
    fc.assert(
      fc.property(anyWorld, ({ hosts, networks, brakes }) => {
        const settled = after(networks, plan(networks, byId(hosts), brakes));
        const short = settled.filter((each) => each.placements.length < serversWanted(each));
        const fitting = short.flatMap(({ networkId, placements, formerServers }) => {
          const known = [...placements, ...formerServers].map(({ hostId }) => hostId);
          return hosts.filter((each) => isFitting(each, networkId) && !known.includes(each.hostId));
        });
        expect(fitting).toEqual([]);
      }),
    );
  });

  test('takes no server away without another in its place, but where that was asked for', () => {
    const asked: readonly Why[] = ['network not served', 'host forgotten', 'host not managed', 'too many servers'];
    fc.assert(
      fc.property(anyWorld, ({ hosts, networks, brakes }) => {
        for (const { withdraw, place } of plan(networks, byId(hosts), brakes).networks) {
          expect(withdraw.filter(({ why }) => !asked.includes(why)).length).toBeLessThanOrEqual(place.length);
        }
      }),
    );
  });

  test('is the same in whatever order networks and hosts come', () => {
    fc.assert(
      fc.property(anyWorld, ({ hosts, networks, brakes }) => {
        const reversed = plan(networks.toReversed(), byId(hosts.toReversed()), brakes);
        expect(reversed).toEqual(plan(networks, byId(hosts), brakes));
      }),
    );
  });
});
