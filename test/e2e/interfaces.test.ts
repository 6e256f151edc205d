// Interfaces change under a running agent: it follows without a restart, and the attachment in the API says what is.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { type Nic, uplinkOf } from '../support/netns.js';
import { runUdhcpc } from '../support/udhcpc.js';

const MAC = '52:54:00:00:0b:01';
const BRIDGE = bridgeOf('red');
const RENAMED = 'br-other';

let cluster: Cluster;
let leasehold: Leasehold;
let host: TestHost;
let nic: Nic;
let address: string;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24' });
  host = await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
  ({ address } = (await leasehold.reservations.reserve({ networkId: 'red', mac: MAC, waitReady: {} })).reservation);
  nic = await cluster.guest('red', 'guest', MAC);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await expectServed();
});

test('an interface that is taken down and up', async () => {
  await host.namespace.linkDown(BRIDGE);
  await expectReason(`Interface ${BRIDGE} is down`);
  expect(await runUdhcpc(nic, { tries: 1 })).toBeUndefined();
  await host.namespace.linkUp(BRIDGE);
  await expectServed();
});

test('an interface that is deleted, and made anew under its name', async () => {
  await host.namespace.ip(`link delete ${uplinkOf(BRIDGE)}`, `link delete ${BRIDGE}`);
  await expectReason(`There is no interface ${BRIDGE}`);
  await cluster.lab.bridge(host.namespace, BRIDGE, await cluster.wire('red'));
  await expectServed();
});

test('an interface that is renamed keeps nothing of the service, and has it again under its name', async () => {
  const [served] = await serviceAddresses();
  expect(served).toMatch(/^169\.254\./);
  await rename(BRIDGE, RENAMED);
  await expectReason(`There is no interface ${BRIDGE}`);
  // Else this host would answer ARP for what may be another host's now.
  await eventually('the service address is gone', async () => (await serviceAddresses()).length === 0);
  expect(await runUdhcpc(nic, { tries: 1 })).toBeUndefined();
  await rename(RENAMED, BRIDGE);
  await expectServed();
  expect(await serviceAddresses()).toEqual([served]);
});

test('an interface that takes the name of another one', async () => {
  await host.namespace.ip(`link set ${BRIDGE} down`, `link set ${BRIDGE} name ${RENAMED}`);
  await host.namespace.ip(`link set ${uplinkOf(BRIDGE)} name ${uplinkOf(RENAMED)}`, `link set ${RENAMED} up`);
  await cluster.lab.bridge(host.namespace, BRIDGE, await cluster.wire('red'));
  await expectServed();
  await eventually('it is the new one that has the service address', async () => {
    const { stdout } = await host.namespace.run('ip', ['-4', '-o', 'address', 'show']);
    return [...stdout.matchAll(/^\d+: (\S+) +inet 169\.254\./gm)].map(([, name]) => name).join() === BRIDGE;
  });
  await host.namespace.ip(`link delete ${uplinkOf(RENAMED)}`, `link delete ${RENAMED}`);
});

test('an interface whose MTU changes goes on serving', async () => {
  for (const mtu of [1280, 9000, 1500]) {
    await host.namespace.ip(`link set ${BRIDGE} mtu ${mtu}`);
    expect((await runUdhcpc(nic))?.ip).toBe(address);
    expect(await attachment()).toMatchObject({ ready: true, reason: '' });
  }
});

test('of all this no agent was restarted', async () => {
  expect(host.agent.exitCode).toBeUndefined();
  expect((await leasehold.hosts.get('h1')).liveness).toBe('up');
});

/** The agent reports the interface, and the guest is answered. */
async function expectServed(): Promise<void> {
  await eventually('the attachment is ready', async () => {
    const { interface: name, ready, reason } = await attachment();
    return name === BRIDGE && ready && reason === '';
  });
  await servingHosts(leasehold, 'red', 1);
  const lease = await eventually('the guest is answered', () => runUdhcpc(nic, { tries: 1 }));
  expect(lease.ip).toBe(address);
}

/** The attachment is not ready, for this reason. */
async function expectReason(reason: string): Promise<void> {
  await eventually(reason, async () => (await attachment()).reason === reason);
  expect(await attachment()).toMatchObject({ networkId: 'red', interface: BRIDGE, ready: false });
}

async function attachment() {
  const [found] = (await leasehold.hosts.get('h1')).attachments;
  if (!found) throw new Error('h1 has no attachment');
  return found;
}

async function serviceAddresses(): Promise<readonly string[]> {
  const { stdout } = await host.namespace.run('ip', ['-4', '-o', 'address', 'show']);
  return [...stdout.matchAll(/inet (169\.254\.\S+)/g)].map(([, shown]) => shown ?? '');
}

/** Renames a bridge; older kernels do that only while it is down. */
async function rename(from: string, to: string): Promise<void> {
  await host.namespace.ip(`link set ${from} down`, `link set ${from} name ${to}`, `link set ${to} up`);
}
