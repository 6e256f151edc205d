// A released address: the guest loses it, and its MAC gets it back. Who else gets it when: test/conformance/api.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

let cluster: Cluster;
let leasehold: Leasehold;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await cluster.host('h1', ['red']);
  await leasehold.networks.create({ networkId: 'red' });
  const red = { networkId: 'red', gateway: '10.1.0.1', leaseTimeSeconds: 120, reuseDelaySeconds: 30 };
  // What a test names lies outside: nobody else is offered it.
  const allocationRanges = [{ first: '10.1.0.100', last: '10.1.0.190' }];
  await leasehold.subnets.create({ ...red, subnetId: 'red-a', cidr: '10.1.0.0/24', allocationRanges });
  await servingHosts(leasehold, 'red', 1);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('after a release the guest cannot renew, a new DISCOVER gets silence, and the same MAC gets the address back', async () => {
  const mac = '52:54:00:00:03:01';
  const nic = await cluster.guest('red', 'released', mac);
  const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
  {
    await using guest = await startUdhcpc(nic);
    expect((await guest.bound()).ip).toBe(reservation.address);
    expect((await guest.renew()).kind).toBe('renew');

    const released = await leasehold.reservations.release({ reservationId: reservation.reservationId });
    expect(released).toMatchObject({ state: 'quarantined', address: reservation.address, readyServers: 0 });
    await eventually('the host no longer answers', async () => {
      const { pendingChanges } = (await leasehold.placements.list({ networkId: 'red' }).toArray())[0] ?? {};
      return pendingChanges === 0;
    });
    // Unanswered: it asks on, and nothing happens for longer than the answers before took.
    const before = guest.events().length;
    guest.process.signal('SIGUSR1');
    expect(await runUdhcpc(await cluster.guest('red', 'twin', mac), { tries: 2 })).toBeUndefined();
    expect(guest.events().slice(before)).toEqual([]);
  }
  const again = await leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
  expect(again).toMatchObject({ created: true, ready: true, reservation: { address: reservation.address } });
  expect(again.reservation.reservationId).not.toBe(reservation.reservationId);
  expect((await runUdhcpc(nic))?.ip).toBe(reservation.address);
});

test('a guest whose MAC has got another address is refused its old one and takes the new one', async () => {
  const mac = '52:54:00:00:03:02';
  const nic = await cluster.guest('red', 'moved', mac);
  const reserve = (address: string) =>
    leasehold.reservations.reserve({ subnetId: 'red-a', mac, address, waitReady: {} });
  const { reservation } = await reserve('10.1.0.50');
  await using guest = await startUdhcpc(nic);
  expect((await guest.bound()).ip).toBe('10.1.0.50');
  await leasehold.reservations.release({ reservationId: reservation.reservationId });
  await reserve('10.1.0.51');
  const from = guest.process.lines.length;
  guest.process.signal('SIGUSR1');
  // udhcpc tells of a NAK, forgets its address and asks anew.
  const { lease } = await guest.waitFor(['bound'], from);
  expect(guest.events().map(({ kind }) => kind)).toContain('nak');
  expect(lease?.ip).toBe('10.1.0.51');
});
