// Who may call what, in one table (ADR 20).
//
//   X1. Every RPC of every service on a listener has a row: without one the table does not compile. What has no row is denied.
//   X2. Servers call each other only to pass calls on, in the name of whoever called them: that caller's role decides here, too.

import { HealthService } from '@leasehold/proto/grpc/health/v1/health';
import { ServerReflectionService as ReflectionV1 } from '@leasehold/proto/grpc/reflection/v1/reflection';
import { ServerReflectionService as ReflectionV1Alpha } from '@leasehold/proto/grpc/reflection/v1alpha/reflection';
import { formatIdentity, type Identity, parseIdentity, type Role } from '@leasehold/proto/identity';
import { HostAgentServiceService } from '@leasehold/proto/ipam/v1/host_agent_service';
import { IpamServiceService } from '@leasehold/proto/ipam/v1/ipam_service';
import { permissionDenied, type Result, success } from '../domain/errors.js';

/** Who calls: who its certificate says, or anybody on a listener without TLS. */
export type Caller = Identity | typeof INSECURE;

/** On a listener without TLS: who reaches it may everything. */
export const INSECURE = { role: 'insecure', name: '' } as const;

/** A caller as it is named in resources and logs: `engine/ovirt`, `insecure`. */
export function formatCaller(caller: Caller): string {
  return caller.role === 'insecure' ? caller.role : formatIdentity(caller);
}

/** Parses a caller; undefined: it is none. */
export function parseCaller(text: string): Caller | undefined {
  if (text === INSECURE.role) return INSECURE;
  const identity = parseIdentity(text);
  return identity.ok ? identity.value : undefined;
}

/** Roles, and `passed-on`: servers, in the name of a caller of one of the roles. */
type Row = readonly (Role | 'passed-on')[];
type Rows<Service> = { readonly [Method in keyof Service]: Row };

const READS = ['engine', 'viewer'] as const;
const READS_THERE = [...READS, 'passed-on'] as const;
const CHANGES = ['engine'] as const;
const CHANGES_THERE = [...CHANGES, 'passed-on'] as const;
const EVERYBODY = ['engine', 'viewer', 'host', 'server'] as const;

/** The rows by service, under the names that the services have in the generated code. */
export const ACCESS = {
  ipam: {
    createNetwork: CHANGES,
    getNetwork: READS_THERE,
    listNetworks: READS_THERE,
    updateNetwork: CHANGES,
    deleteNetwork: CHANGES,
    createSubnet: CHANGES,
    getSubnet: READS,
    listSubnets: READS,
    updateSubnet: CHANGES,
    deleteSubnet: CHANGES,
    reserveAddress: CHANGES_THERE,
    releaseAddress: CHANGES,
    batchReserveAddresses: CHANGES_THERE,
    batchReleaseAddresses: CHANGES,
    getReservation: READS_THERE,
    listReservations: READS_THERE,
    updateReservation: CHANGES,
    listAddressHistory: READS,
    listAuditEvents: READS,
    getHost: READS_THERE,
    listHosts: READS_THERE,
    updateHost: CHANGES,
    deleteHost: CHANGES_THERE,
    fenceHost: CHANGES_THERE,
    listPlacements: READS_THERE,
    rebalancePlacements: CHANGES_THERE,
    watchEvents: READS,
    getStatus: READS_THERE,
  } satisfies Rows<typeof IpamServiceService>,
  hostAgent: { session: ['host'] } satisfies Rows<typeof HostAgentServiceService>,
  health: { check: EVERYBODY, list: EVERYBODY, watch: EVERYBODY } satisfies Rows<typeof HealthService>,
  reflection: { serverReflectionInfo: READS } satisfies Rows<typeof ReflectionV1>,
} as const;

const BY_PATH: ReadonlyMap<string, Row> = new Map([
  ...rowsOf(IpamServiceService, ACCESS.ipam),
  ...rowsOf(HostAgentServiceService, ACCESS.hostAgent),
  ...rowsOf(HealthService, ACCESS.health),
  ...rowsOf(ReflectionV1, ACCESS.reflection),
  ...rowsOf(ReflectionV1Alpha, ACCESS.reflection),
]);

function rowsOf<Service extends Readonly<Record<keyof Service, { readonly path: string }>>>(
  service: Service,
  rows: Rows<Service>,
): readonly (readonly [string, Row])[] {
  const methods = Object.keys(service) as (keyof Service)[];
  return methods.map((method) => [service[method].path, rows[method]]);
}

/** The paths that have a row. */
export function knownPaths(): readonly string[] {
  return [...BY_PATH.keys()];
}

/** Who counts as the caller of an RPC, or why not: `peer` is who is connected, `onBehalfOf` whom it names as its own caller. */
export function authorize(path: string, peer: Identity, onBehalfOf: string | undefined): Result<Caller> {
  const row = BY_PATH.get(path) ?? [];
  if (row.includes(peer.role)) return success(peer);
  const what = `call ${path.slice(path.lastIndexOf('/') + 1)}`;
  if (peer.role !== 'server' || !row.includes('passed-on')) return denied(peer, what, row);
  const named = onBehalfOf === undefined ? undefined : parseCaller(onBehalfOf);
  if (!named) return permissionDenied(formatCaller(peer), what, 'a server calls in the name of its own caller only');
  return named.role === 'insecure' || row.includes(named.role) ? success(named) : denied(named, what, row);
}

function denied(caller: Caller, what: string, row: Row): Result<never> {
  const roles = row.filter((role) => role !== 'passed-on');
  return permissionDenied(formatCaller(caller), what, `that is for ${roles.join(' and ') || 'nobody'}`);
}
