// Every refusal Leasehold gives on purpose, as a value. What each looks like on the wire (code, reason) is one table in
// transport/errors.ts; docs/errors.md lists them for users.
//
// Messages: sentence case, no full stop, name the thing and say what to do. Metadata keys are part of the API.

import { type Cidr, formatCidr, formatIpv4, type Ipv4, type Mac } from '@leasehold/proto/values';
import type { HostId, NetworkId, ReservationId, SubnetId } from './ids.js';

/** What kind of refusal it is; clients decide by the reason that belongs to it. */
export type IpamErrorKind =
  | 'invalid-field'
  | 'invalid-page-token'
  | 'request-id-reused'
  | 'network-not-found'
  | 'subnet-not-found'
  | 'host-not-found'
  | 'reservation-not-found'
  | 'network-exists'
  | 'subnet-exists'
  | 'subnet-overlap'
  | 'network-in-use'
  | 'subnet-in-use'
  | 'range-in-use'
  | 'host-connected'
  | 'host-liveness-unknown'
  | 'host-may-answer-anywhere'
  | 'ipam-disabled'
  | 'subnet-closing'
  | 'subnet-exhausted'
  | 'addresses-in-use'
  | 'address-reserved'
  | 'address-quarantined'
  | 'mac-reserved'
  | 'reservation-mismatch'
  | 'etag-mismatch'
  | 'reservation-released'
  | 'holding-still'
  | 'store-unavailable'
  | 'outcome-unknown'
  | 'no-holder'
  | 'watch-compacted'
  | 'watch-too-slow'
  | 'rate-limited'
  | 'filter-too-broad'
  | 'session-superseded'
  | 'session-too-slow'
  | 'unauthenticated'
  | 'permission-denied'
  | 'too-busy';

/** A field of the request and what is wrong with it. */
export interface FieldViolation {
  /** Path in the request, as `subnet.cidr`. */
  readonly field: string;
  readonly description: string;
}

/** A refusal. */
export interface IpamError {
  readonly kind: IpamErrorKind;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  /** After how long the same request may be answered otherwise; absent: that is not known. */
  readonly retryAfterMs?: number;
}

/** What a use case answers: a value or a refusal. */
export type Result<T> = { readonly ok: true; readonly value: T } | Refused;

/** A refusal as a result. */
export interface Refused {
  readonly ok: false;
  readonly error: IpamError;
}

/** A value as a result. */
export function success<T>(value: T): Result<T> {
  return { ok: true, value };
}

function refuse(kind: IpamErrorKind, message: string, metadata: Record<string, string> = {}): Refused {
  return { ok: false, error: { kind, message, metadata, violations: [] } };
}

// A request can be wrong in hundreds of places. More of them help nobody, and a refusal travels in HTTP/2 headers: one
// that is too large for them ends the whole connection (transport/errors.ts).
const MAX_VIOLATIONS = 20;
const MAX_VIOLATIONS_TEXT = 700;

/** Fields of the request are wrong; at least one violation. Of many, the first ones are named. */
export function invalidFields(violations: readonly FieldViolation[]): Refused {
  const named = violations.slice(0, MAX_VIOLATIONS);
  const message = listViolations(named, violations.length);
  return { ok: false, error: { kind: 'invalid-field', message, metadata: {}, violations: named } };
}

function listViolations([first, ...others]: readonly FieldViolation[], count: number): string {
  let text = first ? `${first.field}: ${first.description}` : '';
  let named = 1;
  for (const { field, description } of others) {
    const next = `; ${field}: ${description}`;
    if (text.length + next.length > MAX_VIOLATIONS_TEXT) break;
    text += next;
    named++;
  }
  return named < count ? `${text}; and ${count - named} more` : text;
}

/** One field of the request is wrong. */
export function invalidField(field: string, description: string): Refused {
  return invalidFields([{ field, description }]);
}

/** The page token is not one this server made for this list. */
export function invalidPageToken(): Refused {
  return refuse('invalid-page-token', 'The page token is not one of this list, begin again without a token');
}

/** The request id was used before with other content. */
export function requestIdReused(requestId: string, reservationId: ReservationId): Refused {
  return refuse('request-id-reused', `Request id ${requestId} was used before with other content, use a new one`, {
    request_id: requestId,
    reservation_id: reservationId,
  });
}

