// A data directory that is restored from a backup: agents tell that it is old, and two commands end it.

import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { startProgram } from '../support/processes.js';
import { refusalOf } from '../support/refusal.js';
import { type Guest, type GuestLease, startUdhcpc } from '../support/udhcpc.js';

const [EARLY, LATE, NEW] = ['52:54:00:00:0d:01', '52:54:00:00:0d:02', '52:54:00:00:0d:03'] as const;

let cluster: Cluster;
let leasehold: Leasehold;
let host: TestHost;
let early: Guest;
let late: Guest;
let second: GuestLease;

const at = (name: string) => join(cluster.directory, name);

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24', gateway: '10.1.0.1' });
  host = await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
  early = await guestOf(EARLY, 'g1');
});

afterAll(() => cluster[Symbol.asyncDispose]());

async function guestOf(mac: string, name: string): Promise<Guest> {
  await leasehold.reservations.reserve({ networkId: 'red', mac, waitReady: {} });
  return startUdhcpc(await cluster.guest('red', name, mac));
}

/** Runs the program to its end. */
async function done(...args: readonly string[]): Promise<void> {
  await using program = startProgram('leasehold-server', args);
  expect(await program.exited).toBe(0);
}

const brakes = async () => (await leasehold.status()).brakes.filter(({ kind }) => kind === 'HOLD_STILL');

test('a directory that was restored from a backup hands out nothing once an agent came, over restarts', async () => {
  const first = await early.bound();
  expect(await cluster.server.stop()).toBe(0);
  cpSync(at('data'), at('backup'), { recursive: true });
  await cluster.startServer();
  await servingHosts(leasehold, 'red', 1);
  late = await guestOf(LATE, 'g2');
  second = await late.bound();
  expect(await brakes()).toEqual([]);
  expect(await cluster.server.stop()).toBe(0);
  rmSync(at('data'), { recursive: true });
  cpSync(at('backup'), at('data'), { recursive: true });
  const from = host.agent.lines.length;
  await cluster.startServer();

  await host.agent.waitForLine('an old copy was restored', from);
  await cluster.server.waitForLine('holding still');
  for (const restarts of [0, 1]) {
    if (restarts > 0) {
      expect(await cluster.server.stop()).toBe(0);
      await cluster.startServer();
    }
    expect(await brakes()).toMatchObject([{ reason: expect.stringContaining('Host h1 knows session') }]);
    expect((await cluster.servers[0].metrics()).get('leasehold_brake{kind="HOLD_STILL"}')).toBe(1);
    const refused = await refusalOf(leasehold.reservations.reserve({ networkId: 'red', mac: NEW }));
    expect(refused).toMatchObject({ reason: 'HOLDING_STILL' });
    const again = await leasehold.reservations.reserve({ networkId: 'red', mac: EARLY });
    expect(again).toMatchObject({ created: false, reservation: { address: first.ip } });
  }
  // Its table has what the store has not.
  expect(await late.renew()).toMatchObject({ kind: 'renew', lease: { ip: second.ip } });
  expect(await early.renew()).toMatchObject({ kind: 'renew', lease: { ip: first.ip } });
  expect(second.ip).not.toBe(first.ip);
});

test('export and import end it; what was lost is reserved again before agents come, and answered as before', async () => {
  const { ip } = second;
  expect(await cluster.server.stop()).toBe(0);
  await done('export', '--store', `embedded:${at('data')}`, '--output', at('export.jsonl'));
  await done('import', '--input', at('export.jsonl'), '--store', `embedded:${at('next')}`);
  const onNext = ['--store', `embedded:${at('next')}`];
  await cluster.startServer([...onNext, '--agent-listen', `unix:${at('nobody.sock')}`]);
  expect(await brakes()).toEqual([]);
  expect(await leasehold.status()).toMatchObject({ store: { incarnation: 2 } });
  const kept = await leasehold.reservations.reserve({ networkId: 'red', mac: EARLY });
  expect(kept.created).toBe(false);
  const lost = await leasehold.reservations.reserve({ networkId: 'red', mac: LATE, address: ip });
  expect(lost).toMatchObject({ created: true, reservation: { address: ip } });
  expect(await cluster.server.stop()).toBe(0);

  const from = host.agent.lines.length;
  await cluster.startServer(onNext);
  await host.agent.waitForLine('Dropping all tables', from);
  await servingHosts(leasehold, 'red', 1);
  await eventually('both are answered', async () => {
    const { reservations } = await ready();
    return reservations.length === 2;
  });
  expect(await late.renew()).toMatchObject({ kind: 'renew', lease: { ip } });
  expect((await leasehold.reservations.reserve({ networkId: 'red', mac: NEW, waitReady: {} })).created).toBe(true);
  expect(await brakes()).toEqual([]);
});

async function ready() {
  const all = await leasehold.reservations.list().toArray();
  return { reservations: all.filter(({ readyServers }) => readyServers === 1) };
}
