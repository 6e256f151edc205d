// Reservations: what they look like to people, how they travel, and the calls about them.
//
//   R1. A reserve is repeated without harm: (network, MAC) names it, so the SDK adds no request id of its own, which
//       every server would have to index and keep. Nobody knows then whether its first attempt made what the last one found.
//   R2. A release is retried only when it names its tenure (`reservationId`) or itself (`requestId`): by address or
//       MAC alone, the second attempt could release what somebody reserved after the first. A batch is retried only
//       when each of its items may be.
//   R3. A reservation that is read, changed or released as it was answered is that tenure: its address and its MAC may
//       be of another one by now.
//   R4. An update is retried without an etag, as every update is: unlike a release it does not make way for anybody.

import { type ItemResult, inBatches, refusalOfAll, toItemResults } from './batches.js';
import { Batcher, type Sender } from './batching.js';
import type { CallOptions, Calls } from './calls.js';
import { Checks } from './checks.js';
import {
  type BatchReleaseAddressesRequest,
  type BatchReleaseAddressesResponse,
  BatchReserveAddressesRequest,
  type BatchReserveAddressesResponse,
  GetReservationRequest,
  ListAddressHistoryRequest,
  ListReservationsRequest,
  ReleaseAddressRequest,
  type ReleaseAddressResponse,
  ReserveAddressRequest,
  type ReserveAddressResponse,
  IpamServiceService as rpc,
  UpdateReservationRequest,
} from './gen/ipam/v1/ipam_service.js';
import {
  type Reservation as WireReservation,
  type ReservationKey as WireReservationKey,
  ReservationState as WireState,
} from './gen/ipam/v1/reservation.js';
import { List, type ListOptions } from './pages.js';
import { type KeyParts, type NamedReservation, type ReservationKey, toWireKey } from './reservation-keys.js';
import { type DhcpOption, toDhcpOption } from './subnets.js';
import { changedPaths, fromSeconds, type GuardOptions, type Labels, message, nameOf, required } from './values.js';

const STATES = { 1: 'reserved', 2: 'quarantined', 3: 'ended' } as const;

/** Where a reservation is in its life: held, released but resting, or over. */
export type ReservationState = (typeof STATES)[keyof typeof STATES] | 'unknown';

const CONFLICT_KINDS = { 1: 'declined', 2: 'address-in-use', 3: 'released' } as const;

/**
 * The guest declined its address, because it saw another machine use it; another MAC uses the address; or the guest gave
 * it up, as at its shutdown, while the reservation goes on.
 */
export type ConflictKind = (typeof CONFLICT_KINDS)[keyof typeof CONFLICT_KINDS] | 'unknown';

/** An address promised to a MAC, from the reserve to the moment the address is free again (a tenure). */
export interface Reservation {
  /** Opaque. Names this tenure for ever: the next one of the same address has another. */
  readonly reservationId: string;
  readonly networkId: string;
  readonly subnetId: string;
  /** `10.0.0.7`. Never changes within a tenure. */
  readonly address: string;
  /** `52:54:00:aa:bb:cc`. */
  readonly mac: string;
  /** Host name told to the guest. Empty: none. */
  readonly hostname: string;
  /** The engine's own name for the vNIC. Empty: none. */
  readonly owner: string;
  readonly labels: Labels;
  /** DHCP options for this guest alone. */
  readonly options: readonly DhcpOption[];
  readonly state: ReservationState;
  readonly createTime: Date;
  /** Undefined while reserved. */
  readonly releaseTime: Date | undefined;
  /**
   * Earliest moment another MAC may get the address, an estimate that may move. Undefined while reserved or once ended, and
   * where it is not known, because the server that leads could not be asked.
   */
  readonly reusableTime: Date | undefined;
  /** The hosts that may still answer with it, and so prolong its rest. Empty unless quarantined, and where it is not known. */
  readonly blockedByHostIds: readonly string[];
  /** When it was over: the address was free, or its MAC got it again. Undefined until then. */
  readonly endTime: Date | undefined;
  /** How many live servers confirmed that they answer with it. */
  readonly readyServers: number;
  readonly createdBy: string;
  /** Empty while reserved, and where nobody released it: a refused reserve was taken back. */
  readonly releasedBy: string;
  /** Whether somebody vouched that its guest is stopped, at its release or later. */
  readonly guestStopped: boolean;
  /** What a host noticed last that does not fit it. Undefined: nothing. */
  readonly conflict: ReservationConflict | undefined;
  /** Hash of hostname, owner, labels and options. */
  readonly etag: string;
}

