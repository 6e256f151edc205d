// A guest gets exactly its address, and nobody else gets an answer: real servers, agents and DHCP clients.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { runUdhcpc } from '../support/udhcpc.js';

let cluster: Cluster;
let leasehold: Leasehold;
let h1: TestHost;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({
    subnetId: 'red-a',
    networkId: 'red',
    cidr: '10.1.0.0/24',
    gateway: '10.1.0.1',
    dnsServers: ['10.1.0.2', '10.1.0.3'],
    ntpServers: ['10.1.0.4'],
    domainName: 'red.example',
    mtu: 1400,
    leaseTimeSeconds: 600,
  });
  h1 = await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('a guest gets its address, mask, gateway, DNS, NTP, MTU, domain and lease time', async () => {
  const mac = '52:54:00:00:01:01';
  const { reservation, ready } = await leasehold.reservations.reserve({
    subnetId: 'red-a',
    mac,
    hostname: 'vm1',
    waitReady: { servers: 1 },
  });
  expect(ready).toBe(true);
  const lease = await runUdhcpc(await cluster.guest('red', 'vm1', mac));
  expect(lease).toMatchObject({
    ip: reservation.address,
    mask: '24',
    router: '10.1.0.1',
    dns: '10.1.0.2 10.1.0.3',
    ntpsrv: '10.1.0.4',
    domain: 'red.example',
    mtu: '1400',
    hostname: 'vm1',
    lease: '600',
  });
  expect(h1.agent.exitCode).toBeUndefined();
});
