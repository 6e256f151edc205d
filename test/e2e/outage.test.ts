// The control plane dies and returns: guests do not notice, and afterwards everything is as it was.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { monotonicMs, Prober } from '../support/prober.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

const NETWORKS = ['red', 'blue', 'green'];
const HOSTS = ['h1', 'h2', 'h3', 'h4'];
const NO_SESSION = 'No session with the control plane';

let cluster: Cluster;
let leasehold: Leasehold;
const hosts: TestHost[] = [];

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  for (const [i, networkId] of NETWORKS.entries()) {
    await leasehold.networks.create({ networkId, dhcpServerCount: networkId === 'green' ? 2 : 1 });
    await leasehold.subnets.create({ subnetId: `${networkId}-a`, networkId, cidr: `10.${i}.0.0/24` });
  }
  // Every failed attempt to connect is a line, also the tenth.
  for (const hostId of HOSTS) hosts.push(await cluster.host(hostId, NETWORKS, ['--log-level', 'debug']));
  await allServe();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('while the server is dead guests renew and boot; then the same hosts serve with the same epochs, and nothing is lost', async () => {
  const macs = Array.from({ length: 50 }, (_, i) => `52:54:00:00:08:${String(i).padStart(2, '0')}`);
  const [first = '', second = ''] = macs;
  await using guest = await startUdhcpc(await cluster.guest('red', 'renewing', first));
  await leasehold.reservations.reserve({ networkId: 'red', mac: first, waitReady: {} });
  const { ip } = await guest.bound();
  const released = await leasehold.reservations.reserve({ networkId: 'blue', mac: second });
  await leasehold.reservations.release({ reservationId: released.reservation.reservationId });
  // All but the last are acknowledged in the middle of others; the last one is confirmed, so it must be answered.
  await Promise.all(macs.map((mac) => leasehold.reservations.reserve({ networkId: 'red', mac })));
  await leasehold.reservations.reserve({ networkId: 'red', mac: second, waitReady: {} });
  const before = await everything();

  await cluster.server.kill();
  expect(await guest.renew()).toMatchObject({ kind: 'renew', lease: { ip } });
  const booted = await runUdhcpc(await cluster.guest('red', 'booting', second));
  expect(booted?.ip).toBe(
    before.reservations.find(({ networkId, mac }) => networkId === 'red' && mac === second)?.address,
  );

  await cluster.startServer();
  await allServe();
  expect(await everything()).toEqual(before);
  expect(before.reservations).toHaveLength(macs.length + 1);
  expect(await guest.renew()).toMatchObject({ kind: 'renew', lease: { ip } });
});

test('an outage so long that agents try again only now and then moves no placement either', async () => {
  const mac = '52:54:00:00:08:ff';
  await leasehold.reservations.reserve({ networkId: 'red', mac, waitReady: {} });
  const before = await everything();
  await using prober = await Prober.start(await cluster.guest('red', 'prober', mac));
  const from = hosts.map(({ agent }) => agent.lines.length);
  await cluster.server.kill();
  for (const [i, { agent }] of hosts.entries()) {
    await eventually('the agent waits long between attempts', async () => {
      const failures = agent.lines.slice(from[i]).filter(({ text }) => text.includes(NO_SESSION));
      return failures.length >= 7;
    });
  }
  // Asked ten times a second, hosts that are out of date answer with a pause.
  await prober.answerSince(monotonicMs());
  await cluster.startServer();
  await eventually('all hosts are back', async () => {
    const all = await leasehold.hosts.list().toArray();
    return all.every(({ liveness, lastHeartbeatTime }) => liveness === 'up' && lastHeartbeatTime);
  });
  await allServe();
  expect(await everything()).toEqual(before);
  await prober.answerSince(monotonicMs());
});

test('a server that is told to stop ends well, and its successor finds everything as it was', async () => {
  const before = await everything();
  expect(await cluster.server.stop()).toBe(0);
  await cluster.startServer();
  await allServe();
  expect(await everything()).toEqual(before);
});

async function allServe(): Promise<void> {
  for (const networkId of NETWORKS) await servingHosts(leasehold, networkId, networkId === 'green' ? 2 : 1);
}

/** Everything that must outlive the server. */
async function everything() {
  const placements = await leasehold.placements.list().toArray();
  const reservations = await leasehold.reservations.list().toArray();
  return {
    placements: placements.map(({ networkId, hostId, epoch, state }) => ({ networkId, hostId, epoch, state })),
    // How long a released address still rests begins anew with the server (docs/adr/0018).
    reservations: reservations.map(({ readyServers: _, reusableTime: __, blockedByHostIds: ___, ...rest }) => rest),
  };
}