/** What a host noticed on the wire; it changes nothing, the engine decides. */
export interface ReservationConflict {
  /** When the server that leads heard of it. */
  readonly time: Date;
  readonly kind: ConflictKind;
  /** The MAC it came from. */
  readonly sourceMac: string;
  /** The host that noticed it. */
  readonly hostId: string;
}

/** An address to reserve. `subnetId` or `networkId` is required. */
export interface ReserveRequest {
  /** In this subnet. */
  readonly subnetId?: string | undefined;
  /** In any subnet of this network that has room. */
  readonly networkId?: string | undefined;
  /** Who gets it: `52:54:00:aa:bb:cc`, or with dashes or dots. */
  readonly mac: string;
  /** This address and no other. Absent: the system chooses. */
  readonly address?: string | undefined;
  /** Host name told to the guest. */
  readonly hostname?: string | undefined;
  /** The engine's own name for the vNIC, up to 255 characters. */
  readonly owner?: string | undefined;
  readonly labels?: Labels | undefined;
  readonly options?: readonly DhcpOption[] | undefined;
  /**
   * Names this request, up to 128 characters: repeated with the same content it answers the same reservation as it is
   * now, also after a release. Absent: (network, MAC) alone makes it idempotent.
   */
  readonly requestId?: string | undefined;
  /** Answer only when DHCP servers confirmed that they can serve it. Absent: at once. */
  readonly waitReady?: WaitReady | undefined;
}

/** One address of many to reserve: it is the batch that waits for DHCP servers. */
export interface ReserveItem extends ReserveRequest {
  readonly waitReady?: undefined;
}

/** How a batch of reserves waits. */
export interface BatchWaitOptions {
  /** Answer only when DHCP servers confirmed all that was reserved. Absent: at once. */
  readonly waitReady?: WaitReady | undefined;
}

/** How long a reserve waits for DHCP servers. */
export interface WaitReady {
  /** How many shall have confirmed. Absent: 1. */
  readonly servers?: number | undefined;
  /** At most this long, up to 60,000; then the answer says `ready: false`. Absent: 5,000. It is added to the default timeout. */
  readonly timeoutMs?: number | undefined;
}

/** What a reserve answers. */
export interface ReserveResult {
  readonly reservation: Reservation;
  /**
   * Whether this request made it. False: it was there before, or an attempt whose answer was lost made it, since a reserve is
   * retried.
   */
  readonly created: boolean;
  /** Whether as many servers as asked for confirmed it. False without `waitReady`. */
  readonly ready: boolean;
  /** How many servers confirmed it so far. */
  readonly readyServers: number;
}

/** What to release, and under which conditions. */
export type ReleaseRequest = ReservationKey & {
  /** Guard, besides an address or MAC: only this tenure. Makes the call safe to retry. */
  readonly reservationId?: string | undefined;
  /** Guard: only if it is promised to this MAC. */
  readonly mac?: string | undefined;
  /** You vouch that the guest no longer uses the address. Otherwise the lease time is added before anyone else may have it. */
  readonly guestStopped?: boolean | undefined;
  /** Names this request: repeated with the same content it answers the tenure that the first one released. Makes the call safe to retry. */
  readonly requestId?: string | undefined;
};

/** What a release answers, as one of many. */
export interface ReleaseResult {
  readonly reservation: Reservation;
}

/** What can be changed of a reservation: a field that is present is set, also to empty; an absent one stays. */
export interface ReservationChanges {
  readonly hostname?: string | undefined;
  readonly owner?: string | undefined;
  readonly labels?: Labels | undefined;
  readonly options?: readonly DhcpOption[] | undefined;
}