/** There is no such network. */
export function networkNotFound(networkId: string): Refused {
  return refuse('network-not-found', `There is no network ${networkId}`, { network_id: networkId });
}

/** There is no such subnet. */
export function subnetNotFound(subnetId: string): Refused {
  return refuse('subnet-not-found', `There is no subnet ${subnetId}`, { subnet_id: subnetId });
}

/** There is no such host. */
export function hostNotFound(hostId: string): Refused {
  return refuse('host-not-found', `There is no host ${hostId}; a host appears when its agent first connects`, {
    host_id: hostId,
  });
}

/** There is no such reservation. `what` says how it was named, as `address 10.0.0.7 of subnet blue`. */
export function reservationNotFound(what: string, metadata: Record<string, string>): Refused {
  return refuse('reservation-not-found', `There is no reservation for ${what}`, metadata);
}

/** A network with this id exists and is different. */
export function networkExists(networkId: NetworkId): Refused {
  return refuse('network-exists', `Network ${networkId} exists with other settings, update it or choose another id`, {
    network_id: networkId,
  });
}

/** A subnet with this id exists and is different. */
export function subnetExists(subnetId: SubnetId, networkId: NetworkId | undefined): Refused {
  return refuse('subnet-exists', `Subnet ${subnetId} exists with other settings, update it or choose another id`, {
    subnet_id: subnetId,
    ...(networkId ? { network_id: networkId } : {}),
  });
}

/** The CIDR shares addresses with another subnet of the network. */
export function subnetOverlap(cidr: Cidr, other: { readonly subnetId: SubnetId; readonly cidr: Cidr }): Refused {
  const message = `${formatCidr(cidr)} overlaps subnet ${other.subnetId} (${formatCidr(other.cidr)}) of the same network`;
  return refuse('subnet-overlap', message, { subnet_id: other.subnetId, cidr: formatCidr(other.cidr) });
}

/** The network still has subnets. */
export function networkInUse(networkId: NetworkId, subnetId: SubnetId): Refused {
  return refuse('network-in-use', `Network ${networkId} has subnets, delete them first (${subnetId} is one)`, {
    network_id: networkId,
    subnet_id: subnetId,
  });
}

/** The subnet still has reservations. */
export function subnetInUse(subnetId: SubnetId, address: Ipv4): Refused {
  const message = `Subnet ${subnetId} has reservations, release them first (${formatIpv4(address)} is one)`;
  return refuse('subnet-in-use', message, { subnet_id: subnetId, address: formatIpv4(address) });
}

/** The new gateway or exclusion is an address that is not free. */
export function rangeInUse(subnetId: SubnetId, address: Ipv4, state: string): Refused {
  const message = `${formatIpv4(address)} of subnet ${subnetId} is ${state} and cannot be excluded or become the gateway`;
  return refuse('range-in-use', message, { subnet_id: subnetId, address: formatIpv4(address) });
}

/** The host has a session and would come back at once. */
export function hostConnected(hostId: HostId): Refused {
  return refuse('host-connected', `Host ${hostId} is connected, stop its agent first`, { host_id: hostId });
}

/** The server leads, or is back, for too short a time to know that the host is away. */
export function hostNotKnownAway(hostId: HostId): Refused {
  const message = `Host ${hostId} may be on its way to a server that just began to lead, or stood still: try again when it is down`;
  return refuse('host-liveness-unknown', message, { host_id: hostId });
}

/** The host may still have what it had before the store was imported. */
export function hostMayAnswerAnywhere(hostId: HostId): Refused {
  const message = `Host ${hostId} was not heard since the store was imported, and may answer in any network: fence it first, or wait until its authority is over`;
  return refuse('host-may-answer-anywhere', message, { host_id: hostId });
}

/** The network has IPAM disabled. */
export function ipamDisabled(networkId: NetworkId): Refused {
  return refuse('ipam-disabled', `IPAM is disabled on network ${networkId}, set ipam_enabled to reserve in it`, {
    network_id: networkId,
  });
}

/** The subnet is being deleted. */
export function subnetClosing(subnetId: SubnetId): Refused {
  return refuse('subnet-closing', `Subnet ${subnetId} is being deleted`, { subnet_id: subnetId });
}

