// A subnet is used to its very last address, none twice, also by 64 clients of two servers at once.

import { isDeepStrictEqual } from 'node:util';
import type { Leasehold, Reservation } from '@leasehold/sdk';
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { databaseOf } from '../support/database-looks.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { refusalOf } from '../support/refusal.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

const CLIENTS = 64;
// An answer takes milliseconds: this only tells it from one that waits for something.
const QUICKLY_MS = 1_000;
// So many at once take their time where the machine has more to do.
const PATIENT = { timeoutMs: 50_000 };

describe('one server with an embedded store', () => {
  exhaustion(() => Cluster.start());
});

describe.skipIf(!(await hasMongod()))('two servers on one MongoDB', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  let uri = '';
  const scene = exhaustion(() => {
    uri = mongo.freshUri();
    return Cluster.startSeveral({ store: uri, servers: 2 });
  });

  test('a released address is given to another MAC when its slot was freed, and not before', async () => {
    const { subnetId } = await scene.clients[0].subnets.create({ networkId: 'red', cidr: '10.3.0.0/29' });
    const held = await reserveAll(scene.clients, subnetId, 6);
    const [released] = held;
    await scene.clients[1].reservations.release({ reservationId: released?.reservationId ?? '' });
    const macs = scene.clients.map(() => newMac());
    const ask = () =>
      Promise.all(
        scene.clients.map((client, i) =>
          client.reservations.reserve({ subnetId, mac: macs[i] ?? '' }).then(
            ({ reservation }) => reservation,
            (error: { readonly reason: string }) => error.reason,
          ),
        ),
      );
    expect(new Set(await ask())).toEqual(new Set(['SUBNET_EXHAUSTED']));
    for (const client of scene.clients.slice(0, 2)) {
      const named = client.reservations.reserve({ subnetId, mac: newMac(), address: released?.address });
      expect(await refusalOf(named)).toMatchObject({ reason: 'ADDRESS_QUARANTINED' });
    }

    // No time may be set so short that a test could wait for it: by hand.
    const node = await mongo.set.waitForPrimary();
    const set = (collection: string, q: Document, fields: Document) =>
      node.command(databaseOf(uri), { update: collection, updates: [{ q, u: { $set: fields } }] });
    await set('networks', { 'subnets.subnet_id': subnetId }, { 'subnets.$.lease_time_ceiling_s': 0 });
    const ofReleased = { reservation_id: released?.reservationId };
    await set('slots', ofReleased, { reuse_delay: 1, lease_time_ceiling: 0 });
    const given = await eventually('somebody got it', async () => {
      const got = (await ask()).filter((outcome) => typeof outcome !== 'string');
      return got.length > 0 && got;
    });
    expect(given).toMatchObject([{ address: released?.address }]);
    const [next, before] = await scene.clients[1].reservations
      .history({ subnetId, address: released?.address ?? '' })
      .toArray();
    expect([next, before]).toMatchObject([given[0], { reservationId: released?.reservationId, state: 'ended' }]);
    expect(next?.createTime.getTime()).toBeGreaterThanOrEqual(before?.endTime?.getTime() ?? Number.NaN);
  });
});

/** The clients of a cluster, by turns of each of its servers. */
interface Scene {
  readonly clients: readonly [Leasehold, Leasehold, ...Leasehold[]];
}

