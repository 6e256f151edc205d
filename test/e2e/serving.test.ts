// A guest gets exactly its address, and what its subnet says, by real servers, agents and DHCP clients.

import { join } from 'node:path';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts } from '../support/cluster.js';
import { DhclientMachine } from '../support/dhcp-clients.js';
import { eventually } from '../support/eventually.js';
import { hasTool } from '../support/tools.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

const withDhclient = await hasTool('dhclient');
let cluster: Cluster;
let leasehold: Leasehold;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({
    subnetId: 'red-a',
    networkId: 'red',
    cidr: '10.1.0.0/24',
    gateway: '10.1.0.1',
    // What a test names lies outside: nobody else is offered it.
    allocationRanges: [{ first: '10.1.0.100', last: '10.1.0.190' }],
    dnsServers: ['10.1.0.2', '10.1.0.3'],
    ntpServers: ['10.1.0.4'],
    domainName: 'red.example',
    domainSearch: ['red.example', 'example'],
    mtu: 1400,
    leaseTimeSeconds: 600,
  });
  await leasehold.subnets.create({
    subnetId: 'red-b',
    networkId: 'red',
    cidr: '10.1.4.0/255.255.252.0',
    gateway: '10.1.4.1',
    routes: [{ destination: '192.168.0.0/16', nextHop: '10.1.4.2' }],
    options: [{ code: 66, value: 'tftp.example' }],
  });
  await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('a guest gets its address, mask, gateway, DNS, NTP, MTU, domain, search list, host name and lease time', async () => {
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
    search: 'red.example example',
    mtu: '1400',
    hostname: 'vm1',
    lease: '600',
    staticroutes: undefined,
  });
});

test('two subnets share a bridge, each guest is told its own, and routes come with the default route', async () => {
  const [macA, macB] = ['52:54:00:00:01:0a', '52:54:00:00:01:0b'];
  await leasehold.reservations.reserve({ subnetId: 'red-a', mac: macA, waitReady: {} });
  const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-b', mac: macB, waitReady: {} });
  const leases = await Promise.all([
    runUdhcpc(await cluster.guest('red', 'two-a', macA)),
    runUdhcpc(await cluster.guest('red', 'two-b', macB)),
  ]);
  expect(leases[0]).toMatchObject({ mask: '24', router: '10.1.0.1', lease: '600' });
  expect(leases[1]).toMatchObject({ ip: reservation.address, mask: '22', router: '10.1.4.1', lease: '3600' });
  expect(reservation.address).toMatch(/^10\.1\.[4-7]\./);
  expect(leases[1]?.dns).toBeUndefined();
  expect(leases[1]?.mtu).toBeUndefined();
  // A client that knows option 121 ignores option 3, so the default route must be in it (RFC 3442).
  const pairs = pairsOf(leases[1]?.staticroutes);
  expect(pairs).toContainEqual(['192.168.0.0/16', '10.1.4.2']);
  expect(pairs).toContainEqual(['0.0.0.0/0', '10.1.4.1']);
  expect(pairs).toContainEqual([`${leases[1]?.serverid}/32`, '0.0.0.0']);
  expect(pairs).toHaveLength(3);
});

test('an unknown MAC gets silence while a known one on the same wire is answered', async () => {
  const known = '52:54:00:00:01:02';
  await leasehold.reservations.reserve({ subnetId: 'red-a', mac: known, waitReady: {} });
  const stranger = await cluster.guest('red', 'stranger', '52:54:00:00:01:03');
  const [nothing, lease] = await Promise.all([
    runUdhcpc(stranger, { tries: 2 }),
    runUdhcpc(await cluster.guest('red', 'known', known)),
  ]);
  expect(nothing).toBeUndefined();
  expect(lease).toBeDefined();
  // Nor does asking for an address that exists get one, not even a refusal.
  await using insistent = await startUdhcpc(stranger, { args: ['-n', '-r', lease?.ip ?? ''] });
  await insistent.process.exited;
  expect(insistent.events().map(({ kind }) => kind)).toEqual(['deconfig', 'leasefail']);
});

