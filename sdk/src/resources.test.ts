import { expect, test } from 'vitest';
import { connectWith } from './connect.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import {
  NOON,
  wireAudit,
  wireHost,
  wireNetwork,
  wirePlacement,
  wireReservation,
  wireStatus,
  wireSubnet,
  wireTenure,
} from './test-support/samples.js';
import { type Handlers, refuse, startScriptedServer } from './test-support/scripted-server.js';

async function open(handlers: Handlers) {
  const fake = await startScriptedServer(handlers);
  const leasehold = connectWith({ server: fake.server }, fakeRuntime());
  return {
    fake,
    leasehold,
    async [Symbol.asyncDispose]() {
      await leasehold.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

test('a network arrives with its status', async () => {
  await using it = await open({ getNetwork: () => ({ network: wireNetwork }) });
  expect(await it.leasehold.networks.get('red')).toEqual(wireNetwork);
});

test('a subnet arrives with spans in seconds and counts as numbers', async () => {
  await using it = await open({ getSubnet: () => ({ subnet: wireSubnet }) });
  const { leaseTime: _, reuseDelay: __, ...same } = wireSubnet;
  expect(await it.leasehold.subnets.get('red-a')).toEqual({
    ...same,
    leaseTimeSeconds: 3_600,
    reuseDelaySeconds: 60.5,
    usage: { capacity: 89, reserved: 3, quarantined: 2, free: 84 },
  });
});

test('a subnet travels to the server as it was given', async () => {
  await using it = await open({ createSubnet: () => ({ subnet: wireSubnet }) });
  const {
    uid: _,
    etag: __,
    usage: ___,
    createTime,
    updateTime,
    createdBy,
    leaseTime,
    reuseDelay,
    ...same
  } = wireSubnet;
  await it.leasehold.subnets.create({ ...same, leaseTimeSeconds: 3_600, reuseDelaySeconds: 60.5 });
  await it.leasehold.subnets.create({ subnetId: 'b', networkId: 'red', cidr: '10.1.0.0/24', gateway: null });
  const [full, bare] = it.fake.requests('createSubnet');
  expect(full?.subnet).toMatchObject({ ...same, leaseTime, reuseDelay });
  expect(bare?.subnet).toMatchObject({
    gateway: undefined,
    mtu: undefined,
    leaseTime: undefined,
    reuseDelay: undefined,
  });
});

test('an update names exactly the fields that are present, also empty ones', async () => {
  await using it = await open({
    updateSubnet: () => ({ subnet: wireSubnet }),
    updateNetwork: () => ({ network: wireNetwork }),
    updateHost: () => ({ host: wireHost }),
  });
  const changes = { gateway: null, mtu: undefined, leaseTimeSeconds: 120, labels: {} };
  await it.leasehold.subnets.update('red-a', changes, { etag: 's1' });
  await it.leasehold.networks.update('red', { displayName: '', ipamEnabled: false });
  await it.leasehold.hosts.update('h1', { maintenance: true });
  expect(it.fake.requests('updateSubnet')[0]).toMatchObject({
    subnet: { subnetId: 'red-a', etag: 's1', gateway: undefined, leaseTime: { seconds: 120n, nanos: 0 } },
    updateMask: ['gateway', 'lease_time', 'labels'],
  });
  expect(it.fake.requests('updateNetwork')[0]).toMatchObject({
    network: { networkId: 'red', ipamEnabled: false },
    updateMask: ['display_name', 'ipam_enabled'],
  });
  expect(it.fake.requests('updateHost')[0]).toMatchObject({
    host: { hostId: 'h1', maintenance: true, managed: undefined },
    updateMask: ['maintenance'],
  });
});

test('an update of a reservation names it by its id, its address or its MAC', async () => {
  await using it = await open({ updateReservation: () => ({ reservation: { ...wireReservation, hostname: 'web2' } }) });
  const { reservations } = it.leasehold;
  const changes = { hostname: 'web2', owner: undefined, labels: {}, options: [{ code: 66, value: 'tftp' }] };
  const updated = await reservations.update({ reservationId: 'r-1' }, changes, { etag: 'r1' });
  expect(updated).toMatchObject({ reservationId: 'r-1', hostname: 'web2' });
  await reservations.update({ subnetId: 'red-a', address: '10.0.0.7' }, { hostname: '' });
  await reservations.update({ networkId: 'red', mac: wireReservation.mac }, { owner: 'vm-43/nic0' });
  expect(it.fake.requests('updateReservation')).toMatchObject([
    {
      key: undefined,
      reservation: { reservationId: 'r-1', hostname: 'web2', etag: 'r1', options: [{ code: 66, value: 'tftp' }] },
      updateMask: ['hostname', 'labels', 'options'],
    },
    {
      key: { key: { $case: 'address', value: { subnetId: 'red-a', address: '10.0.0.7' } } },
      reservation: { reservationId: '', hostname: '', etag: '' },
      updateMask: ['hostname'],
    },
    {
      key: { key: { $case: 'mac', value: { networkId: 'red', mac: wireReservation.mac } } },
      reservation: { owner: 'vm-43/nic0' },
      updateMask: ['owner'],
    },
  ]);
});

test('a reservation as it was answered is that tenure, whoever has its address by now', async () => {
  await using it = await open({
    getReservation: () => ({ reservation: wireReservation }),
    updateReservation: () => ({ reservation: wireReservation }),
    releaseAddress: () => ({ reservation: wireReservation }),
  });
  const { reservations } = it.leasehold;
  const held = await reservations.get({ reservationId: 'r-1' });
  await reservations.get(held);
  await reservations.update(held, { owner: 'x' });
  const byId = { $case: 'reservationId', value: 'r-1' };
  expect(it.fake.requests('getReservation')).toEqual([{ key: byId }, { key: byId }]);
  expect(it.fake.requests('updateReservation')).toMatchObject([
    { key: undefined, reservation: { reservationId: 'r-1' } },
  ]);
  // As plain JavaScript may have it.
  const absent = { reservationId: 'r-1', address: undefined, networkId: undefined };
  await reservations.get(absent);
  await reservations.release(absent);
  expect(it.fake.requests('getReservation')[2]).toEqual({ key: byId });
  expect(it.fake.requests('releaseAddress')).toMatchObject([{ key: { key: byId }, reservationId: '' }]);
});

test('beside an address or a MAC a release’s id is a guard', async () => {
  await using it = await open({ releaseAddress: () => ({ reservation: wireReservation }) });
  const { reservations } = it.leasehold;
  const byMac = { networkId: 'red', mac: wireReservation.mac };
  await reservations.release({ ...byMac, reservationId: 'r-1' });
  await reservations.release({ subnetId: 'red-a', address: '10.0.0.7', reservationId: 'r-1' });
  expect(it.fake.requests('releaseAddress')).toMatchObject([
    { key: { key: { $case: 'mac', value: byMac } }, reservationId: 'r-1', mac: '' },
    { key: undefined, subnetId: 'red-a', address: '10.0.0.7', reservationId: 'r-1', mac: '' },
  ]);
});

test('history is a list of tenures of an address, a MAC or an owner', async () => {
  await using it = await open({
    listAddressHistory: ({ pageToken }) =>
      pageToken === '' ? { tenures: [wireReservation], nextPageToken: 'more' } : { tenures: [wireTenure] },
  });
  const { reservations } = it.leasehold;
  const span = { startTime: NOON, endTime: wireTenure.endTime };
  const [held, over] = await reservations.history({ subnetId: 'red-a', address: '10.0.0.7', ...span }).toArray();
  expect(held).toMatchObject({ state: 'reserved', endTime: undefined });
  expect(over).toMatchObject({ reservationId: 'r-0', state: 'ended', releaseTime: NOON, endTime: wireTenure.endTime });
  await reservations.history({ mac: wireReservation.mac, networkId: 'red' }, { pageSize: 7 }).page();
  await reservations.history({ owner: 'vm-42/nic0' }).page();
  const none = {
    subnetId: '',
    address: '',
    mac: '',
    owner: '',
    networkId: '',
    startTime: undefined,
    endTime: undefined,
  };
  expect(it.fake.requests('listAddressHistory')).toEqual([
    { ...none, subnetId: 'red-a', address: '10.0.0.7', ...span, pageSize: 0, pageToken: '' },
    { ...none, subnetId: 'red-a', address: '10.0.0.7', ...span, pageSize: 0, pageToken: 'more' },
    { ...none, mac: wireReservation.mac, networkId: 'red', pageSize: 7, pageToken: '' },
    { ...none, owner: 'vm-42/nic0', pageSize: 0, pageToken: '' },
  ]);
});

test('who changed what is a list of events, each with what it was before and is after', async () => {
  await using it = await open({
    listAuditEvents: ({ pageToken }) =>
      pageToken === ''
        ? { events: wireAudit, nextPageToken: 'more' }
        : { events: [{ ...wireAudit[0], resourceKind: 99 as 1, before: { state: undefined } }] },
  });
  const { audit } = it.leasehold;
  const filter = { resourceKind: 'subnet', resourceId: 'red-a', caller: 'me', startTime: NOON } as const;
  const [subnet, reserved, deleted, moved, newer] = await audit.list(filter, { pageSize: 4 }).toArray();
  expect(subnet).toMatchObject({ resourceKind: 'subnet', caller: 'engine/ovirt', networkId: 'red', requestId: '' });
  const leaseTimes =
    subnet?.resourceKind === 'subnet' && [subnet.before, subnet.after].map((each) => each?.leaseTimeSeconds);
  expect(leaseTimes).toEqual([3_600, 7_200]);
  expect(reserved).toMatchObject({ before: undefined, after: { mac: '52:54:00:aa:bb:cc', state: 'reserved' } });
  expect(deleted).toMatchObject({
    resourceKind: 'host',
    before: { managed: true, liveness: 'unknown' },
    after: undefined,
  });
  expect(moved).toMatchObject({ resourceKind: 'placements', before: { hostIds: ['h1'] }, after: { hostIds: ['h2'] } });
  expect(newer).toMatchObject({ resourceKind: 'unknown', before: undefined, after: undefined, method: 'UpdateSubnet' });
  const asked = { networkId: '', resourceId: 'red-a', caller: 'me', startTime: NOON, endTime: undefined, pageSize: 4 };
  expect(it.fake.requests('listAuditEvents')).toEqual([
    { ...asked, resourceKind: 2, pageToken: '' },
    { ...asked, resourceKind: 2, pageToken: 'more' },
  ]);
  await audit.list().page();
  expect(it.fake.requests('listAuditEvents')[2]).toMatchObject({ resourceKind: 0, resourceId: '', caller: '' });
});

test('a delete carries its guard', async () => {
  await using it = await open({ deleteNetwork: () => ({}), deleteSubnet: () => ({}), deleteHost: () => ({}) });
  await it.leasehold.networks.delete('red', { etag: 'n1' });
  await it.leasehold.subnets.delete('red-a');
  await it.leasehold.hosts.delete('h1', { etag: 'h1' });
  expect(it.fake.requests('deleteNetwork')).toEqual([{ networkId: 'red', etag: 'n1' }]);
  expect(it.fake.requests('deleteSubnet')).toEqual([{ subnetId: 'red-a', etag: '' }]);
  expect(it.fake.requests('deleteHost')).toEqual([{ hostId: 'h1', etag: 'h1' }]);
});

test('a fence says why, and comes back with the host', async () => {
  const fence = { reason: 'pulled its plug', fencedBy: 'insecure', time: wireHost.createTime };
  await using it = await open({ fenceHost: () => ({ host: { ...wireHost, fence } }) });
  expect((await it.leasehold.hosts.fence('h1', 'pulled its plug')).fence).toEqual(fence);
  expect(it.fake.requests('fenceHost')).toEqual([{ hostId: 'h1', reason: 'pulled its plug' }]);
});

test('a reservation arrives with its state as a word; what this client does not know is unknown', async () => {
  await using it = await open({
    getReservation: (_, attempt) => ({ reservation: { ...wireReservation, state: (attempt === 1 ? 1 : 9) as 1 } }),
  });
  const held = await it.leasehold.reservations.get({ reservationId: 'r-1' });
  const notYet = { releaseTime: undefined, reusableTime: undefined, endTime: undefined, conflict: undefined };
  expect(held).toStrictEqual({ ...wireReservation, state: 'reserved', ...notYet });
  expect((await it.leasehold.reservations.get({ reservationId: 'r-1' })).state).toBe('unknown');
});

test('what a host noticed of a reservation arrives with its kind as a word', async () => {
  const conflict = { time: wireReservation.createTime, sourceMac: '52:54:00:00:00:ff', hostId: 'h1' };
  await using it = await open({
    getReservation: () => ({ reservation: { ...wireReservation, conflict: { ...conflict, kind: 2 as const } } }),
  });
  const { conflict: shown } = await it.leasehold.reservations.get({ reservationId: 'r-1' });
  expect(shown).toStrictEqual({ ...conflict, kind: 'address-in-use' });
});

test('a reservation is named by its id, its address or its MAC', async () => {
  await using it = await open({
    getReservation: () => ({ reservation: wireReservation }),
    releaseAddress: () => ({ reservation: { ...wireReservation, state: 2, releaseTime: NOON, reusableTime: NOON } }),
  });
  const { reservations } = it.leasehold;
  await reservations.get({ reservationId: 'r-1' });
  await reservations.get({ subnetId: 'red-a', address: '10.0.0.7' });
  await reservations.get({ networkId: 'red', mac: wireReservation.mac });
  expect(it.fake.requests('getReservation').map(({ key }) => key)).toEqual([
    { $case: 'reservationId', value: 'r-1' },
    { $case: 'address', value: { subnetId: 'red-a', address: '10.0.0.7' } },
    { $case: 'mac', value: { networkId: 'red', mac: wireReservation.mac } },
  ]);

  const released = await reservations.release({
    subnetId: 'red-a',
    address: '10.0.0.7',
    mac: wireReservation.mac,
    guestStopped: true,
  });
  expect(released).toMatchObject({ state: 'quarantined', releaseTime: NOON, reusableTime: NOON });
  await reservations.release({ reservationId: 'r-1', mac: wireReservation.mac });
  await reservations.release({ networkId: 'red', mac: wireReservation.mac, reservationId: 'r-1' });
  const none = {
    subnetId: '',
    address: '',
    key: undefined,
    reservationId: '',
    mac: '',
    guestStopped: false,
    requestId: '',
  };
  expect(it.fake.requests('releaseAddress')).toEqual([
    { ...none, subnetId: 'red-a', address: '10.0.0.7', mac: wireReservation.mac, guestStopped: true },
    { ...none, key: { key: { $case: 'reservationId', value: 'r-1' } }, mac: wireReservation.mac },
    {
      ...none,
      key: { key: { $case: 'mac', value: { networkId: 'red', mac: wireReservation.mac } } },
      reservationId: 'r-1',
    },
  ]);
});

test('lists pass their filters on', async () => {
  await using it = await open({
    listReservations: () => ({ reservations: [wireReservation] }),
    listSubnets: () => ({ subnets: [wireSubnet] }),
    listHosts: () => ({ hosts: [wireHost] }),
    listPlacements: () => ({ placements: [wirePlacement] }),
  });
  await it.leasehold.reservations.list({ networkId: 'red', owner: 'vm-42/nic0', state: 'quarantined' }).toArray();
  await it.leasehold.subnets.list({ networkId: 'red' }).toArray();
  const hosts = await it.leasehold.hosts.list({ networkId: 'red' }).toArray();
  const placements = await it.leasehold.placements.list({ hostId: 'h1' }, { pageSize: 7 }).toArray();
  expect(it.fake.requests('listReservations')[0]).toMatchObject({ networkId: 'red', owner: 'vm-42/nic0', state: 2 });
  expect(it.fake.requests('listSubnets')[0]).toMatchObject({ networkId: 'red', pageSize: 0 });
  expect(it.fake.requests('listHosts')[0]).toMatchObject({ networkId: 'red' });
  expect(it.fake.requests('listPlacements')[0]).toMatchObject({ hostId: 'h1', pageSize: 7 });
  expect(hosts).toEqual([{ ...wireHost, liveness: 'up', breaker: 'half-open' }]);
  expect(placements).toEqual([{ ...wirePlacement, epoch: 7, state: 'serving' }]);
});

test('a rebalance answers its moves, and is repeated only as a preview', async () => {
  const move = { networkId: 'red', fromHostId: 'h1', toHostId: 'h2' };
  await using it = await open({
    rebalancePlacements: (_, attempt) =>
      attempt < 3 ? refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' }) : { moves: [move] },
  });
  await expect(it.leasehold.placements.rebalance()).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
  expect(await it.leasehold.placements.rebalance({ networkId: 'red', validateOnly: true })).toEqual([move]);
  expect(it.fake.requests('rebalancePlacements')).toEqual([
    { networkId: '', validateOnly: false },
    { networkId: 'red', validateOnly: true },
    { networkId: 'red', validateOnly: true },
  ]);
});

test('status leaves out what the server does not know', async () => {
  const bareStatus = { holder: {}, store: { kind: 'embedded' } };
  await using it = await open({ getStatus: (_, attempt) => (attempt === 1 ? wireStatus : bareStatus) });
  expect(await it.leasehold.status()).toMatchObject({
    store: { kind: 'mongodb', incarnation: 1, breaker: 'open', unavailableSince: NOON },
    holder: { server: 's1', epoch: 3, isSelf: true, advertise: '10.9.0.1:7067', agentAdvertise: '10.9.0.1:7069' },
    brakes: [{ kind: 'START', since: NOON }],
    counts: { reservations: 3, hostsUp: 1 },
    authoritySeconds: 86_400,
    time: NOON,
    certificateEndTime: wireStatus.certificateEndTime,
  });
  const bare = await it.leasehold.status();
  expect(bare).toMatchObject({ startTime: undefined, holder: undefined, counts: undefined });
  expect(bare).toMatchObject({ time: undefined, certificateEndTime: undefined });
  expect(bare.store).toMatchObject({ breaker: 'unknown', unavailableSince: undefined });
});

test('an answer without what the contract promises is the server’s fault, not a half resource', async () => {
  await using it = await open({ getNetwork: (_, attempt) => (attempt === 1 ? {} : { network: { networkId: 'red' } }) });
  await expect(it.leasehold.networks.get('red')).rejects.toMatchObject({ reason: 'MALFORMED_RESPONSE' });
  await expect(it.leasehold.networks.get('red')).rejects.toThrow(/network\.ipam_enabled/);
});