/** Which tenures to list: of an address, of a MAC, or of exactly this owner. Given together, all must fit. */
export type HistoryFilter = (
  | { readonly subnetId: string; readonly address: string }
  | { readonly mac: string }
  | { readonly owner: string }
) & {
  /** Only in this network. */
  readonly networkId?: string | undefined;
  /** Only tenures that were not over by then. */
  readonly startTime?: Date | undefined;
  /** Only tenures that had begun before then. */
  readonly endTime?: Date | undefined;
};

/** Which reservations to list. The filters go together. */
export interface ReservationFilter {
  readonly networkId?: string | undefined;
  readonly subnetId?: string | undefined;
  readonly mac?: string | undefined;
  /** Exactly this owner. */
  readonly owner?: string | undefined;
  /** Absent: both. */
  readonly state?: 'reserved' | 'quarantined' | undefined;
}

const LISTED_STATES = { reserved: WireState.RESERVED, quarantined: WireState.QUARANTINED } as const;

const DEFAULT_WAIT_READY_MS = 5_000;

const PATHS: Readonly<Record<keyof ReservationChanges, string>> = {
  hostname: 'hostname',
  owner: 'owner',
  labels: 'labels',
  options: 'options',
};

// Larger items are rare, and would leave little room for others in a batch.
const LARGE_BYTES = 16 * 1024;

/** The calls about reservations. */
export class Reservations {
  readonly #calls: Calls;
  readonly #reserves: Batcher<ReserveAddressRequest, ReserveResult> | undefined;
  readonly #releases: Batcher<ReleaseItem, ReleaseResult> | undefined;

  constructor(calls: Calls, batching: boolean) {
    this.#calls = calls;
    if (!batching) return;
    this.#reserves = new Batcher(reserveSender(calls), calls.runtime);
    this.#releases = new Batcher(releaseSender(calls), calls.runtime);
  }

