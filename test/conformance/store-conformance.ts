// What every store must do, by example and against a model: the contract of server/src/ports/store.ts.

import type { Ipv4 } from '@leasehold/proto/values';
import type { RequestKey } from '@leasehold/server/domain/slot';
import type { Change, Store } from '@leasehold/server/ports/store';
import { StoreUnavailableError } from '@leasehold/server/ports/store';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  address,
  collect,
  ended,
  host,
  mac,
  network,
  networkId,
  quarantined,
  reservation,
  subnet,
} from './documents.js';
import { StoreModel, storeCommands } from './store-model.js';

/** A place for stores under test. */
export interface StorePlace {
  /** Opens the store of this place; after a close, the same one again. */
  open(): Promise<Store>;
  /** Ends after everything is gone. */
  remove(): Promise<void>;
}

/** Runs the contract against stores in places that `place` makes, each new and empty. */
export function storeConformance(name: string, place: () => Promise<StorePlace>): void {
  describe(`${name} conforms to Store`, () => {
    let here: StorePlace;
    let store: Store;
    beforeEach(async () => {
      here = await place();
      store = await here.open();
    });
    afterEach(async () => {
      await store.close();
      await here.remove();
    });
    const reopen = async (): Promise<Store> => {
      await store.close();
      store = await here.open();
      return store;
    };
    documents(() => store);
    slots(() => store);
    watching(() => store);
    restarts(() => store, reopen);
    model(place);
  });
}

function documents(now: () => Store): void {
  test('a network is written by whoever saw its latest revision, and by nobody else', async () => {
    const { networks } = now();
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
    expect(await networks.remove(networkId('red'), network('red', 1).revision)).toBe('conflict');
    expect(await networks.remove(networkId('red'), network('red', 2).revision)).toBe('removed');
    expect(await networks.remove(networkId('red'), network('red', 0).revision)).toBe('conflict');
    expect(await networks.get(networkId('red'))).toBeUndefined();
  });

  test('a subnet id belongs to one network, until that gives it up', async () => {
    const { networks } = now();
    const red = { ...network('red'), subnets: [subnet('s1'), subnet('s2')] };
    await networks.put(red);
    const blue = { ...network('blue'), subnets: [subnet('s2')] };
    expect(await networks.put(blue)).toBe('subnet-taken');
    expect((await networks.findBySubnet(subnet('s2').subnetId))?.networkId).toBe('red');
    const [given, taken] = await Promise.all([
      networks.put({ ...red, subnets: [subnet('s1')], revision: network('red', 1).revision }),
      networks.put(blue),
    ]);
    expect([given, taken]).toMatchObject([{ networkId: 'red' }, { networkId: 'blue' }]);
    expect((await networks.findBySubnet(subnet('s2').subnetId))?.networkId).toBe('blue');
    expect((await networks.findBySubnet(subnet('s1').subnetId))?.networkId).toBe('red');
    expect(await networks.findBySubnet(subnet('s3').subnetId)).toBeUndefined();
  });

  test('networks and hosts come in the order of their ids', async () => {
    const { networks, hosts } = now();
    const ids = ['b', 'a.b', 'a', 'a-b', 'a0', 'ab', '0'];
    await Promise.all(ids.flatMap((id) => [networks.put(network(id)), hosts.put(host(id))]));
    expect((await collect(networks.scan())).map((each) => each.networkId)).toEqual(ids.toSorted());
    expect((await collect(hosts.scan())).map((each) => each.hostId)).toEqual(ids.toSorted());
  });

  test('a host is written by whoever saw its latest revision, and by nobody else', async () => {
    const { hosts } = now();
    expect(await hosts.put(host('h1'))).toEqual({ ...host('h1'), revision: 1 });
    expect(await hosts.put(host('h1'))).toBe('conflict');
    expect(await hosts.put({ ...host('h1', 1), maintenance: true })).toMatchObject({ maintenance: true, revision: 2 });
    expect(await hosts.remove(host('h1').hostId, host('h1', 1).revision)).toBe('conflict');
    expect(await hosts.remove(host('h1').hostId, host('h1', 2).revision)).toBe('removed');
    expect(await hosts.get(host('h1').hostId)).toBeUndefined();
    expect(await hosts.put(host('h1', 2))).toBe('conflict');
  });
}

