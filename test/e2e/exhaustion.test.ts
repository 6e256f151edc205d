// A subnet is used to its very last address, none twice, also by many clients at once.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { refusalOf } from '../support/refusal.js';

const CLIENTS = 4;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
  await cluster.client().networks.create({ networkId: 'red' });
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test.each([
  { cidr: '10.1.0.0/30', gateway: undefined, addresses: ['10.1.0.1', '10.1.0.2'] },
  { cidr: '10.1.0.8/30', gateway: '10.1.0.9', addresses: ['10.1.0.10'] },
  { cidr: '10.1.0.16/29', gateway: '10.1.0.17', addresses: range('10.1.0.', 18, 22) },
  { cidr: '10.1.1.0/24', gateway: '10.1.1.1', addresses: range('10.1.1.', 2, 254) },
])('as many requests at once as $cidr has addresses all succeed, none twice, and the next is refused', async (each) => {
  const clients = Array.from({ length: CLIENTS }, () => cluster.client());
  const [leasehold = cluster.client()] = clients;
  const { cidr, gateway, addresses } = each;
  const { subnetId } = await leasehold.subnets.create({ networkId: 'red', cidr, gateway });

  const results = await Promise.all(
    addresses.map((_, i) => (clients[i % CLIENTS] ?? leasehold).reservations.reserve({ subnetId, mac: newMac() })),
  );
  expect(results.every(({ created }) => created)).toBe(true);
  const got = results.map(({ reservation }) => reservation.address);
  expect(new Set(got)).toEqual(new Set(addresses));

  const refusal = await refusalOf(leasehold.reservations.reserve({ subnetId, mac: newMac() }));
  expect(refusal).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'SUBNET_EXHAUSTED',
    retryable: false,
    metadata: { network_id: 'red', subnet_id: subnetId, quarantined: '0' },
  });
  expect(refusal.metadata).not.toHaveProperty('next_reusable_time');
  const capacity = addresses.length;
  expect((await leasehold.subnets.get(subnetId)).usage).toEqual({
    capacity,
    reserved: capacity,
    quarantined: 0,
    free: 0,
  });
});

test('one MAC that asks many times at once gets one address', async () => {
  const clients = Array.from({ length: CLIENTS }, () => cluster.client());
  const { subnetId } = await cluster.client().subnets.create({ networkId: 'red', cidr: '10.1.2.0/29' });
  const reserve = { subnetId, mac: '52:54:00:00:06:01' };
  const results = await Promise.all(
    clients.flatMap(({ reservations }) => Array.from({ length: 10 }, () => reservations.reserve(reserve))),
  );
  expect(new Set(results.map(({ reservation }) => reservation.reservationId)).size).toBe(1);
  expect(results.filter(({ created }) => created)).toHaveLength(1);
  expect((await cluster.client().subnets.get(subnetId)).usage).toMatchObject({ reserved: 1, free: 5 });
});

test('a request for any subnet of a full network is refused, and met where there is room', async () => {
  const leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'blue' });
  for (const cidr of ['10.2.0.0/30', '10.2.0.4/30']) await leasehold.subnets.create({ networkId: 'blue', cidr });
  const results = await Promise.all(
    Array.from({ length: 4 }, () => leasehold.reservations.reserve({ networkId: 'blue', mac: newMac() })),
  );
  const got = results.map(({ reservation }) => reservation.address).sort();
  expect(got).toEqual(['10.2.0.1', '10.2.0.2', '10.2.0.5', '10.2.0.6']);
  const refusal = await refusalOf(leasehold.reservations.reserve({ networkId: 'blue', mac: newMac() }));
  expect(refusal).toMatchObject({ reason: 'SUBNET_EXHAUSTED', metadata: { network_id: 'blue' } });
});

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
