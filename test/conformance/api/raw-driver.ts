// Calls by way of the generated client: what an engine in another language does. Answers are put into the words of the SDK, by
// another hand than the SDK's.

import { type ClientReadableStream, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo } from '@leasehold/proto/google/rpc/error_details';
import { Status as WireStatus } from '@leasehold/proto/google/rpc/status';
import { ChangeType } from '@leasehold/proto/ipam/v1/event';
import { HostLiveness } from '@leasehold/proto/ipam/v1/host';
import * as wire from '@leasehold/proto/ipam/v1/ipam_service';
import { PlacementState } from '@leasehold/proto/ipam/v1/placement';
import { ReservationState } from '@leasehold/proto/ipam/v1/reservation';
import type {
  ItemResult,
  ReleaseRequest,
  ReleaseResult,
  ReservationKey,
  ReserveRequest,
  ReserveResult,
  WaitReady,
  WatchEvent,
  WatchOptions,
} from '@leasehold/sdk';
import { type Api, type Driver, type Refusal, toAuditLine } from './api.js';

const PATIENCE_MS = 30_000;
const rpc = wire.IpamServiceService;

/** The generated client. */
export const RAW_DRIVER: Driver = { name: 'the raw client', connect: (address) => apiOf(address) };

interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** Makes a call with these fields of the request; what is undefined is not sent. */
type Ask = <Request, Response>(
  method: Method<Request, Response>,
  request: { fromPartial(fields: never): Request },
  fields: object,
) => Promise<Response>;

function apiOf(address: string): Api {
  const client = new wire.IpamServiceClient(address, credentials.createInsecure());
  // What is asked while the server is away waits for it, as the SDK does.
  const metadata = new Metadata({ waitForReady: true });
  const ask: Ask = ({ path, requestSerialize, responseDeserialize }, request, fields) =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request.fromPartial(fields as never),
        metadata,
        { deadline: Date.now() + PATIENCE_MS },
        (error, response) => {
          if (error) reject(refusalOf(error));
          else if (response) resolve(response);
        },
      );
    });
  return {
    raw: client,
    ...settingsCalls(ask),
    ...reservationCalls(ask),
    ...hostCalls(ask),
    watch: (options) => watch(client, options),
    close: async () => client.close(),
  };
}

type SettingsCalls = Pick<
  Api,
  `${'create' | 'get' | 'list' | 'update' | 'delete'}${'Network' | 'Subnet'}` & keyof Api
> &
  Pick<Api, 'listNetworks' | 'listSubnets'>;

function settingsCalls(ask: Ask): SettingsCalls {
  return {
    createNetwork: async (network, requestId) =>
      plain((await ask(rpc.createNetwork, wire.CreateNetworkRequest, { network, requestId })).network),
    getNetwork: async (networkId) => plain((await ask(rpc.getNetwork, wire.GetNetworkRequest, { networkId })).network),
    listNetworks: async (page) => {
      const { networks, nextPageToken } = await ask(rpc.listNetworks, wire.ListNetworksRequest, { ...page });
      return { items: networks.map((each) => plain(each)), nextPageToken };
    },
    updateNetwork: async (networkId, changes, etag) => {
      const fields = { network: { ...changes, networkId, etag }, updateMask: maskOf(changes) };
      return plain((await ask(rpc.updateNetwork, wire.UpdateNetworkRequest, fields)).network);
    },
    deleteNetwork: async (networkId, etag) => {
      await ask(rpc.deleteNetwork, wire.DeleteNetworkRequest, { networkId, etag });
    },
    createSubnet: async (subnet, requestId) =>
      plain((await ask(rpc.createSubnet, wire.CreateSubnetRequest, { subnet: toWire(subnet), requestId })).subnet),
    getSubnet: async (subnetId) => plain((await ask(rpc.getSubnet, wire.GetSubnetRequest, { subnetId })).subnet),
    listSubnets: async (filter, page) => {
      const { subnets, nextPageToken } = await ask(rpc.listSubnets, wire.ListSubnetsRequest, { ...filter, ...page });
      return { items: subnets.map((each) => plain(each)), nextPageToken };
    },
    updateSubnet: async (subnetId, changes, etag) => {
      const fields = { subnet: { ...toWire(changes), subnetId, etag }, updateMask: maskOf(changes) };
      return plain((await ask(rpc.updateSubnet, wire.UpdateSubnetRequest, fields)).subnet);
    },
    deleteSubnet: async (subnetId, etag) => {
      await ask(rpc.deleteSubnet, wire.DeleteSubnetRequest, { subnetId, etag });
    },
  };
}

type ReservationCalls = Pick<
  Api,
  | ('reserve' | 'reserveMany' | 'release' | 'releaseMany')
  | ('getReservation' | 'listReservations' | 'updateReservation' | 'history' | 'audit')
>;