function slots(now: () => Store): void {
  test('of many inserts of one address exactly one wins, and the others are told which', async () => {
    const tries = Array.from({ length: 50 }, (_, n) => now().slots.insert(reservation('red', 7, n)));
    const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
    const [won, ...others] = outcomes.filter(({ kind }) => kind === 'inserted');
    expect(others).toEqual([]);
    const stored = await now().slots.get(networkId('red'), address(7));
    expect(won).toEqual({ kind: 'inserted', slot: stored });
    for (const lost of outcomes.filter((each) => each !== won)) expect(lost).toEqual({ kind: 'taken', slot: stored });
  });

  test('of many inserts of one MAC in a network exactly one wins, and the others are told which', async () => {
    const tries = Array.from({ length: 50 }, (_, n) => now().slots.insert(reservation('red', n, 1)));
    const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
    const won = outcomes.filter(({ kind }) => kind === 'inserted');
    expect(won).toHaveLength(1);
    const stored = await now().slots.findByMac(networkId('red'), mac(1));
    expect(stored).toEqual([won[0]?.kind === 'inserted' ? won[0].slot : undefined]);
    expect(outcomes.filter(({ kind }) => kind === 'mac-holds')).toHaveLength(49);
  });

  test('one MAC may hold one address in each network, and one address each network', async () => {
    for (const id of ['a', 'a-b', 'ab']) {
      expect((await now().slots.insert(reservation(id, 7, 1))).outcome.kind).toBe('inserted');
    }
    expect(await now().slots.findByMac(networkId('a'), mac(1))).toMatchObject([{ networkId: 'a' }]);
    expect((await collect(now().slots.scan({ networkId: networkId('a') }))).flat()).toHaveLength(1);
  });

  test('a slot is replaced by whoever saw its latest revision, and by nobody else', async () => {
    const { slots } = now();
    await slots.insert(reservation('red', 7, 1));
    const released = quarantined(reservation('red', 7, 1, 1));
    const answers = await Promise.all([slots.replace(released), slots.replace({ ...released, hostname: 'late' })]);
    expect(answers.map(({ outcome }) => outcome.kind)).toEqual(['replaced', 'conflict']);
    expect(await slots.get(networkId('red'), address(7))).toEqual({ ...released, revision: 2 });
    expect((await slots.replace(reservation('red', 8, 1, 1))).outcome).toEqual({ kind: 'conflict' });
    expect((await slots.replace(reservation('red', 8, 1, 0))).outcome).toEqual({ kind: 'conflict' });
  });

  test('a quarantined address blocks its address, not its MAC', async () => {
    const { slots } = now();
    await slots.insert(reservation('red', 7, 1));
    await slots.replace(quarantined(reservation('red', 7, 1, 1)));
    expect((await slots.insert(reservation('red', 7, 2))).outcome.kind).toBe('taken');
    expect((await slots.insert(reservation('red', 9, 1))).outcome.kind).toBe('inserted');
    const found = await slots.findByMac(networkId('red'), mac(1));
    expect(found.map((slot) => [slot.address, slot.state])).toEqual([
      [address(7), 'quarantined'],
      [address(9), 'reserved'],
    ]);
    const back = await slots.replace(reservation('red', 7, 1, 2), ended(reservation('red', 7, 1, 2)));
    expect(back.outcome).toMatchObject({ kind: 'mac-holds', slot: { address: address(9) } });
    expect(await slots.getEnded(reservation('red', 7, 1).reservationId)).toBeUndefined();
  });

  test('an ended tenure is in history once its slot is overwritten or freed', async () => {
    const { slots } = now();
    const first = reservation('red', 7, 1);
    await slots.insert(first);
    await slots.replace(quarantined({ ...first, revision: reservation('red', 7, 1, 1).revision }));
    const again = { ...reservation('red', 7, 1, 2), reservationId: reservation('red', 7, 99).reservationId };
    expect((await slots.replace(again, ended(quarantined(first)))).outcome.kind).toBe('replaced');
    expect(await slots.getEnded(first.reservationId)).toEqual(ended(quarantined(first)));

    expect(await slots.free(ended(again))).toBe('conflict');
    await slots.replace(quarantined({ ...again, revision: reservation('red', 7, 1, 3).revision }));
    expect(await slots.free(ended(quarantined(first)))).toBe('conflict');
    expect(await slots.free(ended(quarantined(again)))).toBe('freed');
    expect(await slots.free(ended(quarantined(again)))).toBe('conflict');
    expect(await slots.get(networkId('red'), address(7))).toBeUndefined();
    expect(await slots.findByMac(networkId('red'), mac(1))).toEqual([]);
    expect(await slots.getEnded(again.reservationId)).toEqual(ended(quarantined(again)));
    expect((await slots.insert(reservation('red', 7, 2))).outcome.kind).toBe('inserted');
  });

  test('a request leads to the tenure it made or released, wherever that is', async () => {
    const { slots } = now();
    const request = (rpc: RequestKey['rpc'], id: string): RequestKey => ({
      caller: 'engine/ü',
      rpc,
      id,
      contentHash: 'h',
    });
    const made = request('ReserveAddress', 'x'.repeat(3_000));
    const released = request('ReleaseAddress', 'r');
    const first = { ...reservation('red', 7, 1), request: made };
    await slots.insert(first);
    expect(await slots.findByRequest(made)).toEqual({ ...first, revision: 1 });
    expect(await slots.findByRequest(request('ReserveAddress', 'x'))).toBeUndefined();
    expect(await slots.findByRequest({ ...made, rpc: 'ReleaseAddress' })).toBeUndefined();
    const resting = { ...quarantined(first), releaseRequest: released, revision: reservation('red', 7, 1, 1).revision };
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
  });

  test('a write of a slot answers with the network as it stands after it', async () => {
    const { networks, slots } = now();
    expect((await slots.insert(reservation('red', 1, 1))).network).toBeUndefined();
    const first = await networks.put(network('red'));
    expect((await slots.insert(reservation('red', 2, 2))).network).toEqual(first);
    const [second, written] = await Promise.all([
      networks.put({ ...network('red', 1), ipamEnabled: false }),
      slots.insert(reservation('red', 3, 3)),
    ]);
    expect(written.network).toEqual(second);
    expect((await slots.insert(reservation('red', 3, 4))).network).toEqual(second);
    expect((await slots.replace(quarantined(reservation('red', 3, 3, 1)))).network).toEqual(second);
  });

  test('slots come by network and in address order, within the range asked for', async () => {
    const { slots } = now();
    const numbers = [2_500, 1, 256, 255, 65_536, ...Array.from({ length: 2_200 }, (_, n) => n * 3 + 70_000)];
    await Promise.all(numbers.map((n, i) => slots.insert(reservation('b', n, i))));
    for (const id of ['a', 'a-b', 'c']) await slots.insert(reservation(id, 5, 1));
    const all = (await collect(slots.scan())).flat();
    expect(all.map((slot) => slot.networkId)).toEqual(['a', 'a-b', ...numbers.map(() => 'b'), 'c']);
    const inNetwork = (await collect(slots.scan({ networkId: networkId('b') }))).flat();
    expect(inNetwork.map((slot) => slot.address)).toEqual(numbers.toSorted((a, b) => a - b).map(address));
    const range = { networkId: networkId('b'), from: address(255), to: address(2_500) };
    const some = (await collect(slots.scan(range))).flat();
    expect(some.map((slot) => slot.address)).toEqual([255, 256, 2_500].map(address));
    const edges = { networkId: networkId('b'), from: 0 as Ipv4, to: 0xffffffff as Ipv4 };
    expect((await collect(slots.scan(edges))).flat()).toHaveLength(numbers.length);
    for await (const batch of slots.scan()) expect(batch.length).toBeLessThanOrEqual(1_000);
  });
}

