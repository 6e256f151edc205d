// A serving host that dies, stands still or is cut off is replaced, guests keep their addresses, and its return
// disturbs nobody.
//
// Each test prints how long nobody answered: from the fault to the first answer by the replacement, by a prober that
// asks every 100 ms.

import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bridgeOf, Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { Nic } from '../support/netns.js';
import { monotonicMs, Prober, QUESTIONS_BEFORE_RETRY } from '../support/prober.js';
import { runUdhcpc, startUdhcpc } from '../support/udhcpc.js';

const HOSTS = ['h1', 'h2'];
const PROBER = '52:54:00:00:07:01';
const BOUND = '52:54:00:00:07:02';

let cluster: Cluster;
let leasehold: Leasehold;
const hosts = new Map<string, TestHost>();
let proberNic: Nic;
let boundNic: Nic;
let serving: TestHost;
let other: TestHost;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24', leaseTimeSeconds: 120 });
  for (const hostId of HOSTS) hosts.set(hostId, await cluster.host(hostId, ['red']));
  await servingHosts(leasehold, 'red', 1);
  for (const mac of [PROBER, BOUND]) await leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
  proberNic = await cluster.guest('red', 'prober', PROBER);
  boundNic = await cluster.guest('red', 'bound', BOUND);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

beforeEach(async () => {
  const [hostId] = await servingHosts(leasehold, 'red', 1);
  serving = host(hostId);
  other = host(HOSTS.find((each) => each !== hostId));
  await eventually(`${other.hostId} could take over`, async () => {
    const { liveness, attachments } = await leasehold.hosts.get(other.hostId);
    return liveness === 'up' && attachments.every(({ ready }) => ready);
  });
});

test('when the agent is killed another host answers, a bound guest renews, and a new one gets its address', async () => {
  await expectReplaced('kill -9 of the agent', () => serving.killAgent());
  const mac = '52:54:00:00:07:10';
  const { reservation, ready } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac, waitReady: {} });
  expect(ready).toBe(true);
  expect((await runUdhcpc(await cluster.guest('red', 'new', mac)))?.ip).toBe(reservation.address);
  await expectReturned(() => serving.startAgent());
});

test('when the agent stands still another host answers, and the agent withdraws when it goes on', async () => {
  await expectReplaced('SIGSTOP of the agent', async () => serving.agent.signal('SIGSTOP'));
  await expectReturned(async () => serving.agent.signal('SIGCONT'));
  expect(serving.agent.exitCode).toBeUndefined();
});

test('when the interface of the network goes down another host answers, and the first withdraws', async () => {
  const bridge = bridgeOf('red');
  await expectReplaced('interface down', () => serving.namespace.linkDown(bridge));
  await expectReturned(() => serving.namespace.linkUp(bridge));
});

/** Makes a fault of the serving host; the other one takes over, for new guests and for one that has its lease. */
async function expectReplaced(what: string, fault: () => Promise<void>): Promise<void> {
  await using prober = await Prober.start(proberNic);
  await using guest = await startUdhcpc(boundNic);
  const { ip } = await guest.bound();
  await prober.answerSince(0);

  const faultMs = monotonicMs();
  await fault();
  // What was asked until now may still have been answered by the host that is gone.
  const { answeredMs, address } = await prober.answerSince(monotonicMs());
  console.log(`${what}: nobody answered for ${Math.round(answeredMs - faultMs)} ms`);
  expect(address).toBe((await leasehold.reservations.get({ networkId: 'red', mac: PROBER })).address);
  expect(await servingHosts(leasehold, 'red', 1)).toEqual([other.hostId]);
  expect(await guest.renew()).toMatchObject({ kind: 'renew', lease: { ip } });
}

/** Ends the fault: the host that returns withdraws, and nothing else moves. */
async function expectReturned(recover: () => Promise<void>): Promise<void> {
  const { epoch } = (await placements()).find(({ hostId }) => hostId === other.hostId) ?? {};
  expect(epoch).toBeDefined();
  await recover();
  const left = await eventually(`${serving.hostId} is no server any more`, async () => {
    const all = await placements();
    const { liveness } = await leasehold.hosts.get(serving.hostId);
    return liveness === 'up' && all.length === 1 && all;
  });
  expect(left).toMatchObject([{ hostId: other.hostId, epoch, state: 'serving' }]);

  // One server only: the second answer to a question would have come before the answers to the next ones.
  await using prober = await Prober.start(proberNic);
  await eventually('a few questions are answered', async () => prober.answers().length >= 5);
  expect(prober.answers().map(({ nth }) => nth)).not.toContain(2);
  await prober.answerSince(monotonicMs());
  expect(prober.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
  expect(await placements()).toMatchObject([{ hostId: other.hostId, epoch, state: 'serving' }]);
}

function placements() {
  return leasehold.placements.list({ networkId: 'red' }).toArray();
}

function host(hostId = ''): TestHost {
  const found = hosts.get(hostId);
  if (!found) throw new Error(`There is no host ${hostId}`);
  return found;
}
