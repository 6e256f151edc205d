// A network that is deleted and made again under its id, with the product's own control plane and agents.

import type { NetworkId } from '@leasehold/server/domain/ids';
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
