// IpamService: every RPC is decode, call, encode.

import { createHash } from 'node:crypto';
import type { Log } from '@leasehold/program/log';
import type { Status } from '@leasehold/proto/google/rpc/status';
import {
  type IpamServiceServer,
  type ListAddressHistoryRequest,
  type ListAuditEventsRequest,
  type ListHostsRequest,
  type ListPlacementsRequest,
  type ListReservationsRequest,
  type ListSubnetsRequest,
  type ReserveAddressRequest,
  IpamServiceService as rpc,
} from '@leasehold/proto/ipam/v1/ipam_service';
import type { Audit } from '../app/audit.js';
import { type Call, type Context, newUid, rememberNow } from '../app/context.js';
import type { Events } from '../app/events.js';
import { listHistory } from '../app/history.js';
import type { HostStatus } from '../app/host-status.js';
import type { Hosts } from '../app/hosts.js';
import type { NetworkStatus } from '../app/network-status.js';
import type { Networks } from '../app/networks.js';
import { type PageRequest, pageWithin } from '../app/paging.js';
import type { Placements } from '../app/placements.js';
import type { Rebalance } from '../app/rebalance.js';
import type { Release } from '../app/release.js';
import type { Reservations } from '../app/reservations.js';
import type { Reserve, ReserveCommand, Reserved } from '../app/reserve.js';
import type { Status as StatusUseCase } from '../app/status.js';
import type { SubnetInNetwork, Subnets } from '../app/subnets.js';
import { reuseOf } from '../app/tenure.js';
import { checkWait, waitUntilReady } from '../app/wait-ready.js';
import { invalidField } from '../domain/errors.js';
import type { Host } from '../domain/host.js';
import { type HostId, type NetworkId, type SubnetId, uuid } from '../domain/ids.js';
import type { Limits } from '../domain/limits.js';
import type { Network } from '../domain/network.js';
import type { EndedTenure, Slot } from '../domain/slot.js';
import { fromAuditFilter, toWireAuditEvent } from './convert/audit.js';
import { Fields } from './convert/fields.js';
import { fromFenceHost, fromUpdateHost, toWireHost, toWirePlacement } from './convert/host.js';
import { fromCreateNetwork, fromUpdateNetwork, toWireNetwork } from './convert/network.js';
import {
  checkBatch,
  fromBatchReserve,
  fromGetReservation,
  fromHistoryFilter,
  fromRelease,
  fromReservationFilter,
  fromReserve,
  fromUpdateReservation,
  toWireReservation,
  type WaitReady,
} from './convert/reservation.js';
import { toWireStatus } from './convert/status.js';
import { fromCreateSubnet, fromUpdateSubnet, toWireSubnet } from './convert/subnet.js';
import { orThrow, toStatusMessage } from './errors.js';
import type { HolderCalls } from './holder-calls.js';
import { toStatus, type UnaryCall, unary } from './unary.js';
import { watchHandler } from './watch.js';

/** The use cases behind the service. */
export interface UseCases {
  readonly context: Context;
  readonly limits: Limits;
  readonly networks: Networks;
  readonly subnets: Subnets;
  readonly reserve: Reserve;
  readonly reservations: Reservations;
  readonly release: Release;
  readonly events: Events;
  readonly hosts: Hosts;
  readonly placements: Placements;
  readonly rebalance: Rebalance;
  readonly audit: Audit;
  readonly status: StatusUseCase;
  readonly networkStatus: (network: Network) => NetworkStatus;
  readonly hostStatus: (host: Host) => HostStatus;
  /** The same, for counting: without a look at what the host has. */
  readonly hostLiveness: (host: Host) => HostStatus['liveness'];
  readonly hostBreaker: (host: Host) => HostStatus['breaker'];
  readonly countForeignServers: () => ReadonlyMap<NetworkId, number>;
}

