// What is refused is refused with its code, reason and field, and changes nothing: a real server, through the SDK.

import { type ServiceError, status } from '@grpc/grpc-js';
import { UpdateNetworkRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { refusalOf } from '../support/refusal.js';

let cluster: Cluster;
let leasehold: Leasehold;

const HOLDER = '52:54:00:00:05:01';
const STRANGER = '52:54:00:00:05:02';
const LEAVER = '52:54:00:00:05:03';

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red', displayName: 'Red' });
  await leasehold.networks.create({ networkId: 'empty' });
  await leasehold.subnets.create({
    subnetId: 'red-a',
    networkId: 'red',
    cidr: '10.1.0.0/24',
    gateway: '10.1.0.1',
    excludedRanges: [{ first: '10.1.0.100', last: '10.1.0.110' }],
  });
  await leasehold.subnets.create({ subnetId: 'red-b', networkId: 'red', cidr: '10.1.1.0/24' });
  const reserve = { subnetId: 'red-a', requestId: 'first' };
  await leasehold.reservations.reserve({ ...reserve, mac: HOLDER, address: '10.1.0.10' });
  const leaving = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: LEAVER, address: '10.1.0.11' });
  await leasehold.reservations.release({ reservationId: leaving.reservation.reservationId });
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** Everything that calls can change. */
async function everything() {
  const networks = await leasehold.networks.list().toArray();
  return {
    networks: networks.map(({ status: _, ...settings }) => settings),
    subnets: await leasehold.subnets.list().toArray(),
    reservations: (await leasehold.reservations.list().toArray()).map(({ reusableTime: _, ...rest }) => rest),
  };
}

/** Makes a call that must be refused and change nothing. */
async function expectRefusal(call: () => Promise<unknown>, expected: object): Promise<void> {
  const before = await everything();
  const refusal = await refusalOf(call());
  expect(refusal).toMatchObject({ retryable: false, ...expected });
  expect(refusal.message.length).toBeGreaterThan(10);
  expect(await everything()).toEqual(before);
}

