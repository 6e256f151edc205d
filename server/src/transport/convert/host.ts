// Hosts and placements between wire and domain.

import { BreakerState, type HostFence, HostLiveness, Host as WireHost } from '@leasehold/proto/ipam/v1/host';
import type { FenceHostRequest, UpdateHostRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import { PlacementState, type Placement as WirePlacement } from '@leasehold/proto/ipam/v1/placement';
import { formatIpv4 } from '@leasehold/proto/values';
import { attachmentsOf, type HostStatus } from '../../app/host-status.js';
import type { HostSettings } from '../../app/hosts.js';
import type { PlacementView } from '../../app/placements.js';
import type { AuditedHost } from '../../domain/audit.js';
import { invalidField, type Result } from '../../domain/errors.js';
import { hostEtag } from '../../domain/etag.js';
import type { Host } from '../../domain/host.js';
import type { HostId } from '../../domain/ids.js';
import { Fields } from './fields.js';

const MAX_REASON = 255;
const PATHS = ['managed', 'maintenance', 'labels'] as const satisfies readonly (keyof HostSettings)[];

/** Reads UpdateHostRequest. */
export function fromUpdateHost({ host, updateMask }: UpdateHostRequest): Result<{
  readonly hostId: HostId;
  readonly patch: Partial<HostSettings>;
  readonly etag: string;
}> {
  if (!host) return invalidField('host', 'Required');
  const fields = new Fields();
  const hostId = fields.id<HostId>('host.host_id', host.hostId);
  const settings: HostSettings = {
    managed: host.managed ?? true,
    maintenance: host.maintenance ?? false,
    labels: fields.labels('host.labels', host.labels),
  };
  const paths = fields.mask(updateMask, PATHS) ?? PATHS.filter((path) => isSet(host, path));
  const patch = Object.fromEntries(paths.map((path) => [path, settings[path]]));
  return fields.result({ hostId, patch, etag: host.etag });
}

/** Reads FenceHostRequest. */
export function fromFenceHost(request: FenceHostRequest): Result<{ readonly hostId: HostId; readonly reason: string }> {
  const fields = new Fields();
  const hostId = fields.id<HostId>('host_id', request.hostId);
  const reason = fields.text('reason', request.reason, MAX_REASON);
  if (reason === '') fields.wrong('reason', 'Required: how it is known that the host is dead');
  return fields.result({ hostId, reason });
}

function isSet(host: WireHost, path: (typeof PATHS)[number]): boolean {
  return path === 'labels' ? Object.keys(host.labels).length > 0 : host[path] !== undefined;
}

const LIVENESS = {
  unknown: HostLiveness.UNSPECIFIED,
  up: HostLiveness.UP,
  suspect: HostLiveness.SUSPECT,
  down: HostLiveness.DOWN,
} satisfies Record<HostStatus['liveness'], HostLiveness>;

const BREAKER = {
  closed: BreakerState.CLOSED,
  open: BreakerState.OPEN,
  'half-open': BreakerState.HALF_OPEN,
} satisfies Record<HostStatus['breaker'], BreakerState>;

/** Writes the state of a breaker; undefined: there is none. */
export function toWireBreaker(state: HostStatus['breaker'] | undefined): BreakerState {
  return state === undefined ? BreakerState.UNSPECIFIED : BREAKER[state];
}

/** Writes the settings of a host, and nothing else of it. */
export function toWireHostSettings(host: AuditedHost): WireHost {
  const { hostId, uid, managed, maintenance, failureDomain, labels } = host;
  return WireHost.fromPartial({
    ...{ hostId, uid, managed, maintenance, failureDomain, labels: { ...labels }, etag: hostEtag(host) },
    ...{ fence: toWireFence(host), createTime: new Date(host.createTime), updateTime: new Date(host.updateTime) },
  });
}

function toWireFence({ fence }: Pick<Host, 'fence'>): HostFence | undefined {
  return fence && { reason: fence.reason, fencedBy: fence.by, time: new Date(fence.time) };
}

/** Writes a host; without a status only what is stored of it. */
export function toWireHost(host: Host, status?: HostStatus): WireHost {
  const attachments = status?.attachments ?? attachmentsOf(undefined, host);
  return {
    hostId: host.hostId,
    uid: host.uid,
    liveness: LIVENESS[status?.liveness ?? 'unknown'],
    managed: host.managed,
    maintenance: host.maintenance,
    failureDomain: host.failureDomain,
    labels: { ...host.labels },
    attachments: attachments.map(({ foreignServers, ...each }) => ({
      ...each,
      foreignDhcpServers: foreignServers.map(({ address, mac }) => ({ address: formatIpv4(address), mac: mac ?? '' })),
    })),
    backend: host.backend,
    agentVersion: host.agentVersion,
    lastHeartbeatTime: status?.lastHeardTime,
    breaker: toWireBreaker(status?.breaker),
    fence: toWireFence(host),
    etag: hostEtag(host),
    createTime: new Date(host.createTime),
    updateTime: new Date(host.updateTime),
  };
}

const STATES = {
  assigned: PlacementState.ASSIGNED,
  serving: PlacementState.SERVING,
  withdrawing: PlacementState.WITHDRAWING,
  former: PlacementState.FORMER,
} satisfies Record<PlacementView['state'], PlacementState>;

/** Writes a placement. */
export function toWirePlacement(placement: PlacementView): WirePlacement {
  return {
    networkId: placement.networkId,
    hostId: placement.hostId,
    epoch: BigInt(placement.epoch),
    state: STATES[placement.state],
    pendingChanges: placement.pendingChanges,
    syncedTime: placement.syncedTime === undefined ? undefined : new Date(placement.syncedTime),
    since: new Date(placement.since),
  };
}
