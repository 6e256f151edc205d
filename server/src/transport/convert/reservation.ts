// Reservations between wire and domain.

import { createHash } from 'node:crypto';
import {
  type BatchReserveAddressesRequest,
  type GetReservationRequest,
  type ListAddressHistoryRequest,
  type ListReservationsRequest,
  ReleaseAddressRequest,
  ReserveAddressRequest,
  type UpdateReservationRequest,
} from '@leasehold/proto/ipam/v1/ipam_service';
import {
  ReservationState,
  ConflictKind as WireConflictKind,
  type ReservationKey as WireKey,
  type Reservation as WireReservation,
} from '@leasehold/proto/ipam/v1/reservation';
import { formatIpv4, parseHostname, parseIpv4, parseMac } from '@leasehold/proto/values';
import type { ReleaseCommand } from '../../app/release.js';
import type { ReservationFilter, ReservationKey, ReservationSettings, UpdateGuards } from '../../app/reservations.js';
import type { ReserveCommand } from '../../app/reserve.js';
import type { AuditedTenure } from '../../domain/audit.js';
import type { ConflictKind } from '../../domain/conflict.js';
import { invalidField, type Result } from '../../domain/errors.js';
import { reservationEtag } from '../../domain/etag.js';
import type { NetworkId, ReservationId, SubnetId, WallTime } from '../../domain/ids.js';
import { MAX_RESERVATION_ID_LENGTH } from '../../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../../domain/slot.js';
import type { HistoryFilter } from '../../ports/store.js';
import { Fields } from './fields.js';

const MAX_BATCH = 1_000;
const MAX_WAIT_MS = 60_000;
const DEFAULT_WAIT_MS = 5_000;
const ZERO = '' as never;

/** How long to wait for how many servers. */
export interface WaitReady {
  readonly servers: number;
  readonly timeoutMs: number;
}

/** Reads ReserveAddressRequest. */
export function fromReserve(
  request: ReserveAddressRequest,
  caller: string,
): Result<{ readonly command: ReserveCommand; readonly waitReady: WaitReady | undefined }> {
  const fields = new Fields();
  const subnetId = fields.optionalId<SubnetId>('subnet_id', request.subnetId);
  const networkId = fields.optionalId<NetworkId>('network_id', request.networkId);
  if (request.subnetId === '' && request.networkId === '') fields.wrong('subnet_id', 'This or network_id is required');
  const command: ReserveCommand = {
    subnetId,
    networkId,
    mac: fields.parse('mac', request.mac, parseMac) ?? ZERO,
    address: fields.optional('address', request.address, parseIpv4),
    hostname: fields.optional('hostname', request.hostname, parseHostname) ?? '',
    owner: fields.owner('owner', request.owner),
    labels: fields.labels('labels', request.labels),
    options: fields.options('options', request.options),
    request: requestKey(fields, request.requestId, caller, 'ReserveAddress', () => contentOfReserve(request)),
  };
  return fields.result({ command, waitReady: readWait(fields, request) });
}

/** Reads the wait of BatchReserveAddressesRequest, and checks that there are items, not too many. */
export function fromBatchReserve(request: BatchReserveAddressesRequest): Result<WaitReady | undefined> {
  const fields = new Fields();
  checkBatch(fields, request.requests);
  return fields.result(readWait(fields, request));
}

/** Checks that a batch has items, and not too many. */
export function checkBatch(fields: Fields, requests: readonly unknown[]): void {
  if (requests.length === 0) fields.wrong('requests', 'Required');
  else if (requests.length > MAX_BATCH) fields.wrong('requests', `More than ${MAX_BATCH} items`);
}

function readWait(fields: Fields, { waitReady }: Pick<ReserveAddressRequest, 'waitReady'>): WaitReady | undefined {
  if (!waitReady) return undefined;
  const timeoutMs = fields.milliseconds('wait_ready.timeout', waitReady.timeout) ?? DEFAULT_WAIT_MS;
  if (timeoutMs > MAX_WAIT_MS) fields.wrong('wait_ready.timeout', `More than ${MAX_WAIT_MS / 1_000} s`);
  return { servers: waitReady.servers || 1, timeoutMs };
}

function requestKey(
  fields: Fields,
  requestId: string,
  caller: string,
  rpc: RequestKey['rpc'],
  content: () => Uint8Array,
): RequestKey | undefined {
  const id = fields.requestId(requestId);
  if (id === '') return undefined;
  const contentHash = createHash('sha256').update(content()).digest('base64url');
  return { caller, rpc, id, contentHash };
}

