// Networks and subnets: creating, masks, etags, deleting, listing.

import { UpdateNetworkRequest, type UpdateNetworkResponse } from '@leasehold/proto/ipam/v1/ipam_service';
import { expect } from 'vitest';
import { type ApiCheck, type ApiStage, allOf, invalid } from './stage.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-/;

/** The claims. */
export const SETTINGS_CHECKS: readonly ApiCheck[] = [
  {
    name: 'a network has what it was created with, its defaults, a uid and an etag',
    async run(stage) {
      const networkId = stage.name('net');
      const created = await stage.api.createNetwork({ networkId, displayName: 'Red', labels: { rack: '7' } });
      const settings = { displayName: 'Red', labels: { rack: '7' }, ipamEnabled: true, dhcpServerCount: 1 };
      expect(created).toMatchObject({ networkId, ...settings, createdBy: expect.any(String) as string });
      expect([created.uid, created.etag].every((text) => text.length > 0)).toBe(true);
      const { status: _, ...stored } = created;
      expect(await stage.api.getNetwork(networkId)).toMatchObject(stored);
    },
  },
  {
    name: 'created again with the same content a resource is the same one, with other content it is refused',
    async run(stage) {
      const networkId = stage.name('net');
      const network = { networkId, displayName: 'Red' };
      const { uid } = await stage.api.createNetwork(network);
      expect(await stage.api.createNetwork(network)).toMatchObject({ uid });
      const other = () => stage.api.createNetwork({ ...network, displayName: 'Blue' });
      const metadata = { network_id: networkId };
      await stage.expectRefused(networkId, other, { code: 'ALREADY_EXISTS', reason: 'NETWORK_EXISTS', metadata });

      const subnetId = stage.name('sub');
      const subnet = { subnetId, networkId, cidr: '10.0.0.0/24' };
      const first = await stage.api.createSubnet(subnet);
      expect(await stage.api.createSubnet({ ...subnet, cidr: '10.0.0.0/255.255.255.0' })).toMatchObject({
        uid: first.uid,
      });
      const exists = { code: 'ALREADY_EXISTS', reason: 'SUBNET_EXISTS', metadata: { subnet_id: subnetId } };
      await stage.expectRefused(networkId, () => stage.api.createSubnet({ ...subnet, mtu: 1400 }), exists);
    },
  },
  {
    name: 'without an id a resource gets a UUID, the same one for the same request id',
    async run(stage) {
      const requestId = stage.name('request');
      const first = await stage.api.createNetwork({}, requestId);
      expect(first.networkId).toMatch(UUID);
      expect(await stage.api.createNetwork({}, requestId)).toMatchObject({
        networkId: first.networkId,
        uid: first.uid,
      });
      expect((await stage.api.createNetwork({}, stage.name('request'))).networkId).not.toBe(first.networkId);
    },
  },
  {
    name: 'a subnet is printed canonically, with defaults and counters',
    async run(stage) {
      const networkId = await stage.network();
      const subnet = await stage.api.createSubnet({
        networkId,
        cidr: '10.7.0.0/255.255.255.0',
        gateway: '10.7.0.1',
        dnsServers: ['10.7.0.2'],
        routes: [{ destination: '192.168.0.0/16', nextHop: '10.7.0.3' }],
        options: [{ code: 66, value: 'tftp.example.org' }],
      });
      expect(subnet).toMatchObject({
        networkId,
        cidr: '10.7.0.0/24',
        gateway: '10.7.0.1',
        dnsServers: ['10.7.0.2'],
        routes: [{ destination: '192.168.0.0/16', nextHop: '10.7.0.3' }],
        options: [{ code: 66, value: 'tftp.example.org' }],
        leaseTimeSeconds: 3600,
        reuseDelaySeconds: 60,
        usage: { capacity: 253, reserved: 0, quarantined: 0, free: 253 },
      });
    },
  },
  {
    name: 'an update changes what its mask names, also to empty, and the etag with it',
    async run(stage) {
      const networkId = await stage.network({ displayName: 'Red', labels: { a: '1' } });
      const before = await stage.api.getNetwork(networkId);
      const after = await stage.api.updateNetwork(networkId, { labels: {}, dhcpServerCount: 2 });
      expect(after).toMatchObject({ displayName: 'Red', labels: {}, dhcpServerCount: 2, uid: before.uid });
      expect(after.etag).not.toBe(before.etag);
      expect((await stage.api.updateNetwork(networkId, { dhcpServerCount: 2 })).etag).toBe(after.etag);

      const subnetId = await stage.subnet(networkId, { gateway: '10.0.0.1', mtu: 1400, dnsServers: ['10.0.0.2'] });
      const cleared = await stage.api.updateSubnet(subnetId, { gateway: null, mtu: null, dnsServers: [] });
      expect(cleared).toMatchObject({ dnsServers: [], leaseTimeSeconds: 3600 });
      expect([cleared.gateway || undefined, cleared.mtu]).toEqual([undefined, undefined]);
    },
  },
  {
    name: 'an update without a mask changes what is set, one of * everything',
    async run(stage) {
      const networkId = await stage.network({ displayName: 'Red', labels: { a: '1' }, dhcpServerCount: 2 });
      expect(await rawUpdate(stage, { networkId, labels: { b: '2' } }, undefined)).toMatchObject({
        displayName: 'Red',
        labels: { b: '2' },
        dhcpServerCount: 2,
      });
      expect(await rawUpdate(stage, { networkId, displayName: 'Blue' }, ['*'])).toMatchObject({
        displayName: 'Blue',
        labels: {},
        dhcpServerCount: 1,
      });
    },
  },
  {
    name: 'an unknown path of a mask is refused, with the known ones',
    async run(stage) {
      const networkId = await stage.network({ displayName: 'Red' });
      const update = rawUpdate(stage, { networkId, displayName: 'Blue' }, ['display_name', 'colour']);
      await expect(update).rejects.toThrow(/update_mask.*colour.*display_name/);
      expect(await stage.api.getNetwork(networkId)).toMatchObject({ displayName: 'Red' });
    },
  },
  {
    name: 'an etag of other settings guards updates and deletes',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const { etag } = await stage.api.getNetwork(networkId);
      const now = await stage.api.updateNetwork(networkId, { dhcpServerCount: 3 }, etag);
      const mismatch = { code: 'ABORTED', reason: 'ETAG_MISMATCH', metadata: { etag: now.etag } };
      const update = () => stage.api.updateNetwork(networkId, { dhcpServerCount: 2 }, etag);
      await stage.expectRefused(networkId, update, mismatch);
      await stage.expectRefused(networkId, () => stage.api.updateSubnet(subnetId, { mtu: 1400 }, etag), {
        reason: 'ETAG_MISMATCH',
      });
      await stage.expectRefused(networkId, () => stage.api.deleteSubnet(subnetId, etag), { reason: 'ETAG_MISMATCH' });
      await stage.api.deleteSubnet(subnetId, (await stage.api.getSubnet(subnetId)).etag);
      await stage.expectRefused(networkId, () => stage.api.deleteNetwork(networkId, etag), mismatch);
      await stage.api.deleteNetwork(networkId, now.etag);
    },
  },
  {
    name: 'of two guarded updates at once one wins',
    async run(stage) {
      const networkId = await stage.network();
      const { etag } = await stage.api.getNetwork(networkId);
      const names = ['a', 'b', 'c', 'd'];
      const updates = names.map((displayName) => stage.api.updateNetwork(networkId, { displayName }, etag));
      const outcomes = await Promise.allSettled(updates);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const each of outcomes) {
        if (each.status === 'rejected') expect(each.reason).toMatchObject({ reason: 'ETAG_MISMATCH' });
      }
    },
  },
  {
    name: 'what is in use is not deleted, and says by what; what is deleted is not found, and its id makes another',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const { reservation } = await stage.api.reserve({ subnetId, mac: stage.mac() });
      const { address } = reservation;
      const inUse = { code: 'FAILED_PRECONDITION', metadata: { network_id: networkId, subnet_id: subnetId } };
      await stage.expectRefused(networkId, () => stage.api.deleteNetwork(networkId), {
        reason: 'NETWORK_IN_USE',
        ...inUse,
      });
      const metadata = { subnet_id: subnetId, address };
      await stage.expectRefused(networkId, () => stage.api.deleteSubnet(subnetId), {
        reason: 'SUBNET_IN_USE',
        metadata,
      });
      await stage.api.release({ reservationId: reservation.reservationId });
      const { uid } = await stage.api.getNetwork(networkId);
      await stage.api.deleteSubnet(subnetId);
      await stage.api.deleteNetwork(networkId);
      const gone = { code: 'NOT_FOUND', reason: 'NETWORK_NOT_FOUND', metadata: { network_id: networkId } };
      expect(await stage.refused(stage.api.getNetwork(networkId))).toMatchObject(gone);
      expect(await stage.refused(stage.api.getSubnet(subnetId))).toMatchObject({ reason: 'SUBNET_NOT_FOUND' });
      expect((await stage.api.createNetwork({ networkId })).uid).not.toBe(uid);
    },
  },
  {
    name: 'a new gateway or exclusion may be neither reserved nor resting',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      await stage.api.reserve({ subnetId, mac: stage.mac(), address: '10.0.0.10' });
      const resting = await stage.api.reserve({ subnetId, mac: stage.mac(), address: '10.0.0.11' });
      await stage.api.release({ reservationId: resting.reservation.reservationId });
      for (const address of ['10.0.0.10', '10.0.0.11']) {
        const expected = { code: 'FAILED_PRECONDITION', reason: 'RANGE_IN_USE', metadata: { address } };
        await stage.expectRefused(networkId, () => stage.api.updateSubnet(subnetId, { gateway: address }), expected);
        const excludedRanges = [{ first: address, last: address }];
        await stage.expectRefused(networkId, () => stage.api.updateSubnet(subnetId, { excludedRanges }), expected);
      }
    },
  },
  {
    name: 'subnets of a network do not overlap, those of two networks may',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId, { cidr: '10.1.0.0/24' });
      for (const cidr of ['10.1.0.0/24', '10.1.0.128/25', '10.0.0.0/8']) {
        const metadata = { subnet_id: subnetId, cidr: '10.1.0.0/24' };
        const expected = { code: 'ALREADY_EXISTS', reason: 'SUBNET_OVERLAP', metadata };
        await stage.expectRefused(networkId, () => stage.subnet(networkId, { cidr }), expected);
      }
      await stage.subnet(await stage.network(), { cidr: '10.1.0.0/24' });
    },
  },
  {
    name: 'lists are by id, in pages, and a token is good for its own list alone',
    async run(stage) {
      const networkId = await stage.network();
      const other = await stage.network();
      const made: string[] = [];
      for (let n = 0; n < 5; n++) made.push(await stage.subnet(networkId, { cidr: `10.${n}.0.0/24` }));
      const list = (page: object) => stage.api.listSubnets({ networkId }, page);
      expect((await allOf(list, 2)).map(({ subnetId }) => subnetId)).toEqual(made.toSorted());
      const { items, nextPageToken } = await list({ pageSize: 2 });
      expect(items).toHaveLength(2);
      const wrong = { code: 'INVALID_ARGUMENT', reason: 'INVALID_PAGE_TOKEN' };
      const refusals = [
        stage.api.listSubnets({ networkId: other }, { pageToken: nextPageToken }),
        stage.api.listNetworks({ pageToken: nextPageToken }),
        stage.api.listReservations({ networkId }, { pageToken: nextPageToken }),
        stage.api.listSubnets({ networkId }, { pageToken: 'bogus' }),
      ];
      for (const each of refusals) expect(await stage.refused(each)).toMatchObject(wrong);
      const networks = await allOf((page) => stage.api.listNetworks(page), 3);
      expect(networks.map((each) => each.networkId)).toEqual(expect.arrayContaining([networkId, other]));
    },
  },
  {
    name: 'what was set is there after a restart',
    async run(stage) {
      const networkId = await stage.network({ displayName: 'Red', labels: { a: '1' } });
      const subnetId = await stage.subnet(networkId, { gateway: '10.0.0.1', leaseTimeSeconds: 600 });
      const [network, subnet] = [await stage.api.getNetwork(networkId), await stage.api.getSubnet(subnetId)];
      await stage.place.restart();
      const { status: _, ...settings } = network;
      expect(await stage.api.getNetwork(networkId)).toMatchObject(settings);
      expect(await stage.api.getSubnet(subnetId)).toEqual(subnet);
    },
  },
  ...refusedNetworks(),
  ...refusedSubnets(),
];