/** What holds on every store. */
function exhaustion(start: () => Promise<Cluster>): Scene {
  let cluster: Cluster;
  let clients: readonly Leasehold[] = [];
  const scene: Scene = {
    get clients() {
      return clients as Scene['clients'];
    },
  };

  beforeAll(async () => {
    cluster = await start();
    const { servers } = cluster;
    clients = Array.from({ length: CLIENTS }, (_, i) => (servers[i % servers.length] ?? servers[0]).client(PATIENT));
    await scene.clients[0].networks.create({ networkId: 'red' });
  });

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test.each([
    { cidr: '10.1.0.0/30', gateway: undefined, addresses: ['10.1.0.1', '10.1.0.2'] },
    { cidr: '10.1.0.8/30', gateway: '10.1.0.9', addresses: ['10.1.0.10'] },
    { cidr: '10.1.0.16/29', gateway: '10.1.0.17', addresses: range('10.1.0.', 18, 22) },
    { cidr: '10.1.1.0/24', gateway: '10.1.1.1', addresses: range('10.1.1.', 2, 254) },
    { cidr: '10.1.2.0/23', gateway: undefined, addresses: [...range('10.1.2.', 1, 255), ...range('10.1.3.', 0, 254)] },
  ])(
    'as many requests at once as $cidr has addresses all succeed, none twice, and the next is refused',
    async (each) => {
      const { cidr, gateway, addresses } = each;
      const { subnetId } = await scene.clients[0].subnets.create({ networkId: 'red', cidr, gateway });
      const got = await reserveAll(scene.clients, subnetId, addresses.length);
      expect(new Set(got.map(({ address }) => address))).toEqual(new Set(addresses));
      expect(got).toHaveLength(addresses.length);

      for (const client of scene.clients.slice(0, 2)) {
        const beginMs = performance.now();
        const refusal = await refusalOf(client.reservations.reserve({ subnetId, mac: newMac() }));
        expect(performance.now() - beginMs).toBeLessThan(QUICKLY_MS);
        expect(refusal).toMatchObject({
          code: 'RESOURCE_EXHAUSTED',
          reason: 'SUBNET_EXHAUSTED',
          retryable: false,
          metadata: { network_id: 'red', subnet_id: subnetId, quarantined: '0' },
        });
        expect(refusal.metadata).not.toHaveProperty('next_reusable_time');
        const capacity = addresses.length;
        await eventually('the counters say so', async () => {
          const { usage } = await client.subnets.get(subnetId);
          return isDeepStrictEqual(usage, { capacity, reserved: capacity, quarantined: 0, free: 0 });
        });
      }
    },
  );

  test('one MAC that asks many times at once gets one address', async () => {
    const { subnetId } = await scene.clients[0].subnets.create({ networkId: 'red', cidr: '10.1.4.0/29' });
    const reserve = { subnetId, mac: newMac() };
    const results = await Promise.all(scene.clients.map(({ reservations }) => reservations.reserve(reserve)));
    expect(new Set(results.map(({ reservation }) => reservation.reservationId)).size).toBe(1);
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    await eventually('the counters say so', async () => {
      const { usage } = await scene.clients[0].subnets.get(subnetId);
      return usage?.reserved === 1 && usage.free === 5;
    });
  });

  test('a request for any subnet of a full network is refused, and met where there is room', async () => {
    const [one] = scene.clients;
    await one.networks.create({ networkId: 'blue' });
    for (const cidr of ['10.2.0.0/30', '10.2.0.4/30']) await one.subnets.create({ networkId: 'blue', cidr });
    const results = await Promise.all(
      scene.clients.slice(0, 4).map((client) => client.reservations.reserve({ networkId: 'blue', mac: newMac() })),
    );
    const got = results.map(({ reservation }) => reservation.address).sort();
    expect(got).toEqual(['10.2.0.1', '10.2.0.2', '10.2.0.5', '10.2.0.6']);
    const refusal = await refusalOf(one.reservations.reserve({ networkId: 'blue', mac: newMac() }));
    expect(refusal).toMatchObject({ reason: 'SUBNET_EXHAUSTED', metadata: { network_id: 'blue' } });
  });
  return scene;
}

/** Reserves for so many MACs at once, all of which must get an address of their own. */
async function reserveAll(clients: Scene['clients'], subnetId: string, count: number): Promise<readonly Reservation[]> {
  const askers = Array.from({ length: count }, (_, i) => clients[i % clients.length] ?? clients[0]);
  const results = await Promise.all(
    askers.map(({ reservations }) => reservations.reserve({ subnetId, mac: newMac() })),
  );
  expect(results.every(({ created }) => created)).toBe(true);
  return results.map(({ reservation }) => reservation);
}

function range(prefix: string, first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `${prefix}${first + i}`);
}

let macs = 0;

/** A MAC that was not used before. */
function newMac(): string {
  macs++;
  return `52:54:00:06:${hex(macs >> 8)}:${hex(macs & 0xff)}`;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