/** The service. What shows whether hosts are up and serve comes from the holder. */
export function ipamHandlers(log: Log, app: UseCases, holder: HolderCalls): IpamServiceServer {
  return {
    ...networkHandlers(log, app, holder),
    ...subnetHandlers(log, app),
    ...reservationHandlers(log, app, holder),
    ...batchHandlers(log, app, holder),
    ...hostHandlers(log, app, holder),
    listAuditEvents: unary(log, async (request: ListAuditEventsRequest, call) => {
      const filter = orThrow(fromAuditFilter(request));
      const page = orThrow(await app.audit.list(filter, readPage(app, request), call));
      return { events: page.items.map(toWireAuditEvent), nextPageToken: page.nextToken };
    }),
    watchEvents: watchHandler(log, app.events, app.context, app.limits.maxWatchStall),
    getStatus: unary(log, async (request, call) => {
      const own = toWireStatus(rememberNow(app.context, call, app.status.get()));
      const held = await holder.read(rpc.getStatus, request, call);
      return held ? { ...own, brakes: held.brakes, counts: held.counts } : own;
    }),
  };
}

function networkHandlers(log: Log, app: UseCases, holder: HolderCalls) {
  const { networks } = app;
  const encode = (network: Network) => ({ network: toWireNetwork(network, app.networkStatus(network)) });
  return {
    createNetwork: unary(log, async (request, call) => {
      const draft = orThrow(fromCreateNetwork(request));
      const networkId =
        draft.networkId ?? newId<NetworkId>(app.context, call.caller, 'CreateNetwork', request.requestId);
      return encode(orThrow(await networks.create(networkId, draft.settings, call)));
    }),
    getNetwork: unary(
      log,
      holder.reads(rpc.getNetwork, async ({ networkId }, call) =>
        encode(orThrow(await networks.get(readId(networkId, 'network_id'), call))),
      ),
    ),
    listNetworks: unary(
      log,
      holder.reads(rpc.listNetworks, (request, call) => {
        const page = orThrow(networks.list(readPage(app, request), call));
        return { networks: page.items.map((network) => encode(network).network), nextPageToken: page.nextToken };
      }),
    ),
    updateNetwork: unary(log, async (request, call) => {
      const { networkId, patch, etag } = orThrow(fromUpdateNetwork(request));
      return encode(orThrow(await networks.update(networkId, patch, etag, call)));
    }),
    deleteNetwork: unary(log, async ({ networkId, etag }, call) => {
      orThrow(await networks.delete(readId(networkId, 'network_id'), etag, call));
      return {};
    }),
  } satisfies Partial<IpamServiceServer>;
}

function subnetHandlers(log: Log, app: UseCases) {
  const { subnets, context } = app;
  const encode = (found: SubnetInNetwork) => ({
    subnet: toWireSubnet(found, context.view.occupancy(found.networkId).usageOf(found.subnet.subnetId)),
  });
  return {
    createSubnet: unary(log, async (request, call) => {
      const draft = orThrow(fromCreateSubnet(request));
      const subnetId = draft.subnetId ?? newId<SubnetId>(context, call.caller, 'CreateSubnet', request.requestId);
      return encode(orThrow(await subnets.create(draft.networkId, subnetId, draft.settings, call)));
    }),
    getSubnet: unary(log, async ({ subnetId }, call) =>
      encode(orThrow(await subnets.get(readId(subnetId, 'subnet_id'), call))),
    ),
    listSubnets: unary(log, (request: ListSubnetsRequest, call) => {
      const networkId = readOptionalId<NetworkId>(request.networkId, 'network_id');
      const page = orThrow(subnets.list(networkId, readPage(app, request), call));
      return { subnets: page.items.map((found) => encode(found).subnet), nextPageToken: page.nextToken };
    }),
    updateSubnet: unary(log, async (request, call) => {
      const { subnetId, networkId, patch, etag } = orThrow(fromUpdateSubnet(request));
      return encode(orThrow(await subnets.update(subnetId, { networkId, patch, etag }, call)));
    }),
    deleteSubnet: unary(log, async ({ subnetId, etag }, call) => {
      orThrow(await subnets.delete(readId(subnetId, 'subnet_id'), etag, call));
      return {};
    }),
  } satisfies Partial<IpamServiceServer>;
}

/** A reservation as it is now. */
function encodeTenure({ context }: UseCases, tenure: Slot | EndedTenure) {
  const { networkId, address, reservationId } = tenure;
  const readyServers = context.hosts.readyServers(networkId, address, reservationId);
  const isResting = 'state' in tenure && tenure.state === 'quarantined';
  const reuse = isResting ? reuseOf(context, tenure) : undefined;
  return toWireReservation(tenure, {
    readyServers,
    reusableTime: reuse?.time,
    blockedByHostIds: [...(reuse?.blockedByHostIds ?? [])],
  });
}

