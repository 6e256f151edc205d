// The helpers of test/support, tried in a small way: a test over a broken wire proves nothing.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Machine, Management, STORE_PORTS } from '../support/management.js';
import { type Bridge, Lab, type Namespace, type Nic, uplinkOf } from '../support/netns.js';
import { WatchedProcess } from '../support/processes.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { hasTool } from '../support/tools.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';
import { findUdhcpc } from '../support/udhcpc-binary.js';

const MAC = '02:00:00:00:00:01';

/** A host with a bridge on a wire. */
async function hostOn(lab: Lab, wire: Bridge, name: string): Promise<Bridge> {
  return lab.bridge(await lab.namespace(name), 'br0', wire);
}

/** A full DHCP server of other make, that serves `nic` on a bridge. */
async function serveElsewhere(bridge: Bridge, directory: string): Promise<WatchedProcess> {
  await bridge.namespace.addAddress(bridge.name, '10.9.0.1/24');
  const leases = join(directory, 'leases');
  const config = join(directory, 'udhcpd.conf');
  writeFileSync(leases, '');
  const settings = `start 10.9.0.7\nend 10.9.0.7\ninterface ${bridge.name}\nlease_file ${leases}\npidfile ${directory}/pid\n`;
  const options = 'option subnet 255.255.255.0\noption router 10.9.0.1\noption domain example.org\noption lease 600\n';
  writeFileSync(config, settings + options);
  const udhcpc = await findUdhcpc();
  const busybox = udhcpc.ok && udhcpc.command.length > 1 ? udhcpc.command[0] : 'busybox';
  const server = new WatchedProcess(busybox, ['udhcpd', '-f', config], { namespace: bridge.namespace });
  await server.waitForLine('started');
  return server;
}

function neighbours(namespace: Namespace): Promise<string> {
  return namespace.run('ip', ['-o', 'link']).then((outcome) => outcome.stdout);
}

test('guests behind the bridges of two hosts share a wire, and losing the uplink cuts one off', async () => {
  await using lab = new Lab();
  using temporary = temporaryDirectory('support-');
  const wire = await lab.wire('red');
  const [h1, h2] = [await hostOn(lab, wire, 'h1'), await hostOn(lab, wire, 'h2')];
  await using _server = await serveElsewhere(h1, temporary.path);
  const guest = await lab.guest(h2, 'vm1', MAC);

  const lease = await runUdhcpc(guest);
  expect(lease).toMatchObject({ ip: '10.9.0.7', mask: '24', router: '10.9.0.1', domain: 'example.org', lease: '600' });
  expect(lease?.serverid).toBe('10.9.0.1');
  expect(lease?.ntpsrv).toBeUndefined();

  await h2.namespace.linkDown(uplinkOf(h2.name));
  expect(await runUdhcpc(guest, { tries: 1 })).toBeUndefined();
  await h2.namespace.linkUp(uplinkOf(h2.name));
  expect((await runUdhcpc(guest))?.ip).toBe('10.9.0.7');
});

test('a guest that stays has its address, renews by unicast and sees its server gone', async () => {
  await using lab = new Lab();
  using temporary = temporaryDirectory('support-');
  const bridge = await lab.bridge(await lab.namespace('h1'), 'br0');
  await using server = await serveElsewhere(bridge, temporary.path);
  const [nic] = await lab.guests(bridge, 'vms', [MAC]);
  await using guest = await startUdhcpc(nic as Nic);
  expect((await guest.bound()).ip).toBe('10.9.0.7');
  expect((await (nic as Nic).namespace.run('ip', ['address'])).stdout).toContain('10.9.0.7/24');
  expect(await guest.renew()).toMatchObject({ kind: 'renew', lease: { ip: '10.9.0.7' } });
  expect(guest.events().map((event) => event.kind)).toEqual(['deconfig', 'bound', 'renew']);
  await server.kill();
  expect(server.exitCode).toBe(128 + 9);
});

test('many guests live in one namespace, each with its MAC, and go with the lab', async () => {
  const macs = Array.from({ length: 50 }, (_, index) => `02:00:00:00:01:${index.toString(16).padStart(2, '0')}`);
  let namespace: Namespace;
  {
    await using lab = new Lab();
    const nics = await lab.guests(await lab.wire('red'), 'vms', macs);
    namespace = (nics[0] as Nic).namespace;
    const links = await neighbours(namespace);
    for (const mac of macs) expect(links).toContain(mac);
  }
  expect((await namespace.run('true')).code).not.toBe(0);
});

test('a namespace has no IPv6 addresses', async () => {
  await using lab = new Lab();
  const guest = await lab.guest(await lab.wire('red'), 'vm1', MAC);
  expect((await guest.namespace.run('ip', ['-6', 'address'])).stdout).toBe('');
});

test.skipIf(!(await hasTool('nft')))(
  'a machine reaches others and MongoDB, and a cut in any direction ends that until it is mended',
  async () => {
    await using lab = new Lab();
    await using management = await Management.start(lab, true);
    const [machine, other] = [
      await management.plug(await lab.namespace('one')),
      await management.plug(await lab.namespace('other')),
    ];
    const mongod = await listenAsMongod();
    await using listener = new WatchedProcess(
      process.execPath,
      ['-e', "require('net').createServer((socket) => socket.end()).listen(7069, () => console.log('listens'))"],
      { namespace: other.namespace },
    );
    await listener.waitForLine('listens');
    const { port } = mongod.address() as AddressInfo;
    const reached = () => Promise.all([reaches(machine, '127.0.0.1', port), reaches(machine, other.address, 7069)]);

    expect(await reached()).toEqual([true, true]);
    for (const direction of ['in', 'out', 'both'] as const) {
      await machine.cut(direction);
      expect(await reached()).toEqual([false, false]);
      await machine.cut(direction, 'store');
      expect(await reached()).toEqual([false, true]);
    }
    await machine.heal();
    expect(await reached()).toEqual([true, true]);
    mongod.close();
  },
);

/** Listens on loopback where a member of a replica set would. */
async function listenAsMongod() {
  for (let port = STORE_PORTS.first; ; port++) {
    const server = createServer((socket) => socket.end());
    server.listen(port, '127.0.0.1');
    const isHere = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (isHere) return server;
  }
}

/** Whether a connection comes about within a second: over a cut it never does. */
async function reaches({ namespace }: Machine, host: string, port: number): Promise<boolean> {
  const program = `
    require('net').connect(${port}, '${host}').on('connect', () => process.exit(0));
    setTimeout(() => process.exit(1), 1_000);`;
  return (await namespace.run(process.execPath, ['-e', program])).code === 0;
}
