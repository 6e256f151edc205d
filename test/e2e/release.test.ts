// A released address: the guest loses it, its MAC gets it back, nobody else does while it rests.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { refusalOf } from '../support/refusal.js';
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
  await leasehold.networks.create({ networkId: 'small' });
  await leasehold.subnets.create({ ...red, subnetId: 'small-a', networkId: 'small', cidr: '10.1.0.0/29' });
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

test('another MAC does not get a released address: the full subnet says how many rest and until when', async () => {
  const macs = Array.from({ length: 5 }, (_, i) => `52:54:00:00:03:1${i}`);
  const reservations = [];
  for (const mac of macs) {
    reservations.push((await leasehold.reservations.reserve({ subnetId: 'small-a', mac })).reservation);
  }
  expect(new Set(reservations.map(({ address }) => address)).size).toBe(5);
  const [first, second] = reservations;
  await leasehold.reservations.release({ subnetId: 'small-a', address: first?.address ?? '', guestStopped: true });
  await leasehold.reservations.release({ subnetId: 'small-a', address: second?.address ?? '' });

  const stranger = '52:54:00:00:03:1f';
  const refusal = await refusalOf(leasehold.reservations.reserve({ subnetId: 'small-a', mac: stranger }));
  expect(refusal).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'SUBNET_EXHAUSTED',
    retryable: false,
    metadata: { network_id: 'small', subnet_id: 'small-a', quarantined: '2' },
  });
  const { next_reusable_time: next = '' } = refusal.metadata;
  expect(Date.parse(next)).toBeGreaterThan(Date.now());
  await expect(
    leasehold.reservations.reserve({ subnetId: 'small-a', mac: stranger, address: first?.address }),
  ).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'ADDRESS_QUARANTINED' });
  expect((await leasehold.subnets.get('small-a')).usage).toEqual({ capacity: 5, reserved: 3, quarantined: 2, free: 0 });

  // Its own MAC needs not wait.
  const back = await leasehold.reservations.reserve({ subnetId: 'small-a', mac: first?.mac ?? '' });
  expect(back.reservation.address).toBe(first?.address);
});

test('a release is idempotent by reservation id, and an old one frees nothing of a newer tenure', async () => {
  const mac = '52:54:00:00:03:03';
  const { reservation: old } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac });
  const released = await leasehold.reservations.release({ reservationId: old.reservationId });
  const repeated = await leasehold.reservations.release({ reservationId: old.reservationId });
  expect(repeated).toMatchObject({ state: 'quarantined', releaseTime: released.releaseTime });

  const { reservation: newer } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac });
  expect(newer.address).toBe(old.address);
  const late = await leasehold.reservations.release({ reservationId: old.reservationId });
  expect(late).toMatchObject({ reservationId: old.reservationId, state: 'ended' });
  const guarded = await leasehold.reservations.release({
    subnetId: 'red-a',
    address: old.address,
    reservationId: old.reservationId,
  });
  expect(guarded).toMatchObject({ reservationId: old.reservationId, state: 'ended' });
  expect(await leasehold.reservations.get({ networkId: 'red', mac })).toMatchObject({
    reservationId: newer.reservationId,
    state: 'reserved',
  });
});

test('a guard that does not match releases nothing', async () => {
  const reserve = (mac: string) => leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
  const { reservation: mine } = await reserve('52:54:00:00:03:04');
  const { reservation: other } = await reserve('52:54:00:00:03:05');
  const address = { subnetId: 'red-a', address: mine.address };
  const mismatch = { code: 'FAILED_PRECONDITION', reason: 'RESERVATION_MISMATCH' };
  await expect(leasehold.reservations.release({ ...address, mac: other.mac })).rejects.toMatchObject(mismatch);
  await expect(
    leasehold.reservations.release({ ...address, reservationId: other.reservationId }),
  ).rejects.toMatchObject(mismatch);
  await expect(leasehold.reservations.release({ subnetId: 'red-a', address: '10.1.0.200' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    reason: 'RESERVATION_NOT_FOUND',
  });
  expect(await leasehold.reservations.get({ reservationId: mine.reservationId })).toEqual(mine);
});