/** What a reserve came to, after the wait for servers if there is one. */
async function encodeReserved(app: UseCases, { tenure, created }: Reserved, wait: WaitReady | undefined, call: Call) {
  const now = wait ? await waitUntilReady(app.context, app.reservations, tenure, wait, call.signal) : tenure;
  const reservation = encodeTenure(app, now);
  const { readyServers } = reservation;
  return { reservation, created, ready: wait !== undefined && readyServers >= wait.servers, readyServers };
}

/** Whether a reserve asks hosts, which only another server can: the one that leads. */
function asksHosts({ context, reserve }: UseCases, command: ReserveCommand): boolean {
  return !context.lease.isSelf && reserve.asksHosts(command);
}

function reservationHandlers(log: Log, app: UseCases, holder: HolderCalls) {
  const { context, reservations } = app;
  const encode = (tenure: Slot | EndedTenure) => encodeTenure(app, tenure);
  return {
    reserveAddress: unary(log, async (request, call) => {
      const { command, waitReady: wait } = orThrow(fromReserve(request, call.caller));
      const passed = wait
        ? await holder.do(rpc.reserveAddress, request, call)
        : asksHosts(app, command) && (await holder.prefer(rpc.reserveAddress, request, call));
      if (passed) return passed;
      if (wait) orThrow(await checkWait(context, command, wait.servers));
      return encodeReserved(app, orThrow(await app.reserve.reserve(command, call)), wait, call);
    }),
    releaseAddress: unary(log, async (request, call) => {
      const command = orThrow(fromRelease(request, call.caller));
      return { reservation: encode(orThrow(await app.release.release(command, call))) };
    }),
    getReservation: unary(
      log,
      holder.reads(rpc.getReservation, async (request) => {
        const key = orThrow(fromGetReservation(request));
        return { reservation: encode(orThrow(await reservations.get(key))) };
      }),
    ),
    listReservations: unary(
      log,
      holder.reads(rpc.listReservations, async (request: ListReservationsRequest) => {
        const filter = orThrow(fromReservationFilter(request));
        const page = orThrow(await reservations.list(filter, readPage(app, request)));
        return { reservations: page.items.map(encode), nextPageToken: page.nextToken };
      }),
    ),
    updateReservation: unary(log, async (request, call) => {
      const { key, patch, guards } = orThrow(fromUpdateReservation(request));
      return { reservation: encode(orThrow(await reservations.update(key, patch, guards, call))) };
    }),
    listAddressHistory: unary(log, async (request: ListAddressHistoryRequest) => {
      const filter = orThrow(fromHistoryFilter(request));
      const page = orThrow(await listHistory(context, filter, readPage(app, request)));
      return { tenures: page.items.map(encode), nextPageToken: page.nextToken };
    }),
  } satisfies Partial<IpamServiceServer>;
}

function batchHandlers(log: Log, app: UseCases, holder: HolderCalls) {
  return {
    batchReserveAddresses: unary(log, async (request, call) => {
      const wait = orThrow(fromBatchReserve(request));
      const isAsking = (item: ReserveAddressRequest) => {
        const read = fromReserve(item, call.caller);
        return read.ok && asksHosts(app, read.value.command);
      };
      const passed = wait
        ? await holder.do(rpc.batchReserveAddresses, request, call)
        : request.requests.some(isAsking) && (await holder.prefer(rpc.batchReserveAddresses, request, call));
      if (passed) return passed;
      const results = await eachOf(log, call, request.requests, async (item) => {
        if (item.waitReady) orThrow(invalidField('wait_ready', 'Not in an item, but once for the batch'));
        const { command } = orThrow(fromReserve(item, call.caller));
        if (wait) orThrow(await checkWait(app.context, command, wait.servers));
        return encodeReserved(app, orThrow(await app.reserve.reserve(command, call)), wait, call);
      });
      return { results };
    }),
    batchReleaseAddresses: unary(log, async (request, call) => {
      const fields = new Fields();
      checkBatch(fields, request.requests);
      orThrow(fields.result(undefined));
      const results = await eachOf(log, call, request.requests, async (item) => {
        const command = orThrow(fromRelease(item, call.caller));
        return { reservation: encodeTenure(app, orThrow(await app.release.release(command, call))) };
      });
      return { results };
    }),
  } satisfies Partial<IpamServiceServer>;
}