/** Nothing is free for the system to choose. */
export function subnetExhausted(
  where: { readonly subnetId?: SubnetId; readonly networkId: NetworkId },
  quarantined: number,
  nextReusableTime: Date | undefined,
): Refused {
  const place = where.subnetId ? `Subnet ${where.subnetId}` : `Every subnet of network ${where.networkId}`;
  const later = nextReusableTime
    ? `, ${quarantined} quarantined, the next is reusable about ${nextReusableTime.toISOString()}`
    : '';
  return refuse('subnet-exhausted', `${place} has no free address${later}`, {
    network_id: where.networkId,
    ...(where.subnetId ? { subnet_id: where.subnetId } : {}),
    quarantined: String(quarantined),
    ...(nextReusableTime ? { next_reusable_time: nextReusableTime.toISOString() } : {}),
  });
}

/** What is free is used on the wire, by machines without a reservation (`probe_before_use`). */
export function addressesInUse(
  where: { readonly subnetId?: SubnetId; readonly networkId: NetworkId },
  addresses: readonly Ipv4[],
): Refused {
  const place = where.subnetId ? `Subnet ${where.subnetId}` : `Every subnet of network ${where.networkId}`;
  const some = addresses.slice(0, MAX_NAMED).map(formatIpv4).join(', ');
  const what = addresses.length > MAX_NAMED ? `${some} and ${addresses.length - MAX_NAMED} more` : some;
  return refuse(
    'addresses-in-use',
    `${place} has no free address that no machine uses: ${what} answered without a reservation; free or exclude them`,
    {
      network_id: where.networkId,
      ...(where.subnetId ? { subnet_id: where.subnetId } : {}),
      addresses: addresses.slice(0, MAX_NAMED).map(formatIpv4).join(','),
    },
  );
}

// Enough to see a pattern; a message must not grow with the network.
const MAX_NAMED = 10;

/** A reservation that stands in the way, for metadata. */
export interface Obstacle {
  readonly reservationId: ReservationId;
  readonly networkId: NetworkId;
  readonly subnetId: SubnetId;
  readonly address: Ipv4;
  readonly mac: Mac;
}

function obstacleMetadata(slot: Obstacle): Record<string, string> {
  return {
    reservation_id: slot.reservationId,
    network_id: slot.networkId,
    subnet_id: slot.subnetId,
    address: formatIpv4(slot.address),
    mac: slot.mac,
  };
}

/** The named address is promised to another MAC. */
export function addressReserved(slot: Obstacle): Refused {
  const message = `${formatIpv4(slot.address)} is reserved for ${slot.mac}`;
  return refuse('address-reserved', message, obstacleMetadata(slot));
}

/** The named address was another MAC's and is not reusable yet. */
export function addressQuarantined(slot: Obstacle, reusableTime: Date | undefined): Refused {
  const when = reusableTime ? `, reusable about ${reusableTime.toISOString()}` : '';
  return refuse('address-quarantined', `${formatIpv4(slot.address)} rests after ${slot.mac} released it${when}`, {
    ...obstacleMetadata(slot),
    ...(reusableTime ? { reusable_time: reusableTime.toISOString() } : {}),
  });
}

/** The MAC holds another address of the network. */
export function macReserved(slot: Obstacle): Refused {
  const message = `${slot.mac} holds ${formatIpv4(slot.address)} of subnet ${slot.subnetId}, release it first`;
  return refuse('mac-reserved', message, obstacleMetadata(slot));
}

/** A guard of a release or a change does not match what is there. */
export function reservationMismatch(slot: Obstacle, guard: 'reservation_id' | 'mac'): Refused {
  const message = `${formatIpv4(slot.address)} is another reservation than the guard ${guard} names, nothing was done`;
  return refuse('reservation-mismatch', message, { ...obstacleMetadata(slot), guard });
}

/** The settings changed since the etag was read. */
export function etagMismatch(what: string, etag: string): Refused {
  return refuse('etag-mismatch', `${what} was changed since it was read, read it again (its etag is ${etag})`, {
    etag,
  });
}

/** Too many changes of one document raced; nothing was changed. */
export function tooBusy(what: string): Refused {
  return refuse('too-busy', `${what} is being changed by others all the time, try again`);
}

/** The store is an older copy of itself: what looks free in it may be somebody's. */
export function holdingStill(reason: string): Refused {
  const message = `No address is handed out, because the store is older than what hosts know. ${reason}`;
  return refuse('holding-still', `${message}; an operator must end this, see "Holding still" in docs/moving-stores.md`);
}

