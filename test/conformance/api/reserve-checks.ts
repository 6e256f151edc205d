// Reserving: which address, for whom, once, waiting, in batches.

import { expect } from 'vitest';
import { type ApiCheck, allOf, invalid } from './stage.js';

/** The claims. */
export const RESERVE_CHECKS: readonly ApiCheck[] = [
  {
    name: 'a reservation has what was asked for, in canonical form',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const mac = stage.mac();
      const { reservation, created, ready } = await stage.api.reserve({
        subnetId,
        mac: mac.toUpperCase().replaceAll(':', '-'),
        hostname: 'web',
        owner: 'vm-42/nic0',
        labels: { tier: 'front' },
        options: [{ code: 66, value: 'tftp' }],
      });
      const asked = { hostname: 'web', owner: 'vm-42/nic0', labels: { tier: 'front' } };
      expect([created, ready]).toEqual([true, false]);
      expect(reservation).toMatchObject({ networkId, subnetId, mac, state: 'reserved', ...asked });
      expect(reservation.options).toEqual([{ code: 66, value: 'tftp' }]);
      expect(reservation.address).toMatch(/^10\.0\.0\.\d+$/);
      for (const key of [
        { reservationId: reservation.reservationId },
        { subnetId, address: reservation.address },
        { networkId, mac },
      ]) {
        expect(await stage.api.getReservation(key)).toEqual(reservation);
      }
    },
  },
  {
    name: 'a MAC that asks again is answered what it has, also when it asks many times at once',
    async run(stage) {
      const subnetId = await stage.subnet(await stage.network(), { cidr: '10.0.0.0/29' });
      const mac = stage.mac();
      const results = await Promise.all(Array.from({ length: 20 }, () => stage.api.reserve({ subnetId, mac })));
      expect(new Set(results.map(({ reservation }) => reservation.reservationId)).size).toBe(1);
      expect(results.filter(({ created }) => created)).toHaveLength(1);
      const { address } = results[0]?.reservation ?? {};
      expect(await stage.api.reserve({ subnetId, mac, address })).toMatchObject({ created: false });
      await stage.expectUsage(subnetId, { reserved: 1 });
    },
  },
  {
    name: 'every address of a subnet is given once, the next request is refused, and is met in another of the network',
    async run(stage) {
      const networkId = await stage.network();
      const excludedRanges = [{ first: '10.0.0.4', last: '10.0.0.5' }];
      const subnetId = await stage.subnet(networkId, { cidr: '10.0.0.0/29', gateway: '10.0.0.1', excludedRanges });
      const results = await Promise.all([1, 2, 3].map(() => stage.api.reserve({ subnetId, mac: stage.mac() })));
      const addresses = results.map(({ reservation }) => reservation.address).toSorted();
      expect(addresses).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.6']);
      const metadata = { network_id: networkId, subnet_id: subnetId, quarantined: '0' };
      const full = { code: 'RESOURCE_EXHAUSTED', reason: 'SUBNET_EXHAUSTED', metadata };
      await stage.expectRefused(networkId, () => stage.api.reserve({ subnetId, mac: stage.mac() }), full);
      const exhausted = { reason: 'SUBNET_EXHAUSTED', metadata: { network_id: networkId } };
      await stage.expectRefused(networkId, () => stage.api.reserve({ networkId, mac: stage.mac() }), exhausted);
      const next = await stage.subnet(networkId, { cidr: '10.0.1.0/29' });
      expect(await stage.api.reserve({ networkId, mac: stage.mac() })).toMatchObject({
        reservation: { subnetId: next },
      });
      await stage.expectUsage(subnetId, {
        capacity: 3,
        reserved: 3,
        quarantined: 0,
        free: 0,
      });
    },
  },
  {
    name: 'the system chooses within the allocation ranges, a name may be outside',
    async run(stage) {
      const allocationRanges = [{ first: '10.0.0.100', last: '10.0.0.101' }];
      const subnetId = await stage.subnet(await stage.network(), { allocationRanges });
      const [one, two] = [stage.mac(), stage.mac()];
      const chosen = [await stage.api.reserve({ subnetId, mac: one }), await stage.api.reserve({ subnetId, mac: two })];
      expect(chosen.map(({ reservation }) => reservation.address).toSorted()).toEqual(['10.0.0.100', '10.0.0.101']);
      const named = await stage.api.reserve({ subnetId, mac: stage.mac(), address: '10.0.0.9' });
      expect(named.reservation.address).toBe('10.0.0.9');
      expect(await stage.refused(stage.api.reserve({ subnetId, mac: stage.mac() }))).toMatchObject({
        reason: 'SUBNET_EXHAUSTED',
      });
    },
  },
  {
    name: 'a MAC that has an address gets no other of its network, and is told which it has; it may have one of another',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const second = await stage.subnet(networkId, { cidr: '10.0.1.0/24' });
      const mac = stage.mac();
      await stage.api.reserve({ subnetId, mac, address: '10.0.0.10' });
      const metadata = { network_id: networkId, subnet_id: subnetId, address: '10.0.0.10', mac };
      const held = { code: 'ALREADY_EXISTS', reason: 'MAC_RESERVED', metadata };
      await stage.expectRefused(networkId, () => stage.api.reserve({ subnetId, mac, address: '10.0.0.11' }), held);
      await stage.expectRefused(networkId, () => stage.api.reserve({ subnetId: second, mac }), held);
      const elsewhere = await stage.subnet(await stage.network());
      expect(await stage.api.reserve({ subnetId: elsewhere, mac })).toMatchObject({ created: true });
    },
  },
  {
    name: 'an address that another MAC has is refused, with who has it',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const mac = stage.mac();
      await stage.api.reserve({ subnetId, mac, address: '10.0.0.10' });
      const metadata = { address: '10.0.0.10', mac };
      const taken = { code: 'ALREADY_EXISTS', reason: 'ADDRESS_RESERVED', metadata };
      const ask = () => stage.api.reserve({ subnetId, mac: stage.mac(), address: '10.0.0.10' });
      await stage.expectRefused(networkId, ask, taken);
    },
  },
  {
    name: 'a request id names one request, over restarts, and is refused with other content',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const request = { subnetId, mac: stage.mac(), requestId: stage.name('request') };
      const { reservation } = await stage.api.reserve(request);
      await stage.place.restart();
      const { reservationId } = reservation;
      expect(await stage.api.reserve(request)).toMatchObject({ created: false, reservation: { reservationId } });
      const metadata = { request_id: request.requestId, reservation_id: reservationId };
      const reused = { code: 'INVALID_ARGUMENT', reason: 'REQUEST_ID_REUSED', metadata };
      await stage.expectRefused(networkId, () => stage.api.reserve({ ...request, mac: stage.mac() }), reused);
      await stage.api.release({ reservationId });
      expect(await stage.api.reserve(request)).toMatchObject({
        created: false,
        reservation: { reservationId, state: 'quarantined' },
      });
    },
  },
  {
    name: 'a network with IPAM disabled reserves nothing new, and keeps what it has',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const mac = stage.mac();
      await stage.api.reserve({ subnetId, mac });
      await stage.api.updateNetwork(networkId, { ipamEnabled: false });
      const disabled = { code: 'FAILED_PRECONDITION', reason: 'IPAM_DISABLED' };
      await stage.expectRefused(networkId, () => stage.api.reserve({ subnetId, mac: stage.mac() }), disabled);
      expect(await stage.api.reserve({ subnetId, mac })).toMatchObject({ created: false });
    },
  },
  {
    name: 'an update of a reservation changes what its guest is told, is guarded, and never its address',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const { reservation } = await stage.api.reserve({
        subnetId,
        mac: stage.mac(),
        owner: 'vm-4',
        labels: { a: '1' },
      });
      const { reservationId, address, etag } = reservation;
      const changed = await stage.api.updateReservation({ reservationId }, { hostname: 'web', labels: {} }, etag);
      expect(changed).toMatchObject({ address, hostname: 'web', owner: 'vm-4', labels: {} });
      const late = () => stage.api.updateReservation({ subnetId, address }, { hostname: 'db' }, etag);
      await stage.expectRefused(networkId, late, { code: 'ABORTED', reason: 'ETAG_MISMATCH' });
      await stage.api.release({ reservationId });
      const released = () => stage.api.updateReservation({ reservationId }, { hostname: 'db' });
      await stage.expectRefused(networkId, released, { code: 'FAILED_PRECONDITION', reason: 'RESERVATION_RELEASED' });
    },
  },
  {
    name: 'a batch answers each item by itself, in order, and repeated the same',
    async run(stage) {
      const subnetId = await stage.subnet(await stage.network());
      const [one, two] = [stage.mac(), stage.mac()];
      const items = [one, two, one].map((mac) => ({ subnetId, mac, requestId: `batch-${mac}` }));
      const wrong = { subnetId: 'nowhere', mac: stage.mac() };
      const bad = { subnetId, mac: 'none' };
      const results = await stage.api.reserveMany([...items, wrong, bad]);
      const outcomes = results.map((each) => (each.ok ? each.reservation.mac : each.error.reason));
      expect(outcomes).toEqual([one, two, one, 'SUBNET_NOT_FOUND', 'INVALID_FIELD']);
      expect(results.filter((each) => each.ok && each.created)).toHaveLength(2);
      await stage.place.restart();
      const ids = (all: typeof results) => all.map((each) => each.ok && each.reservation.reservationId);
      expect(ids(await stage.api.reserveMany(items))).toEqual(ids(results).slice(0, 3));
      const gone = results.slice(0, 2).map((each) => {
        if (!each.ok) throw new Error(each.error.reason);
        return { reservationId: each.reservation.reservationId };
      });
      const released = await stage.api.releaseMany([...gone, { subnetId, address: '10.0.0.250' }]);
      expect(released.map((each) => (each.ok ? each.reservation.state : each.error.reason))).toEqual([
        'quarantined',
        'quarantined',
        'RESERVATION_NOT_FOUND',
      ]);
    },
  },
  {
    name: 'reservations are listed by network and address, by every filter, in pages',
    async run(stage) {
      const networkId = await stage.network();
      const [a, b] = [await stage.subnet(networkId), await stage.subnet(networkId, { cidr: '10.0.1.0/24' })];
      const owner = stage.name('vm');
      const mac = stage.mac();
      await stage.api.reserve({ subnetId: a, mac, address: '10.0.0.20', owner });
      await stage.api.reserve({ subnetId: a, mac: stage.mac(), address: '10.0.0.100' });
      await stage.api.reserve({ subnetId: a, mac: stage.mac(), address: '10.0.0.3' });
      await stage.api.reserve({ subnetId: b, mac: stage.mac(), address: '10.0.1.1', owner });
      await stage.api.release({ subnetId: a, address: '10.0.0.100' });
      const listed = async (filter: object) => {
        const found = await allOf((page) => stage.api.listReservations({ networkId, ...filter }, page), 2);
        return found.map(({ address }) => address);
      };
      expect(await listed({})).toEqual(['10.0.0.3', '10.0.0.20', '10.0.0.100', '10.0.1.1']);
      expect(await listed({ subnetId: b })).toEqual(['10.0.1.1']);
      expect(await listed({ owner })).toEqual(['10.0.0.20', '10.0.1.1']);
      expect(await listed({ mac })).toEqual(['10.0.0.20']);
      expect(await listed({ state: 'quarantined' })).toEqual(['10.0.0.100']);
      expect(await listed({ state: 'reserved', subnetId: a })).toEqual(['10.0.0.3', '10.0.0.20']);
    },
  },
  ...refusedReserves(),
];

