// What every store must do, by example: the contract of server/src/ports/store.ts, a check for each sentence of it. As a
// list, so that the same checks run as tests of good stores and as witnesses against bad ones (store-mutants.test.ts).

import type { Ipv4 } from '@leasehold/proto/values';
import type { AuditEvent } from '@leasehold/server/domain/audit';
import type { Change } from '@leasehold/server/domain/change';
import type { HoldStill } from '@leasehold/server/domain/hold-still';
import type { ReservationId, Uid, WallTime } from '@leasehold/server/domain/ids';
import { makeReservationId } from '@leasehold/server/domain/reservation-id';
import type { RequestKey, Slot } from '@leasehold/server/domain/slot';
import {
  type AuditFilter,
  type ExclusiveHolder,
  type HolderStore,
  type MomentFilter,
  type MomentKey,
  type Position,
  PositionLostError,
  type Store,
  StoreUnavailableError,
} from '@leasehold/server/ports/store';
import { expect } from 'vitest';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { eventually } from '../support/eventually.js';
import {
  address,
  collect,
  ended,
  eventsOfAllKinds,
  host,
  mac,
  network,
  networkEvent,
  networkId,
  quarantined,
  reservation,
  subnet,
} from './documents.js';

/** What not every store can do. */
export interface StoreFeatures {
  /** Several of them may be open at once, as several servers share one database. */
  readonly shared: boolean;
  /** Followers hear of a change before its writer has the answer. */
  readonly tellsFirst: boolean;
}

/** A place for stores under test. */
export interface StorePlace {
  /** Opens the store of this place; after a close, the same one again. */
  open(): Promise<Store>;
  /** Ends after everything is gone. */
  remove(): Promise<void>;
}

/** Where a check runs: a place with a store that is open, new and empty. */
export class Stage {
  readonly #place: StorePlace;
  readonly #others: Store[] = [];
  store: Store;

  constructor(place: StorePlace, store: Store) {
    this.#place = place;
    this.store = store;
  }

  /** Closes the store and opens it again. */
  async reopen(): Promise<Store> {
    await this.store.close();
    this.store = await this.#place.open();
    return this.store;
  }

  /** Opens the store of this place once more, as another server would. */
  async another(): Promise<Store> {
    const store = await this.#place.open();
    this.#others.push(store);
    return store;
  }