function invalid(field: string, description: RegExp | string) {
  const text =
    typeof description === 'string' ? expect.stringContaining(description) : expect.stringMatching(description);
  return { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', fieldViolations: [{ field, description: text }] };
}

const subnet = (fields: object) => () =>
  leasehold.subnets.create({ subnetId: 'new', networkId: 'red', cidr: '10.9.0.0/24', ...fields });
const reserve = (fields: object) => () =>
  leasehold.reservations.reserve({ subnetId: 'red-a', mac: STRANGER, ...fields });

describe('a subnet is refused', () => {
  test.each([
    ['with a non-contiguous mask', { cidr: '10.9.0.0/255.0.255.0' }, invalid('subnet.cidr', 'not contiguous')],
    ['with host bits, naming what was meant', { cidr: '10.9.0.5/24' }, invalid('subnet.cidr', '10.9.0.0/24')],
    ['that is larger than /8', { cidr: '10.0.0.0/7' }, invalid('subnet.cidr', '/7')],
    ['with a gateway outside', { gateway: '10.8.0.1' }, invalid('subnet.gateway', 'outside')],
    ['with its network address as gateway', { gateway: '10.9.0.0' }, invalid('subnet.gateway', 'network address')],
    ['with a next hop outside', routeBy('10.8.0.1'), invalid('subnet.routes[0].next_hop', 'outside')],
    ['with a DNS server that is no address', { dnsServers: ['dns'] }, invalid('subnet.dns_servers[0]', 'dns')],
    ['with a lease of a minute', { leaseTimeSeconds: 60 }, invalid('subnet.lease_time', '120')],
    ['with an option of its own field', withOption(51), invalid('subnet.options[0]', 'lease_time')],
    ['with a search domain that hides a line', { domainSearch: ['a\nb'] }, invalid('subnet.domain_search[0]', /./)],
  ])('%s', async (_, fields, expected) => {
    await expectRefusal(subnet(fields), expected);
  });

  test('that overlaps another of its network, also when it holds it', async () => {
    for (const cidr of ['10.1.0.0/24', '10.1.0.128/25', '10.0.0.0/8']) {
      const metadata = { subnet_id: expect.stringMatching(/^red-/) as string };
      await expectRefusal(subnet({ cidr }), { code: 'ALREADY_EXISTS', reason: 'SUBNET_OVERLAP', metadata });
    }
  });

  test('with an id that exists, unless it is the same', async () => {
    const same = { subnetId: 'red-b', cidr: '10.1.1.0/24' };
    expect(await subnet(same)()).toMatchObject({ subnetId: 'red-b' });
    await expectRefusal(subnet({ ...same, mtu: 1400 }), { code: 'ALREADY_EXISTS', reason: 'SUBNET_EXISTS' });
    await expectRefusal(subnet({ networkId: 'nowhere' }), { code: 'NOT_FOUND', reason: 'NETWORK_NOT_FOUND' });
  });
});

describe('a reservation is refused', () => {
  test.each([
    ['for a multicast MAC', { mac: '53:54:00:00:05:02' }, invalid('mac', 'multicast')],
    ['for the zero MAC', { mac: '00:00:00:00:00:00' }, invalid('mac', /./)],
    ['outside the subnet', { address: '10.1.9.9' }, invalid('address', 'outside')],
    ['of the network address', { address: '10.1.0.0' }, invalid('address', 'network')],
    ['of the broadcast address', { address: '10.1.0.255' }, invalid('address', 'broadcast')],
    ['of the gateway', { address: '10.1.0.1' }, invalid('address', 'gateway')],
    ['of an excluded address', { address: '10.1.0.105' }, invalid('address', 'excluded')],
    ['with an address of leading zeros', { address: '10.1.0.010' }, invalid('address', /./)],
    ['with a host name that is a lease time to dnsmasq', { hostname: 'infinite' }, invalid('hostname', /./)],
    ['that waits for more servers than ever serve', waitFor(2), invalid('wait_ready.servers', 'dhcp_server_count')],
    ['without a subnet or network', { subnetId: '' }, invalid('subnet_id', 'required')],
  ])('%s', async (_, fields, expected) => {
    await expectRefusal(reserve(fields), expected);
  });

  test('for a MAC that has another address, which it names', async () => {
    const metadata = { network_id: 'red', subnet_id: 'red-a', address: '10.1.0.10', mac: HOLDER };
    const expected = { code: 'ALREADY_EXISTS', reason: 'MAC_RESERVED', metadata };
    await expectRefusal(reserve({ mac: HOLDER, address: '10.1.0.20' }), expected);
    await expectRefusal(reserve({ mac: HOLDER, subnetId: 'red-b' }), expected);
    // Asking for what it has is no conflict.
    expect(await reserve({ mac: '5254.0000.0501' })()).toMatchObject({ created: false });
  });

  test('of an address that another MAC has, or had until now', async () => {
    const metadata = { address: '10.1.0.10', mac: HOLDER };
    await expectRefusal(reserve({ address: '10.1.0.10' }), {
      code: 'ALREADY_EXISTS',
      reason: 'ADDRESS_RESERVED',
      metadata,
    });
    const resting = { address: '10.1.0.11', mac: LEAVER, reusable_time: expect.any(String) as string };
    await expectRefusal(reserve({ address: '10.1.0.11' }), {
      code: 'FAILED_PRECONDITION',
      reason: 'ADDRESS_QUARANTINED',
      metadata: resting,
    });
  });

  test('under a request id that was used for something else, and answered again under the same', async () => {
    const first = { requestId: 'first', mac: HOLDER, address: '10.1.0.10' };
    expect(await reserve(first)()).toMatchObject({ created: false, reservation: { address: '10.1.0.10' } });
    await expectRefusal(reserve({ ...first, mac: STRANGER }), {
      code: 'INVALID_ARGUMENT',
      reason: 'REQUEST_ID_REUSED',
      metadata: { request_id: 'first' },
    });
  });

  test('in a subnet that does not exist', async () => {
    await expectRefusal(reserve({ subnetId: 'nowhere' }), { code: 'NOT_FOUND', reason: 'SUBNET_NOT_FOUND' });
  });
});

describe('a change is refused', () => {
  test('with an etag of other settings', async () => {
    const { etag } = await leasehold.networks.get('empty');
    const mismatch = { code: 'ABORTED', reason: 'ETAG_MISMATCH' };
    const metadata = { etag: (await leasehold.networks.get('red')).etag };
    await expectRefusal(() => leasehold.networks.update('red', { dhcpServerCount: 2 }, { etag }), {
      ...mismatch,
      metadata,
    });
    await expectRefusal(() => leasehold.networks.delete('empty', { etag: metadata.etag }), mismatch);
    await expectRefusal(() => leasehold.subnets.update('red-a', { mtu: 1400 }, { etag }), mismatch);
    await expectRefusal(() => leasehold.subnets.delete('red-b', { etag }), mismatch);
  });

  test('with an unknown path in its mask', async () => {
    const before = await everything();
    const request = UpdateNetworkRequest.fromPartial({
      network: { networkId: 'red', displayName: 'Blue' },
      updateMask: ['display_name', 'colour'],
    });
    const error = await new Promise<ServiceError | null>((resolve) => {
      leasehold.raw.updateNetwork(request, (refused) => resolve(refused));
    });
    expect(error?.code).toBe(status.INVALID_ARGUMENT);
    expect(error?.details).toMatch(/update_mask.*colour.*display_name/);
    expect(await everything()).toEqual(before);
  });

  test('that deletes a network with subnets, or a subnet with reservations', async () => {
    await expectRefusal(() => leasehold.networks.delete('red'), {
      code: 'FAILED_PRECONDITION',
      reason: 'NETWORK_IN_USE',
      metadata: { network_id: 'red', subnet_id: expect.stringMatching(/^red-/) as string },
    });
    await expectRefusal(() => leasehold.subnets.delete('red-a'), {
      code: 'FAILED_PRECONDITION',
      reason: 'SUBNET_IN_USE',
      metadata: { subnet_id: 'red-a', address: '10.1.0.10' },
    });
  });

  test('that makes a reserved or resting address the gateway or excludes it', async () => {
    for (const address of ['10.1.0.10', '10.1.0.11']) {
      const expected = { code: 'FAILED_PRECONDITION', reason: 'RANGE_IN_USE', metadata: { address } };
      await expectRefusal(() => leasehold.subnets.update('red-a', { gateway: address }), expected);
      const excludedRanges = [{ first: address, last: address }];
      await expectRefusal(() => leasehold.subnets.update('red-a', { excludedRanges }), expected);
    }
  });
});

test('a page token of another list, or of nowhere, is refused', async () => {
  const { nextPageToken } = await leasehold.networks.list({ pageSize: 1 }).page();
  expect(nextPageToken).not.toBe('');
  const expected = { code: 'INVALID_ARGUMENT', reason: 'INVALID_PAGE_TOKEN' };
  await expectRefusal(() => leasehold.networks.list().page('bogus'), expected);
  await expectRefusal(() => leasehold.subnets.list().page(nextPageToken), expected);
  await expectRefusal(() => leasehold.reservations.list().page(nextPageToken), expected);
});

function routeBy(nextHop: string) {
  return { routes: [{ destination: '192.168.0.0/16', nextHop }] };
}

function withOption(code: number) {
  return { options: [{ code, value: '60' }] };
}

function waitFor(servers: number) {
  return { waitReady: { servers } };
}