// How long the caller would wait is not what it asks for; labels are a map, and a map has no order on the wire.
function contentOfReserve(request: ReserveAddressRequest): Uint8Array {
  const labels = Object.fromEntries(Object.entries(request.labels).sort(([a], [b]) => (a < b ? -1 : 1)));
  return ReserveAddressRequest.encode({ ...request, labels, requestId: '', waitReady: undefined }).finish();
}

/** Reads ReleaseAddressRequest. */
export function fromRelease(request: ReleaseAddressRequest, caller: string): Result<ReleaseCommand> {
  const fields = new Fields();
  const short = request.subnetId !== '' || request.address !== '';
  if (short && request.key) fields.wrong('key', 'Either key or subnet_id and address, not both');
  const shortKey = { $case: 'address', value: { subnetId: request.subnetId, address: request.address } } as const;
  const key = readKey(fields, short || !request.key ? shortKey : request.key.key, short || !request.key ? '' : 'key.');
  return fields.result({
    key,
    reservationId:
      request.reservationId === '' ? undefined : readReservationId(fields, 'reservation_id', request.reservationId),
    mac: fields.optional('mac', request.mac, parseMac),
    guestStopped: request.guestStopped,
    request: requestKey(fields, request.requestId, caller, 'ReleaseAddress', () =>
      ReleaseAddressRequest.encode({ ...request, requestId: '' }).finish(),
    ),
  });
}

/** Reads GetReservationRequest. */
export function fromGetReservation(request: GetReservationRequest): Result<ReservationKey> {
  if (!request.key) return invalidField('key', 'Required: reservation_id, address or mac');
  const fields = new Fields();
  return fields.result(readKey(fields, request.key, ''));
}

function readKey(fields: Fields, key: WireKey['key'], prefix: string): ReservationKey {
  switch (key?.$case) {
    case 'reservationId':
      if (key.value === '') fields.wrong(`${prefix}reservation_id`, 'Required');
      return { kind: 'id', reservationId: readReservationId(fields, `${prefix}reservation_id`, key.value) };
    case 'address': {
      const nested = prefix === '' ? '' : `${prefix}address.`;
      const subnetId = fields.id<SubnetId>(`${nested}subnet_id`, key.value.subnetId);
      return {
        kind: 'address',
        subnetId,
        address: fields.parse(`${nested}address`, key.value.address, parseIpv4) ?? ZERO,
      };
    }
    case 'mac': {
      const nested = prefix === '' ? '' : `${prefix}mac.`;
      const networkId = fields.id<NetworkId>(`${nested}network_id`, key.value.networkId);
      return { kind: 'mac', networkId, mac: fields.parse(`${nested}mac`, key.value.mac, parseMac) ?? ZERO };
    }
    default:
      fields.wrong('key', 'Required');
      return { kind: 'id', reservationId: ZERO };
  }
}

function readReservationId(fields: Fields, field: string, text: string): ReservationId {
  return fields.text(field, text, MAX_RESERVATION_ID_LENGTH) as ReservationId;
}

/** Reads the filters of ListReservationsRequest. */
export function fromReservationFilter(request: ListReservationsRequest): Result<ReservationFilter> {
  const fields = new Fields();
  return fields.result({
    networkId: fields.optionalId<NetworkId>('network_id', request.networkId),
    subnetId: fields.optionalId<SubnetId>('subnet_id', request.subnetId),
    mac: fields.optional('mac', request.mac, parseMac),
    owner: request.owner === '' ? undefined : request.owner,
    state: readState(fields, request.state),
  });
}

function readState(fields: Fields, state: ReservationState): Slot['state'] | undefined {
  if (state === ReservationState.UNSPECIFIED) return undefined;
  if (state === ReservationState.RESERVED) return 'reserved';
  if (state === ReservationState.QUARANTINED) return 'quarantined';
  fields.wrong('state', 'Only RESERVED and QUARANTINED ones are listed; ended tenures are history');
  return undefined;
}

/** The states of a slot on the wire. */
export const STATES = {
  reserved: ReservationState.RESERVED,
  quarantined: ReservationState.QUARANTINED,
} satisfies Record<Slot['state'], ReservationState>;

const PATHS = ['hostname', 'owner', 'labels', 'options'] as const satisfies readonly (keyof ReservationSettings)[];

