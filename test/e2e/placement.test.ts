// Which hosts serve: as many as are wanted, where operators allow it, and moved without a gap.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { monotonicMs, Prober, QUESTIONS_BEFORE_RETRY } from '../support/prober.js';
import { refusalOf } from '../support/refusal.js';
import { runUdhcpc } from '../support/udhcpc.js';

const NETWORKS = ['later', 'count', 'pair', 'last', 'managed', 'maint', 'forget'];

let cluster: Cluster;
let leasehold: Leasehold;
const hosts = new Map<string, TestHost>();

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

test('a host that is added later serves what was reserved before, and nobody reserves again', async () => {
  await network('later', 1);
  const macs = ['52:54:00:00:09:01', '52:54:00:00:09:02', '52:54:00:00:09:03'];
  const addresses: string[] = [];
  for (const mac of macs) {
    const { reservation, readyServers } = await leasehold.reservations.reserve({ networkId: 'later', mac });
    expect(readyServers).toBe(0);
    addresses.push(reservation.address);
  }
  expect((await leasehold.networks.get('later')).status).toMatchObject({ serversWanted: 1, serversServing: 0 });
  const guests = await cluster.lab.guests(await cluster.wire('later'), 'before', macs);
  expect(await runUdhcpc(guests[0] as never, { tries: 1 })).toBeUndefined();

  for (const hostId of ['h1', 'h2']) hosts.set(hostId, await cluster.host(hostId, NETWORKS));
  await servingHosts(leasehold, 'later', 1);
  const leases = await Promise.all(guests.map((nic) => runUdhcpc(nic)));
  expect(leases.map((lease) => lease?.ip)).toEqual(addresses);
  const { status } = await leasehold.networks.get('later');
  expect(status).toMatchObject({ serversServing: 1, shortSince: undefined, shortReason: '' });
});

test('as many hosts serve as the network wants: one more starts, the same one more stops', async () => {
  await network('count', 1);
  const [first] = await placed('count', 1);
  await leasehold.networks.update('count', { dhcpServerCount: 2 });
  const both = await placed('count', 2);
  expect(both).toContainEqual(first);
  const mac = '52:54:00:00:09:10';
  const reserve = { networkId: 'count', mac, waitReady: { servers: 2 } };
  expect(await leasehold.reservations.reserve(reserve)).toMatchObject({ ready: true, readyServers: 2 });
  await using prober = await Prober.start(await cluster.guest('count', 'count', mac));
  await eventually('both answer', async () => prober.answers().some(({ nth }) => nth === 2));

  await leasehold.networks.update('count', { dhcpServerCount: 1 });
  expect(await placed('count', 1)).toEqual([first]);
  const { question } = await prober.answerSince(monotonicMs());
  await eventually('more questions are answered', async () => {
    return prober.answers().some((answer) => answer.question > question + 3);
  });
  expect(prober.answers().some((answer) => answer.question > question && answer.nth > 1)).toBe(false);
  expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
});

test('of two servers one may die, and nobody has to ask more than twice', async () => {
  await network('pair', 2);
  await placed('pair', 2);
  const mac = '52:54:00:00:09:11';
  await leasehold.reservations.reserve({ networkId: 'pair', mac, waitReady: { servers: 2 } });
  await using prober = await Prober.start(await cluster.guest('pair', 'pair', mac));
  await prober.answerSince(0);
  await host('h2').killAgent();
  await eventually('the death is noticed', async () => {
    return (await leasehold.networks.get('pair')).status?.serversServing === 1;
  });
  await prober.answerSince(monotonicMs());
  expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
  await host('h2').startAgent();
  await placed('pair', 2);
  await prober.answerSince(monotonicMs());
  expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
});

test('a network whose last subnet is deleted is stopped everywhere', async () => {
  await network('last', 2);
  await placed('last', 2);
  const mac = '52:54:00:00:09:20';
  const { reservation } = await leasehold.reservations.reserve({ networkId: 'last', mac, waitReady: {} });
  const nic = await cluster.guest('last', 'last', mac);
  expect((await runUdhcpc(nic))?.ip).toBe(reservation.address);
  await leasehold.reservations.release({ reservationId: reservation.reservationId, guestStopped: true });
  await leasehold.subnets.delete('last-a');
  expect(await placed('last', 0)).toEqual([]);
  expect(await runUdhcpc(nic, { tries: 1 })).toBeUndefined();
  expect((await leasehold.networks.get('last')).status).toMatchObject({ serversWanted: 0, serversServing: 0 });
  await leasehold.networks.delete('last');
});

