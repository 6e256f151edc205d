// Networks are kept apart, and only those that are to be served are: by real servers, agents and DHCP clients.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { runUdhcpc } from '../support/udhcpc.js';

let cluster: Cluster;
let leasehold: Leasehold;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await cluster.host('h1', ['red', 'blue', 'off']);
  for (const [networkId, cidr] of [
    ['red', '10.1.0.0/24'],
    ['blue', '10.1.0.0/16'],
  ] as const) {
    await leasehold.networks.create({ networkId });
    await leasehold.subnets.create({ subnetId: `${networkId}-a`, networkId, cidr });
    await servingHosts(leasehold, networkId, 1);
  }
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('one MAC in two networks of one host gets the address and mask of the network it asks in', async () => {
  const mac = '52:54:00:00:02:01';
  const red = await leasehold.reservations.reserve({ networkId: 'red', mac, address: '10.1.0.10', waitReady: {} });
  const blue = await leasehold.reservations.reserve({ networkId: 'blue', mac, address: '10.1.0.11', waitReady: {} });
  expect([red.created, blue.created]).toEqual([true, true]);
  const leases = await Promise.all([
    runUdhcpc(await cluster.guest('red', 'both-red', mac)),
    runUdhcpc(await cluster.guest('blue', 'both-blue', mac)),
  ]);
  expect(leases[0]).toMatchObject({ ip: '10.1.0.10', mask: '24' });
  expect(leases[1]).toMatchObject({ ip: '10.1.0.11', mask: '16' });
  expect(leases[0]?.serverid).not.toBe(leases[1]?.serverid);
});

test('a MAC that is reserved in one network gets silence in the other, on the same host', async () => {
  const mac = '52:54:00:00:02:02';
  const { reservation } = await leasehold.reservations.reserve({ networkId: 'red', mac, waitReady: {} });
  const [home, foreign] = await Promise.all([
    runUdhcpc(await cluster.guest('red', 'home', mac)),
    runUdhcpc(await cluster.guest('blue', 'foreign', mac), { tries: 2 }),
  ]);
  expect(home?.ip).toBe(reservation.address);
  expect(foreign).toBeUndefined();
});

test('a network with IPAM disabled is not served until it is enabled, and stopped everywhere when it is disabled', async () => {
  const mac = '52:54:00:00:02:03';
  await leasehold.networks.create({ networkId: 'off', ipamEnabled: false });
  await leasehold.subnets.create({ subnetId: 'off-a', networkId: 'off', cidr: '10.3.0.0/24' });
  const nic = await cluster.guest('off', 'off', mac);
  await expect(leasehold.reservations.reserve({ subnetId: 'off-a', mac })).rejects.toMatchObject({
    reason: 'IPAM_DISABLED',
  });
  expect(await runUdhcpc(nic, { tries: 2 })).toBeUndefined();
  expect(await placementsOf('off')).toEqual([]);

  await leasehold.networks.update('off', { ipamEnabled: true });
  await servingHosts(leasehold, 'off', 1);
  const { reservation } = await leasehold.reservations.reserve({ subnetId: 'off-a', mac, waitReady: {} });
  expect((await runUdhcpc(nic))?.ip).toBe(reservation.address);

  await leasehold.networks.update('off', { ipamEnabled: false });
  await eventually('nobody serves the disabled network', async () => (await placementsOf('off')).length === 0);
  expect(await runUdhcpc(nic, { tries: 2 })).toBeUndefined();
  expect(await leasehold.reservations.get({ networkId: 'off', mac })).toMatchObject({ state: 'reserved' });

  await leasehold.networks.update('off', { ipamEnabled: true });
  await servingHosts(leasehold, 'off', 1);
  expect((await runUdhcpc(nic))?.ip).toBe(reservation.address);
});

function placementsOf(networkId: string) {
  return leasehold.placements.list({ networkId }).toArray();
}
