// Releasing: what is freed, what rests, who gets it back, what stays of it.

import { expect } from 'vitest';
import { eventually } from '../../support/eventually.js';
import { type ApiCheck, allOf } from './stage.js';

const HOUR_MS = 3_600_000;

/** The claims. */
export const RELEASE_CHECKS: readonly ApiCheck[] = [
  {
    name: 'a released address rests: its MAC gets it back as another tenure, nobody else does',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId, { cidr: '10.0.0.0/30', gateway: '10.0.0.1' });
      const mac = stage.mac();
      const { reservation } = await stage.api.reserve({ subnetId, mac });
      const released = await stage.api.release({ subnetId, address: reservation.address });
      const { reservationId, address } = reservation;
      expect(released).toMatchObject({ reservationId, address, state: 'quarantined', readyServers: 0 });
      expect(released.releaseTime).toBeInstanceOf(Date);
      await stage.expectUsage(subnetId, { reserved: 0, quarantined: 1, free: 0 });

      const resting = { address, mac, reusable_time: expect.any(String) as string };
      const quarantined = { code: 'FAILED_PRECONDITION', reason: 'ADDRESS_QUARANTINED', metadata: resting };
      const named = () => stage.api.reserve({ subnetId, mac: stage.mac(), address });
      await stage.expectRefused(networkId, named, quarantined);
      const metadata = { quarantined: '1', next_reusable_time: expect.any(String) as string };
      const full = { code: 'RESOURCE_EXHAUSTED', reason: 'SUBNET_EXHAUSTED', metadata };
      await stage.expectRefused(networkId, () => stage.api.reserve({ subnetId, mac: stage.mac() }), full);

      const back = await stage.api.reserve({ subnetId, mac });
      expect(back).toMatchObject({ created: true, reservation: { address, state: 'reserved' } });
      expect(back.reservation.reservationId).not.toBe(reservationId);
      expect(await stage.api.getReservation({ reservationId })).toMatchObject({ state: 'ended', address });
    },
  },
  {
    name: 'a release is repeated without harm by reservation id, and an old one frees nothing of a newer tenure',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const mac = stage.mac();
      const { reservationId, address } = (await stage.api.reserve({ subnetId, mac })).reservation;
      const { releaseTime } = await stage.api.release({ reservationId });
      expect(await stage.api.release({ reservationId })).toMatchObject({ state: 'quarantined', releaseTime });
      const newer = (await stage.api.reserve({ subnetId, mac })).reservation;
      expect(newer.address).toBe(address);
      const old = { reservationId, state: 'ended' };
      expect(await stage.api.release({ reservationId })).toMatchObject(old);
      expect(await stage.api.release({ subnetId, address, reservationId })).toMatchObject(old);
      expect(await stage.api.getReservation({ networkId, mac })).toEqual(newer);
    },
  },
  {
    name: 'a guard that does not match releases nothing, and what is not there is not found',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const [mine, other] = [
        await stage.api.reserve({ subnetId, mac: stage.mac() }),
        await stage.api.reserve({ subnetId, mac: stage.mac() }),
      ];
      const { address, mac, reservationId } = mine.reservation;
      const mismatch = { code: 'FAILED_PRECONDITION', reason: 'RESERVATION_MISMATCH' };
      const guards = [
        { subnetId, address, mac: other.reservation.mac },
        { subnetId, address, reservationId: other.reservation.reservationId },
        { reservationId, mac: other.reservation.mac },
        { networkId, mac, reservationId: other.reservation.reservationId },
      ];
      for (const guard of guards) await stage.expectRefused(networkId, () => stage.api.release(guard), mismatch);
      const missing = {
        code: 'NOT_FOUND',
        reason: 'RESERVATION_NOT_FOUND',
        metadata: { subnet_id: subnetId, address: '10.0.0.200' },
      };
      await stage.expectRefused(networkId, () => stage.api.release({ subnetId, address: '10.0.0.200' }), missing);
      await stage.api.release({ subnetId, address, mac, reservationId });
    },
  },
  {
    name: 'a release under a request id answers the tenure it released, whoever has the address since',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const mac = stage.mac();
      const { address, reservationId } = (await stage.api.reserve({ subnetId, mac })).reservation;
      const request = { subnetId, address, requestId: stage.name('stop') };
      await stage.api.release(request);
      await stage.api.reserve({ subnetId, mac });
      await stage.place.restart();
      expect(await stage.api.release(request)).toMatchObject({ reservationId, state: 'ended' });
      expect(await stage.api.getReservation({ subnetId, address })).toMatchObject({ state: 'reserved' });
    },
  },
  {
    name: 'a vouch for the guest shortens the rest by the lease time, also when it comes later',
    async run(stage) {
      const subnetId = await stage.subnet(await stage.network(), { leaseTimeSeconds: 7_200, reuseDelaySeconds: 30 });
      const { reservationId } = (await stage.api.reserve({ subnetId, mac: stage.mac() })).reservation;
      const restMs = ({
        releaseTime,
        reusableTime,
      }: {
        releaseTime: Date | undefined;
        reusableTime: Date | undefined;
      }) => (reusableTime?.getTime() ?? Number.NaN) - (releaseTime?.getTime() ?? Number.NaN);
      expect(restMs(await stage.api.release({ reservationId }))).toBeGreaterThan(2 * HOUR_MS);
      await stage.api.release({ reservationId, guestStopped: true });
      const restedMs = await eventually('the server that leads has heard of the vouch', async () => {
        const ms = restMs(await stage.api.getReservation({ reservationId }));
        return ms < HOUR_MS && ms;
      });
      // An estimate: of clocks that are read one after another.
      expect(restedMs).toBeGreaterThan(29_000);
    },
  },
  {
    name: 'when it has rested another MAC gets the address, and its first tenure is history',
    needs: 'time',
    async run(stage) {
      const subnetId = await stage.subnet(await stage.network(), { cidr: '10.0.0.0/30', gateway: '10.0.0.1' });
      const first = (await stage.api.reserve({ subnetId, mac: stage.mac() })).reservation;
      const { reusableTime, releaseTime } = await stage.api.release({ reservationId: first.reservationId });
      const restMs = (reusableTime?.getTime() ?? 0) - (releaseTime?.getTime() ?? 0);
      await stage.place.advance(restMs - 5_000);
      expect(await stage.refused(stage.api.reserve({ subnetId, mac: stage.mac() }))).toMatchObject({
        reason: 'SUBNET_EXHAUSTED',
      });
      await stage.place.advance(15_000);
      const next = (await stage.api.reserve({ subnetId, mac: stage.mac() })).reservation;
      expect(next.address).toBe(first.address);
      expect(await stage.api.getReservation({ reservationId: first.reservationId })).toMatchObject({ state: 'ended' });
    },
  },
  {
    name: 'history tells who had an address, newest first, by MAC, owner and time, over restarts',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const mac = stage.mac();
      const [first, second] = [stage.name('vm'), stage.name('vm')];
      const { address, reservationId } = (await stage.api.reserve({ subnetId, mac, owner: first })).reservation;
      await stage.api.release({ reservationId });
      const newer = (await stage.api.reserve({ subnetId, mac, owner: second })).reservation;
      await stage.place.restart();
      const told = async (filter: Parameters<typeof stage.api.history>[0]) => {
        const tenures = await allOf((page) => stage.api.history(filter, page), 1);
        return tenures.map(({ state, owner }) => `${state} ${owner}`);
      };
      const both = [`reserved ${second}`, `ended ${first}`];
      expect(await told({ subnetId, address })).toEqual(both);
      expect(await told({ mac })).toEqual(both);
      expect(await told({ owner: first })).toEqual([`ended ${first}`]);
      expect(await told({ mac, endTime: newer.createTime })).toEqual([`ended ${first}`]);
      expect(await told({ mac, networkId: await stage.network() })).toEqual([]);
    },
  },
  {
    name: 'the audit tells who changed what of a network, newest first, also of what is gone, over restarts',
    async run(stage) {
      const networkId = await stage.network();
      const subnetId = await stage.subnet(networkId);
      const { reservation } = await stage.api.reserve({ subnetId, mac: stage.mac() });
      const { reservationId } = reservation;
      await stage.api.updateReservation({ reservationId }, { hostname: 'web' });
      // What changes nothing, and what is refused, is no event.
      await stage.api.updateReservation({ reservationId }, { hostname: 'web' });
      await stage.refused(stage.api.deleteSubnet(subnetId));
      expect(await stage.api.release({ reservationId })).toMatchObject({ guestStopped: false });
      for (let n = 0; n < 2; n++) {
        expect(await stage.api.release({ reservationId, guestStopped: true })).toMatchObject({ guestStopped: true });
      }
      await stage.api.deleteSubnet(subnetId);
      await stage.place.restart();
      const lines = await allOf((page) => stage.api.audit(networkId, page), 2);
      expect(lines.map(({ method, resourceId, states }) => [method, resourceId, ...states])).toEqual([
        ['DeleteSubnet', subnetId, true, false],
        ['ReleaseAddress', reservationId, true, true],
        ['ReleaseAddress', reservationId, true, true],
        ['UpdateReservation', reservationId, true, true],
        ['ReserveAddress', reservationId, false, true],
        ['CreateSubnet', subnetId, false, true],
        ['CreateNetwork', networkId, false, true],
      ]);
      expect(new Set(lines.map(({ caller }) => caller))).toEqual(new Set([reservation.createdBy]));
    },
  },
];
