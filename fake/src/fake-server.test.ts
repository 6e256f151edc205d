// What an engine's developer relies on, through the SDK. That calls are answered as by a real server is the matter of the
// conformance suite of the API.

import { connect } from '@leasehold/sdk';
import type { FakeServerOptions } from '@leasehold/sdk/testing';
import { readDescriptors } from '@leasehold/server/transport/reflection';
import { describe, expect, test } from 'vitest';
import { startFakeServer } from './fake-server.js';

const MAC = '52:54:00:00:00:01';
const OTHER = '52:54:00:00:00:02';

async function stage(options: FakeServerOptions = {}) {
  const fake = await startFakeServer(options, readDescriptors());
  const leasehold = connect({ server: fake.address });
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ networkId: 'red', subnetId: 'red-a', cidr: '10.0.0.0/30', gateway: '10.0.0.1' });
  return {
    fake,
    leasehold,
    async [Symbol.asyncDispose]() {
      await leasehold.close();
      await fake.close();
    },
  };
}

describe('a fake server', () => {
  test('hands out an address that its host then answers with, and nobody else is answered', async () => {
    await using at = await stage();
    const host = await at.fake.addHost('h1', { networks: ['red'] });
    const { reservation, ready } = await at.leasehold.reservations.reserve({
      subnetId: 'red-a',
      mac: MAC,
      waitReady: {},
    });
    expect([reservation.address, ready]).toEqual(['10.0.0.2', true]);
    expect(host.answer('red', '52-54-00-00-00-01')).toBe('10.0.0.2');
    expect(host.answer('red', OTHER)).toBeUndefined();
    expect(host.answer('blue', MAC)).toBeUndefined();
  });

  test('gives a released address to another MAC once its clock was put past the quarantine', async () => {
    await using at = await stage();
    const { reservations } = at.leasehold;
    const { reservation } = await reservations.reserve({ subnetId: 'red-a', mac: MAC });
    const released = await reservations.release({ reservationId: reservation.reservationId, guestStopped: true });
    const full = { reason: 'SUBNET_EXHAUSTED', metadata: { quarantined: '1' } };
    await expect(reservations.reserve({ subnetId: 'red-a', mac: OTHER })).rejects.toMatchObject(full);
    await at.fake.clock.advance('2m');
    expect(at.fake.clock.now().getTime()).toBeGreaterThan(released.reusableTime?.getTime() ?? Number.NaN);
    const { time, certificateEndTime } = await at.leasehold.status();
    expect(time?.getTime()).toBeGreaterThan(released.reusableTime?.getTime() ?? Number.NaN);
    expect(certificateEndTime).toBeUndefined();
    const next = await reservations.reserve({ subnetId: 'red-a', mac: OTHER });
    expect(next.reservation.address).toBe(reservation.address);
    const [, ended] = await reservations.history({ subnetId: 'red-a', address: reservation.address }).toArray();
    expect(ended).toMatchObject({ reservationId: reservation.reservationId, state: 'ended' });
  });

  test('has another host serve what a dead one served, and the old one again none of it', async () => {
    await using at = await stage();
    const first = await at.fake.addHost('h1', { networks: ['red'] });
    await at.leasehold.reservations.reserve({ subnetId: 'red-a', mac: MAC, waitReady: {} });
    const second = await at.fake.addHost('h2', { networks: ['red'] });
    await first.stop();
    await at.fake.clock.advance('10s');
    expect([first.answer('red', MAC), second.answer('red', MAC)]).toEqual([undefined, '10.0.0.2']);
    expect(await at.leasehold.hosts.get('h1')).toMatchObject({ liveness: 'down' });
    await first.start();
    await at.fake.clock.advance('10s');
    expect([first.answer('red', MAC), second.answer('red', MAC)]).toEqual([undefined, '10.0.0.2']);
    expect(await at.leasehold.hosts.get('h1')).toMatchObject({ liveness: 'up' });
  });

  test('stopped and started again, has its address and all that was stored, and a call that waits is answered', async () => {
    await using at = await stage();
    const { address } = at.fake;
    const host = await at.fake.addHost('h1', { networks: ['red'] });
    await at.leasehold.reservations.reserve({ subnetId: 'red-a', mac: MAC, waitReady: {} });
    await at.fake.stop();
    expect(host.answer('red', MAC)).toBe('10.0.0.2');
    const waiting = at.leasehold.reservations.get({ networkId: 'red', mac: MAC });
    await at.fake.start();
    expect(await waiting).toMatchObject({ address: '10.0.0.2', state: 'reserved' });
    expect(at.fake.address).toBe(address);
  });

  test.each([
    [{ listen: '0.0.0.0:0' }, /not on loopback/],
    [{ listen: 'nowhere' }, /expected HOST:PORT/],
  ])('that is told to listen on %j is a TypeError', async (options, problem) => {
    const starting = startFakeServer(options, readDescriptors());
    await expect(starting).rejects.toThrow(TypeError);
    await expect(starting).rejects.toThrow(problem);
  });

  test.each([
    ['Host-1', { networks: [] }, /^hostId: "Host-1" is not an id/],
    ['h1', { networks: ['red', 'Red'] }, /^networks: "Red" is not an id/],
    ['h1', { networks: [], failureDomain: 'rack 1' }, /^failureDomain: "rack 1" is not an id/],
  ])(
    'adds no host %s with %j, which a server would refuse, and its id is not taken',
    async (hostId, options, problem) => {
      await using at = await stage();
      const adding = at.fake.addHost(hostId, options);
      await expect(adding).rejects.toThrow(TypeError);
      await expect(adding).rejects.toThrow(problem);
      expect(() => at.fake.host(hostId)).toThrow(/There is no host/);
    },
  );

  test('has hosts in networks whatever the length of their ids', async () => {
    await using at = await stage();
    const networkId = 'n'.repeat(63);
    await at.leasehold.networks.create({ networkId });
    await at.leasehold.subnets.create({ networkId, subnetId: 'long', cidr: '10.1.0.0/30' });
    await at.fake.addHost('h1', { networks: ['red', networkId] });
    const { ready } = await at.leasehold.reservations.reserve({ subnetId: 'long', mac: MAC, waitReady: {} });
    expect(ready).toBe(true);
  });

  test('and a host of it, started twice, are started once', async () => {
    await using at = await stage();
    const host = await at.fake.addHost('h1', { networks: ['red'] });
    await at.leasehold.reservations.reserve({ subnetId: 'red-a', mac: MAC, waitReady: {} });
    await at.fake.stop();
    await Promise.all([at.fake.start(), at.fake.start()]);
    await host.start();
    await at.fake.clock.advance('10s');
    await host.stop();
    // A second server, or a second agent, would go on.
    await at.fake.clock.advance('10s');
    expect(await at.leasehold.hosts.get('h1')).toMatchObject({ liveness: 'down' });
    const { address } = at.fake;
    await at.fake.stop();
    await using other = await startFakeServer({ listen: address }, readDescriptors());
    expect(other.address).toBe(address);
  });

  test('says what is wrong with a host or a span', async () => {
    await using at = await stage();
    await at.fake.addHost('h1', { networks: [] });
    await expect(at.fake.addHost('h1', { networks: [] })).rejects.toThrow(/h1 already/);
    expect(() => at.fake.host('h2')).toThrow(/no host h2/);
    expect(() => at.fake.host('h1').answer('red', 'x')).toThrow(/^mac: /);
    expect(() => at.fake.clock.advance('soon')).toThrow(/expected a duration/);
    expect(() => at.fake.clock.advance(-1)).toThrow(/does not go back/);
    for (const endless of [Number.POSITIVE_INFINITY, Number.NaN]) {
      expect(() => at.fake.clock.advance(endless)).toThrow(/expected milliseconds/);
    }
  });
});