test('a guest gets the very address that was named for its MAC, whatever it wishes for', async () => {
  const mac = '52:54:00:00:01:04';
  const { reservation } = await leasehold.reservations.reserve({
    subnetId: 'red-a',
    mac,
    address: '10.1.0.77',
    waitReady: {},
  });
  expect(reservation.address).toBe('10.1.0.77');
  const nic = await cluster.guest('red', 'named', mac);
  expect((await runUdhcpc(nic))?.ip).toBe('10.1.0.77');
  expect((await runUdhcpc(nic, { args: ['-r', '10.1.0.78'] }))?.ip).toBe('10.1.0.77');
});

test.skipIf(!withDhclient)("a reservation's own host name and options win over its subnet's", async () => {
  const plain = '52:54:00:00:01:05';
  const special = '52:54:00:00:01:06';
  const reservations = [
    await leasehold.reservations.reserve({ subnetId: 'red-b', mac: plain, waitReady: {} }),
    await leasehold.reservations.reserve({
      subnetId: 'red-b',
      mac: special,
      hostname: 'special',
      options: [{ code: 66, value: 'own.example' }],
      waitReady: {},
    }),
  ];
  await using one = await dhclient('plain', plain);
  await using other = await dhclient('special', special);
  for (const [i, guest] of [one, other].entries()) {
    await guest.boot();
    await eventually('it has its lease', async () => guest.remembers(reservations[i]?.reservation.address ?? ''));
  }
  expect(one.leases).toContain('option tftp-server-name "tftp.example";');
  expect(one.leases).not.toContain('host-name');
  expect(other.leases).toContain('option tftp-server-name "own.example";');
  expect(other.leases).toContain('option host-name "special";');
});

test('changed settings reach a guest at its next renewal, and no program is restarted', async () => {
  const mac = '52:54:00:00:01:08';
  await leasehold.networks.create({ networkId: 'green' });
  const subnet = { subnetId: 'green-a', networkId: 'green', cidr: '10.2.0.0/24', gateway: '10.2.0.1' };
  // The next gateway lies outside: it must not be the guest's by chance.
  const allocationRanges = [{ first: '10.2.0.10', last: '10.2.0.250' }];
  await leasehold.subnets.create({ ...subnet, allocationRanges, dnsServers: ['10.2.0.2'] });
  const host = await cluster.host('h2', ['green']);
  const { reservation } = await leasehold.reservations.reserve({ subnetId: 'green-a', mac, waitReady: {} });
  await using guest = await startUdhcpc(await cluster.guest('green', 'renewing', mac));
  expect(await guest.bound()).toMatchObject({ ip: reservation.address, dns: '10.2.0.2', router: '10.2.0.1' });

  await leasehold.subnets.update('green-a', { dnsServers: ['10.2.0.3'], gateway: '10.2.0.254', domainName: 'new' });
  const renewed = await eventually('the guest learns its new DNS server', async () => {
    const { kind, lease } = await guest.renew();
    expect(kind).toBe('renew');
    return lease?.dns === '10.2.0.3' && lease;
  });
  expect(renewed).toMatchObject({ ip: reservation.address, router: '10.2.0.254', domain: 'new' });
  expect(host.agent.exitCode).toBeUndefined();
  expect(await leasehold.placements.list({ networkId: 'green' }).toArray()).toMatchObject([{ epoch: 1 }]);
});

async function dhclient(name: string, mac: string): Promise<DhclientMachine> {
  return new DhclientMachine(await cluster.guest('red', name, mac), join(cluster.directory, `guest-${name}`));
}

/** Destinations with their next hops. */
function pairsOf(routes = ''): readonly (readonly string[])[] {
  const words = routes.split(' ');
  return words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1] ?? '']] : []));
}
