// Audit events on the wire.

import {
  AuditResourceKind,
  type AuditEvent as WireEvent,
  type AuditState as WireState,
} from '@leasehold/proto/ipam/v1/audit';
import type { ListAuditEventsRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { ReservationState } from '@leasehold/proto/ipam/v1/reservation';
import type { AuditEvent, AuditedKind, AuditedTenure } from '../../domain/audit.js';
import type { Result } from '../../domain/errors.js';
import type { NetworkId, WallTime } from '../../domain/ids.js';
import type { AuditFilter } from '../../ports/store.js';
import { Fields } from './fields.js';
import { toWireHostSettings } from './host.js';
import { toWireNetwork } from './network.js';
import { toWireTenure } from './reservation.js';
import { toWireSubnet } from './subnet.js';

// Longer than any id, or name of a caller.
const MAX_TEXT = 255;

const KINDS = {
  network: AuditResourceKind.NETWORK,
  subnet: AuditResourceKind.SUBNET,
  host: AuditResourceKind.HOST,
  reservation: AuditResourceKind.RESERVATION,
  placements: AuditResourceKind.PLACEMENTS,
} satisfies Record<AuditedKind, AuditResourceKind>;

/** Reads the filters of ListAuditEventsRequest. */
export function fromAuditFilter(request: ListAuditEventsRequest): Result<AuditFilter> {
  const { networkId, resourceKind, resourceId, caller, startTime, endTime } = request;
  const fields = new Fields();
  const kind = readKind(fields, resourceKind);
  if (resourceId !== '' && resourceKind === AuditResourceKind.UNSPECIFIED) {
    fields.wrong('resource_kind', 'Required with resource_id');
  }
  return fields.result({
    networkId: fields.optionalId<NetworkId>('network_id', networkId),
    kind,
    resourceId: resourceId === '' ? undefined : fields.text('resource_id', resourceId, MAX_TEXT),
    caller: caller === '' ? undefined : fields.text('caller', caller, MAX_TEXT),
    since: startTime && (startTime.getTime() as WallTime),
    until: endTime && (endTime.getTime() as WallTime),
  });
}

function readKind(fields: Fields, wire: AuditResourceKind): AuditedKind | undefined {
  if (wire === AuditResourceKind.UNSPECIFIED) return undefined;
  const kind = (Object.keys(KINDS) as AuditedKind[]).find((each) => KINDS[each] === wire);
  if (!kind) fields.wrong('resource_kind', `${wire} is not a kind that is known here`);
  return kind;
}

/** Writes an event. */
export function toWireAuditEvent(event: AuditEvent): WireEvent {
  const { before, after } = toWireStates(event);
  return {
    eventId: event.eventId,
    time: new Date(event.time),
    caller: event.caller,
    method: event.method,
    requestId: event.requestId ?? '',
    resourceKind: KINDS[event.kind],
    resourceId: event.resourceId,
    resourceUid: event.uid,
    networkId: event.networkId ?? '',
    before: before && { state: before },
    after: after && { state: after },
  };
}

interface States {
  readonly before: WireState['state'];
  readonly after: WireState['state'];
}

function toWireStates(event: AuditEvent): States {
  switch (event.kind) {
    case 'network':
      return both(event, (network) => ({ $case: 'network', value: toWireNetwork(network) }));
    case 'subnet': {
      const { networkId = '' as NetworkId } = event;
      return both(event, (subnet) => ({ $case: 'subnet', value: toWireSubnet({ networkId, subnet }) }));
    }
    case 'host':
      return both(event, (host) => ({ $case: 'host', value: toWireHostSettings(host) }));
    case 'reservation':
      return both(event, (tenure) => ({ $case: 'reservation', value: toWireTenure(tenure, stateOf(tenure)) }));
    case 'placements':
      return both(event, ({ hostIds }) => ({ $case: 'placements', value: { hostIds: [...hostIds] } }));
  }
}

function both<T>(
  { before, after }: { readonly before?: T; readonly after?: T },
  write: (state: T) => WireState['state'],
): States {
  return { before: before && write(before), after: after && write(after) };
}

function stateOf({ releaseTime }: AuditedTenure): ReservationState {
  return releaseTime === undefined ? ReservationState.RESERVED : ReservationState.QUARANTINED;
}