type BatchResult<Response> =
  | { readonly $case: 'response'; readonly value: Response }
  | { readonly $case: 'status'; readonly value: Status };

/** Handles every item by itself: one that is refused spoils no other. */
function eachOf<Item, Response>(
  log: Log,
  call: UnaryCall,
  items: readonly Item[],
  handle: (item: Item) => Promise<Response>,
): Promise<{ result: BatchResult<Response> }[]> {
  const path = call.grpc.getPath();
  return Promise.all(
    items.map(async (item) => {
      try {
        return { result: { $case: 'response', value: await handle(item) } as const };
      } catch (error) {
        return { result: { $case: 'status', value: toStatusMessage(toStatus(log, path, error)) } as const };
      }
    }),
  );
}

function hostHandlers(log: Log, app: UseCases, holder: HolderCalls) {
  const { hosts, placements, rebalance, context } = app;
  const encode = (host: Host) => ({ host: toWireHost(host, app.hostStatus(host)) });
  return {
    getHost: unary(
      log,
      holder.reads(rpc.getHost, async ({ hostId }, call) =>
        encode(orThrow(await hosts.get(readId(hostId, 'host_id'), call))),
      ),
    ),
    listHosts: unary(
      log,
      holder.reads(rpc.listHosts, (request: ListHostsRequest, call) => {
        const networkId = readOptionalId<NetworkId>(request.networkId, 'network_id');
        const page = orThrow(hosts.list(networkId, readPage(app, request), call));
        return { hosts: page.items.map((host) => encode(host).host), nextPageToken: page.nextToken };
      }),
    ),
    updateHost: unary(log, async (request, call) => {
      const { hostId, patch, etag } = orThrow(fromUpdateHost(request));
      return encode(orThrow(await hosts.update(hostId, patch, etag, call)));
    }),
    deleteHost: unary(
      log,
      holder.does(rpc.deleteHost, async ({ hostId, etag }, call) => {
        orThrow(await hosts.delete(readId(hostId, 'host_id'), etag, call));
        return {};
      }),
    ),
    fenceHost: unary(
      log,
      holder.does(rpc.fenceHost, async (request, call) => {
        const { hostId, reason } = orThrow(fromFenceHost(request));
        return encode(orThrow(await hosts.fence(hostId, reason, call)));
      }),
    ),
    listPlacements: unary(
      log,
      holder.reads(rpc.listPlacements, (request: ListPlacementsRequest, call) => {
        const filter = {
          networkId: readOptionalId<NetworkId>(request.networkId, 'network_id'),
          hostId: readOptionalId<HostId>(request.hostId, 'host_id'),
        };
        const page = rememberNow(context, call, orThrow(placements.list(filter, readPage(app, request))));
        return { placements: page.items.map(toWirePlacement), nextPageToken: page.nextToken };
      }),
    ),
    rebalancePlacements: unary(
      log,
      holder.does(rpc.rebalancePlacements, async (request, call) => {
        const networkId = readOptionalId<NetworkId>(request.networkId, 'network_id');
        const moves = orThrow(await rebalance.run(networkId, request.validateOnly, call));
        return { moves: moves.map(({ epoch: _, ...move }) => move) };
      }),
    ),
  } satisfies Partial<IpamServiceServer>;
}

// The same request id names the same resource, so that a repeated create meets what the first one made: a UUIDv8 from
// the request (RFC 9562 §5.8) where there is a request id, a new UUIDv7 where there is none.
function newId<Id extends string>(context: Context, caller: string, rpc: string, requestId: string): Id {
  if (requestId === '') return newUid(context) as string as Id;
  const hash = createHash('sha256')
    .update(JSON.stringify([caller, rpc, requestId]))
    .digest();
  return uuid(hash.subarray(0, 16), 8) as string as Id;
}

function readId<Id extends string>(text: string, field: string): Id {
  const fields = new Fields();
  const id = fields.id<Id>(field, text);
  return orThrow(fields.result(id));
}

function readOptionalId<Id extends string>(text: string, field: string): Id | undefined {
  return text === '' ? undefined : readId<Id>(text, field);
}

function readPage(
  { limits }: Pick<UseCases, 'limits'>,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): PageRequest {
  return pageWithin(limits.maxPageSize, pageSize, pageToken);
}