function reservationCalls(ask: Ask): ReservationCalls {
  return {
    reserve: async (request) =>
      plain(await ask(rpc.reserveAddress, wire.ReserveAddressRequest, toWireReserve(request))),
    reserveMany: async (requests, wait) => {
      const fields = { requests: requests.map(toWireReserve), waitReady: toWireWait(wait) };
      return (await ask(rpc.batchReserveAddresses, wire.BatchReserveAddressesRequest, fields)).results.map((each) =>
        toItem<ReserveResult>(each),
      );
    },
    release: async (request) =>
      plain((await ask(rpc.releaseAddress, wire.ReleaseAddressRequest, toWireRelease(request))).reservation),
    releaseMany: async (requests) => {
      const fields = { requests: requests.map(toWireRelease) };
      return (await ask(rpc.batchReleaseAddresses, wire.BatchReleaseAddressesRequest, fields)).results.map((each) =>
        toItem<ReleaseResult>(each),
      );
    },
    getReservation: async (key) =>
      plain((await ask(rpc.getReservation, wire.GetReservationRequest, { key: toWireKey(key) })).reservation),
    listReservations: async ({ state, ...filter }, page) => {
      const fields = { ...filter, ...page, state: state && ReservationState[upper(state)] };
      const { reservations, nextPageToken } = await ask(rpc.listReservations, wire.ListReservationsRequest, fields);
      return { items: reservations.map((each) => plain(each)), nextPageToken };
    },
    updateReservation: async (key, changes, etag) => {
      const fields = {
        key: { key: toWireKey(key) },
        reservation: { ...changes, etag },
        updateMask: maskOf(changes),
      };
      return plain((await ask(rpc.updateReservation, wire.UpdateReservationRequest, fields)).reservation);
    },
    history: async (filter, page) => {
      const fields = { ...filter, ...page };
      const { tenures, nextPageToken } = await ask(rpc.listAddressHistory, wire.ListAddressHistoryRequest, fields);
      return { items: tenures.map((each) => plain(each)), nextPageToken };
    },
    audit: async (networkId, page) => {
      const fields = { networkId, ...page };
      const { events, nextPageToken } = await ask(rpc.listAuditEvents, wire.ListAuditEventsRequest, fields);
      return { items: events.map(toAuditLine), nextPageToken };
    },
  };
}

type HostCalls = Pick<
  Api,
  'getHost' | 'listHosts' | 'updateHost' | 'deleteHost' | 'fenceHost' | 'listPlacements' | 'rebalance' | 'status'
>;

function hostCalls(ask: Ask): HostCalls {
  return {
    getHost: async (hostId) => plain((await ask(rpc.getHost, wire.GetHostRequest, { hostId })).host),
    listHosts: async (networkId, page) => {
      const { hosts, nextPageToken } = await ask(rpc.listHosts, wire.ListHostsRequest, { networkId, ...page });
      return { items: hosts.map((each) => plain(each)), nextPageToken };
    },
    updateHost: async (hostId, changes, etag) => {
      const fields = { host: { ...changes, hostId, etag }, updateMask: maskOf(changes) };
      return plain((await ask(rpc.updateHost, wire.UpdateHostRequest, fields)).host);
    },
    deleteHost: async (hostId, etag) => {
      await ask(rpc.deleteHost, wire.DeleteHostRequest, { hostId, etag });
    },
    fenceHost: async (hostId, reason) =>
      plain((await ask(rpc.fenceHost, wire.FenceHostRequest, { hostId, reason })).host),
    listPlacements: async (filter, page) => {
      const fields = { ...filter, ...page };
      const { placements, nextPageToken } = await ask(rpc.listPlacements, wire.ListPlacementsRequest, fields);
      return { items: placements.map((each) => plain(each)), nextPageToken };
    },
    rebalance: async (networkId, validateOnly) =>
      (await ask(rpc.rebalancePlacements, wire.RebalancePlacementsRequest, { networkId, validateOnly })).moves,
    status: async () => plain(await ask(rpc.getStatus, wire.GetStatusRequest, {})),
  };
}

async function* watch(client: wire.IpamServiceClient, options: WatchOptions): AsyncGenerator<WatchEvent, void> {
  const { signal, ...fields } = options;
  const stream: ClientReadableStream<wire.WatchEventsResponse> = client.watchEvents(
    wire.WatchEventsRequest.fromPartial(fields as never),
  );
  const cancel = () => stream.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for await (const { event, resumeToken } of stream as AsyncIterable<wire.WatchEventsResponse>) {
      const kind = event?.$case === 'snapshotEnd' ? 'snapshot-end' : (event?.$case ?? 'bookmark');
      yield { kind, resumeToken, ...plain<object>(event?.value) } as WatchEvent;
    }
  } catch (error) {
    throw signal?.aborted ? signal.reason : refusalOf(error as ServiceError);
  } finally {
    signal?.removeEventListener('abort', cancel);
    stream.cancel();
  }
}

