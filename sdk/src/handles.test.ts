import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectWith, type Leasehold } from './connect.js';
import { EVERYTHING } from './test-support/cli.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import { wireReservation } from './test-support/samples.js';
import { type ScriptedServer, startScriptedServer } from './test-support/scripted-server.js';

let fake: ScriptedServer;
let leasehold: Leasehold;
const { mac } = wireReservation;

beforeAll(async () => {
  fake = await startScriptedServer(EVERYTHING);
});
afterAll(() => fake[Symbol.asyncDispose]());
beforeEach(() => {
  fake.calls.length = 0;
  leasehold = connectWith({ server: fake.server }, fakeRuntime());
});

/** The last request of a method. */
const last = <M extends Parameters<ScriptedServer['requests']>[0]>(method: M) => fake.requests(method).at(-1);

test('a handle asks nobody', async () => {
  const before = fake.calls.length;
  leasehold.network('red').subnet('red-a');
  leasehold.reservation('r-1');
  leasehold.host('h1');
  expect(fake.calls).toHaveLength(before);
  await leasehold.close();
});

describe('a network', () => {
  test('is read, changed and deleted', async () => {
    const red = leasehold.network('red');
    expect(await red.get()).toEqual(await leasehold.networks.get('red'));
    await red.update({ dhcpServerCount: 3 }, { etag: 'n1' });
    expect(last('updateNetwork')).toMatchObject({ network: { networkId: 'red', dhcpServerCount: 3, etag: 'n1' } });
    await red.delete({ etag: 'n1' });
    expect(last('deleteNetwork')).toEqual({ networkId: 'red', etag: 'n1' });
  });

  test('has subnets and reservations', async () => {
    const red = leasehold.network('red');
    await red.createSubnet({ subnetId: 'b', cidr: '10.0.1.0/24' }, { requestId: 'once' });
    expect(last('createSubnet')).toMatchObject({ subnet: { networkId: 'red', subnetId: 'b' }, requestId: 'once' });
    expect((await red.subnets().toArray()).map(({ subnetId }) => subnetId)).toEqual(['red-a', 'b']);
    expect(last('listSubnets')).toMatchObject({ networkId: 'red' });
    await red.reservations({ owner: 'vm-42/nic0', state: 'reserved', pageSize: 7 }).toArray();
    const filter = { networkId: 'red', subnetId: '', owner: 'vm-42/nic0', state: 1, pageSize: 7 };
    expect(last('listReservations')).toMatchObject(filter);
    await red.reserve(mac, { hostname: 'web', timeoutMs: 5_000 });
    expect(last('reserveAddress')).toMatchObject({ networkId: 'red', subnetId: '', mac, hostname: 'web' });
  });

  test('is watched', async () => {
    for await (const event of leasehold.network('red').watch({ snapshot: true })) {
      expect(event.kind).toBe('network');
      break;
    }
    expect(last('watchEvents')).toMatchObject({ networkId: 'red', snapshot: true });
  });
});

describe('a subnet', () => {
  test('is read, changed and deleted', async () => {
    const subnet = leasehold.subnet('red-a');
    expect(await subnet.get()).toEqual(await leasehold.subnets.get('red-a'));
    await subnet.update({ mtu: 1_400 });
    expect(last('updateSubnet')).toMatchObject({ subnet: { subnetId: 'red-a', mtu: 1_400 } });
    await subnet.delete();
    expect(last('deleteSubnet')).toEqual({ subnetId: 'red-a', etag: '' });
  });

  test('reserves and releases; of a network it must be one of its own', async () => {
    const subnet = leasehold.network('red').subnet('red-a');
    await subnet.reserve(mac, { address: '10.0.0.7', waitReady: { servers: 2 } });
    const asked = { networkId: 'red', subnetId: 'red-a', mac, address: '10.0.0.7', waitReady: { servers: 2 } };
    expect(last('reserveAddress')).toMatchObject(asked);
    await leasehold.subnet('red-a').reserve(mac);
    expect(last('reserveAddress')).toMatchObject({ networkId: '', subnetId: 'red-a' });
    await subnet.release('10.0.0.7', { guestStopped: true, mac, timeoutMs: 5_000 });
    const released = { subnetId: 'red-a', address: '10.0.0.7', guestStopped: true, mac };
    expect(last('releaseAddress')).toMatchObject(released);
  });

  test('lists its reservations and who had an address', async () => {
    const subnet = leasehold.subnet('red-a');
    await subnet.reservations({ mac }).toArray();
    expect(last('listReservations')).toMatchObject({ subnetId: 'red-a', networkId: '', mac });
    const startTime = new Date(0);
    expect(await subnet.history('10.0.0.7', { startTime, pageSize: 5 }).toArray()).toHaveLength(2);
    const asked = { subnetId: 'red-a', address: '10.0.0.7', startTime, pageSize: 5 };
    expect(last('listAddressHistory')).toMatchObject(asked);
  });
});

test('a reservation is that of an id, or of an answer', async () => {
  const { reservation } = await leasehold.subnet('red-a').reserve(mac);
  const handle = leasehold.reservation(reservation);
  expect(await handle.get()).toEqual(await leasehold.reservations.get({ reservationId: 'r-1' }));
  await leasehold.reservation('r-1').update({ owner: 'x' });
  expect(last('updateReservation')).toMatchObject({ reservation: { reservationId: 'r-1', owner: 'x' } });
  expect(await handle.release({ guestStopped: true })).toMatchObject({ state: 'quarantined' });
  const key = { key: { $case: 'reservationId', value: 'r-1' } };
  expect(last('releaseAddress')).toMatchObject({ key, guestStopped: true });
});

test('a host is read, changed, fenced and deleted', async () => {
  const host = leasehold.host('h1');
  expect(await host.get()).toEqual(await leasehold.hosts.get('h1'));
  await host.update({ maintenance: true });
  expect(last('updateHost')).toMatchObject({ host: { hostId: 'h1', maintenance: true } });
  expect((await host.fence('burnt')).fence?.reason).toBe('dead');
  expect(last('fenceHost')).toEqual({ hostId: 'h1', reason: 'burnt' });
  await host.delete({ etag: 'h1' });
  expect(last('deleteHost')).toEqual({ hostId: 'h1', etag: 'h1' });
});
