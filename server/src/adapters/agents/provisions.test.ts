import type { Ipv4, Mac } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import type { HostId, NetworkId, ReservationId, Uid } from '../../domain/ids.js';
import type { ProvidedNetwork, ProvidedReservation } from '../../ports/dhcp-provider.js';
import { Provisions } from './provisions.js';

const [H1, H2] = ['h1', 'h2'] as HostId[] as [HostId, HostId];
const [RED, BLUE] = ['red', 'blue'] as NetworkId[] as [NetworkId, NetworkId];
const ADDRESS = 0x0a000001 as Ipv4;
const RESERVATION: ProvidedReservation = {
  reservationId: 'r' as ReservationId,
  address: ADDRESS,
  mac: '52:54:00:00:00:01' as Mac,
  hostname: '',
  options: [],
};

function network(networkId: NetworkId): ProvidedNetwork {
  return { networkId, uid: 'u' as Uid, placementEpoch: 1, subnets: [], removalsOnly: false };
}

/** Whether the table is the one that it was. */
function keeps(provisions: Provisions, during: () => void): boolean {
  const table = provisions.table(RED);
  during();
  return provisions.table(RED) === table;
}

const isServed = (provisions: Provisions) => provisions.isServed(RED, ADDRESS, RESERVATION.reservationId);

test('a table is kept while it has reservations, or somebody shall serve its network, and no longer', () => {
  const provisions = new Provisions(() => undefined);
  provisions.set(H1, [network(RED)]);
  provisions.set(H2, [network(RED), network(BLUE)]);
  provisions.add(RED, RESERVATION);
  expect(keeps(provisions, () => provisions.remove(RED, ADDRESS))).toBe(true);
  expect(keeps(provisions, () => provisions.setNetwork(H1, RED, undefined))).toBe(true);
  provisions.add(RED, RESERVATION);
  expect(keeps(provisions, () => provisions.set(H2, [network(BLUE)]))).toBe(true);
  expect(keeps(provisions, () => provisions.clear())).toBe(true);
  expect(keeps(provisions, () => provisions.remove(RED, ADDRESS))).toBe(false);
  provisions.set(H1, [network(RED)]);
  expect(keeps(provisions, () => provisions.set(H1, [network(RED)]))).toBe(true);
  expect(keeps(provisions, () => provisions.forget(H1))).toBe(false);
  provisions.set(H1, [network(RED)]);
  expect(keeps(provisions, () => provisions.setNetwork(H1, RED, undefined))).toBe(false);
  provisions.set(H1, [network(RED)]);
  expect(keeps(provisions, () => provisions.clear())).toBe(false);
});

test('one network more or less leaves the others of a host as they are', () => {
  const provisions = new Provisions(() => undefined);
  provisions.add(RED, RESERVATION);
  provisions.set(H1, [network(BLUE)]);
  provisions.setNetwork(H1, RED, network(RED));
  expect([...(provisions.of(H1)?.networks.keys() ?? [])]).toEqual([BLUE, RED]);
  expect(isServed(provisions)).toBe(true);
  provisions.setNetwork(H1, RED, undefined);
  expect([...(provisions.of(H1)?.networks.keys() ?? [])]).toEqual([BLUE]);
  expect(isServed(provisions)).toBe(false);
});

test('of a host of which nobody said what it shall serve one network says nothing', () => {
  const provisions = new Provisions(() => undefined);
  provisions.setNetwork(H1, RED, network(RED));
  expect(provisions.of(H1)).toBeUndefined();
  expect(isServed(provisions)).toBe(false);
});