  /** Closes what is open and removes the place. */
  async clear(): Promise<void> {
    for (const store of this.#others) await store.close();
    await this.store.close();
    await this.#place.remove();
  }
}

/** One sentence of the contract. */
export interface StoreCheck {
  readonly name: string;
  readonly needs?: keyof StoreFeatures;
  run(stage: Stage): Promise<void>;
}

/** All of them. */
export const STORE_CHECKS: readonly StoreCheck[] = [
  ...documents(),
  ...slots(),
  ...requests(),
  ...lists(),
  ...history(),
  ...moments(),
  ...audits(),
  ...following(),
  ...snapshots(),
  ...holding(),
  ...sharing(),
  ...restarts(),
];

/** A follower that notes what it heard. */
async function listen(store: Store, after?: Position): Promise<{ heard: Change[]; positions: Position[] }> {
  const heard: Change[] = [];
  const positions: Position[] = [];
  const lost = (reason: string) => expect.fail(reason);
  store.follow(after ?? (await positionNow(store)), {
    changed: (changes) => {
      for (const { position, before: _, ...change } of changes) {
        heard.push(change);
        positions.push(position);
      }
    },
    lost,
  });
  return { heard, positions };
}

async function positionNow(store: Store): Promise<Position> {
  const snapshot = await store.snapshot();
  await snapshot.close();
  return snapshot.position;
}

/** Everything a store holds. */
async function contentOf(store: Store) {
  const snapshot = await store.snapshot();
  const content = {
    networks: await collect(snapshot.networks()),
    hosts: await collect(snapshot.hosts()),
    slots: (await collect(snapshot.slots())).flat(),
  };
  await snapshot.close();
  return content;
}

function documents(): readonly StoreCheck[] {
  return [
    {
      name: 'a network is written by whoever saw its latest revision, and by nobody else',
      async run({ store: { networks } }) {
        expect(await networks.get(networkId('red'))).toBeUndefined();
        const first = await networks.put(network('red'));
        expect(first).toEqual({ ...network('red'), revision: 1 });
        expect(await networks.put(network('red'))).toBe('conflict');
        const [a, b] = await Promise.all([
          networks.put({ ...network('red', 1), displayName: 'a' }),
          networks.put({ ...network('red', 1), displayName: 'b' }),
        ]);
        expect([a, b].filter((each) => each === 'conflict')).toHaveLength(1);
        expect(await networks.get(networkId('red'))).toEqual(a === 'conflict' ? b : a);
        expect(await networks.remove(network('red', 1))).toBe('conflict');
        expect(await networks.remove(network('red', 2))).toBe('removed');
        expect(await networks.remove(network('red', 0))).toBe('conflict');
        expect(await networks.get(networkId('red'))).toBeUndefined();
      },
    },
    {
      name: 'a network comes back as it was written, with everything it can hold',
      async run({ store: { networks } }) {
        const full = {
          ...network('red'),
          subnets: [{ ...subnet('s1'), mtu: 1_500, routes: [{ destination: subnet('s1').cidr, nextHop: address(9) }] }],
          placements: [{ hostId: host('h1').hostId, hostUid: host('h1').uid, epoch: 3, since: host('h1').createTime }],
          formerServers: [
            {
              hostId: host('h2').hostId,
              hostUid: host('h2').uid,
              epoch: 2,
              counter: 3,
              authorityCeilingS: 86_400,
              silentForS: 600,
              fenced: true as const,
              since: host('h2').createTime,
            },
          ],
          placementCounter: 3,
          holderEpoch: 7,
          mark: {
            operationId: 'm',
            subnetId: subnet('s1').subnetId,
            forbidden: [{ first: address(3), last: address(4) }],
            since: host('h1').createTime,
          },
        };
        const written = await networks.put(full);
        expect(written).toEqual({ ...full, revision: 1 });
        expect(await networks.get(networkId('red'))).toEqual(written);
        const { gateway: _, ...withoutGateway } = subnet('s1');
        const { mark: _1, ...unmarked } = { ...full, revision: network('red', 1).revision };
        const gone = { ...unmarked, subnets: [withoutGateway], deleted: true as const };
        await networks.put(gone);
        expect(await networks.get(networkId('red'))).toEqual({ ...gone, revision: 2 });
      },
    },
    {
      name: 'a subnet id belongs to one network, until that gives it up',
      async run({ store: { networks } }) {
        const red = { ...network('red'), subnets: [subnet('s1'), subnet('s2')] };
        await networks.put(red);
        const blue = { ...network('blue'), subnets: [subnet('s2')] };
        expect(await networks.put(blue)).toBe('subnet-taken');
        expect((await networks.findBySubnet(subnet('s2').subnetId))?.networkId).toBe('red');
        await networks.put({ ...red, subnets: [subnet('s1')], revision: network('red', 1).revision });
        expect(await networks.put(blue)).toMatchObject({ networkId: 'blue' });
        expect((await networks.findBySubnet(subnet('s2').subnetId))?.networkId).toBe('blue');
        expect((await networks.findBySubnet(subnet('s1').subnetId))?.networkId).toBe('red');
        expect(await networks.findBySubnet(subnet('s3').subnetId)).toBeUndefined();
        // Networks without subnets do not stand in each other's way.
        for (const id of ['a', 'b']) expect(await networks.put(network(id))).toMatchObject({ networkId: id });
      },
    },
    {
      name: 'networks and hosts come in the order of their ids',
      async run({ store }) {
        const ids = ['b', 'a.b', 'a', 'a-b', 'a0', 'ab', '0'];
        await Promise.all(ids.flatMap((id) => [store.networks.put(network(id)), store.hosts.put(host(id))]));
        const { networks, hosts } = await contentOf(store);
        expect(networks.map((each) => each.networkId)).toEqual(ids.toSorted());
        expect(hosts.map((each) => each.hostId)).toEqual(ids.toSorted());
      },
    },
    {
      name: 'a host is written by whoever saw its latest revision, and by nobody else',
      async run({ store: { hosts } }) {
        expect(await hosts.put(host('h1'))).toEqual({ ...host('h1'), revision: 1 });
        expect(await hosts.put(host('h1'))).toBe('conflict');
        expect(await hosts.put({ ...host('h1', 1), maintenance: true })).toMatchObject({
          maintenance: true,
          revision: 2,
        });
        expect(await hosts.get(host('h1').hostId)).toEqual({ ...host('h1', 2), maintenance: true });
        expect(await hosts.remove(host('h1', 1))).toBe('conflict');
        expect(await hosts.remove(host('h1', 2))).toBe('removed');
        expect(await hosts.get(host('h1').hostId)).toBeUndefined();
        expect(await hosts.put(host('h1', 2))).toBe('conflict');
      },
    },
  ];
}

function slots(): readonly StoreCheck[] {
  return [
    {
      name: 'of many inserts of one address exactly one wins, and the others are told which',
      async run({ store }) {
        const tries = Array.from({ length: 50 }, (_, n) => store.slots.insert(reservation('red', 7, n)));
        const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
        const [won, ...others] = outcomes.filter(({ kind }) => kind === 'inserted');
        expect(others).toEqual([]);
        const stored = await store.slots.get(networkId('red'), address(7));
        expect(won).toEqual({ kind: 'inserted', slot: stored });
        for (const lost of outcomes.filter((each) => each !== won)) {
          expect(lost).toEqual({ kind: 'taken', slot: stored });
        }
      },
    },
    {
      name: 'of many inserts of one MAC in a network exactly one wins, and the others are told which',
      async run({ store }) {
        const tries = Array.from({ length: 50 }, (_, n) => store.slots.insert(reservation('red', n, 1)));
        const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
        const won = outcomes.filter(({ kind }) => kind === 'inserted');
        expect(won).toHaveLength(1);
        const stored = await store.slots.findByMac(networkId('red'), mac(1));
        expect(stored).toEqual([won[0]?.kind === 'inserted' ? won[0].slot : undefined]);
        const lost = outcomes.filter(({ kind }) => kind === 'mac-holds');
        expect(lost).toEqual(Array(49).fill({ kind: 'mac-holds', slot: stored[0] }));
      },
    },
    {
      name: 'one MAC may hold one address in each network, and one address each network',
      async run({ store }) {
        for (const id of ['a', 'a-b', 'ab']) {
          expect((await store.slots.insert(reservation(id, 7, 1))).outcome.kind).toBe('inserted');
        }
        expect(await store.slots.findByMac(networkId('a'), mac(1))).toMatchObject([{ networkId: 'a' }]);
        expect(await store.slots.findByMac(networkId('b'), mac(1))).toEqual([]);
      },
    },
    {
      name: 'a slot comes back as it was written, with everything it can hold',
      async run({ store: { slots } }) {
        const plain = { ...reservation('red', 1, 1), labels: {}, options: [], hostname: '', owner: '' };
        await slots.insert(plain);
        const key = { caller: 'engine/ü "x"', rpc: 'ReserveAddress', id: 'r\n', contentHash: 'h' } as const;
        const full = { ...reservation('red', 2, 2), request: key };
        await slots.insert(full);
        const resting = {
          ...quarantined({ ...full, revision: reservation('red', 2, 2, 1).revision }),
          releaseRequest: { ...key, rpc: 'ReleaseAddress' } as const,
        };
        await slots.replace(resting);
        expect(await slots.get(networkId('red'), address(1))).toEqual({ ...plain, revision: 1 });
        expect(await slots.get(networkId('red'), address(2))).toEqual({ ...resting, revision: 2 });
        expect(await slots.getConfirmed(networkId('red'), address(2))).toEqual({ ...resting, revision: 2 });
        expect(await slots.getConfirmed(networkId('red'), address(3))).toBeUndefined();
      },
    },
    {
      name: 'a slot is replaced by whoever saw its latest revision, and by nobody else',
      async run({ store: { slots } }) {
        await slots.insert(reservation('red', 7, 1));
        const released = quarantined(reservation('red', 7, 1, 1));
        const answers = await Promise.all([slots.replace(released), slots.replace({ ...released, hostname: 'late' })]);
        const won = answers.filter(({ outcome }) => outcome.kind === 'replaced');
        expect(won).toHaveLength(1);
        expect(answers.filter(({ outcome }) => outcome.kind === 'conflict')).toHaveLength(1);
        const [first] = won.map(({ outcome }) => (outcome.kind === 'replaced' ? outcome.slot : undefined));
        expect(await slots.get(networkId('red'), address(7))).toEqual(first);
        expect(first?.revision).toBe(2);
        expect((await slots.replace(reservation('red', 8, 1, 1))).outcome).toEqual({ kind: 'conflict' });
        expect((await slots.replace(reservation('red', 8, 1, 0))).outcome).toEqual({ kind: 'conflict' });
      },
    },
    {
      name: 'a write that comes late meets its tenure or nothing, also where the next one has the same revision',
      async run({ store: { slots, history } }) {
        const next = { ...reservation('red', 7, 8), reservationId: reservation('red', 7, 99).reservationId };
        const first = reservation('red', 7, 7, 2);
        await slots.insert(reservation('red', 7, 7));
        await slots.replace(quarantined(reservation('red', 7, 7, 1)));
        expect(await slots.free(ended(quarantined(first)), first.revision)).toBe('freed');
        await slots.insert(next);
        const { outcome } = await slots.replace(
          quarantined({ ...next, revision: reservation('red', 7, 8, 1).revision }),
        );
        expect(outcome).toMatchObject({ kind: 'replaced', slot: { revision: first.revision } });
        const again = { ...first, reservationId: reservation('red', 7, 100).reservationId };
        expect((await slots.replace(again, ended(quarantined(first)))).outcome.kind).toBe('conflict');
        expect((await slots.replace(quarantined(first))).outcome.kind).toBe('conflict');
        expect(await slots.free(ended(quarantined(first)), first.revision)).toBe('conflict');
        expect(await slots.get(networkId('red'), address(7))).toMatchObject({ mac: next.mac, state: 'quarantined' });
        expect(await history.get(next.reservationId)).toBeUndefined();
      },
    },
    {
      name: 'a network or host that was made anew is another one, whatever its revision',
      async run({ store: { networks, hosts } }) {
        const other = { uid: network('other').uid };
        await networks.put({ ...network('red'), ...other });
        expect(await networks.put(network('red', 1))).toBe('conflict');
        expect(await networks.remove(network('red', 1))).toBe('conflict');
        expect(await networks.put(network('red', 1), other)).toEqual(network('red', 2));
        await hosts.put({ ...host('h1'), ...other });
        expect(await hosts.put(host('h1', 1))).toBe('conflict');
        expect(await hosts.remove(host('h1', 1))).toBe('conflict');
        expect(await hosts.remove({ ...host('h1', 1), ...other })).toBe('removed');
      },
    },
    {
      name: 'of many replacements at once each slot gets its own answer',
      async run({ store: { slots } }) {
        await Promise.all(Array.from({ length: 60 }, (_, n) => slots.insert(reservation('red', n, n))));
        // Every third is late, every fifth is not there.
        const tries = Array.from({ length: 60 }, (_, n) =>
          slots.replace(quarantined(reservation('red', n % 5 === 0 ? n + 1_000 : n, n, n % 3 === 0 ? 9 : 1))),
        );
        const kinds = (await Promise.all(tries)).map(({ outcome }) => outcome.kind);
        expect(kinds).toEqual(
          Array.from({ length: 60 }, (_, n) => (n % 5 === 0 || n % 3 === 0 ? 'conflict' : 'replaced')),
        );
      },
    },
    {
      name: 'a quarantined address blocks its address, not its MAC',
      async run({ store: { slots } }) {
        await slots.insert(reservation('red', 7, 1));
        await slots.replace(quarantined(reservation('red', 7, 1, 1)));
        expect((await slots.insert(reservation('red', 7, 2))).outcome.kind).toBe('taken');
        expect((await slots.insert(reservation('red', 9, 1))).outcome.kind).toBe('inserted');
        const found = await slots.findByMac(networkId('red'), mac(1));
        expect(found.map((slot) => [slot.address, slot.state])).toEqual([
          [address(7), 'quarantined'],
          [address(9), 'reserved'],
        ]);
        const back = await slots.replace(
          { ...reservation('red', 7, 1, 2), reservationId: reservation('red', 7, 99).reservationId },
          ended(reservation('red', 7, 1, 2)),
        );
        expect(back.outcome).toMatchObject({ kind: 'mac-holds', slot: { address: address(9) } });
        expect(await slots.get(networkId('red'), address(7))).toMatchObject({ state: 'quarantined', revision: 2 });
      },
    },
    {
      name: 'a write of a slot answers with the network as it stands after it',
      async run({ store: { networks, slots } }) {
        expect((await slots.insert(reservation('red', 1, 1))).network).toBeUndefined();
        const first = await networks.put(network('red'));
        expect((await slots.insert(reservation('red', 2, 2))).network).toEqual(first);
        const second = await networks.put({ ...network('red', 1), ipamEnabled: false });
        expect((await slots.insert(reservation('red', 3, 3))).network).toEqual(second);
        expect((await slots.insert(reservation('red', 3, 4))).network).toEqual(second);
        expect((await slots.replace(quarantined(reservation('red', 3, 3, 1)))).network).toEqual(second);
      },
    },
  ];
}

const request = (rpc: RequestKey['rpc'], id: string): RequestKey => ({ caller: 'engine/ü', rpc, id, contentHash: 'h' });

function requests(): readonly StoreCheck[] {
  return [
    {
      name: 'a request leads to the tenure it made or released, wherever that is',
      async run({ store: { slots } }) {
        const made = request('ReserveAddress', 'x'.repeat(3_000));
        const released = request('ReleaseAddress', 'r');
        const first = { ...reservation('red', 7, 1), request: made };
        await slots.insert(first);
        expect(await slots.findByRequest(made)).toEqual({ ...first, revision: 1 });
        expect(await slots.findByRequest(request('ReserveAddress', 'x'))).toBeUndefined();
        expect(await slots.findByRequest({ ...made, rpc: 'ReleaseAddress' })).toBeUndefined();
        expect(await slots.findByRequest({ ...made, caller: 'another' })).toBeUndefined();
        const resting = {
          ...quarantined(first),
          releaseRequest: released,
          revision: reservation('red', 7, 1, 1).revision,
        };
        await slots.replace(resting);
        expect(await slots.findByRequest(released)).toEqual({ ...resting, revision: 2 });
        const next = request('ReserveAddress', 'y');
        const second = {
          ...reservation('red', 7, 1, 2),
          reservationId: reservation('red', 7, 99).reservationId,
          request: next,
        };
        await slots.replace(second, ended(resting));
        expect(await slots.findByRequest(next)).toEqual({ ...second, revision: 3 });
        for (const key of [made, released]) expect(await slots.findByRequest(key)).toEqual(ended(resting));
      },
    },
    {
      name: 'a request that its tenure does not know any more is free for another one',
      async run({ store: { slots, history } }) {
        const made = request('ReserveAddress', 'x');
        const first = { ...reservation('red', 7, 1), request: made };
        await slots.insert(first);
        const givenBack = quarantined(reservation('red', 7, 1, 1));
        await slots.replace(givenBack);
        expect(await slots.findByRequest(made)).toBeUndefined();
        const second = { ...reservation('red', 8, 2), request: made };
        expect((await slots.insert(second)).outcome.kind).toBe('inserted');
        expect(await slots.free(ended(givenBack), reservation('red', 7, 1, 2).revision)).toBe('freed');
        expect(await history.prune((ended(first).endTime + 1) as WallTime, 10)).toBe(1);
        expect(await slots.findByRequest(made)).toEqual({ ...second, revision: 1 });
      },
    },
    {
      name: 'a request whose tenure is over makes no other, or it is said that it did',
      async run({ store: { slots } }) {
        const made = request('ReserveAddress', 'x');
        const first = { ...reservation('red', 7, 1), request: made };
        await slots.insert(first);
        await slots.replace(quarantined({ ...first, revision: reservation('red', 7, 1, 1).revision }));
        const over = ended(quarantined(first));
        expect(await slots.free(over, reservation('red', 7, 1, 2).revision)).toBe('freed');
        const late = await slots.insert({ ...reservation('red', 8, 1), request: made });
        const { outcome } = late;
        expect(outcome.kind === 'inserted' ? outcome.known : outcome).toEqual(
          outcome.kind === 'inserted' ? over : { kind: 'request-known', tenure: over },
        );
      },
    },
    {
      name: 'one request makes one tenure, though many ask at once',
      async run({ store: { slots } }) {
        const made = request('ReserveAddress', 'once');
        const tries = Array.from({ length: 20 }, (_, n) =>
          slots.insert({ ...reservation('red', n, n), request: made }),
        );
        const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
        const won = outcomes.filter(({ kind }) => kind === 'inserted');
        expect(won).toHaveLength(1);
        const slot = won[0]?.kind === 'inserted' ? won[0].slot : undefined;
        const known = outcomes.filter(({ kind }) => kind === 'request-known');
        expect(known).toEqual(Array(19).fill({ kind: 'request-known', tenure: slot }));
        expect(await slots.findByRequest(made)).toEqual(slot);
        expect((await slots.insert({ ...reservation('red', 99, 99), request: made })).outcome.kind).toBe(
          'request-known',
        );
      },
    },
    {
      name: 'one request releases one tenure',
      async run({ store: { slots } }) {
        const released = request('ReleaseAddress', 'once');
        for (const n of [1, 2]) await slots.insert(reservation('red', n, n));
        const first = await slots.replace({ ...quarantined(reservation('red', 1, 1, 1)), releaseRequest: released });
        const second = await slots.replace({ ...quarantined(reservation('red', 2, 2, 1)), releaseRequest: released });
        expect([first.outcome.kind, second.outcome.kind]).toEqual(['replaced', 'request-known']);
        expect(second.outcome).toMatchObject({ tenure: { address: address(1) } });
        expect(await slots.get(networkId('red'), address(2))).toMatchObject({ state: 'reserved', revision: 1 });
      },
    },
  ];
}

function lists(): readonly StoreCheck[] {
  return [
    {
      name: 'slots come by network and in address order, within the range asked for',
      async run({ store }) {
        const { slots } = store;
        const numbers = [2_500, 1, 256, 255, 65_536, ...Array.from({ length: 2_200 }, (_, n) => n * 3 + 70_000)];
        await Promise.all(numbers.map((n, i) => slots.insert(reservation('b', n, i))));
        for (const id of ['a', 'a-b', 'c']) await slots.insert(reservation(id, 5, 1));
        const all = (await contentOf(store)).slots;
        expect(all.map((slot) => slot.networkId)).toEqual(['a', 'a-b', ...numbers.map(() => 'b'), 'c']);
        const inOrder = numbers.toSorted((a, b) => a - b).map(address);
        expect((await pages(store, { networkId: networkId('b') }, 700)).map((slot) => slot.address)).toEqual(inOrder);
        const range = { networkId: networkId('b'), from: address(255), to: address(2_500) };
        const some = await pages(store, range, 2);
        expect(some.map((slot) => slot.address)).toEqual([255, 256, 2_500].map(address));
        const edges = { networkId: networkId('b'), from: 0 as Ipv4, to: 0xffffffff as Ipv4 };
        expect(await pages(store, edges, 1_000)).toHaveLength(numbers.length);
        expect(await slots.count(networkId('b'), address(255), address(2_500))).toBe(3);
        expect(await slots.count(networkId('b'), 0 as Ipv4, 0xffffffff as Ipv4)).toBe(numbers.length);
        expect(await slots.count(networkId('none'), address(0), address(9))).toBe(0);
        const snapshot = await store.snapshot();
        const inNetwork = (await collect(snapshot.summaries(networkId('a')))).flat();
        expect(inNetwork.map((slot) => slot.networkId)).toEqual(['a']);
        await snapshot.close();
      },
    },
    {
      name: 'slots are listed by each of their filters, and by all together',
      async run({ store }) {
        const { slots } = store;
        await store.networks.put(network('red'));
        await store.networks.put(network('blue'));
        const others = { owner: 'vm/nic "1"', subnetId: subnet('s2').subnetId };
        for (let n = 0; n < 12; n++) {
          await slots.insert({ ...reservation(n % 2 ? 'red' : 'blue', n, n), ...(n % 3 === 0 ? others : {}) });
          if (n % 4 === 0)
            await slots.replace(quarantined({ ...reservation('blue', n, n, 1), ...(n % 3 === 0 ? others : {}) }));
        }
        const numbers = async (filter: Parameters<typeof slots.list>[0]) =>
          (await pages(store, filter, 2)).map((slot) => slot.address - address(0)).sort((a, b) => a - b);
        expect(await numbers({})).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        expect(await numbers({ networkId: networkId('red') })).toEqual([1, 3, 5, 7, 9, 11]);
        expect(await numbers({ owner: others.owner })).toEqual([0, 3, 6, 9]);
        expect(await numbers({ owner: 'vm/nic' })).toEqual([]);
        expect(await numbers({ subnetId: others.subnetId })).toEqual([0, 3, 6, 9]);
        expect(await numbers({ mac: mac(5) })).toEqual([5]);
        expect(await numbers({ mac: mac(5), networkId: networkId('blue') })).toEqual([]);
        expect(await numbers({ state: 'quarantined' })).toEqual([0, 4, 8]);
        expect(await numbers({ state: 'reserved', owner: others.owner, networkId: networkId('red') })).toEqual([3, 9]);
      },
    },
  ];
}

async function pages(store: Store, filter: Parameters<Store['slots']['list']>[0], limit: number): Promise<Slot[]> {
  const found: Slot[] = [];
  let page = await store.slots.list(filter, undefined, limit);
  for (;;) {
    expect(page.slots.length).toBeLessThanOrEqual(limit);
    found.push(...page.slots);
    if (!page.next) return found;
    page = await store.slots.list(filter, page.next, limit);
  }
}

function history(): readonly StoreCheck[] {
  /** Lets the nth MAC have an address for a while, several times; `created` and `over` in order. */
  const tenures = async (store: Store, n: number, times: readonly (readonly [number, number])[], owner = 'o') => {
    for (const [i, [createTime, endTime]] of times.entries()) {
      const slot: Slot = {
        ...reservation('red', n, n),
        reservationId: `red/${n}/${i}` as Slot['reservationId'],
        createTime: createTime as WallTime,
        owner,
      };
      await store.slots.insert(slot);
      const resting = quarantined({ ...slot, revision: reservation('red', n, n, 1).revision });
      await store.slots.replace(resting);
      const over = { ...ended(resting), endTime: endTime as WallTime };
      expect(await store.slots.free(over, reservation('red', n, n, 2).revision)).toBe('freed');
    }
  };
  return [
    {
      name: 'an ended tenure is in history once its slot is overwritten or freed',
      async run({ store }) {
        const { slots } = store;
        const first = reservation('red', 7, 1);
        await slots.insert(first);
        await slots.replace(quarantined({ ...first, revision: reservation('red', 7, 1, 1).revision }));
        const again = { ...reservation('red', 7, 1, 2), reservationId: reservation('red', 7, 99).reservationId };
        expect((await slots.replace(again, ended(quarantined(first)))).outcome.kind).toBe('replaced');
        expect(await store.history.get(first.reservationId)).toEqual(ended(quarantined(first)));
        const revision = (n: number) => reservation('red', 7, 1, n).revision;
        expect(await slots.free(ended(again), revision(3))).toBe('conflict');
        await slots.replace(quarantined({ ...again, revision: revision(3) }));
        expect(await slots.free(ended(quarantined(again)), revision(3))).toBe('conflict');
        expect(await slots.free(ended(quarantined(again)), revision(4))).toBe('freed');
        expect(await slots.free(ended(quarantined(again)), revision(4))).toBe('conflict');
        expect(await slots.get(networkId('red'), address(7))).toBeUndefined();
        expect(await slots.findByMac(networkId('red'), mac(1))).toEqual([]);
        expect(await store.history.get(again.reservationId)).toEqual(ended(quarantined(again)));
        expect((await slots.insert(reservation('red', 7, 2))).outcome.kind).toBe('inserted');
      },
    },
    {
      name: 'what is RESERVED or was changed since is not freed, and history tells nothing of its end',
      async run({ store: { slots, history } }) {
        const slot = reservation('red', 7, 1);
        const { revision } = reservation('red', 7, 1, 1);
        await slots.insert(slot);
        expect(await slots.free(ended(quarantined(slot)), revision)).toBe('conflict');
        await slots.replace(quarantined({ ...slot, revision }));
        expect(await slots.free(ended(quarantined(slot)), revision)).toBe('conflict');
        expect(await history.get(slot.reservationId)).toBeUndefined();
        expect(await slots.get(networkId('red'), address(7))).toMatchObject({ state: 'quarantined', revision: 2 });
      },
    },
    {
      name: 'of many addresses freed at once each gets its own answer',
      async run({ store: { slots, history } }) {
        for (let n = 0; n < 30; n++) {
          await slots.insert(reservation('red', n, n));
          if (n % 3 !== 0) await slots.replace(quarantined(reservation('red', n, n, 1)));
        }
        const tries = Array.from({ length: 30 }, (_, n) =>
          slots.free(
            ended(quarantined(reservation('red', n, n))),
            reservation('red', n, n, n % 5 === 0 ? 7 : 2).revision,
          ),
        );
        expect(await Promise.all(tries)).toEqual(
          Array.from({ length: 30 }, (_, n) => (n % 3 === 0 || n % 5 === 0 ? 'conflict' : 'freed')),
        );
        expect(await slots.get(networkId('red'), address(1))).toBeUndefined();
        expect(await slots.get(networkId('red'), address(5))).toBeDefined();
        expect(await history.get(reservation('red', 1, 1).reservationId)).toBeDefined();
      },
    },
    {
      name: 'history is listed by address, MAC and owner, the newest first',
      async run({ store }) {
        const T = 1_700_000_000_000;
        await tenures(store, 1, [
          [T + 1, T + 5],
          [T + 6, T + 9],
          [T + 10, T + 20],
        ]);
        await tenures(
          store,
          2,
          [
            [T + 2, T + 3],
            [T + 30, T + 31],
          ],
          'other "o"',
        );
        const list = async (filter: Parameters<Store['history']['list']>[0]) => {
          const ids: string[] = [];
          let page = await store.history.list(filter, undefined, 2);
          for (;;) {
            ids.push(...page.tenures.map(({ reservationId }) => reservationId));
            if (!page.next) return ids;
            page = await store.history.list(filter, page.next, 2);
          }
        };
        const place = { subnetId: subnet('s1').subnetId, address: address(1) };
        expect(await list({ place })).toEqual(['red/1/2', 'red/1/1', 'red/1/0']);
        expect(await list({ place: { ...place, subnetId: subnet('s2').subnetId } })).toEqual([]);
        expect(await list({ mac: mac(2) })).toEqual(['red/2/1', 'red/2/0']);
        expect(await list({ owner: 'other "o"' })).toEqual(['red/2/1', 'red/2/0']);
        expect(await list({ owner: 'o' })).toEqual(['red/1/2', 'red/1/1', 'red/1/0']);
        expect(await list({ owner: 'o', mac: mac(2) })).toEqual([]);
        expect(await list({ owner: 'o', networkId: networkId('blue') })).toEqual([]);
        expect(await list({ place, endedAfter: (T + 5) as WallTime })).toEqual(['red/1/2', 'red/1/1']);
        expect(await list({ place, createdBefore: (T + 6) as WallTime })).toEqual(['red/1/0']);
        const [one] = (await store.history.list({ place }, undefined, 1)).tenures;
        expect(one).toMatchObject({ createTime: T + 10, endTime: T + 20, mac: mac(1), vouched: true });
      },
    },
    {
      name: 'what ended before a time is forgotten, with its requests, and nothing else is',
      async run({ store }) {
        const T = 1_700_000_000_000;
        const made = request('ReserveAddress', 'old');
        await store.slots.insert({ ...reservation('red', 5, 5), request: made });
        const slot = { ...quarantined(reservation('red', 5, 5, 1)), request: made };
        await store.slots.replace(slot);
        await store.slots.free({ ...ended(slot), endTime: T as WallTime }, reservation('red', 5, 5, 2).revision);
        await tenures(store, 1, [
          [T + 1, T + 5],
          [T + 6, T + 9],
          [T + 10, T + 20],
        ]);
        expect(await store.slots.findByRequest(made)).toBeDefined();
        expect(await store.history.prune(T as WallTime, 10)).toBe(0);
        expect(await store.history.prune((T + 10) as WallTime, 2)).toBe(2);
        expect(await store.history.prune((T + 10) as WallTime, 2)).toBe(1);
        expect(await store.history.prune((T + 10) as WallTime, 2)).toBe(0);
        const { tenures: left } = await store.history.list({ mac: mac(1) }, undefined, 10);
        expect(left.map(({ reservationId }) => reservationId)).toEqual(['red/1/2']);
        expect(await store.history.get(reservation('red', 5, 5).reservationId)).toBeUndefined();
        expect(await store.slots.findByRequest(made)).toBeUndefined();
        expect((await store.slots.insert({ ...reservation('red', 6, 6), request: made })).outcome.kind).toBe(
          'inserted',
        );
      },
    },
  ];
}

function moments(): readonly StoreCheck[] {
  const at = (n: number) => (1_700_000_000_000 + n) as WallTime;
  /** Slots 0 to 5 of which 3 to 5 were released; each has a tenure of before in history. */
  const fill = async ({ slots }: Store) => {
    for (let n = 0; n < 6; n++) {
      const id = n % 2 ? 'red' : 'blue';
      const past: Slot = { ...reservation(id, n, n), createTime: at(n), createdBy: n % 3 ? 'a' : 'b' };
      await slots.insert(past);
      const over = {
        ...quarantined({ ...past, revision: reservation(id, n, n, 1).revision }),
        releaseTime: at(10 + n),
      };
      await slots.replace(over);
      const now = {
        ...reservation(id, n, n, 2),
        reservationId: `now/${n}` as ReservationId,
        createTime: at(20 + (n >> 1)),
      };
      await slots.replace(now, ended(over));
      const released = { ...now, revision: reservation(id, n, n, 3).revision };
      if (n > 2) await slots.replace({ ...quarantined(released), releaseTime: at(30), releasedBy: 'b' });
    }
  };
  const living = async ({ slots }: Store, filter: MomentFilter) => {
    const ids: string[] = [];
    for (let after: MomentKey | undefined; ; ) {
      const some = inTime(await slots.newest(filter, after, 2));
      ids.push(...some.map(({ reservationId }) => reservationId));
      const last = some.at(-1);
      if (!last || some.length < 2) return ids;
      after = { time: last[filter.moment] as WallTime, reservationId: last.reservationId };
    }
  };
  const past = async ({ history: store }: Store, filter: MomentFilter) => {
    const ids: string[] = [];
    for (let after: MomentKey | undefined; ; ) {
      const { tenures, next } = inTime(await store.newest(filter, after, 2));
      expect(tenures.length).toBeLessThanOrEqual(2);
      ids.push(...tenures.map(({ reservationId }) => reservationId));
      if (!next) return ids;
      after = next;
    }
  };
  const now = (...numbers: readonly number[]) => numbers.map((n) => `now/${n}`);
  const before = (...numbers: readonly number[]) => numbers.map((n) => `${n % 2 ? 'red' : 'blue'}/${n}/${n}`);
  return [
    {
      name: 'slots are listed by when they were reserved or released, the newest first',
      async run({ store }) {
        await fill(store);
        expect(await living(store, { moment: 'createTime' })).toEqual(now(4, 5, 2, 3, 0, 1));
        expect(await living(store, { moment: 'releaseTime' })).toEqual(now(3, 4, 5));
        expect(await living(store, { moment: 'createTime', networkId: networkId('red') })).toEqual(now(5, 3, 1));
        expect(await living(store, { moment: 'createTime', since: at(21), until: at(22) })).toEqual(now(2, 3));
        expect(await living(store, { moment: 'createTime', caller: 'test' })).toHaveLength(6);
        expect(await living(store, { moment: 'releaseTime', caller: 'test' })).toEqual([]);
        expect(await living(store, { moment: 'releaseTime', caller: 'b', networkId: networkId('red') })).toEqual(
          now(3, 5),
        );
      },
    },
    {
      name: 'history is listed by when tenures were reserved or released, the newest first, until it is forgotten',
      async run({ store }) {
        await fill(store);
        for (const moment of ['createTime', 'releaseTime'] as const) {
          expect(await past(store, { moment })).toEqual(before(5, 4, 3, 2, 1, 0));
          expect(await past(store, { moment, networkId: networkId('red') })).toEqual(before(5, 3, 1));
        }
        expect(await past(store, { moment: 'createTime', caller: 'b' })).toEqual(before(3, 0));
        expect(await past(store, { moment: 'createTime', since: at(1), until: at(4) })).toEqual(before(3, 2, 1));
        expect(await past(store, { moment: 'releaseTime', since: at(11), until: at(14) })).toEqual(before(3, 2, 1));
        expect(await store.history.prune(at(1_000), 10)).toBe(6);
        for (const moment of ['createTime', 'releaseTime'] as const) expect(await past(store, { moment })).toEqual([]);
      },
    },
  ];
}

function inTime<T>(found: T | 'too-long'): T {
  if (found === 'too-long') throw new Error('too-long');
  return found;
}

/** Every event that fits, in pages. */
async function eventsOf({ audit }: Store, filter: AuditFilter = {}, limit = 3): Promise<readonly AuditEvent[]> {
  const found: AuditEvent[] = [];
  let page = await audit.list(filter, undefined, limit);
  for (;;) {
    expect(page.events.length).toBeLessThanOrEqual(limit);
    found.push(...page.events);
    if (!page.next) return found;
    page = await audit.list(filter, page.next, limit);
  }
}

/** Stores events with changes of networks made for them. */
async function storeEvents({ networks }: Store, events: readonly AuditEvent[]): Promise<void> {
  for (const [i, event] of events.entries()) {
    expect(await networks.put(network(`n${i}`), undefined, event)).toMatchObject({ revision: 1 });
  }
}

function audits(): readonly StoreCheck[] {
  return [
    {
      name: 'an audit event comes back as it was written, of every kind, also after a restart',
      async run(stage) {
        const events = eventsOfAllKinds();
        await storeEvents(stage.store, events);
        expect(await eventsOf(stage.store)).toEqual(events.toReversed());
        expect(await eventsOf(await stage.reopen())).toEqual(events.toReversed());
      },
    },
    {
      name: 'an audit event is there if its change is, and not if it met something else',
      async run({ store }) {
        const { networks, hosts, slots } = store;
        const kept: AuditEvent[] = [];
        const [created, fenced, deleted, changed] = [0, 3, 4, 5].map((n) => eventsOfAllKinds()[n] as AuditEvent);
        const made = async <T>(event: AuditEvent | undefined, write: (event?: AuditEvent) => Promise<T>) => {
          expect(await write(event)).not.toBe('conflict');
          if (event) kept.unshift(event);
        };
        await made(created, (event) => networks.put({ ...network('red'), subnets: [subnet('s1')] }, undefined, event));
        expect(await networks.put(network('red'), undefined, networkEvent('red', 0, 50))).toBe('conflict');
        const late = { ...network('red', 5), displayName: 'late' };
        expect(await networks.put(late, undefined, networkEvent('red', 5, 51))).toBe('conflict');
        const blue = { ...network('blue'), subnets: [subnet('s1')] };
        expect(await networks.put(blue, undefined, networkEvent('blue', 0, 52))).toBe('subnet-taken');
        await networks.put(network('blue'));
        const taking = { ...blue, revision: network('blue', 1).revision };
        expect(await networks.put(taking, undefined, networkEvent('blue', 1, 53))).toBe('subnet-taken');
        await hosts.put(host('h1'));
        await made(fenced, (event) => hosts.put(host('h1', 1), event));
        expect(await hosts.put(host('h1', 1), fenced)).toBe('conflict');
        expect(await hosts.remove(host('h1', 1), { ...(deleted as AuditEvent), eventId: 'late' })).toBe('conflict');
        await made(deleted, (event) => hosts.remove(host('h1', 2), event));
        await slots.insert(reservation('red', 7, 7));
        const renamed = { ...reservation('red', 7, 7, 1), hostname: 'renamed' };
        await made(changed, (event) => slots.amend(renamed, event as AuditEvent));
        expect(await slots.get(networkId('red'), address(7))).toEqual({ ...renamed, revision: 2 });
        expect(await slots.amend(renamed, { ...(changed as AuditEvent), eventId: 'late' })).toBe('conflict');
        const other = {
          ...renamed,
          reservationId: 'another' as ReservationId,
          revision: reservation('red', 7, 7, 2).revision,
        };
        expect(await slots.amend(other, { ...(changed as AuditEvent), eventId: 'late' })).toBe('conflict');
        expect(await eventsOf(store)).toEqual(kept);
      },
    },
    {
      name: 'a word for a guest after its release is stored with its audit event, and goes into history, also after a restart',
      async run(stage) {
        const { slots } = stage.store;
        const event = eventsOfAllKinds()[7] as AuditEvent;
        await slots.insert(reservation('red', 7, 7));
        const resting = { ...quarantined(reservation('red', 7, 7, 1)), vouched: false };
        await slots.replace(resting);
        const said = {
          ...resting,
          vouched: true,
          vouchedLater: true,
          revision: reservation('red', 7, 7, 2).revision,
        } as const;
        expect(await slots.amend(said, event)).toEqual({ ...said, revision: 3 });
        expect(await slots.get(networkId('red'), address(7))).toEqual({ ...said, revision: 3 });
        const again = await stage.reopen();
        expect(await again.slots.get(networkId('red'), address(7))).toEqual({ ...said, revision: 3 });
        expect(await eventsOf(again)).toEqual([event]);
        expect(await again.slots.free(ended(said), reservation('red', 7, 7, 3).revision)).toBe('freed');
        expect(await again.history.get(said.reservationId)).toEqual(ended(said));
      },
    },
    {
      name: 'of many that change one thing at once one wins, and its audit event alone is there',
      async run({ store }) {
        const { networks } = store;
        await networks.put(network('red'));
        for (let revision = 1; revision < 4; revision++) {
          const tries = Array.from({ length: 8 }, async (_, n) => {
            const event = networkEvent('red', revision, revision * 10 + n);
            const written = await networks.put({ ...network('red', revision), displayName: `${n}` }, undefined, event);
            return written === 'conflict' ? [] : [event];
          });
          const won = (await Promise.all(tries)).flat();
          expect(won).toHaveLength(1);
          const since = networkEvent('red', revision, revision * 10).time;
          expect(await eventsOf(store, { since })).toEqual(won);
          const { displayName } = (await networks.get(networkId('red'))) ?? network('red');
          expect(won[0]?.time).toBe(since + Number(displayName));
        }
      },
    },
    {
      name: 'audit events are listed by each of their filters, and by all together, the newest first',
      async run({ store }) {
        const events = eventsOfAllKinds();
        const byOther = { ...networkEvent('blue'), caller: 'other', time: ((events[2]?.time ?? 0) + 0) as WallTime };
        await storeEvents(store, [...events, byOther]);
        const listed = async (filter: AuditFilter) => (await eventsOf(store, filter, 2)).map(({ eventId }) => eventId);
        const of = (...numbers: readonly number[]) => numbers.map((n) => events[n]?.eventId);
        // Of one moment by id.
        const tied = [of(2)[0] ?? '', byOther.eventId].toSorted();
        expect(await listed({})).toEqual([...of(7, 6, 5, 4, 3), ...tied, ...of(1, 0)]);
        expect(await listed({ networkId: networkId('red') })).toEqual(of(7, 6, 5, 2, 1, 0));
        expect(await listed({ kind: 'subnet' })).toEqual(of(2, 1));
        expect(await listed({ kind: 'subnet', resourceId: 's2' })).toEqual(of(2));
        expect(await listed({ kind: 'network', resourceId: 's2' })).toEqual([]);
        expect(await listed({ caller: 'other' })).toEqual([byOther.eventId]);
        const [from, to] = [events[3]?.time, events[5]?.time];
        expect(await listed({ since: from, until: to })).toEqual(of(4, 3));
        expect(await listed({ since: from, until: to, kind: 'host', resourceId: 'h1' })).toEqual(of(4, 3));
      },
    },
    {
      name: 'audit events of before a time are forgotten, and no others',
      async run({ store }) {
        const events = eventsOfAllKinds();
        await storeEvents(store, events);
        const before = events[3]?.time as WallTime;
        expect(await store.audit.prune(before, 2)).toBe(2);
        expect(await store.audit.prune(before, 2)).toBe(1);
        expect(await store.audit.prune(before, 2)).toBe(0);
        expect(await eventsOf(store)).toEqual(events.slice(3).toReversed());
      },
    },
  ];
}

function following(): readonly StoreCheck[] {
  return [
    {
      name: 'a follower hears every change, in the order of the writes, before the writer has its answer',
      needs: 'tellsFirst',
      async run({ store }) {
        const { heard } = await listen(store);
        const answered: Change[] = [];
        const writes = Array.from({ length: 40 }, async (_, n) => {
          const { outcome } = await store.slots.insert(reservation('red', n, n));
          if (outcome.kind !== 'inserted') throw new Error(outcome.kind);
          answered.push({ kind: 'slot', slot: outcome.slot });
          expect(heard).toContainEqual({ kind: 'slot', slot: outcome.slot });
        });
        await Promise.all(writes);
        expect(heard).toEqual(answered);
      },
    },
    {
      name: 'who writes a network or a host has its answer after this process saw the change',
      async run({ store }) {
        const { heard } = await listen(store);
        const red = await store.networks.put(network('red'));
        expect(heard).toContainEqual({ kind: 'network', network: red });
        const h1 = await store.hosts.put(host('h1'));
        expect(heard).toContainEqual({ kind: 'host', host: h1 });
        await store.hosts.remove(host('h1', 1));
        expect(heard).toContainEqual({ kind: 'host-gone', hostId: 'h1' });
      },
    },
    {
      name: 'a follower hears each kind of change once, in order, and nothing of writes that changed nothing',
      async run({ store }) {
        const { heard, positions } = await listen(store);
        const red = await store.networks.put(network('red'));
        await store.networks.put(network('red'));
        const h1 = await store.hosts.put(host('h1'));
        await store.slots.insert(reservation('red', 7, 1));
        await store.slots.insert(reservation('red', 7, 2));
        const resting = quarantined(reservation('red', 7, 1, 1));
        await store.slots.replace(resting);
        await store.slots.replace(resting);
        const revision = reservation('red', 7, 1, 2).revision;
        await store.slots.free(ended(resting), revision);
        await store.slots.free(ended(resting), revision);
        await store.hosts.remove(host('h1', 1));
        await store.networks.remove(network('red', 1));
        await eventually('seven changes', async () => heard.length >= 7);
        expect(heard).toEqual([
          { kind: 'network', network: red },
          { kind: 'host', host: h1 },
          { kind: 'slot', slot: { ...reservation('red', 7, 1), revision: 1 } },
          { kind: 'slot', slot: { ...resting, revision: 2 } },
          { kind: 'slot-gone', networkId: 'red', address: address(7) },
          { kind: 'host-gone', hostId: 'h1' },
          { kind: 'network-gone', networkId: 'red' },
        ]);
        expect(positions).toEqual(positions.toSorted());
        expect(new Set(positions).size).toBe(7);
      },
    },
    {
      name: 'each state of a slot is told as it was, though others followed before anybody could look',
      async run({ store }) {
        const { heard } = await listen(store);
        await store.slots.insert(reservation('red', 7, 1));
        for (let i = 1; i < 6; i++) await store.slots.replace({ ...reservation('red', 7, 1, i), hostname: `vm-${i}` });
        await eventually('six changes', async () => heard.length >= 6);
        const told = heard.map((change) =>
          change.kind === 'slot' ? [change.slot.revision, change.slot.hostname] : [],
        );
        expect(told).toEqual([
          [1, 'vm-1'],
          [2, 'vm-1'],
          [3, 'vm-2'],
          [4, 'vm-3'],
          [5, 'vm-4'],
          [6, 'vm-5'],
        ]);
      },
    },
    {
      name: 'a change tells what was there before',
      async run({ store }) {
        const after = await positionNow(store);
        const red = await store.networks.put(network('red'));
        const renamed = await store.networks.put({ ...network('red', 1), displayName: 'renamed' });
        await store.networks.remove(network('red', 2));
        const h1 = await store.hosts.put(host('h1'));
        await store.hosts.remove(host('h1', 1));
        await store.slots.insert(reservation('red', 7, 1));
        await store.slots.replace(quarantined(reservation('red', 7, 1, 1)));
        const again = { ...reservation('red', 7, 1, 2), reservationId: reservation('red', 7, 99).reservationId };
        await store.slots.replace(again, ended(quarantined(reservation('red', 7, 1))));
        await store.slots.replace(quarantined({ ...again, revision: reservation('red', 7, 1, 3).revision }));
        await store.slots.free(ended(quarantined(again)), reservation('red', 7, 1, 4).revision);
        const changes = (await collect(store.changesAfter(after))).flat();
        const before = (n: number) => (changes[n] && 'before' in changes[n] ? changes[n].before : undefined);
        expect(changes).toHaveLength(10);
        expect([before(0), before(1), before(2)]).toEqual([undefined, red, renamed]);
        expect([before(3), before(4)]).toEqual([undefined, h1]);
        expect(before(5)).toBeUndefined();
        expect(before(7)).toEqual({ ...quarantined(reservation('red', 7, 1)), revision: 2 });
        expect(before(9)).toMatchObject({ reservationId: again.reservationId, state: 'quarantined' });
      },
    },
    {
      name: 'changes after any position are the rest, whoever reads them, also after a restart',
      async run(stage) {
        const { store } = stage;
        const start = await positionNow(store);
        const { heard, positions } = await listen(store);
        for (let n = 0; n < 20; n++) await store.slots.insert(reservation('red', n, n));
        await eventually('twenty changes', async () => heard.length === 20);
        const read = async (from: Store, after: Position) =>
          (await collect(from.changesAfter(after))).flat().map(({ position }) => position);
        expect(await read(store, start)).toEqual(positions);
        expect(await read(store, positions[9] as Position)).toEqual(positions.slice(10));
        expect(await read(store, positions[19] as Position)).toEqual([]);
        const again = await stage.reopen();
        expect(await read(again, positions[9] as Position)).toEqual(positions.slice(10));
        const { heard: rest } = await listen(again, positions[14]);
        await again.slots.insert(reservation('red', 20, 20));
        await eventually('six changes', async () => rest.length >= 6);
        expect(rest.map((change) => (change.kind === 'slot' ? change.slot.address - address(0) : -1))).toEqual([
          15, 16, 17, 18, 19, 20,
        ]);
      },
    },
    {
      name: 'a follower that was closed hears nothing any more',
      async run({ store }) {
        const heard: unknown[] = [];
        const changed = (changes: readonly unknown[]) => heard.push(...changes);
        const subscription = store.follow(await positionNow(store), { changed, lost: () => undefined });
        subscription.close();
        const { heard: other } = await listen(store);
        await store.slots.insert(reservation('red', 99, 99));
        await eventually('the other hears', async () => other.length === 1);
        expect(heard).toEqual([]);
      },
    },
    {
      name: 'a position that no store gave is lost, and not taken for another',
      async run({ store }) {
        await store.slots.insert(reservation('red', 1, 1));
        const never = `~${await positionNow(store)}` as Position;
        await expect(collect(store.changesAfter(never))).rejects.toBeInstanceOf(PositionLostError);
        const lost: string[] = [];
        store.follow(never, { changed: () => undefined, lost: (reason) => lost.push(reason) });
        await eventually('it is lost', async () => lost.length === 1);
      },
    },
  ];
}

function snapshots(): readonly StoreCheck[] {
  return [
    {
      name: 'a snapshot is of one moment, and the changes after its position are all that is not in it',
      async run({ store }) {
        await store.networks.put(network('red'));
        for (let n = 0; n < 10; n++) await store.slots.insert(reservation('red', n, n));
        const snapshot = await store.snapshot();
        await store.slots.insert(reservation('red', 10, 10));
        await store.slots.replace(quarantined(reservation('red', 3, 3, 1)));
        await store.networks.put({ ...network('red', 1), displayName: 'later' });
        expect((await collect(snapshot.slots())).flat().map(({ revision }) => revision)).toEqual(Array(10).fill(1));
        expect(await collect(snapshot.networks())).toEqual([{ ...network('red'), revision: 1 }]);
        expect((await collect(snapshot.summaries())).flat()).toHaveLength(10);
        await snapshot.close();
        const rest = (await collect(store.changesAfter(snapshot.position))).flat();
        expect(rest.map(({ kind }) => kind)).toEqual(['slot', 'slot', 'network']);
      },
    },
    {
      name: 'summaries say of every slot what slots say',
      async run({ store }) {
        for (let n = 0; n < 8; n++) {
          const options = n % 2 ? [] : [{ code: 42, value: '10.0.0.9' }];
          await store.slots.insert({ ...reservation('red', n, n), options, hostname: n % 3 ? `vm-${n}` : '' });
        }
        // As servers make them: of those a store may read less.
        for (let n = 8; n < 12; n++) {
          const reservationId = makeReservationId(networkId('red'), address(n), new FixedEntropy(0.5, n));
          const subnetUid = `uid-s${n >> 1}` as Uid;
          const made = { ...reservation('red', n, n), reservationId, subnetUid, options: [] };
          await store.slots.insert({ ...made, hostname: n % 2 ? `vm-${n}` : '' });
        }
        await store.slots.replace(quarantined(reservation('red', 4, 4, 1)));
        const snapshot = await store.snapshot();
        const summaries = (await collect(snapshot.summaries())).flat();
        const slots = (await collect(snapshot.slots())).flat();
        await snapshot.close();
        expect(summaries).toHaveLength(12);
        for (const [i, summary] of summaries.entries()) expect(slots[i]).toMatchObject(summary);
        expect(summaries.map(({ subnetUid }) => subnetUid)).toEqual(slots.map(({ subnetUid }) => subnetUid));
      },
    },
  ];
}

function holding(): readonly StoreCheck[] {
  return [
    {
      name: 'of several that begin to hold still at once all know the same reason, and others read it',
      needs: 'shared',
      async run(stage) {
        const stores = [stage.store, await stage.another(), await stage.another()];
        const because = stores.map((_, n) => ({
          reason: `r${n}`,
          since: host('h1').createTime,
          incarnation: 1,
          hostIds: [],
        }));
        const begun = await Promise.all(stores.map(({ holdStill }, n) => holdStill.begin(because[n] as HoldStill)));
        expect(because).toContainEqual(begun[0]);
        expect(begun).toEqual([begun[0], begun[0], begun[0]]);
        const fourth = await stage.another();
        expect(await fourth.holdStill.get()).toEqual(begun[0]);
      },
    },
    {
      name: 'of many that take the lead one gets it, and only that one renews it',
      needs: 'shared',
      async run(stage) {
        const stores = [stage.store, await stage.another(), await stage.another()];
        const holders = stores.map(({ holder }) => holder as HolderStore);
        const [first, second] = holders as [HolderStore, HolderStore];
        expect(await first.get()).toBeUndefined();
        const name = (i: number) => ({ instance: `i${i}`, server: `s${i}`, advertise: `a${i}`, agentAdvertise: '' });
        const taken = await Promise.all(holders.map((holder, i) => holder.take(undefined, name(i))));
        const won = taken[0];
        expect(taken).toEqual([won, won, won]);
        expect(won).toMatchObject({ epoch: 1, beat: 0 });
        const mine = holders[taken.findIndex((_, i) => won?.instance === `i${i}`)] as HolderStore;
        const renewed = await mine.renew(won as NonNullable<typeof won>);
        expect(renewed).toEqual({ ...won, beat: 1 });
        // From a record that changed since nobody takes it.
        expect(await second.take(won, name(7))).toEqual(renewed);
        const next = await second.take(renewed, name(8));
        expect(next).toEqual({ ...name(8), epoch: 2, beat: 0 });
        expect(await mine.renew(renewed as NonNullable<typeof won>)).toEqual(next);
        await mine.giveUp(renewed as NonNullable<typeof won>);
        expect(await first.get()).toEqual(next);
        await second.giveUp(next as NonNullable<typeof won>);
        expect(await first.get()).toMatchObject({ instance: '', epoch: 2 });
        expect((await stage.reopen()).holder).toMatchObject({ kind: 'shared' });
      },
    },
  ];
}

function sharing(): readonly StoreCheck[] {
  return [
    {
      name: 'two servers never give one address twice, nor two to one MAC',
      needs: 'shared',
      async run(stage) {
        const [a, b] = [stage.store, await stage.another()];
        const tries = Array.from({ length: 100 }, (_, n) =>
          (n % 2 ? a : b).slots.insert({
            ...reservation('red', Math.floor(n / 4), Math.floor(n / 2) % 30),
            reservationId: `try-${n}` as ReservationId,
          }),
        );
        const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
        const won = outcomes.flatMap((outcome) => (outcome.kind === 'inserted' ? [outcome.slot] : []));
        expect(new Set(won.map((slot) => slot.address)).size).toBe(won.length);
        expect(new Set(won.map((slot) => slot.mac)).size).toBe(won.length);
        const stored = (await contentOf(a)).slots;
        expect(stored).toEqual(won.toSorted((x, y) => x.address - y.address));
        for (const outcome of outcomes) {
          if (outcome.kind === 'taken' || outcome.kind === 'mac-holds') expect(stored).toContainEqual(outcome.slot);
        }
      },
    },
    {
      name: 'a write of a slot sees the network as another server left it',
      needs: 'shared',
      async run(stage) {
        const [a, b] = [stage.store, await stage.another()];
        await a.networks.put(network('red'));
        expect((await b.slots.insert(reservation('red', 1, 1))).network?.revision).toBe(1);
        for (let revision = 1; revision < 20; revision++) {
          await a.networks.put({ ...network('red', revision), displayName: `${revision}` });
          const { network: seen } = await b.slots.insert(reservation('red', revision + 1, revision + 1));
          expect(seen).toMatchObject({ revision: revision + 1, displayName: `${revision}` });
        }
      },
    },
    {
      name: 'followers of two servers hear the changes of both in one order, at the same positions',
      needs: 'shared',
      async run(stage) {
        const [a, b] = [stage.store, await stage.another()];
        const [first, second] = [await listen(a), await listen(b)];
        const writes = Array.from({ length: 60 }, (_, n) => (n % 2 ? a : b).slots.insert(reservation('red', n, n)));
        await Promise.all(writes);
        await eventually('both hear all', async () => first.heard.length >= 60 && second.heard.length >= 60);
        expect(second.heard).toEqual(first.heard);
        expect(second.positions).toEqual(first.positions);
        expect((await collect(b.changesAfter(first.positions[29] as Position))).flat()).toHaveLength(30);
      },
    },
  ];
}

function restarts(): readonly StoreCheck[] {
  return [
    {
      name: 'everything is there after a restart',
      async run(stage) {
        const before = stage.store;
        const red = await before.networks.put({ ...network('red'), subnets: [subnet('s1')] });
        const h1 = await before.hosts.put(host('h1'));
        await before.slots.insert(reservation('red', 7, 1));
        const resting = quarantined(reservation('red', 7, 1, 1));
        await before.slots.replace(resting);
        await before.slots.free(ended(resting), reservation('red', 7, 1, 2).revision);
        const kept = (await before.slots.insert(reservation('red', 8, 1))).outcome;
        const { settings } = before;
        const epochOf = ({ holder }: Store) => (holder as ExclusiveHolder).epoch;
        const after = await stage.reopen();
        expect(after.settings).toEqual(settings);
        if (before.holder.kind === 'exclusive') expect(epochOf(after)).toBeGreaterThan(epochOf(before));
        expect(await after.networks.get(networkId('red'))).toEqual(red);
        expect(await after.networks.findBySubnet(subnet('s1').subnetId)).toEqual(red);
        expect(await after.hosts.get(host('h1').hostId)).toEqual(h1);
        expect(await after.slots.findByMac(networkId('red'), mac(1))).toEqual(
          kept.kind === 'inserted' ? [kept.slot] : 'not inserted',
        );
        expect(await after.history.get(resting.reservationId)).toEqual(ended(resting));
        expect((await after.slots.insert(reservation('red', 9, 1))).outcome.kind).toBe('mac-holds');
      },
    },
    {
      name: 'its settings are read again, and a ceiling that nothing is above stays',
      async run(stage) {
        const { settings } = stage.store;
        expect(await stage.store.readSettings()).toEqual(settings);
        await stage.store.lowerAuthorityCeiling();
        expect(await stage.store.readSettings()).toEqual(settings);
        expect((await stage.reopen()).settings).toEqual(settings);
      },
    },
    {
      name: 'why it holds still is kept, the first reason and all hosts, and its settings are what they were',
      async run(stage) {
        const because = (n: number): HoldStill => ({
          reason: `h${n} knows more`,
          since: (host('h1').createTime + n) as WallTime,
          incarnation: n,
          hostIds: [host(`h${n}`).hostId],
        });
        const [first, second] = [because(1), because(2)];
        const { settings, holdStill } = stage.store;
        expect(await holdStill.get()).toBeUndefined();
        expect(await holdStill.begin(first)).toEqual(first);
        const both = { ...first, incarnation: 2, hostIds: [...first.hostIds, ...second.hostIds] };
        expect(await holdStill.begin(second)).toEqual(both);
        expect(await holdStill.begin(first)).toEqual(both);
        await stage.store.lowerAuthorityCeiling();
        expect(await holdStill.get()).toEqual(both);
        const after = await stage.reopen();
        expect(await after.holdStill.get()).toEqual(both);
        expect(await after.readSettings()).toEqual(settings);
      },
    },
    {
      name: 'what is known of a silent host, and of a chain of tenures, is kept, and gone when it is left out',
      async run({ store: { hosts, slots } }) {
        const fence = { reason: 'pulled its plug', by: 'insecure', time: host('h1').createTime };
        const silent = { ...host('h1'), heardEpoch: 3, metIncarnation: 2, silentForS: 600, fence };
        expect(await hosts.put(silent)).toEqual({ ...silent, revision: 1 });
        expect(await hosts.get(silent.hostId)).toEqual({ ...silent, revision: 1 });
        await hosts.put({ ...host('h1', 1), heardEpoch: 4 });
        expect(await hosts.get(silent.hostId)).toEqual({ ...host('h1', 2), heardEpoch: 4 });
        const again = { ...reservation('red', 7, 1), chainSoFar: 'vouched' as const };
        await slots.insert(again);
        expect(await slots.get(networkId('red'), again.address)).toEqual({ ...again, revision: 1 });
      },
    },
    {
      name: 'a close waits for the writes before it and refuses every call after it',
      async run({ store }) {
        const writes = Array.from({ length: 10 }, (_, n) => store.slots.insert(reservation('red', n, n)));
        await store.close();
        expect((await Promise.all(writes)).every(({ outcome }) => outcome.kind === 'inserted')).toBe(true);
        const calls = [
          () => store.slots.insert(reservation('red', 77, 77)),
          () => store.slots.get(networkId('red'), address(1)),
          () => store.slots.list({}, undefined, 1),
          () => store.networks.put(network('red')),
          () => store.hosts.get(host('h1').hostId),
          () => store.history.prune(0 as WallTime, 1),
          () => store.history.newest({ moment: 'createTime' }, undefined, 1),
          () => store.slots.newest({ moment: 'createTime' }, undefined, 1),
          () => store.networks.put(network('red'), undefined, networkEvent('red')),
          () => store.audit.list({}, undefined, 1),
          () => store.audit.prune(0 as WallTime, 1),
          () => store.snapshot(),
        ];
        for (const call of calls) await expect(call()).rejects.toBeInstanceOf(StoreUnavailableError);
      },
    },
  ];
}