function watching(now: () => Store): void {
  test('a watch hears every change, in the order of the writes, before the writer has its answer', async () => {
    const store = now();
    const heard: Change[] = [];
    const watch = store.watch((changes) => heard.push(...changes));
    const answered: Change[] = [];
    const writes = Array.from({ length: 40 }, async (_, n) => {
      const { outcome } = await store.slots.insert(reservation('red', n, n));
      if (outcome.kind !== 'inserted') throw new Error(outcome.kind);
      answered.push({ kind: 'slot', slot: outcome.slot });
      expect(heard).toContainEqual({ kind: 'slot', slot: outcome.slot });
    });
    await Promise.all(writes);
    expect(heard).toEqual(answered);
    watch.close();
    await store.slots.insert(reservation('red', 99, 99));
    expect(heard).toHaveLength(40);
  });

  test('a watch hears each kind of change, and nothing of writes that changed nothing', async () => {
    const store = now();
    const heard: Change[] = [];
    store.watch((changes) => heard.push(...changes));
    const red = await store.networks.put(network('red'));
    await store.networks.put(network('red'));
    const h1 = await store.hosts.put(host('h1'));
    await store.slots.insert(reservation('red', 7, 1));
    await store.slots.insert(reservation('red', 7, 2));
    const resting = quarantined(reservation('red', 7, 1, 1));
    await store.slots.replace(resting);
    await store.slots.replace(resting);
    await store.slots.free(ended(resting));
    await store.slots.free(ended(resting));
    await store.hosts.remove(host('h1').hostId, host('h1', 1).revision);
    await store.networks.remove(networkId('red'), network('red', 1).revision);
    expect(heard).toEqual([
      { kind: 'network', network: red },
      { kind: 'host', host: h1 },
      { kind: 'slot', slot: { ...reservation('red', 7, 1), revision: 1 } },
      { kind: 'slot', slot: { ...resting, revision: 2 } },
      { kind: 'slot-gone', networkId: 'red', address: address(7) },
      { kind: 'host-gone', hostId: 'h1' },
      { kind: 'network-gone', networkId: 'red' },
    ]);
  });
}

