// The SDK refuses without a call what it is sure of: it must say what the server would have said, of the same fields.

import * as wire from '@leasehold/proto/ipam/v1/ipam_service';
import { connect } from '@leasehold/sdk';
import { expect, test } from 'vitest';
import type { Result } from '../../server/src/domain/errors.js';
import {
  fromGetReservation,
  fromHistoryFilter,
  fromRelease,
  fromReservationFilter,
  fromReserve,
  fromUpdateReservation,
} from '../../server/src/transport/convert/reservation.js';
import { fromCreateSubnet, fromUpdateSubnet } from '../../server/src/transport/convert/subnet.js';
import { refusalOf } from '../support/refusal.js';

// Nobody is there: what is not refused at once fails otherwise.
const { reservations, subnets } = connect({ server: '127.0.0.1:1', waitForServer: false });

const wrong = { mac: '03:00:00:00:00:01', address: '10.0.0.300' };
const settings = {
  gateway: '10.0.0',
  dnsServers: ['10.0.0.2', ''],
  ntpServers: ['0x1.0.0.1'],
  routes: [{ destination: '10.0.0.1/8', nextHop: 'x' }],
  allocationRanges: [{ first: '', last: '10.0.0.9' }],
  excludedRanges: [{ first: '10.0.0.1', last: '10.0.0.01' }],
};
const subnet = { subnetId: 'a', networkId: 'red', cidr: '10.0.0.0/255.0.255.0', ...settings };
const { cidr: _, ...changed } = subnet;

const place = { subnetId: 'a', address: wrong.address };
const byMac = { networkId: 'red', mac: '' };

const CASES: readonly (readonly [string, () => Promise<unknown>, Result<unknown>])[] = [
  [
    'reserve',
    () => reservations.reserve({ subnetId: 'a', ...wrong }),
    fromReserve(wire.ReserveAddressRequest.fromPartial({ subnetId: 'a', ...wrong }), ''),
  ],
  [
    'release of an address',
    () => reservations.release({ subnetId: 'a', ...wrong }),
    fromRelease(wire.ReleaseAddressRequest.fromPartial({ subnetId: 'a', ...wrong }), ''),
  ],
  [
    'release of a MAC',
    () => reservations.release(byMac),
    fromRelease(wire.ReleaseAddressRequest.fromPartial({ key: { key: { $case: 'mac', value: byMac } } }), ''),
  ],
  [
    'get of an address',
    () => reservations.get(place),
    fromGetReservation(wire.GetReservationRequest.fromPartial({ key: { $case: 'address', value: place } })),
  ],
  [
    'get of a MAC',
    () => reservations.get(byMac),
    fromGetReservation(wire.GetReservationRequest.fromPartial({ key: { $case: 'mac', value: byMac } })),
  ],
  [
    'update of a reservation',
    () => reservations.update(place, {}),
    fromUpdateReservation(
      wire.UpdateReservationRequest.fromPartial({ key: { key: { $case: 'address', value: place } }, reservation: {} }),
    ),
  ],
  [
    'list',
    () => reservations.list({ mac: wrong.mac }).page(),
    fromReservationFilter(wire.ListReservationsRequest.fromPartial({ mac: wrong.mac })),
  ],
  [
    'history',
    () => reservations.history({ ...place, mac: wrong.mac }).page(),
    fromHistoryFilter(wire.ListAddressHistoryRequest.fromPartial({ ...place, mac: wrong.mac })),
  ],
  [
    'create of a subnet',
    () => subnets.create(subnet),
    fromCreateSubnet(wire.CreateSubnetRequest.fromPartial({ subnet })),
  ],
  [
    'update of a subnet',
    () => subnets.update('a', changed),
    fromUpdateSubnet(wire.UpdateSubnetRequest.fromPartial({ subnet: changed })),
  ],
];

test.each(CASES)('%s: the SDK and the server name the same fields and say the same', async (_name, call, server) => {
  const refusal = await refusalOf(call());
  expect(server.ok).toBe(false);
  if (server.ok) return;
  expect(refusal).toMatchObject({ reason: 'INVALID_FIELD', message: server.error.message });
  expect(refusal.fieldViolations).toEqual(server.error.violations);
});
