import { identityOf, killIdentified } from '@leasehold/agent/backends/dnsmasq/system-process';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { dnsmasqOf, keeperOf } from '../support/kept-processes.js';
import type { WatchedProcess } from '../support/processes.js';
import { hasTool } from '../support/tools.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

const DNSMASQ = ['--backend', 'dnsmasq'];
const MAC = '52:54:00:00:03:01';

describe.skipIf(!(await hasTool('dnsmasq')))('with the dnsmasq backend', () => {
  let cluster: Cluster;
  let leasehold: Leasehold;
  let host: TestHost;
  let address: string;
  const hosts: TestHost[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start();
    leasehold = cluster.client();
    await leasehold.networks.create({ networkId: 'red' });
    await leasehold.subnets.create({
      subnetId: 'red-a',
      networkId: 'red',
      cidr: '10.1.0.0/24',
      gateway: '10.1.0.1',
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
    });
    host = await start('h1', 'red');
    await servingHosts(leasehold, 'red', 1);
    const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: MAC, waitReady: {} });
    address = reservation.address;
  });

  afterAll(async () => {
    const keepers = hosts.map((each) => keeperOf(each));
    await cluster[Symbol.asyncDispose]();
    for (const identity of keepers) if (identity !== undefined) killIdentified(identity, []);
  });

  test('the server knows what answers on the host', async () => {
    expect((await leasehold.hosts.get('h1')).backend).toBe('dnsmasq');
  });

  test('a guest gets its address and what its subnet says, of either subnet', async () => {
    const [macA, macB] = ['52:54:00:00:03:0a', '52:54:00:00:03:0b'];
    const { ready } = await leasehold.reservations.reserve({
      subnetId: 'red-a',
      mac: macA,
      hostname: 'vm1',
      waitReady: { servers: 1 },
    });
    expect(ready).toBe(true);
    const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-b', mac: macB, waitReady: {} });
    const leases = await Promise.all([
      runUdhcpc(await cluster.guest('red', 'two-a', macA)),
      runUdhcpc(await cluster.guest('red', 'two-b', macB)),
    ]);
    expect(leases[0]).toMatchObject({
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
    expect(leases[1]).toMatchObject({ ip: reservation.address, mask: '22', router: '10.1.4.1', lease: '3600' });
    expect(leases[1]?.staticroutes).toBe(
      `${leases[1]?.serverid}/32 0.0.0.0 192.168.0.0/16 10.1.4.2 0.0.0.0/0 10.1.4.1`,
    );
    expect(await addressesOf(host, 'red')).toContain(`${leases[1]?.serverid}/32`);
  });

  test('an unknown MAC gets silence, and so does one whose reservation was released', async () => {
    const mac = '52:54:00:00:03:02';
    const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
    const stranger = await cluster.guest('red', 'stranger', '52:54:00:00:03:03');
    const nic = await cluster.guest('red', 'leaving', mac);
    const [nothing, lease] = await Promise.all([runUdhcpc(stranger, { tries: 2 }), runUdhcpc(nic)]);
    expect(nothing).toBeUndefined();
    expect(lease?.ip).toBe(reservation.address);
    await leasehold.reservations.release({ subnetId: 'red-a', address: reservation.address });
    await eventually('it is not answered', async () => !(await runUdhcpc(nic, { tries: 1 })));
  });

  test('changed settings reach a guest at its next renewal by the same dnsmasq', async () => {
    await using guest = await startUdhcpc(await cluster.guest('red', 'renewing', MAC));
    expect(await guest.bound()).toMatchObject({ ip: address, dns: '10.1.0.2 10.1.0.3' });
    const before = dnsmasqOf(host);
    await leasehold.subnets.update('red-a', { dnsServers: ['10.1.0.5'] });
    await eventually('the guest learns its new DNS server', async () => {
      const { kind, lease } = await guest.renew();
      expect(kind).toBe('renew');
      return lease?.dns === '10.1.0.5';
    });
    expect(dnsmasqOf(host)).toEqual(before);
  });

  test('a dnsmasq that is killed comes back', async () => {
    const [pid] = dnsmasqOf(host);
    process.kill(pid ?? 0, 'SIGKILL');
    await host.agent.waitForLine('dnsmasq ended');
    await eventually('another is there', async () => dnsmasqOf(host).length === 1);
    expect(dnsmasqOf(host)).not.toEqual([pid]);
    expect(await answer('revived')).toBe(address);
  });

  test.each([
    ['killed', (agent: WatchedProcess) => agent.kill()],
    ['told to stop', (agent: WatchedProcess) => agent.stop()],
  ])('while its agent is %s guests are served, and the next agent takes the same dnsmasq over', async (name, end) => {
    const before = dnsmasqOf(host);
    await end(host.agent);
    expect(await answer(`${name.slice(0, 4)}-away`)).toBe(address);
    await host.startAgent();
    await host.agent.waitForLine('Answering DHCP');
    expect(dnsmasqOf(host)).toEqual(before);
    await servingHosts(leasehold, 'red', 1);
    const mac = name === 'killed' ? '52:54:00:00:03:0c' : '52:54:00:00:03:0d';
    const { reservation, ready } = await leasehold.reservations.reserve({
      subnetId: 'red-a',
      mac,
      waitReady: { servers: 1 },
    });
    expect(ready).toBe(true);
    expect((await runUdhcpc(await cluster.guest('red', `new-${name.slice(0, 4)}`, mac)))?.ip).toBe(reservation.address);
    expect(dnsmasqOf(host)).toEqual(before);
  });

  test('an agent that no longer has the network on an interface ends its dnsmasq', async () => {
    const other = await start('h2', 'green', () => leasehold.networks.create({ networkId: 'green' }));
    await leasehold.subnets.create({ subnetId: 'green-a', networkId: 'green', cidr: '10.2.0.0/24' });
    await servingHosts(leasehold, 'green', 1);
    const [pid] = dnsmasqOf(other);
    expect(identityOf(pid ?? 0)).toBeDefined();
    await other.killAgent();
    other.writeNetworks(['']);
    await other.startAgent();
    await eventually('it is ended', async () => identityOf(pid ?? 0) === undefined);
  });

  test('an agent with the builtin backend ends what the other left, and answers itself', async () => {
    await leasehold.networks.create({ networkId: 'blue' });
    await leasehold.subnets.create({ subnetId: 'blue-a', networkId: 'blue', cidr: '10.3.0.0/24' });
    const first = await start('h3', 'blue');
    await servingHosts(leasehold, 'blue', 1);
    const { reservation } = await leasehold.reservations.reserve({ subnetId: 'blue-a', mac: MAC, waitReady: {} });
    const [pid] = dnsmasqOf(first);
    await first.killAgent();
    await first.startAgent(['--backend', 'builtin']);
    await eventually('it is ended', async () => identityOf(pid ?? 0) === undefined);
    await first.agent.waitForLine('Answering DHCP');
    expect((await runUdhcpc(await cluster.guest('blue', 'blue', MAC)))?.ip).toBe(reservation.address);
  });

  async function start(hostId: string, networkId: string, before?: () => Promise<unknown>): Promise<TestHost> {
    await before?.();
    const started = await cluster.host(hostId, [networkId], DNSMASQ);
    hosts.push(started);
    return started;
  }

  async function answer(name: string): Promise<string | undefined> {
    return (await runUdhcpc(await cluster.guest('red', name, MAC)))?.ip;
  }
});

/** The dnsmasq processes that the keeper of a host has. */
async function addressesOf(host: TestHost, networkId: string): Promise<string> {
  return (await host.namespace.run('ip', ['-4', '-o', 'address', 'show', bridgeOf(networkId)])).stdout;
}
