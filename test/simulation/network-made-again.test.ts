// A network that is deleted and made again under its id, with the product's own control plane and agents.

import { formatIpv4 } from '@leasehold/proto/values';
import type { NetworkId, SubnetId } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import type { Slot } from '@leasehold/server/domain/slot';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { quarantined, reservation } from '../conformance/documents.js';
import { Installation } from './installation.js';

test('it is served by hosts that served the old one, though its placements count from 1 again', async () => {
  const installation = await Installation.start({ h1: ['red'], h2: ['red'] });
  await installation.createNetwork('red', { dhcpServerCount: 1 });
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
  await installation.advance(20_000);
  // Every move raises the epoch that the hosts have seen.
  for (const hostId of ['h1', 'h2', 'h1', 'h2']) {
    await installation.updateHost(hostId, { maintenance: true });
    await installation.advance(20_000);
    await installation.updateHost(hostId, { maintenance: false });
  }
  await installation.tryDeleteSubnet('red-a');
  await installation.tryDeleteNetwork('red');
  await installation.advance(30_000);
  expect(installation.disk.networks.get('red' as NetworkId)).toBeUndefined();
  await installation.createNetwork('red', { dhcpServerCount: 1 });
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
  await installation.advance(30_000);
  expect(installation.placements('red').map((line) => line.split(' ')[1])).toEqual(['serving']);
  await installation.stop();
});

test('a reservation whose server died before it could give it back, and whose subnet is gone, is taken back', async () => {
  const installation = await Installation.start();
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.1.0.0/24');
  const { slots } = installation.plane.useCases.context.store;
  await slots.insert(reservation('red', 3, 1));
  await installation.tryDeleteSubnet('red-a');
  await slots.insert(reservation('red', 4, 2));
  await slots.insert(reservation('blue', 5, 3));
  await installation.advance(5_000);
  const states = ['red', 'blue'].flatMap((id) => [...(installation.disk.slots.get(id as NetworkId)?.values() ?? [])]);
  expect(states.map(({ state, vouched }) => `${state} ${vouched}`)).toEqual(Array(3).fill('quarantined false'));
  await installation.stop();
});

test.each(['while it runs', 'when it starts'])(
  'so is one whose subnet was made again, by a server that finds it %s',
  async (when) => {
    const installation = await Installation.start({ h1: ['red'] });
    await installation.createNetwork('red');
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
    const there = await installation.reserve('red-a', '52:54:00:00:00:09');
    // As a server writes it that still knows the subnet as it was before.
    const late = { ...reservation('red', 7, 1), subnetId: 'red-a' as SubnetId };
    if (when === 'when it starts') {
      await installation.killServer();
      installation.disk.putSlot(late, []);
      await installation.startServer();
    } else await installation.plane.useCases.context.store.slots.insert(late);
    await installation.advance(3_000);
    const states = installation.disk.slotsInOrder().map(({ mac, state }) => `${mac} ${state}`);
    expect(states.sort()).toEqual([`${late.mac} quarantined`, `${there.mac} reserved`].sort());
    expect(installation.answers('red')).toEqual([`h1 ${there.mac}=${formatIpv4(there.address)}`]);
    await installation.stop();
  },
);

test('a network is not forgotten before such a reservation is taken back', async () => {
  const installation = await Installation.start();
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
  await installation.tryDeleteSubnet('red-a');
  await installation.plane.useCases.context.store.slots.insert(reservation('red', 3, 1));
  await installation.tryDeleteNetwork('red');
  await installation.advance(500);
  expect(installation.disk.networks.get('red' as NetworkId)).toMatchObject({ deleted: true });
  await installation.advance(5_000);
  expect(installation.disk.networks.get('red' as NetworkId)).toMatchObject({ deleted: true });
  expect(installation.disk.slotsInOrder().map(({ state }) => state)).toEqual(['quarantined']);
  await installation.stop();
});

describe('a reservation whose server knew a network that was forgotten, and is made again with placements that count from 1', () => {
  const RED = 'red' as NetworkId;
  const MAC = reservation('red', 3, 1).mac;
  let installation: Installation;

  beforeEach(async () => {
    installation = await Installation.start({}, { authorityS: 4 * 3_600 });
    await installation.addHost('h1', ['red']);
    await installation.createNetwork('red');
  });
  afterEach(() => installation.stop());

  const slot = () => installation.disk.slotsInOrder(RED)[0];

  /** Its placements before were seven. */
  const insertLate = () =>
    installation.plane.useCases.context.store.slots.insert({ ...reservation('red', 3, 1), chainCounter: 7 });

  /** Another host serves; the one that did, and had the address, is cut off. */
  async function loseH1(): Promise<void> {
    await installation.addHost('h2', ['red']);
    installation.host('h1').wire.cut();
    await installation.advance(20_000);
    expect(installation.disk.networks.get(RED)).toMatchObject({ formerServers: [{ hostId: 'h1', counter: 1 }] });
  }

  test('is taken back as one that every host may have', async () => {
    await insertLate();
    await installation.advance(5_000);
    expect(slot()).toMatchObject({ state: 'quarantined', chainCounter: 0 });
  });

  test('and has its address again by its MAC, waits for the hosts that have it since', async () => {
    await insertLate();
    await installation.advance(5_000);
    // As an older version took it back.
    installation.disk.putSlot({ ...(slot() as Slot), chainCounter: 7 }, []);
    await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
    await installation.advance(5_000);
    const address = formatIpv4((await installation.reserve('red-a', MAC)).address);
    await installation.advance(2_000);
    expect(installation.answers('red')).toEqual([`h1 ${MAC}=${address}`]);
    await loseH1();
    await installation.tryRelease('red-a', address);
    await installation.advance(2 * 3_600_000);
    expect(installation.answers('red')).toEqual([`h1 ${MAC}=${address}`]);
    expect(slot()).toMatchObject({ state: 'quarantined' });
  });
});

test('what rests is freed also when its network is gone by then', async () => {
  const installation = await Installation.start();
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/24');
  const { address } = await installation.reserve('red-a', '52:54:00:00:00:01');
  await installation.tryRelease('red-a', formatIpv4(address));
  await installation.tryDeleteSubnet('red-a');
  await installation.tryDeleteNetwork('red');
  const { networks } = installation.plane.useCases.context.store;
  // As a manager leaves it behind that did not see the release yet.
  await networks.remove((await networks.get('red' as NetworkId)) as Network);
  await installation.advance(2 * 3_660_000);
  expect(installation.disk.slots.get('red' as NetworkId)?.size ?? 0).toBe(0);
  await installation.stop();
});

test('an address that came to rest when its network was gone already becomes free all the same', async () => {
  const installation = await Installation.start();
  const { slots } = installation.plane.useCases.context.store;
  // As a reservation leaves it behind whose network was deleted, and forgotten, while it was written.
  await slots.insert(reservation('red', 3, 1));
  await slots.replace(quarantined(reservation('red', 3, 1, 1)));
  await installation.advance(2 * 3_660_000);
  expect(installation.disk.slots.get('red' as NetworkId)?.size ?? 0).toBe(0);
  await installation.stop();
});
