// What fields of a request may be, wherever they are.

import {
  CreateNetworkRequest,
  CreateSubnetRequest,
  GetReservationRequest,
  ReleaseAddressRequest,
  ReserveAddressRequest,
  UpdateHostRequest,
  UpdateNetworkRequest,
  UpdateSubnetRequest,
} from '@leasehold/proto/ipam/v1/ipam_service';
import { describe, expect, test } from 'vitest';
import type { Result } from '../../domain/errors.js';
import { fromUpdateHost } from './host.js';
import { fromCreateNetwork, fromUpdateNetwork } from './network.js';
import { fromGetReservation, fromRelease, fromReserve } from './reservation.js';
import { fromCreateSubnet, fromUpdateSubnet } from './subnet.js';

const SUBNET = { networkId: 'red', subnetId: 'red-a', cidr: '10.0.0.0/24' };
const RESERVE = { subnetId: 'red-a', mac: '52:54:00:00:00:01' };

/** The fields that are wrong. */
function wrong(result: Result<unknown>): readonly string[] {
  return result.ok ? [] : result.error.violations.map(({ field }) => field);
}

function network(labels: Record<string, string>): Result<unknown> {
  return fromCreateNetwork(CreateNetworkRequest.fromPartial({ network: { labels } }));
}

describe('labels', () => {
  test.each(['a', 'A.b_c/d-e', 'example.org/tier', '0', 'x'.repeat(63), 'constructor'])(
    'may have the key %j',
    (key) => {
      expect(network({ [key]: 'value' })).toMatchObject({
        ok: true,
        value: { settings: { labels: { [key]: 'value' } } },
      });
    },
  );

  test.each(['', '-a', '.a', 'a b', 'a\n', 'ü', 'a=b', 'x'.repeat(64), '_a'])('may not have the key %j', (key) => {
    expect(wrong(network({ [key]: 'value' }))).toEqual(['network.labels']);
  });

  test.each(['a\nb', '\u0000', '\u001b[31m', '\u007f', '\u0085', 'x'.repeat(256), 'ü'.repeat(128)])(
    'may not have the value %j',
    (value) => {
      expect(wrong(network({ a: value }))).toEqual(['network.labels']);
    },
  );

  test.each(['', 'ünit', 'a b', 'x'.repeat(255)])('may have the value %j', (value) => {
    expect(wrong(network({ a: value }))).toEqual([]);
  });
});

describe('a duration', () => {
  const wrongSpans = [
    { seconds: -1n },
    { seconds: 0n, nanos: -1 },
    { seconds: 61n, nanos: -1_000_000_000 },
    { seconds: -61n, nanos: 1_000_000_000 },
    { seconds: 3_600n, nanos: 1_000_000_000 },
    { seconds: 315_576_000_001n },
    { seconds: 2n ** 63n - 1n },
  ];

  test.each(wrongSpans)('$seconds s $nanos ns is none for leases, rests and waits', (span) => {
    const more = { leaseTime: span, reuseDelay: span };
    const subnet = fromCreateSubnet(CreateSubnetRequest.fromPartial({ subnet: { ...SUBNET, ...more } }));
    expect(wrong(subnet)).toEqual(['subnet.lease_time', 'subnet.reuse_delay']);
    const wait = fromReserve(ReserveAddressRequest.fromPartial({ ...RESERVE, waitReady: { timeout: span } }), 'c');
    expect([...new Set(wrong(wait))]).toEqual(['wait_ready.timeout']);
  });

  test('that a setting is, is whole seconds; one to wait for is not', () => {
    const span = { seconds: 200n, nanos: 1 };
    const subnet = fromCreateSubnet(CreateSubnetRequest.fromPartial({ subnet: { ...SUBNET, leaseTime: span } }));
    expect(wrong(subnet)).toEqual(['subnet.lease_time']);
    const timeout = { seconds: 1n, nanos: 500_000_001 };
    const wait = fromReserve(ReserveAddressRequest.fromPartial({ ...RESERVE, waitReady: { timeout } }), 'c');
    expect(wait).toMatchObject({ ok: true, value: { waitReady: { servers: 1, timeoutMs: 1_501 } } });
  });

  test('to wait for is at most 60 s', () => {
    const timeout = { seconds: 60n, nanos: 1 };
    const wait = fromReserve(ReserveAddressRequest.fromPartial({ ...RESERVE, waitReady: { timeout } }), 'c');
    expect(wrong(wait)).toEqual(['wait_ready.timeout']);
  });
});

describe('request_id', () => {
  test.each(['x'.repeat(129), 'a\nb'])('%j is refused wherever there is one', (requestId) => {
    const key = { subnetId: 'red-a', address: '10.0.0.1' };
    expect([
      wrong(fromCreateNetwork(CreateNetworkRequest.fromPartial({ network: { networkId: 'red' }, requestId }))),
      wrong(fromCreateNetwork(CreateNetworkRequest.fromPartial({ network: {}, requestId }))),
      wrong(fromCreateSubnet(CreateSubnetRequest.fromPartial({ subnet: SUBNET, requestId }))),
      wrong(fromReserve(ReserveAddressRequest.fromPartial({ ...RESERVE, requestId }), 'c')),
      wrong(fromRelease(ReleaseAddressRequest.fromPartial({ ...key, requestId }), 'c')),
    ]).toEqual(Array.from({ length: 5 }, () => ['request_id']));
  });
});

describe('reservation_id', () => {
  test('longer than any that was made is refused, as a key and as a guard', () => {
    const long = 'a'.repeat(3_000);
    const key = { $case: 'reservationId', value: long } as const;
    const place = { subnetId: 'red-a', address: '10.0.0.1' };
    expect([
      wrong(fromGetReservation(GetReservationRequest.fromPartial({ key }))),
      wrong(fromRelease(ReleaseAddressRequest.fromPartial({ key: { key } }), 'c')),
      wrong(fromRelease(ReleaseAddressRequest.fromPartial({ ...place, reservationId: long }), 'c')),
    ]).toEqual([['reservation_id'], ['key.reservation_id'], ['reservation_id']]);
  });
});

describe('an update mask', () => {
  test('that is empty is as good as none: what is set is changed', () => {
    const updateMask: string[] = [];
    const patchOf = (result: Result<{ readonly patch: unknown }>) => (result.ok ? result.value.patch : result.error);
    expect([
      patchOf(
        fromUpdateNetwork(
          UpdateNetworkRequest.fromPartial({ network: { networkId: 'red', displayName: 'R' }, updateMask }),
        ),
      ),
      patchOf(
        fromUpdateSubnet(UpdateSubnetRequest.fromPartial({ subnet: { subnetId: 'red-a', mtu: 1_400 }, updateMask })),
      ),
      patchOf(fromUpdateHost(UpdateHostRequest.fromPartial({ host: { hostId: 'h1', maintenance: true }, updateMask }))),
    ]).toEqual([{ displayName: 'R' }, { mtu: 1_400 }, { maintenance: true }]);
  });
});