/** The same to an agent that knows more than the store: what it has shall not be replaced by what is older. */
export function storeOlder(hostId: HostId, reason: string): Refused {
  const message = `${reason}; go on with the tables that are there until an operator put the store right`;
  return refuse('holding-still', message, { host_id: hostId });
}

/** The store cannot be used now, or the server stops; nothing is known to be changed. */
export function storeUnavailable(why: string): Refused {
  return refuse('store-unavailable', `${why}; try again`);
}

/** The store did not say in time whether it took a write. */
export function outcomeUnknown(): Refused {
  const message = 'The store did not say in time whether it took the write, which may be done or not';
  return refuse('outcome-unknown', `${message}; repeat the same request, it will find out`);
}

/** The server that leads, as others know it. */
interface LeadingServer {
  readonly server: string;
  readonly epoch: number;
  readonly agentAdvertise: string;
}

/** The same to an agent, which knows of holders and stores itself. */
export function noHolderOf(
  store: { readonly storeUid: string; readonly incarnation: number },
  holder: LeadingServer | undefined,
): Refused {
  const { message, metadata } = noHolder(holder).error;
  const of = { store_uid: store.storeUid, incarnation: String(store.incarnation) };
  return refuse('no-holder', message, { ...metadata, ...of });
}

/** What was asked needs the server that leads, and this one does not know it or cannot reach it. */
export function noHolder(holder: LeadingServer | undefined): Refused {
  if (!holder) return refuse('no-holder', 'No server leads now, one will within seconds; try again');
  const metadata = {
    holder: holder.server,
    holder_epoch: String(holder.epoch),
    ...(holder.agentAdvertise && { agent_endpoint: holder.agentAdvertise }),
  };
  return refuse('no-holder', `Server ${holder.server} leads, ask it; try again`, metadata);
}

/** The reservation was released: only what is RESERVED can be changed. */
export function reservationReleased(slot: Obstacle): Refused {
  const message = `The reservation of ${formatIpv4(slot.address)} for ${slot.mac} was released and cannot be changed`;
  return refuse('reservation-released', message, obstacleMetadata(slot));
}

/** The position of a watch is not known any more. */
export function watchCompacted(): Refused {
  return refuse(
    'watch-compacted',
    'The changes after this position are not kept any more, begin again with a snapshot',
  );
}

/** The reader of a watch did not keep up. */
export function watchTooSlow(): Refused {
  return refuse('watch-too-slow', 'The watch was read too slowly, resume it and read faster');
}

/** There are as many of something as the server takes. */
export function rateLimited(what: string): Refused {
  return refuse('rate-limited', `${what}; try again later`);
}

/** A caller makes more calls than it may. */
export function tooManyCalls(caller: string, perSecond: number, retryAfterMs: number): Refused {
  const { error } = refuse('rate-limited', `${caller} may make ${perSecond} calls a second; try again later`);
  return { ok: false, error: { ...error, retryAfterMs } };
}

/** What is asked for takes longer to be found than anybody may ask for. */
export function filterTooBroad(): Refused {
  const remedy = 'set network_id, resource_id, or a resource_kind other than RESERVATION';
  return refuse('filter-too-broad', `Too many reservations would have to be looked at, ${remedy}`);
}

/** The agent opened another session. */
export function sessionSuperseded(hostId: HostId): Refused {
  return refuse('session-superseded', `Host ${hostId} opened another session`, { host_id: hostId });
}

/** The agent does not read what it is sent. */
export function sessionTooSlow(): Refused {
  return refuse('session-too-slow', 'The agent is too slow in reading what it is sent, it should connect anew');
}

/** Nobody knows who calls; `problem`: what is wrong with its certificate. */
export function unauthenticated(problem: string): Refused {
  const message = `It is not known who calls: ${problem}`;
  return refuse(
    'unauthenticated',
    `${message}; dial with a certificate of this installation (docs/operations.md, "TLS")`,
  );
}

/** Who calls may not do this; `caller`: as it is named in logs; `instead`: who may, or what it should do. */
export function permissionDenied(caller: string, what: string, instead: string): Refused {
  return refuse('permission-denied', `${caller} may not ${what}: ${instead}`, { caller });
}