/** Settings that are spans, in the words of the API. */
const SPANS: Readonly<Record<string, string>> = { leaseTimeSeconds: 'leaseTime', reuseDelaySeconds: 'reuseDelay' };

function toWire(settings: object): object {
  const fields = Object.entries(settings).map(
    ([key, value]: readonly [string, unknown]): readonly [string, unknown] => {
      const span = SPANS[key];
      return span === undefined ? [key, value ?? undefined] : [span, { seconds: BigInt(Number(value)), nanos: 0 }];
    },
  );
  return Object.fromEntries(fields) as object;
}

/** The paths of all that is there to be set, as `lease_time`. */
function maskOf(changes: object): readonly string[] {
  const set = Object.entries(changes).filter(([, value]) => value !== undefined);
  return set.map(([key]) => (SPANS[key] ?? key).replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

function toWireReserve({ waitReady, ...same }: ReserveRequest) {
  return { ...same, waitReady: toWireWait(waitReady) };
}

function toWireWait(wait: WaitReady | undefined) {
  if (!wait) return undefined;
  const { servers, timeoutMs } = wait;
  const timeout =
    timeoutMs === undefined
      ? undefined
      : { seconds: BigInt(Math.trunc(timeoutMs / 1_000)), nanos: (timeoutMs % 1_000) * 1_000_000 };
  return { servers, timeout };
}

function toWireKey(key: ReservationKey) {
  if ('address' in key) return { $case: 'address', value: key };
  if ('networkId' in key) return { $case: 'mac', value: key };
  return { $case: 'reservationId', value: key.reservationId };
}

/** By key, also an address, whose short form is what the SDK sends. */
function toWireRelease(release: ReleaseRequest) {
  const { reservationId, mac, guestStopped, requestId } = release;
  if ('address' in release) {
    return { key: { key: toWireKey(release) }, reservationId, mac, guestStopped, requestId };
  }
  if ('networkId' in release) return { key: { key: toWireKey(release) }, reservationId, guestStopped, requestId };
  return { key: { key: toWireKey(release) }, mac, guestStopped, requestId };
}

function toItem<Result>({
  result,
}: {
  result: { $case: 'response'; value: object } | { $case: 'status'; value: WireStatus } | undefined;
}): ItemResult<Result> | { readonly ok: false; readonly error: Refusal } {
  if (!result) throw new Error('An item of a batch has no result');
  if (result.$case === 'status') return { ok: false, error: refusalOfStatus(result.value) };
  return { ok: true, ...plain<Result>(result.value) };
}

/** A message in the words of the SDK: spans as seconds, numbers as numbers, states by their names. */
function plain<T>(message: unknown): T {
  return plainValue(message) as T;
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => plainField(value, key, each)));
}

function plainField(message: object, key: string, value: unknown): readonly [string, unknown] {
  if (typeof value === 'object' && value && 'nanos' in value && 'seconds' in value) {
    return [`${key}Seconds`, Number(value.seconds)];
  }
  const names = namesOf(message, key);
  return [key, names ? wordOf(names, value) : plainValue(value)];
}

function namesOf(message: object, key: string): Readonly<Record<string, number>> | undefined {
  if (key === 'liveness') return HostLiveness;
  if (key === 'change') return ChangeType;
  if (key !== 'state') return undefined;
  return 'mac' in message ? ReservationState : PlacementState;
}

function wordOf(names: Readonly<Record<string, number>>, value: unknown): string {
  const [name = 'UNSPECIFIED'] = Object.entries(names).find(([, number]) => number === value) ?? [];
  return name === 'UNSPECIFIED' ? 'unknown' : name.toLowerCase().replaceAll('_', '-');
}

function upper(state: 'reserved' | 'quarantined'): 'RESERVED' | 'QUARANTINED' {
  return state === 'reserved' ? 'RESERVED' : 'QUARANTINED';
}

/** A refusal that was thrown. */
class RefusedError extends Error implements Refusal {
  readonly code: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: Refusal['fieldViolations'];

  constructor({ code, reason, message, metadata, fieldViolations }: Refusal) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.metadata = metadata;
    this.fieldViolations = fieldViolations;
  }
}

function refusalOf({ code, details, metadata }: ServiceError): RefusedError {
  const [bytes] = metadata.get('grpc-status-details-bin');
  const told = bytes instanceof Uint8Array ? WireStatus.decode(bytes) : { code, message: details, details: [] };
  return refusalOfStatus(told);
}

function refusalOfStatus({ code, message, details }: WireStatus): RefusedError {
  const of = (type: string) => details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${type}`);
  const [info, bad] = [of('ErrorInfo'), of('BadRequest')];
  const { reason, metadata } = info ? ErrorInfo.decode(info.value) : { reason: '', metadata: {} };
  const fieldViolations = bad ? BadRequest.decode(bad.value).fieldViolations : [];
  return new RefusedError({ code: status[code] ?? String(code), reason, message, metadata, fieldViolations });
}
