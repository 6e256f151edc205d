// Events on the wire.

import { ChangeType } from '@leasehold/proto/ipam/v1/event';
import type { WatchEventsRequest, WatchEventsResponse } from '@leasehold/proto/ipam/v1/ipam_service';
import { PlacementState } from '@leasehold/proto/ipam/v1/placement';
import { ReservationState, Reservation as WireReservation } from '@leasehold/proto/ipam/v1/reservation';
import { formatIpv4 } from '@leasehold/proto/values';
import type { WatchCommand, Watched } from '../../app/events.js';
import type { Result } from '../../domain/errors.js';
import type { ChangeKind, Event, StoredPlacement, WatchedReservation } from '../../domain/events.js';
import type { NetworkId } from '../../domain/ids.js';
import { Fields } from './fields.js';
import { toWireHost } from './host.js';
import { toWireNetwork } from './network.js';
import { STATES, toWireTenure } from './reservation.js';
import { toWireSubnet } from './subnet.js';

// Longer than any that this software made.
const MAX_TOKEN = 1_000;

/** Reads WatchEventsRequest. */
export function fromWatch({ networkId, resumeToken, snapshot }: WatchEventsRequest): Result<WatchCommand> {
  const fields = new Fields();
  if (snapshot && resumeToken !== '') fields.wrong('snapshot', 'Either snapshot or resume_token, not both');
  return fields.result({
    networkId: fields.optionalId<NetworkId>('network_id', networkId),
    resumeToken: fields.text('resume_token', resumeToken, MAX_TOKEN),
    snapshot,
  });
}

/** Writes WatchEventsResponse. */
export function toWireWatched(watched: Watched): WatchEventsResponse {
  const { resumeToken } = watched;
  switch (watched.kind) {
    case 'event':
      return { resumeToken, event: toWireEvent(watched.event) };
    case 'bookmark':
      return { resumeToken, event: { $case: 'bookmark', value: {} } };
    case 'snapshot-end':
      return { resumeToken, event: { $case: 'snapshotEnd', value: {} } };
  }
}

const CHANGES = {
  present: ChangeType.PRESENT,
  created: ChangeType.CREATED,
  updated: ChangeType.UPDATED,
  deleted: ChangeType.DELETED,
} satisfies Record<ChangeKind, ChangeType>;

const PLACEMENT_STATES = {
  assigned: PlacementState.ASSIGNED,
  former: PlacementState.FORMER,
} satisfies Record<StoredPlacement['state'], PlacementState>;

function toWireEvent(event: Event): WatchEventsResponse['event'] {
  const change = CHANGES[event.change];
  switch (event.kind) {
    case 'reservation':
      return { $case: 'reservation', value: { change, reservation: toWireWatchedReservation(event.reservation) } };
    case 'network':
      return { $case: 'network', value: { change, network: toWireNetwork(event.network) } };
    case 'subnet':
      return { $case: 'subnet', value: { change, subnet: toWireSubnet(event) } };
    case 'host':
      return { $case: 'host', value: { change, host: toWireHost(event.host) } };
    case 'placement': {
      const { networkId, hostId, epoch, state, since } = event.placement;
      const what = { networkId, hostId, epoch: BigInt(epoch), state: PLACEMENT_STATES[state], since: new Date(since) };
      return {
        $case: 'placement',
        value: { change, placement: { ...what, pendingChanges: 0, syncedTime: undefined } },
      };
    }
  }
}

function toWireWatchedReservation(reservation: WatchedReservation): WireReservation {
  if ('tenure' in reservation) {
    const { state, tenure } = reservation;
    return toWireTenure(tenure, state === 'ended' ? ReservationState.ENDED : STATES[state]);
  }
  const { networkId, address } = reservation;
  return WireReservation.fromPartial({ networkId, address: formatIpv4(address), state: ReservationState.ENDED });
}
