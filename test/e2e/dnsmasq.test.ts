// Guests of an agent whose DHCP is answered by dnsmasq: they get what they would get of the builtin backend.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { hasTool } from '../support/tools.js';
import { runUdhcpc } from '../support/udhcpc.js';

const DNSMASQ = ['--backend', 'dnsmasq'];

describe.skipIf(!(await hasTool('dnsmasq')))('with the dnsmasq backend', () => {
  let cluster: Cluster;
  let leasehold: Leasehold;

  beforeAll(async () => {
    cluster = await Cluster.start(['--authority', '1m']);
    leasehold = cluster.client();
    await leasehold.networks.create({ networkId: 'red' });
    await leasehold.subnets.create({
      subnetId: 'red-a',
      networkId: 'red',
      cidr: '10.1.0.0/24',
      gateway: '10.1.0.1',
      dnsServers: ['10.1.0.2', '10.1.0.3'],
      leaseTimeSeconds: 600,
    });
    await cluster.host('h1', ['red'], DNSMASQ);
    await servingHosts(leasehold, 'red', 1);
  });

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test('a guest gets its address', async () => {
    const mac = '52:54:00:00:01:01';
    const { reservation, ready } = await leasehold.reservations.reserve({
      subnetId: 'red-a',
      mac,
      hostname: 'vm1',
      waitReady: { servers: 1 },
    });
    expect(ready).toBe(true);
    const lease = await runUdhcpc(await cluster.guest('red', 'vm1', mac));
    expect(lease).toMatchObject({ ip: reservation.address, mask: '24', router: '10.1.0.1', hostname: 'vm1' });
  });
});
