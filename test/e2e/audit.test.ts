// Who changed what, asked of real servers on both stores: the same answer from each server, and after each was killed.

import type { AuditEvent, Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { hasMongod } from '../support/mongod-binary.js';
import { refusalOf } from '../support/refusal.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

const MAC = '52:54:00:00:20:01';

const inWords = ({ method, resourceKind, resourceId, requestId }: AuditEvent) =>
  [method, resourceKind === 'reservation' ? '' : resourceId, requestId].filter((word) => word !== '').join(' ');

/** Makes every kind of change that needs no host, and some that change nothing. */
async function live({ networks, subnets, reservations }: Leasehold): Promise<void> {
  await networks.create({ networkId: 'red' }, { requestId: 'make-red' });
  await networks.create({ networkId: 'red' });
  await subnets.create({ subnetId: 'a', networkId: 'red', cidr: '10.1.0.0/24' });
  await subnets.update('a', { leaseTimeSeconds: 7_200 });
  await subnets.update('a', { leaseTimeSeconds: 7_200 });
  await reservations.reserve({ subnetId: 'a', mac: MAC, requestId: 'take', owner: 'vm-1' });
  await reservations.update({ networkId: 'red', mac: MAC }, { owner: 'vm-2' });
  const { reservationId } = await reservations.release({ networkId: 'red', mac: MAC, requestId: 'give' });
  for (let n = 0; n < 2; n++) await reservations.release({ reservationId, requestId: 'vouch', guestStopped: true });
  await subnets.delete('a');
  await networks.delete('red');
}

const CHANGES = [
  'DeleteNetwork red',
  'DeleteSubnet a',
  'ReleaseAddress vouch',
  'ReleaseAddress give',
  'UpdateReservation',
  'ReserveAddress take',
  'UpdateSubnet a',
  'CreateSubnet a',
  'CreateNetwork red make-red',
];

/** In their order, but for changes of different things within a millisecond. */
function expectNewestFirst(events: readonly AuditEvent[], changes: readonly string[]): void {
  expect(events.map(inWords).toSorted()).toEqual(changes.toSorted());
  const times = events.map(({ time }) => time.getTime());
  expect(times).toEqual(times.toSorted((a, b) => b - a));
  const ofNetwork = (words: readonly string[]) => words.filter((each) => /Network|Subnet/.test(each));
  expect(ofNetwork(events.map(inWords))).toEqual(ofNetwork(changes));
}

async function expectChanges({ audit }: Leasehold): Promise<void> {
  for (const pageSize of [1, 3, 100]) {
    expectNewestFirst(await audit.list({}, { pageSize }).toArray(), CHANGES);
  }
  const events = await audit.list({ networkId: 'red' }).toArray();
  expectNewestFirst(events, CHANGES);
  for (const { caller, networkId } of events) expect([caller, networkId]).toEqual(['insecure', 'red']);
  const update = events.find(({ method }) => method === 'UpdateSubnet');
  expect(update).toMatchObject({
    resourceKind: 'subnet',
    before: { leaseTimeSeconds: 3_600, cidr: '10.1.0.0/24', usage: undefined },
    after: { leaseTimeSeconds: 7_200, usage: undefined },
  });
  const [vouched, released, renamed] = await audit.list({ resourceKind: 'reservation' }).toArray();
  expect(vouched).toMatchObject({
    before: { guestStopped: false },
    after: { guestStopped: true, state: 'quarantined' },
  });
  const after = { state: 'quarantined', owner: 'vm-2', guestStopped: false };
  expect(released).toMatchObject({ before: { state: 'reserved' }, after });
  expect(renamed).toMatchObject({ before: { owner: 'vm-1' }, after: { owner: 'vm-2' } });
  const subnet = audit.list({ resourceKind: 'subnet', resourceId: 'a' });
  expect((await subnet.toArray()).map(({ method }) => method)).toEqual([
    'DeleteSubnet',
    'UpdateSubnet',
    'CreateSubnet',
  ]);
}

describe('on the embedded store', () => {
  let cluster: Cluster;
  let leasehold: Leasehold;

  beforeAll(async () => {
    cluster = await Cluster.start();
    leasehold = cluster.client();
    await live(leasehold);
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test('every change is listed, also after the server was killed', async () => {
    await expectChanges(leasehold);
    await cluster.servers[0].kill();
    await cluster.servers[0].start();
    await expectChanges(leasehold);
  });

  test('an id without its kind, and the page token of another list, are refused', async () => {
    const { audit } = leasehold;
    expect(await refusalOf(audit.list({ resourceId: 'a' }).page())).toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [{ field: 'resource_kind', description: 'Required with resource_id' }],
    });
    const { nextPageToken } = await audit.list({}, { pageSize: 1 }).page();
    const other = audit.list({ networkId: 'red' }).page(nextPageToken);
    expect(await refusalOf(other)).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });
});

describe.skipIf(!(await hasMongod()))('on MongoDB', () => {
  const mongo = sharedReplicaSet({ nodes: 3 });

  test('every change is listed by either server, also after the primary was killed', async () => {
    await using cluster = await Cluster.startSeveral({ store: mongo.freshUri(), servers: 2 });
    const [first, second] = cluster.servers;
    await live(first.client());
    for (const server of [first, second]) await expectChanges(server?.client() as Leasehold);
    const primary = await mongo.set.waitForPrimary();
    await primary.kill();
    await mongo.set.waitForPrimary(primary);
    await second?.client().networks.create({ networkId: 'blue' });
    const events = await first.client().audit.list({}, { timeoutMs: 60_000 }).toArray();
    expectNewestFirst(events, ['CreateNetwork blue', ...CHANGES]);
    await primary.restart();
  });
});