test('a host that is not managed serves nothing, also after a restart of its agent, until it is managed again', async () => {
  await network('managed', 2);
  await placed('managed', 2);
  expect(await leasehold.hosts.update('h1', { managed: false })).toMatchObject({ managed: false, maintenance: false });
  await servesNothing('h1');
  expect((await leasehold.networks.get('managed')).status?.shortReason).toContain('1 more wanted');
  await host('h1').killAgent();
  await host('h1').startAgent();
  await host('h1').agent.waitForLine('Connected to the control plane');
  await servesNothing('h1');
  expect(await leasehold.hosts.get('h1')).toMatchObject({ managed: false });

  await leasehold.hosts.update('h1', { managed: true });
  await placed('managed', 2);
});

test('maintenance moves the placements of a host, and nobody has to ask more than twice meanwhile', async () => {
  await network('maint', 1);
  const [before] = await placed('maint', 1);
  const from = before?.hostId ?? '';
  const mac = '52:54:00:00:09:30';
  await leasehold.reservations.reserve({ networkId: 'maint', mac, waitReady: {} });
  await using prober = await Prober.start(await cluster.guest('maint', 'maint', mac));
  await prober.answerSince(0);
  await leasehold.hosts.update(from, { maintenance: true });
  const [moved] = await eventually('the other host serves alone', async () => {
    const all = await placed('maint', 1);
    return all[0]?.hostId !== from && all;
  });
  await prober.answerSince(monotonicMs());
  // It comes back for new work only.
  await leasehold.hosts.update(from, { maintenance: false });
  await prober.answerSince(monotonicMs());
  expect(await placed('maint', 1)).toEqual([moved]);
  expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
});

test('a host is forgotten only when it is away, and is another one when it returns', async () => {
  const { uid } = await eventually('h2 is connected', async () => {
    const h2 = await leasehold.hosts.get('h2');
    return h2.liveness === 'up' && h2.attachments.every(({ ready }) => ready) && h2;
  });
  expect(await refusalOf(leasehold.hosts.delete('h2'))).toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'HOST_CONNECTED',
    metadata: { host_id: 'h2' },
  });
  expect(await leasehold.hosts.get('h2')).toMatchObject({ uid, liveness: 'up' });

  await host('h2').killAgent();
  await eventually('h2 is seen to be away', async () => {
    return leasehold.hosts.delete('h2').then(
      () => true,
      (error: { reason: string }) => expect(error.reason).toBe('HOST_CONNECTED') as undefined,
    );
  });
  expect(await refusalOf(leasehold.hosts.get('h2'))).toMatchObject({ reason: 'HOST_NOT_FOUND' });
  await host('h2').startAgent();
  const again = await eventually('h2 is back', () => leasehold.hosts.get('h2').catch(() => undefined));
  expect(again.uid).not.toBe(uid);
  await network('forget', 2);
  await placed('forget', 2);
});

async function network(networkId: string, dhcpServerCount: number): Promise<void> {
  await leasehold.networks.create({ networkId, dhcpServerCount });
  const third = NETWORKS.indexOf(networkId);
  await leasehold.subnets.create({ subnetId: `${networkId}-a`, networkId, cidr: `10.1.${third}.0/24` });
}

/** The placements of a network once there are just so many, all serving. */
function placed(
  networkId: string,
  count: number,
): Promise<readonly { readonly hostId: string; readonly epoch: number }[]> {
  return eventually(`${networkId} has ${count} servers and no others`, async () => {
    const all = await leasehold.placements.list({ networkId }).toArray();
    const settled = all.length === count && all.every(({ state }) => state === 'serving');
    return settled && all.map(({ hostId, epoch }) => ({ hostId, epoch }));
  });
}

function servesNothing(hostId: string): Promise<boolean> {
  return eventually(`${hostId} serves nothing`, async () => {
    return (await leasehold.placements.list({ hostId }).toArray()).length === 0;
  });
}

function host(hostId: string): TestHost {
  const found = hosts.get(hostId);
  if (!found) throw new Error(`There is no host ${hostId}`);
  return found;
}