/** Reads UpdateReservationRequest. */
export function fromUpdateReservation({ key, reservation, updateMask }: UpdateReservationRequest): Result<{
  readonly key: ReservationKey;
  readonly patch: Partial<ReservationSettings>;
  readonly guards: UpdateGuards;
}> {
  if (!reservation) return invalidField('reservation', 'Required');
  const fields = new Fields();
  const own = { $case: 'reservationId', value: reservation.reservationId } as const;
  const settings: ReservationSettings = {
    hostname: fields.optional('reservation.hostname', reservation.hostname, parseHostname) ?? '',
    owner: fields.owner('reservation.owner', reservation.owner),
    labels: fields.labels('reservation.labels', reservation.labels),
    options: fields.options('reservation.options', reservation.options),
  };
  const paths = fields.mask(updateMask, PATHS) ?? PATHS.filter((path) => isSet(reservation, path));
  const patch = Object.fromEntries(paths.map((path) => [path, settings[path]]));
  const named = readKey(fields, key ? key.key : own, key ? 'key.' : 'reservation.');
  const { reservationId, etag } = reservation;
  const guard =
    reservationId === '' ? undefined : readReservationId(fields, 'reservation.reservation_id', reservationId);
  return fields.result({ key: named, patch, guards: { reservationId: guard, etag } });
}

function isSet(reservation: WireReservation, path: (typeof PATHS)[number]): boolean {
  const value = reservation[path];
  return (typeof value === 'string' ? value : Object.keys(value)).length > 0;
}

/** Reads the filters of ListAddressHistoryRequest. */
export function fromHistoryFilter(request: ListAddressHistoryRequest): Result<HistoryFilter> {
  const fields = new Fields();
  const hasPlace = request.subnetId !== '' || request.address !== '';
  if (!hasPlace && request.mac === '' && request.owner === '') {
    fields.wrong('subnet_id', 'This with address, or mac, or owner is required');
  }
  return fields.result({
    place: hasPlace
      ? {
          subnetId: fields.id<SubnetId>('subnet_id', request.subnetId),
          address: fields.parse('address', request.address, parseIpv4) ?? ZERO,
        }
      : undefined,
    mac: fields.optional('mac', request.mac, parseMac),
    owner: request.owner === '' ? undefined : fields.owner('owner', request.owner),
    networkId: fields.optionalId<NetworkId>('network_id', request.networkId),
    endedAfter: request.startTime && (request.startTime.getTime() as WallTime),
    createdBefore: request.endTime && (request.endTime.getTime() as WallTime),
  });
}

/** Writes a reservation. */
export function toWireReservation(
  tenure: Slot | EndedTenure,
  live: Pick<WireReservation, 'readyServers' | 'reusableTime' | 'blockedByHostIds'>,
): WireReservation {
  const state = 'state' in tenure ? STATES[tenure.state] : ReservationState.ENDED;
  const endTime = 'endTime' in tenure ? new Date(tenure.endTime) : undefined;
  return { ...toWireTenure(tenure, state), ...live, endTime };
}

const CONFLICT_KINDS = {
  declined: WireConflictKind.DECLINED,
  'address-in-use': WireConflictKind.ADDRESS_IN_USE,
  released: WireConflictKind.RELEASED,
} satisfies Record<ConflictKind, WireConflictKind>;

/** Writes what is stored of a tenure. */
export function toWireTenure(
  tenure: AuditedTenure & Pick<Tenure, 'conflict'>,
  state: ReservationState,
): WireReservation {
  return {
    reservationId: tenure.reservationId,
    networkId: tenure.networkId,
    subnetId: tenure.subnetId,
    address: formatIpv4(tenure.address),
    mac: tenure.mac,
    hostname: tenure.hostname,
    owner: tenure.owner,
    labels: { ...tenure.labels },
    options: tenure.options.map(({ code, value }) => ({ code, value })),
    state,
    createTime: new Date(tenure.createTime),
    releaseTime: tenure.releaseTime === undefined ? undefined : new Date(tenure.releaseTime),
    reusableTime: undefined,
    blockedByHostIds: [],
    readyServers: 0,
    createdBy: tenure.createdBy,
    releasedBy: tenure.releasedBy ?? '',
    guestStopped: tenure.vouched ?? false,
    etag: reservationEtag(tenure),
    endTime: undefined,
    conflict: tenure.conflict && {
      ...tenure.conflict,
      time: new Date(tenure.conflict.time),
      kind: CONFLICT_KINDS[tenure.conflict.kind],
    },
  };
}