  /**
   * Promises an address to a MAC. Idempotent by (network, MAC). A full subnet is ExhaustedError (`SUBNET_EXHAUSTED`).
   * Reserves that are made at the same time leave together, unless they have a `waitReady` or a `timeoutMs`.
   */
  async reserve(reserve: ReserveRequest, options: CallOptions = {}): Promise<ReserveResult> {
    const checks = new Checks().mac('mac', reserve.mac).optionalAddress('address', reserve.address);
    checkWait(checks, reserve.waitReady).pass();
    const request = message(ReserveAddressRequest, toWireReserve(reserve));
    const bytes = bytesOfReserve(request);
    if (this.#reserves && !reserve.waitReady && mayBeJoined(options, bytes)) {
      const lane = `${request.networkId} ${request.subnetId}`;
      return this.#reserves.ask({ request, lane, bytes, signal: options.signal });
    }
    const call = { method: rpc.reserveAddress, request, repeatable: true, extraMs: waitMs(reserve.waitReady) };
    return toReserveResult(await this.#calls.unary(call, options));
  }

  /**
   * Reserves many addresses: a result for each, in their order. More than 1,000, or than a request has room for, are sent in
   * several calls, each with the timeout; when one after the first fails, its error is the result of all that is left.
   */
  async reserveMany(
    reserves: readonly ReserveItem[],
    options?: CallOptions & BatchWaitOptions,
  ): Promise<ItemResult<ReserveResult>[]> {
    const waitReady = options?.waitReady;
    checkWait(new Checks(), waitReady).pass();
    const wait = message(BatchReserveAddressesRequest, { waitReady: waitReady && toWireWait(waitReady) }).waitReady;
    const requests = reserves.map((item) => message(ReserveAddressRequest, toWireReserve(item)));
    return inBatches(requests, bytesOfReserve, async (batch) => {
      const call = { ...BATCH_RESERVE, request: toWireReserves(batch, wait), extraMs: waitMs(waitReady) };
      return toReserveResults(batch, await this.#calls.unary(call, options));
    });
  }

  /**
   * Gives an address back. Retried only with a `reservationId` or `requestId`: otherwise it could hit a newer tenure.
   * Releases that are made at the same time leave together, as reserves do.
   */
  async release(release: ReleaseRequest, options: CallOptions = {}): Promise<Reservation> {
    checkRelease(release);
    const item = toReleaseItem(release);
    const bytes = bytesOfRelease(item);
    if (this.#releases && mayBeJoined(options, bytes)) {
      const lane = item.repeatable ? 'repeatable' : 'once';
      const { reservation } = await this.#releases.ask({ request: item, lane, bytes, signal: options.signal });
      return reservation;
    }
    const call = { method: rpc.releaseAddress, ...item };
    return toReleaseResult(await this.#calls.unary(call, options)).reservation;
  }

  /** Gives many addresses back, in calls as of `reserveMany`; one is retried only when each of its items may be. */
  async releaseMany(releases: readonly ReleaseRequest[], options?: CallOptions): Promise<ItemResult<ReleaseResult>[]> {
    return inBatches(releases.map(toReleaseItem), bytesOfRelease, async (batch) => {
      const call = { ...batchRelease(batch.every(({ repeatable }) => repeatable)), request: toWireReleases(batch) };
      return toReleaseResults(batch, await this.#calls.unary(call, options));
    });
  }

  /** Answers one reservation. */
  async get(key: ReservationKey, options?: CallOptions): Promise<Reservation> {
    const named = toWireKey(key);
    new Checks().key(named).pass();
    const request = message(GetReservationRequest, { key: named });
    const answer = await this.#calls.unary({ method: rpc.getReservation, request, repeatable: true }, options);
    return toReservation(answer.reservation);
  }

  /** Reservations, reserved and quarantined, by network and in address order. */
  list(filter: ReservationFilter = {}, options?: ListOptions): List<Reservation> {
    return new List(async (pageToken) => {
      new Checks()
        .optionalMac('mac', filter.mac)
        .optionalWord('state', filter.state, Object.keys(LISTED_STATES))
        .pass();
      const state = filter.state === undefined ? WireState.UNSPECIFIED : LISTED_STATES[filter.state];
      const pageSize = options?.pageSize ?? 0;
      const request = message(ListReservationsRequest, { ...filter, state, pageSize, pageToken });
      const answer = await this.#calls.unary({ method: rpc.listReservations, request, repeatable: true }, options);
      return { items: answer.reservations.map(toReservation), nextPageToken: answer.nextPageToken };
    });
  }

  /** Changes settings; the guest learns them at its next renewal. With an `etag` not retried (see Networks.update). */
  async update(
    key: ReservationKey,
    changes: ReservationChanges,
    options?: CallOptions & GuardOptions,
  ): Promise<Reservation> {
    const named = toWireKey(key);
    new Checks().key(named, 'key.').pass();
    const etag = options?.etag ?? '';
    const updateMask = changedPaths(changes, PATHS);
    const request = message(UpdateReservationRequest, { ...toWireUpdate(named, { ...changes, etag }), updateMask });
    const call = { method: rpc.updateReservation, request, repeatable: etag === '' };
    return toReservation((await this.#calls.unary(call, options)).reservation);
  }

  /** Who had an address, or which ones a MAC or an owner had: tenures that go on and that are over, newest first. */
  history(filter: HistoryFilter, options?: ListOptions): List<Reservation> {
    return new List(async (pageToken) => {
      checkHistory(filter);
      const request = message(ListAddressHistoryRequest, { ...filter, pageSize: options?.pageSize ?? 0, pageToken });
      const answer = await this.#calls.unary({ method: rpc.listAddressHistory, request, repeatable: true }, options);
      return { items: answer.tenures.map(toReservation), nextPageToken: answer.nextPageToken };
    });
  }
}

function checkWait(checks: Checks, waitReady: WaitReady | undefined): Checks {
  return checks.optionalSpan(
    'wait_ready.timeout',
    waitReady?.timeoutMs === undefined ? undefined : waitReady.timeoutMs / 1_000,
  );
}

function checkRelease(release: ReleaseRequest): void {
  const key = toReleaseKey(release);
  // A release by address has the short form on the wire.
  const checks = new Checks().key(key, key.$case === 'address' ? '' : 'key.');
  // By MAC it is the key itself.
  if (key.$case !== 'mac') checks.optionalMac('mac', release.mac);
  checks.pass();
}

function checkHistory(filter: HistoryFilter): void {
  const checks = new Checks();
  if ('address' in filter) checks.address('address', filter.address);
  if ('mac' in filter) checks.optionalMac('mac', filter.mac);
  checks.pass();
}

function mayBeJoined({ timeoutMs, onStale }: CallOptions, bytes: number): boolean {
  return timeoutMs === undefined && onStale === undefined && bytes <= LARGE_BYTES;
}

// What surrounds texts, with all that is no text; and a character, as JavaScript counts them, has up to three bytes.
const FRAME_BYTES = 100;
const CHARACTER_BYTES = 3;

/** About how many bytes a reserve is on the wire, rather too many. */
function bytesOfReserve(request: ReserveAddressRequest): number {
  const { networkId, subnetId, mac, address, hostname, owner, requestId, labels, options } = request;
  let characters = lengthOf(networkId, subnetId, mac, address, hostname, owner, requestId);
  for (const key in labels) characters += lengthOf(key, labels[key] ?? '') + 4;
  for (const { value } of options) characters += value.length + 4;
  return FRAME_BYTES + characters * CHARACTER_BYTES;
}

/** About how many bytes a release is on the wire, rather too many. */
function bytesOfRelease({ request }: ReleaseItem): number {
  const { subnetId, address, reservationId, mac, requestId, key } = request;
  const texts = [subnetId, address, reservationId, mac, requestId, ...textsOfKey(key?.key)];
  return FRAME_BYTES + lengthOf(...texts) * CHARACTER_BYTES;
}

function textsOfKey(key: WireReservationKey['key']): readonly string[] {
  if (key?.$case === 'reservationId') return [key.value];
  if (key?.$case === 'mac') return [key.value.networkId, key.value.mac];
  return key ? [key.value.subnetId, key.value.address] : [];
}

function lengthOf(...texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}

/** A release on the wire, and whether repeating it does no harm. */
interface ReleaseItem {
  readonly request: ReleaseAddressRequest;
  readonly repeatable: boolean;
}

function toReleaseItem(release: ReleaseRequest): ReleaseItem {
  return { request: message(ReleaseAddressRequest, toWireRelease(release)), repeatable: isRepeatable(release) };
}

const BATCH_RESERVE = {
  method: rpc.batchReserveAddresses,
  repeatable: true,
  refusalOf: ({ results }: BatchReserveAddressesResponse) => refusalOfAll(results, true),
};

function toWireReserves(
  requests: readonly ReserveAddressRequest[],
  waitReady?: BatchReserveAddressesRequest['waitReady'],
): BatchReserveAddressesRequest {
  return { requests: [...requests], waitReady };
}

function toReserveResults(requests: readonly ReserveAddressRequest[], { results }: BatchReserveAddressesResponse) {
  return toItemResults(requests, results, toReserveResult, () => true);
}

function batchRelease(repeatable: boolean) {
  return {
    method: rpc.batchReleaseAddresses,
    repeatable,
    refusalOf: ({ results }: BatchReleaseAddressesResponse) => refusalOfAll(results, repeatable),
  };
}

function toWireReleases(items: readonly ReleaseItem[]): BatchReleaseAddressesRequest {
  return { requests: items.map(({ request }) => request) };
}

function toReleaseResults(items: readonly ReleaseItem[], { results }: BatchReleaseAddressesResponse) {
  return toItemResults(items, results, toReleaseResult, ({ repeatable }) => repeatable);
}

function reserveSender(calls: Calls): Sender<ReserveAddressRequest, ReserveResult> {
  return {
    ...timesOf(calls),
    unanswered: (_, server) => calls.unanswered(rpc.reserveAddress, true, server),
    one: async (request, endMs, signal) => {
      const call = { method: rpc.reserveAddress, request, repeatable: true, endMs };
      return toReserveResult(await calls.unary(call, { signal }));
    },
    many: async (batch, endMs, signal) => {
      const call = { ...BATCH_RESERVE, requestFor: (server: string) => toWireReserves(batch.ask(server)), endMs };
      const answer = await calls.unary(call, { signal });
      return toReserveResults(batch.asked, answer);
    },
  };
}

function releaseSender(calls: Calls): Sender<ReleaseItem, ReleaseResult> {
  return {
    ...timesOf(calls),
    unanswered: ({ repeatable }, server) => calls.unanswered(rpc.releaseAddress, repeatable, server),
    one: async (item, endMs, signal) =>
      toReleaseResult(await calls.unary({ method: rpc.releaseAddress, ...item, endMs }, { signal })),
    many: async (batch, endMs, signal) => {
      // Of a lane either all may be repeated or none.
      const call = batchRelease(batch.asked.every(({ repeatable }) => repeatable));
      const requestFor = (server: string) => toWireReleases(batch.ask(server));
      const answer = await calls.unary({ ...call, requestFor, endMs }, { signal });
      return toReleaseResults(batch.asked, answer);
    },
  };
}

function timesOf(calls: Calls) {
  return {
    usualEndMs: () => calls.usualEndMs(),
    wait: (delayMs: number, signal: AbortSignal | undefined) => calls.wait(delayMs, signal),
  };
}

function toWireReserve({ waitReady, ...same }: ReserveRequest) {
  return { ...same, waitReady: waitReady && toWireWait(waitReady) };
}

function waitMs(waitReady: WaitReady | undefined): number {
  return waitReady ? (waitReady.timeoutMs ?? DEFAULT_WAIT_READY_MS) : 0;
}

function toWireWait({ servers, timeoutMs }: WaitReady) {
  return { servers, timeout: timeoutMs === undefined ? undefined : fromSeconds(timeoutMs / 1_000) };
}

/** What a release is by: beside an address or MAC its `reservationId` is a guard. */
function toReleaseKey({ reservationId, ...rest }: ReleaseRequest): NamedReservation {
  const { address, networkId }: KeyParts = rest;
  const isGuarded = address !== undefined || networkId !== undefined;
  return toWireKey({ ...rest, reservationId: isGuarded ? '' : (reservationId ?? '') });
}

function toWireRelease(release: ReleaseRequest) {
  const { reservationId, mac, guestStopped, requestId } = release;
  const guards = { guestStopped, requestId };
  const key = toReleaseKey(release);
  // The short form, which takes the guards beside it.
  if (key.$case === 'address') return { ...guards, ...key.value, reservationId, mac };
  return { ...guards, key: { key }, ...(key.$case === 'mac' ? { reservationId } : { mac }) };
}

function isRepeatable({ reservationId, requestId }: ReleaseRequest): boolean {
  return Boolean(reservationId || requestId);
}

function toWireUpdate(key: NamedReservation, settings: ReservationChanges & { readonly etag: string }) {
  if (key.$case === 'reservationId') return { reservation: { ...settings, reservationId: key.value } };
  return { key: { key }, reservation: settings };
}

function toReserveResult({ reservation, created, ready, readyServers }: ReserveAddressResponse): ReserveResult {
  return { reservation: toReservation(reservation), created, ready, readyServers };
}

function toReleaseResult({ reservation }: ReleaseAddressResponse): ReleaseResult {
  return { reservation: toReservation(reservation) };
}

/** A reservation as people see it. */
export function toReservation(answer: WireReservation | undefined): Reservation {
  const wire = required(answer, 'reservation');
  return {
    reservationId: wire.reservationId,
    networkId: wire.networkId,
    subnetId: wire.subnetId,
    address: wire.address,
    mac: wire.mac,
    hostname: wire.hostname,
    owner: wire.owner,
    labels: wire.labels,
    options: wire.options.map(toDhcpOption),
    state: nameOf(STATES, wire.state),
    createTime: required(wire.createTime, 'reservation.create_time'),
    releaseTime: wire.releaseTime,
    reusableTime: wire.reusableTime,
    blockedByHostIds: wire.blockedByHostIds,
    endTime: wire.endTime,
    readyServers: wire.readyServers,
    createdBy: wire.createdBy,
    releasedBy: wire.releasedBy,
    guestStopped: wire.guestStopped,
    conflict: wire.conflict && {
      time: required(wire.conflict.time, 'reservation.conflict.time'),
      kind: nameOf(CONFLICT_KINDS, wire.conflict.kind),
      sourceMac: wire.conflict.sourceMac,
      hostId: wire.conflict.hostId,
    },
    etag: wire.etag,
  };
}
