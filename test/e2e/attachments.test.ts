// Networks come to a host and go while its agent runs: by the networks file, and as interfaces appear.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { runUdhcpc } from '../support/udhcpc.js';

let cluster: Cluster;
let leasehold: Leasehold;
let host: TestHost;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  for (const [i, networkId] of ['red', 'blue', 'late'].entries()) {
    await leasehold.networks.create({ networkId });
    await leasehold.subnets.create({ subnetId: `${networkId}-a`, networkId, cidr: `10.1.${i}.0/24` });
  }
  host = await cluster.host('h1', ['red', 'blue']);
  await servingHosts(leasehold, 'red', 1);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('a network is served when the networks file gets it, and not when it loses it; the others go on', async () => {
  const mac = '52:54:00:00:0a:01';
  const reserve = (networkId: string) => leasehold.reservations.reserve({ networkId, mac, waitReady: {} });
  const red = (await reserve('red')).reservation;
  const blue = (await reserve('blue')).reservation;
  const redNic = await cluster.guest('red', 'red', mac);
  const blueNic = await cluster.guest('blue', 'blue', mac);
  expect((await runUdhcpc(blueNic))?.ip).toBe(blue.address);

  host.writeNetworks([`red=${bridgeOf('red')}`]);
  await eventually('blue is detached', async () => (await attachment('blue')) === undefined);
  expect(await hostsOf('blue')).toEqual([]);
  await eventually(
    'blue has no server',
    async () => (await leasehold.networks.get('blue')).status?.serversServing === 0,
  );
  expect(await runUdhcpc(blueNic, { tries: 1 })).toBeUndefined();
  expect((await runUdhcpc(redNic))?.ip).toBe(red.address);

  host.writeNetworks([`red=${bridgeOf('red')}`, `blue=${bridgeOf('blue')}`]);
  await servingHosts(leasehold, 'blue', 1);
  expect((await runUdhcpc(blueNic))?.ip).toBe(blue.address);
  expect((await runUdhcpc(redNic))?.ip).toBe(red.address);
});

test('a networks file with a mistake changes nothing and is told of in one line', async () => {
  const from = host.agent.lines.length;
  host.writeNetworks(['red', 'blue=']);
  const { fields } = await host.agent.waitForLine('Networks file is not used', from);
  expect(fields).toMatchObject({ level: 'warn', problem: expect.stringMatching(/1/) as string });
  expect((await leasehold.hosts.get('h1')).attachments.map(({ networkId }) => networkId).sort()).toEqual([
    'blue',
    'red',
  ]);
  host.writeNetworks([`red=${bridgeOf('red')}`, `blue=${bridgeOf('blue')}`]);
});

test('a network whose interface does not exist is not served, the reason is shown, and it is served once it appears', async () => {
  const mac = '52:54:00:00:0a:02';
  const bridge = bridgeOf('late');
  const nic = await cluster.guest('late', 'late', mac);
  const from = host.agent.lines.length;
  host.writeNetworks([`red=${bridgeOf('red')}`, `late=${bridge}`]);
  const { fields } = await host.agent.waitForLine('Network waits for its interface', from);
  expect(fields).toMatchObject({ network: 'late', reason: `There is no interface ${bridge}` });
  await eventually('the server knows', () => attachment('late'));
  expect(await attachment('late')).toMatchObject({ ready: false, reason: `There is no interface ${bridge}` });
  expect((await leasehold.networks.get('late')).status).toMatchObject({ serversWanted: 1, serversServing: 0 });
  const { reservation, ready } = await leasehold.reservations.reserve({
    networkId: 'late',
    mac,
    waitReady: { timeoutMs: 200 },
  });
  expect(ready).toBe(false);
  expect(await runUdhcpc(nic, { tries: 1 })).toBeUndefined();

  await cluster.lab.bridge(host.namespace, bridge, await cluster.wire('late'));
  await servingHosts(leasehold, 'late', 1);
  expect(await hostsOf('late')).toEqual(['h1']);
  expect(await attachment('late')).toMatchObject({ interface: bridge, ready: true, reason: '' });
  expect((await runUdhcpc(nic))?.ip).toBe(reservation.address);
});

test('an interface that is made anew under its name is served again', async () => {
  const mac = '52:54:00:00:0a:03';
  const bridge = bridgeOf('red');
  const { reservation } = await leasehold.reservations.reserve({ networkId: 'red', mac, waitReady: {} });
  const nic = await cluster.guest('red', 'anew', mac);
  expect((await runUdhcpc(nic))?.ip).toBe(reservation.address);
  await host.namespace.ip(`link delete ${bridge}-up`, `link delete ${bridge}`);
  await cluster.lab.bridge(host.namespace, bridge, await cluster.wire('red'));
  // Whether its absence was noticed or not.
  const lease = await eventually('the guest is answered again', () => runUdhcpc(nic, { tries: 1 }));
  expect(lease.ip).toBe(reservation.address);
  await servingHosts(leasehold, 'red', 1);
});

async function attachment(networkId: string) {
  return (await leasehold.hosts.get('h1')).attachments.find((each) => each.networkId === networkId);
}

async function hostsOf(networkId: string): Promise<readonly string[]> {
  return (await leasehold.hosts.list({ networkId }).toArray()).map(({ hostId }) => hostId);
}
