// Subnets between wire and domain.

import type { CreateSubnetRequest, UpdateSubnetRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import type {
  AddressRange as WireRange,
  Route as WireRoute,
  Subnet as WireSubnet,
} from '@leasehold/proto/ipam/v1/subnet';
import {
  type Cidr,
  formatCidr,
  formatIpv4,
  type Ipv4,
  parseCidr,
  parseDomain,
  parseIpv4,
} from '@leasehold/proto/values';
import type { SubnetInNetwork } from '../../app/subnets.js';
import { invalidField, type Result } from '../../domain/errors.js';
import { subnetEtag } from '../../domain/etag.js';
import type { NetworkId, SubnetId } from '../../domain/ids.js';
import type { AddressRange, Route } from '../../domain/network.js';
import type { Usage } from '../../domain/occupancy.js';
import type { SubnetSettings } from '../../domain/subnet-settings.js';
import { Fields } from './fields.js';

const DEFAULT_LEASE_S = 3_600;
const DEFAULT_REUSE_DELAY_S = 60;
const MAX_SERVERS = 8;
const MAX_SEARCH = 6;
const MAX_ROUTES = 16;
const MAX_RANGES = 256;

/** A subnet to create; without an id the server makes one. */
export interface SubnetDraft {
  readonly networkId: NetworkId;
  readonly subnetId: SubnetId | undefined;
  readonly settings: SubnetSettings;
}

const NO_CIDR: Cidr = { base: 0 as Ipv4, prefixLength: 0 };

/** Reads CreateSubnetRequest. */
export function fromCreateSubnet({ subnet, requestId }: CreateSubnetRequest): Result<SubnetDraft> {
  if (!subnet) return invalidField('subnet', 'Required');
  const fields = new Fields();
  fields.requestId(requestId);
  const networkId = fields.id<NetworkId>('subnet.network_id', subnet.networkId);
  const subnetId = fields.optionalId<SubnetId>('subnet.subnet_id', subnet.subnetId);
  const cidr = fields.parse('subnet.cidr', subnet.cidr, parseCidr) ?? NO_CIDR;
  return fields.result({ networkId, subnetId, settings: { cidr, ...readSettings(fields, subnet) } });
}

type Changeable = Omit<SubnetSettings, 'cidr'>;

function readSettings(fields: Fields, subnet: WireSubnet): Changeable {
  const gateway = fields.optional('subnet.gateway', subnet.gateway, parseIpv4);
  return {
    ...(gateway === undefined ? {} : { gateway }),
    dnsServers: fields.list('subnet.dns_servers', subnet.dnsServers, MAX_SERVERS, parseIpv4),
    ntpServers: fields.list('subnet.ntp_servers', subnet.ntpServers, MAX_SERVERS, parseIpv4),
    domainName: fields.optional('subnet.domain_name', subnet.domainName, parseDomain) ?? '',
    domainSearch: fields.list('subnet.domain_search', subnet.domainSearch, MAX_SEARCH, parseDomain),
    ...(subnet.mtu === undefined ? {} : { mtu: subnet.mtu }),
    routes: readRoutes(fields, subnet.routes),
    options: fields.options('subnet.options', subnet.options),
    leaseTimeS: fields.seconds('subnet.lease_time', subnet.leaseTime) ?? DEFAULT_LEASE_S,
    reuseDelayS: fields.seconds('subnet.reuse_delay', subnet.reuseDelay) ?? DEFAULT_REUSE_DELAY_S,
    ...(subnet.probeBeforeUse ? { probeBeforeUse: true } : {}),
    allocationRanges: readRanges(fields, 'subnet.allocation_ranges', subnet.allocationRanges),
    excludedRanges: readRanges(fields, 'subnet.excluded_ranges', subnet.excludedRanges),
    labels: fields.labels('subnet.labels', subnet.labels),
  };
}

function readRoutes(fields: Fields, routes: readonly WireRoute[]): readonly Route[] {
  if (routes.length > MAX_ROUTES) fields.wrong('subnet.routes', `More than ${MAX_ROUTES} routes`);
  return routes.slice(0, MAX_ROUTES).flatMap((route, i) => {
    const destination = fields.parse(`subnet.routes[${i}].destination`, route.destination, parseCidr);
    const nextHop = fields.parse(`subnet.routes[${i}].next_hop`, route.nextHop, parseIpv4);
    return destination && nextHop !== undefined ? [{ destination, nextHop }] : [];
  });
}

function readRanges(fields: Fields, field: string, ranges: readonly WireRange[]): readonly AddressRange[] {
  if (ranges.length > MAX_RANGES) fields.wrong(field, `More than ${MAX_RANGES} ranges`);
  return ranges.slice(0, MAX_RANGES).flatMap((range, i) => {
    const first = fields.parse(`${field}[${i}].first`, range.first, parseIpv4);
    const last = fields.parse(`${field}[${i}].last`, range.last, parseIpv4);
    return first !== undefined && last !== undefined ? [{ first, last }] : [];
  });
}

const PATHS = {
  gateway: 'gateway',
  dns_servers: 'dnsServers',
  ntp_servers: 'ntpServers',
  domain_name: 'domainName',
  domain_search: 'domainSearch',
  mtu: 'mtu',
  routes: 'routes',
  options: 'options',
  lease_time: 'leaseTimeS',
  reuse_delay: 'reuseDelayS',
  probe_before_use: 'probeBeforeUse',
  allocation_ranges: 'allocationRanges',
  excluded_ranges: 'excludedRanges',
  labels: 'labels',
} as const satisfies Record<string, keyof Changeable>;

const WIRE_FIELDS = { leaseTimeS: 'leaseTime', reuseDelayS: 'reuseDelay' } as const;

const PATH_NAMES = Object.keys(PATHS) as (keyof typeof PATHS)[];

/** Reads UpdateSubnetRequest. */
export function fromUpdateSubnet({ subnet, updateMask }: UpdateSubnetRequest): Result<{
  readonly subnetId: SubnetId;
  readonly networkId: NetworkId | undefined;
  readonly patch: Partial<SubnetSettings>;
  readonly etag: string;
}> {
  if (!subnet) return invalidField('subnet', 'Required');
  const fields = new Fields();
  const subnetId = fields.id<SubnetId>('subnet.subnet_id', subnet.subnetId);
  const networkId = fields.optionalId<NetworkId>('subnet.network_id', subnet.networkId);
  const cidr = fields.optional('subnet.cidr', subnet.cidr, parseCidr);
  const settings = readSettings(fields, subnet);
  const paths = fields.mask(updateMask, PATH_NAMES) ?? PATH_NAMES.filter((path) => isSet(subnet, PATHS[path]));
  const patch = Object.fromEntries(paths.map((path) => [PATHS[path], settings[PATHS[path]]]));
  return fields.result({ subnetId, networkId, patch: { ...patch, ...(cidr ? { cidr } : {}) }, etag: subnet.etag });
}

function isSet(subnet: WireSubnet, field: keyof Changeable): boolean {
  const value = subnet[field === 'leaseTimeS' || field === 'reuseDelayS' ? WIRE_FIELDS[field] : field];
  if (Array.isArray(value)) return value.length > 0;
  return typeof value === 'object'
    ? Object.keys(value).length > 0
    : value !== undefined && value !== '' && value !== false;
}

/** Writes a subnet; without a usage only what is stored of it. */
export function toWireSubnet({ networkId, subnet }: SubnetInNetwork, usage?: Usage): WireSubnet {
  return {
    subnetId: subnet.subnetId,
    uid: subnet.uid,
    networkId,
    cidr: formatCidr(subnet.cidr),
    gateway: subnet.gateway === undefined ? undefined : formatIpv4(subnet.gateway),
    dnsServers: subnet.dnsServers.map(formatIpv4),
    ntpServers: subnet.ntpServers.map(formatIpv4),
    domainName: subnet.domainName,
    domainSearch: [...subnet.domainSearch],
    mtu: subnet.mtu,
    routes: subnet.routes.map((route) => ({
      destination: formatCidr(route.destination),
      nextHop: formatIpv4(route.nextHop),
    })),
    options: subnet.options.map(({ code, value }) => ({ code, value })),
    leaseTime: { seconds: BigInt(subnet.leaseTimeS), nanos: 0 },
    reuseDelay: { seconds: BigInt(subnet.reuseDelayS), nanos: 0 },
    probeBeforeUse: subnet.probeBeforeUse ?? false,
    allocationRanges: subnet.allocationRanges.map(toWireRange),
    excludedRanges: subnet.excludedRanges.map(toWireRange),
    labels: { ...subnet.labels },
    etag: subnetEtag(subnet),
    usage: usage && {
      capacity: BigInt(usage.capacity),
      reserved: BigInt(usage.reserved),
      quarantined: BigInt(usage.quarantined),
      free: BigInt(usage.free),
    },
    createTime: new Date(subnet.createTime),
    updateTime: new Date(subnet.updateTime),
    createdBy: subnet.createdBy,
  };
}

function toWireRange({ first, last }: AddressRange): WireRange {
  return { first: formatIpv4(first), last: formatIpv4(last) };
}
