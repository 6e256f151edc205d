// A network that is deleted and made again under its id, with the product's own control plane and agents.

import type { NetworkId } from '@leasehold/server/domain/ids';
import { expect, test } from 'vitest';
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