function restarts(now: () => Store, reopen: () => Promise<Store>): void {
  test('everything is there after a restart, under a higher holder epoch', async () => {
    const before = now();
    const red = await before.networks.put({ ...network('red'), subnets: [subnet('s1')] });
    const h1 = await before.hosts.put(host('h1'));
    await before.slots.insert(reservation('red', 7, 1));
    const resting = quarantined(reservation('red', 7, 1, 1));
    await before.slots.replace(resting);
    await before.slots.free(ended(resting));
    const kept = (await before.slots.insert(reservation('red', 8, 1))).outcome;
    const { settings } = before;
    const { epoch } = before.lease;
    const after = await reopen();
    expect(after.settings).toEqual(settings);
    expect(after.lease.epoch).toBeGreaterThan(epoch);
    await after.lease.confirm();
    expect(await after.networks.get(networkId('red'))).toEqual(red);
    expect(await after.networks.findBySubnet(subnet('s1').subnetId)).toEqual(red);
    expect(await after.hosts.get(host('h1').hostId)).toEqual(h1);
    expect(await after.slots.findByMac(networkId('red'), mac(1))).toEqual(
      kept.kind === 'inserted' ? [kept.slot] : 'not inserted',
    );
    expect(await after.slots.getEnded(resting.reservationId)).toEqual(ended(resting));
    expect((await after.slots.insert(reservation('red', 9, 1))).outcome.kind).toBe('mac-holds');
  });

  test('a close waits for the writes before it and refuses every call after it', async () => {
    const store = now();
    const writes = Array.from({ length: 10 }, (_, n) => store.slots.insert(reservation('red', n, n)));
    await store.close();
    expect((await Promise.all(writes)).every(({ outcome }) => outcome.kind === 'inserted')).toBe(true);
    const calls = [
      store.slots.insert(reservation('red', 77, 77)),
      store.slots.get(networkId('red'), address(1)),
      store.networks.put(network('red')),
      store.hosts.get(host('h1').hostId),
      store.lease.confirm(),
      collect(store.slots.scan()),
    ];
    for (const call of calls) await expect(call).rejects.toBeInstanceOf(StoreUnavailableError);
  });
}

function model(place: () => Promise<StorePlace>): void {
  test('does what a model in plain maps does, restarts included', async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(storeCommands, { maxCommands: 60, size: 'max' }), async (commands) => {
        const here = await place();
        const real = { place: here, store: await here.open() };
        try {
          await fc.asyncModelRun(() => ({ model: new StoreModel(), real }), commands);
        } finally {
          await real.store.close();
          await here.remove();
        }
      }),
      { numRuns: 40 },
    );
  });
}
