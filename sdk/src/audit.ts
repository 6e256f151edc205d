// Who changed what: events as they look to people, how they travel, and the call about them.

import type { Calls } from './calls.js';
import { Checks } from './checks.js';
import {
  type AuditEvent as WireEvent,
  AuditResourceKind as WireKind,
  type AuditState as WireState,
} from './gen/ipam/v1/audit.js';
import { ListAuditEventsRequest, IpamServiceService as rpc } from './gen/ipam/v1/ipam_service.js';
import { type Host, toHost } from './hosts.js';
import { type Network, toNetwork } from './networks.js';
import { List, type ListOptions } from './pages.js';
import { type Reservation, toReservation } from './reservations.js';
import { type Subnet, toSubnet } from './subnets.js';
import { message, required } from './values.js';

/** The kinds of what is changed; `placements`: those of a network, evened out by RebalancePlacements. */
export const AUDIT_RESOURCE_KINDS = ['network', 'subnet', 'host', 'reservation', 'placements'] as const;

/** A kind of what is changed. */
export type AuditResourceKind = (typeof AUDIT_RESOURCE_KINDS)[number];

/** Which events to list. The filters go together. */
export interface AuditFilter {
  /** Only of this network, its subnets, reservations and placements. Absent: of all, and of hosts. */
  readonly networkId?: string | undefined;
  /** Only of this kind: in a large installation a kind other than `reservation`, or a network, is answered sooner. */
  readonly resourceKind?: AuditResourceKind | undefined;
  /** Only of this one, also when it was deleted; with `resourceKind`. */
  readonly resourceId?: string | undefined;
  /** Only by exactly this caller. */
  readonly caller?: string | undefined;
  /** Only from then on. Absent: from the beginning of what is kept. */
  readonly startTime?: Date | undefined;
  /** Only before then. Absent: until now. */
  readonly endTime?: Date | undefined;
}

/** The placements of a network at one moment. */
export interface AuditPlacements {
  /** The hosts that shall serve it. */
  readonly hostIds: readonly string[];
}

/** Settings before and after. */
interface Between<Kind extends AuditResourceKind, State> {
  readonly resourceKind: Kind;
  /** Undefined: it was made by this. */
  readonly before: State | undefined;
  /** Undefined: it was deleted by this. */
  readonly after: State | undefined;
}

/** What was changed, from what to what: fields that are not settings are empty, or unknown. */
type Changed =
  | Between<'network', Network>
  | Between<'subnet', Subnet>
  | Between<'host', Host>
  /** What `ReserveAddress` made is shown with the settings that it has now, or had last. */
  | Between<'reservation', Reservation>
  | Between<'placements', AuditPlacements>
  /** A newer server's kind. */
  | { readonly resourceKind: 'unknown'; readonly before: undefined; readonly after: undefined };

/** One change that somebody made. */
export type AuditEvent = Changed & {
  readonly eventId: string;
  readonly time: Date;
  readonly caller: string;
  /** The RPC, as `UpdateSubnet`. */
  readonly method: string;
  /** Empty: the request had none. */
  readonly requestId: string;
  /** Of placements that of their network. */
  readonly resourceId: string;
  /** A deleted and re-created id is another thing. */
  readonly resourceUid: string;
  /** Empty: a host, which belongs to none. */
  readonly networkId: string;
};

/** The call about who changed what. */
export class Audit {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Events, the newest first: of settings and of reservations, also of what was deleted. */
  list(filter: AuditFilter = {}, options?: ListOptions): List<AuditEvent> {
    const { resourceKind, ...rest } = filter;
    return new List(async (pageToken) => {
      new Checks().optionalWord('resource_kind', resourceKind, AUDIT_RESOURCE_KINDS).pass();
      const kind = resourceKind === undefined ? WireKind.UNSPECIFIED : KINDS[resourceKind];
      const pageSize = options?.pageSize ?? 0;
      const request = message(ListAuditEventsRequest, { ...rest, resourceKind: kind, pageSize, pageToken });
      const answer = await this.#calls.unary({ method: rpc.listAuditEvents, request, repeatable: true }, options);
      return { items: answer.events.map(toAuditEvent), nextPageToken: answer.nextPageToken };
    });
  }
}

const KINDS = {
  network: WireKind.NETWORK,
  subnet: WireKind.SUBNET,
  host: WireKind.HOST,
  reservation: WireKind.RESERVATION,
  placements: WireKind.PLACEMENTS,
} satisfies Record<AuditResourceKind, WireKind>;

function toAuditEvent(wire: WireEvent): AuditEvent {
  const { eventId, caller, method, requestId, resourceId, resourceUid, networkId } = wire;
  const deed = { eventId, time: required(wire.time, 'event.time'), caller, method, requestId };
  return { ...deed, resourceId, resourceUid, networkId, ...toChanged(wire) };
}

function toChanged(wire: WireEvent): Changed {
  switch (wire.resourceKind) {
    case WireKind.NETWORK:
      return { resourceKind: 'network', ...between(wire, 'network', toNetwork) };
    case WireKind.SUBNET:
      return { resourceKind: 'subnet', ...between(wire, 'subnet', toSubnet) };
    case WireKind.HOST:
      return { resourceKind: 'host', ...between(wire, 'host', toHost) };
    case WireKind.RESERVATION:
      return { resourceKind: 'reservation', ...between(wire, 'reservation', toReservation) };
    case WireKind.PLACEMENTS:
      return { resourceKind: 'placements', ...between(wire, 'placements', ({ hostIds }) => ({ hostIds })) };
    default:
      return { resourceKind: 'unknown', before: undefined, after: undefined };
  }
}

type StateOf<Case extends AuditResourceKind> = Extract<WireState['state'], { readonly $case: Case }>['value'];

function between<Case extends AuditResourceKind, State>(
  { before, after }: WireEvent,
  kind: Case,
  read: (wire: StateOf<Case>) => State,
) {
  const readOne = (wire: WireState | undefined): State | undefined =>
    wire?.state?.$case === kind ? read(wire.state.value as StateOf<Case>) : undefined;
  return { before: readOne(before), after: readOne(after) };
}
