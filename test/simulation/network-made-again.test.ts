// A network that is deleted and made again under its id, with the product's own control plane and agents.

import { formatIpv4 } from '@leasehold/proto/values';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import { expect, test } from 'vitest';
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
