// Service addresses that a killed agent left on an interface: this host would answer ARP for what is another host's now.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';

const BRIDGE = bridgeOf('red');
const STALE = '169.254.9.9/32';
// Each differs from ours in one thing.
const FOREIGN = ['169.254.9.10/32 scope global', '169.254.9.11/16 scope link', '10.9.9.9/32 scope link'];

let cluster: Cluster;
let host: TestHost;

beforeAll(async () => {
  cluster = await Cluster.start();
  const leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.2.0.0/24' });
  host = await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function addresses(): Promise<string[]> {
  const { stdout } = await host.namespace.run('ip', ['-4', '-o', 'address', 'show', BRIDGE]);
  return [...stdout.matchAll(/inet (\S+) .*?scope (\S+)/g)].map(([, address, scope]) => `${address} scope ${scope}`);
}

test('an agent that starts takes them away, and neither its own nor what others put there', async () => {
  const [own = ''] = await addresses();
  expect(own).toMatch(/^169\.254\.\d+\.\d+\/32 scope link$/);
  await host.killAgent();
  await host.namespace.ip(`address add ${STALE} dev ${BRIDGE} scope link`);
  for (const address of FOREIGN)
    await host.namespace.ip(`address add ${address.replace('scope', `dev ${BRIDGE} scope`)}`);
  await host.startAgent();
  await host.agent.waitForLine('Service address of an earlier run is taken away');
  await eventually('the stale address is gone', async () => !(await addresses()).join().includes(STALE));
  expect((await addresses()).toSorted()).toEqual([own, ...FOREIGN].toSorted());
});

test('also when the interface comes later', async () => {
  await host.namespace.ip(`link set ${BRIDGE} down`);
  await host.agent.waitForLine('Network waits for its interface');
  await host.namespace.ip(`address add ${STALE} dev ${BRIDGE} scope link`);
  await host.namespace.ip(`link set ${BRIDGE} up`);
  await eventually('the stale address is gone', async () => !(await addresses()).join().includes(STALE));
  expect(await addresses()).toEqual(expect.arrayContaining(FOREIGN));
});