function refusedNetworks(): readonly ApiCheck[] {
  const cases: readonly (readonly [what: string, settings: object, expected: object])[] = [
    ['with an id of capitals', { networkId: 'Red' }, invalid('network.network_id')],
    ['with 17 servers', { dhcpServerCount: 17 }, invalid('network.dhcp_server_count', /16/)],
    ['with a label of an empty key', { labels: { '': 'x' } }, { reason: 'INVALID_FIELD' }],
  ];
  return cases.map(([what, settings, expected]) => ({
    name: `a network is refused ${what}`,
    async run(stage) {
      expect(await stage.refused(stage.api.createNetwork({ networkId: stage.name('net'), ...settings }))).toMatchObject(
        expected,
      );
    },
  }));
}

function refusedSubnets(): readonly ApiCheck[] {
  const cases: readonly (readonly [what: string, settings: object, expected: object])[] = [
    ['with a non-contiguous mask', { cidr: '10.9.0.0/255.0.255.0' }, invalid('subnet.cidr', /not contiguous/)],
    ['with host bits, naming what was meant', { cidr: '10.9.0.5/24' }, invalid('subnet.cidr', /10\.9\.0\.0\/24/)],
    ['that is larger than /8', { cidr: '10.0.0.0/7' }, invalid('subnet.cidr', /\/7/)],
    ['with a gateway outside', { gateway: '10.8.0.1' }, invalid('subnet.gateway', /outside/)],
    ['with its network address as gateway', { gateway: '10.9.0.0' }, invalid('subnet.gateway', /network address/)],
    [
      'with a next hop outside',
      { routes: [{ destination: '192.168.0.0/16', nextHop: '10.8.0.1' }] },
      invalid('subnet.routes[0].next_hop', /outside/),
    ],
    ['with a DNS server that is no address', { dnsServers: ['dns'] }, invalid('subnet.dns_servers[0]', /dns/)],
    ['with a lease of a minute', { leaseTimeSeconds: 60 }, invalid('subnet.lease_time', /120/)],
    [
      'with an option of its own field',
      { options: [{ code: 51, value: '60' }] },
      invalid('subnet.options[0]', /lease_time/),
    ],
    ['with a search domain that hides a line', { domainSearch: ['a\nb'] }, invalid('subnet.domain_search[0]')],
    ['of no network', { networkId: 'nowhere' }, { code: 'NOT_FOUND', reason: 'NETWORK_NOT_FOUND' }],
  ];
  return cases.map(([what, settings, expected]) => ({
    name: `a subnet is refused ${what}`,
    async run(stage) {
      const networkId = await stage.network();
      const create = () => stage.subnet(networkId, { cidr: '10.9.0.0/24', ...settings });
      await stage.expectRefused(networkId, create, expected);
    },
  }));
}

/** An update as only a raw client can make it. */
function rawUpdate({ api }: ApiStage, network: object, updateMask: string[] | undefined) {
  const request = UpdateNetworkRequest.fromPartial({ network, ...(updateMask && { updateMask }) });
  return new Promise<UpdateNetworkResponse['network']>((resolve, reject) => {
    api.raw.updateNetwork(request, (error, response) => (error ? reject(error) : resolve(response.network)));
  });
}