function refusedReserves(): readonly ApiCheck[] {
  const cases: readonly (readonly [what: string, request: object, expected: object])[] = [
    ['for a multicast MAC', { mac: '53:54:00:00:05:02' }, invalid('mac', /multicast/)],
    ['for the zero MAC', { mac: '00:00:00:00:00:00' }, invalid('mac')],
    ['for a MAC that is none', { mac: '52:54:00' }, invalid('mac')],
    ['outside the subnet', { address: '10.1.9.9' }, invalid('address', /outside/)],
    ['of the network address', { address: '10.1.0.0' }, invalid('address', /network/)],
    ['of the broadcast address', { address: '10.1.0.255' }, invalid('address', /broadcast/)],
    ['of the gateway', { address: '10.1.0.1' }, invalid('address', /gateway/)],
    ['of an excluded address', { address: '10.1.0.105' }, invalid('address', /excluded/)],
    ['with an address of leading zeros', { address: '10.1.0.010' }, invalid('address')],
    ['with a host name that is a lease time to dnsmasq', { hostname: 'infinite' }, invalid('hostname')],
    [
      'that waits for more servers than serve',
      { waitReady: { servers: 2 } },
      invalid('wait_ready.servers', /dhcp_server_count/),
    ],
    ['without a subnet or network', { subnetId: '' }, invalid('subnet_id', /required/)],
    ['in a subnet that there is not', { subnetId: 'nowhere' }, { code: 'NOT_FOUND', reason: 'SUBNET_NOT_FOUND' }],
  ];
  return cases.map(([what, request, expected]) => ({
    name: `a reserve is refused ${what}`,
    async run(stage) {
      const networkId = await stage.network();
      const excludedRanges = [{ first: '10.1.0.100', last: '10.1.0.110' }];
      const subnetId = await stage.subnet(networkId, { cidr: '10.1.0.0/24', gateway: '10.1.0.1', excludedRanges });
      const reserve = () => stage.api.reserve({ subnetId, mac: stage.mac(), ...request });
      await stage.expectRefused(networkId, reserve, expected);
    },
  }));
}
