// An agent that lost things: its process, its server, its files, its interface.

import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { startProgram } from '../support/processes.js';
import { runUdhcpc } from '../support/udhcpc.js';

const MAC = '52:54:00:00:02:01';

let cluster: Cluster;
let leasehold: Leasehold;
let host: TestHost;
let address: string;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.2.0.0/24' });
  host = await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
  const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: MAC, waitReady: {} });
  address = reservation.address;
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** What the guest gets now. */
async function answer(name: string): Promise<string | undefined> {
  return (await runUdhcpc(await cluster.guest('red', name, MAC)))?.ip;
}

test('a killed agent that starts while its server is away answers at once from what it wrote', async () => {
  await host.killAgent();
  await cluster.server.kill();
  await host.startAgent();
  expect(await answer('alone')).toBe(address);
  expect(host.agent.lines.some(({ text }) => text.includes('Connected to the control plane'))).toBe(false);
  await cluster.startServer();
  await servingHosts(leasehold, 'red', 1);
  expect(await answer('together')).toBe(address);
});

test('a table cut in half is set aside in one line and fetched again', async () => {
  await host.killAgent();
  const table = readdirSync(host.stateDirectory).find((name) => name.endsWith('.table')) ?? '';
  const path = join(host.stateDirectory, table);
  truncateSync(path, statSync(path).size >> 1);
  await host.startAgent();
  const line = await host.agent.waitForLine('is set aside');
  expect(line.fields).toMatchObject({ file: table, level: 'error' });
  expect(readdirSync(host.stateDirectory)).toContain(`${table}.corrupt`);
  await servingHosts(leasehold, 'red', 1);
  expect(await answer('healed')).toBe(address);
});

test('a second agent on the state directory says so in one line and exits 1', async () => {
  await using second = startProgram('leasehold-agent', [
    ...['--insecure', '--server', cluster.agentEndpoint],
    ...['--host-id', 'h9', '--state-dir', host.stateDirectory],
  ]);
  expect(await second.exited).toBe(1);
  expect(second.lines.map(({ text }) => text)).toEqual([
    `leasehold-agent: --state-dir ${host.stateDirectory} is in use by another running agent`,
  ]);
});

test('an interface that goes and comes again is served again', async () => {
  const bridge = bridgeOf('red');
  await host.namespace.ip(`link set ${bridge} down`);
  await eventually('h1 is not attached', async () => {
    const { attachments } = await leasehold.hosts.get('h1');
    return attachments.some(({ ready }) => !ready);
  });
  await host.namespace.ip(`link set ${bridge} up`);
  await servingHosts(leasehold, 'red', 1);
  expect(await answer('again')).toBe(address);
});

test('on SIGTERM the agent takes its address from the interface and exits 0; its tables stay', async () => {
  const addresses = async () =>
    (await host.namespace.run('ip', ['-4', '-o', 'address', 'show', bridgeOf('red')])).stdout;
  expect(await addresses()).toContain('169.254.');
  host.agent.signal('SIGTERM');
  expect(await host.agent.exited).toBe(0);
  expect(await addresses()).toBe('');
  await cluster.server.kill();
  await host.startAgent();
  expect(await answer('stopped')).toBe(address);
});
