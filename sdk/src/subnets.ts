// Subnets: what they look like to people, how they travel, and the calls about them.

import type { CallOptions, Calls } from './calls.js';
import { Checks } from './checks.js';
import {
  CreateSubnetRequest,
  DeleteSubnetRequest,
  GetSubnetRequest,
  ListSubnetsRequest,
  IpamServiceService as rpc,
  UpdateSubnetRequest,
} from './gen/ipam/v1/ipam_service.js';
import type { Subnet as WireSubnet, SubnetUsage as WireSubnetUsage } from './gen/ipam/v1/subnet.js';
import { List, type ListOptions } from './pages.js';
import {
  type CreateOptions,
  changedPaths,
  fromSeconds,
  type GuardOptions,
  type Labels,
  message,
  required,
  toSeconds,
} from './values.js';

/** A range of addresses of a network, with what its guests are told by DHCP. */
export interface Subnet {
  /** Unique for the whole installation. */
  readonly subnetId: string;
  /** Made by the server: a deleted and re-created subnet has another. */
  readonly uid: string;
  readonly networkId: string;
  /** IPv4 prefix, `10.0.0.0/24`. */
  readonly cidr: string;
  /** Default router. Undefined: guests get none. */
  readonly gateway: string | undefined;
  readonly dnsServers: readonly string[];
  readonly ntpServers: readonly string[];
  /** Empty: none. */
  readonly domainName: string;
  readonly domainSearch: readonly string[];
  /** In bytes. Undefined: guests keep their own. */
  readonly mtu: number | undefined;
  /** Classless static routes (RFC 3442), besides the default one. */
  readonly routes: readonly Route[];
  readonly options: readonly DhcpOption[];
  /** How long a guest may use its address without renewing. */
  readonly leaseTimeSeconds: number;
  /** How long a released address rests at least before another MAC may have it. */
  readonly reuseDelaySeconds: number;
  /** Whether newly chosen addresses are asked for by ARP before they are reserved, and those in use passed over. */
  readonly probeBeforeUse: boolean;
  /** Where the system may choose addresses. Empty: the whole CIDR. */
  readonly allocationRanges: readonly AddressRange[];
  /** What is never handed out, also not by name. */
  readonly excludedRanges: readonly AddressRange[];
  readonly labels: Labels;
  /** Hash of the settings, to guard an update or delete. */
  readonly etag: string;
  /** How full it is. Undefined: the server did not say. */
  readonly usage: SubnetUsage | undefined;
  readonly createTime: Date;
  /** When its settings were last changed. */
  readonly updateTime: Date;
  readonly createdBy: string;
}

/** A static route told to guests. */
export interface Route {
  /** IPv4 prefix, `192.168.0.0/16`. */
  readonly destination: string;
  /** The router, inside the subnet. */
  readonly nextHop: string;
}

/** A DHCP option by number (RFC 2132). */
export interface DhcpOption {
  readonly code: number;
  /** The value as text: addresses separated by commas, a number, or a string. */
  readonly value: string;
}

/** Addresses from `first` to `last`, both included. */
export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

/** How full a subnet is, in addresses. */
export interface SubnetUsage {
  /** From which the system may choose. */
  readonly capacity: number;
  readonly reserved: number;
  /** Released and not yet reusable. */
  readonly quarantined: number;
  /** Which the system could choose now. */
  readonly free: number;
}

/** What can be changed of a subnet: a field that is present is set, also to empty (`null` clears); an absent one stays. */
export interface SubnetChanges {
  readonly gateway?: string | null | undefined;
  readonly dnsServers?: readonly string[] | undefined;
  readonly ntpServers?: readonly string[] | undefined;
  readonly domainName?: string | undefined;
  readonly domainSearch?: readonly string[] | undefined;
  readonly mtu?: number | null | undefined;
  readonly routes?: readonly Route[] | undefined;
  readonly options?: readonly DhcpOption[] | undefined;
  readonly leaseTimeSeconds?: number | undefined;
  readonly reuseDelaySeconds?: number | undefined;
  readonly probeBeforeUse?: boolean | undefined;
  readonly allocationRanges?: readonly AddressRange[] | undefined;
  readonly excludedRanges?: readonly AddressRange[] | undefined;
  readonly labels?: Labels | undefined;
}

/** A subnet to create. Absent fields get their defaults: a lease time of 1 hour, a reuse delay of 60 seconds. */
export interface NewSubnet extends SubnetChanges {
  /** `[a-z0-9]([a-z0-9._-]{0,62})`. Absent: the server makes a UUID. */
  readonly subnetId?: string | undefined;
  readonly networkId: string;
  /** IPv4 prefix, /8 to /30: `10.0.0.0/24` or `10.0.0.0/255.255.255.0`. */
  readonly cidr: string;
}

/** Which subnets to list. */
export interface SubnetFilter {
  /** Only of this network. */
  readonly networkId?: string | undefined;
}

const PATHS: Readonly<Record<keyof SubnetChanges, string>> = {
  gateway: 'gateway',
  dnsServers: 'dns_servers',
  ntpServers: 'ntp_servers',
  domainName: 'domain_name',
  domainSearch: 'domain_search',
  mtu: 'mtu',
  routes: 'routes',
  options: 'options',
  leaseTimeSeconds: 'lease_time',
  reuseDelaySeconds: 'reuse_delay',
  probeBeforeUse: 'probe_before_use',
  allocationRanges: 'allocation_ranges',
  excludedRanges: 'excluded_ranges',
  labels: 'labels',
};

/** The calls about subnets. */
export class Subnets {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Creates a subnet; one that exists with the same content is answered, with other content it is AlreadyExistsError. */
  async create(subnet: NewSubnet, options?: CallOptions & CreateOptions): Promise<Subnet> {
    checkSettings(new Checks().cidr('subnet.cidr', subnet.cidr), subnet);
    const requestId = options?.requestId ?? (subnet.subnetId ? '' : this.#calls.newRequestId());
    const request = message(CreateSubnetRequest, { subnet: toWire(subnet), requestId });
    const answer = await this.#calls.unary({ method: rpc.createSubnet, request, repeatable: true }, options);
    return toSubnet(answer.subnet);
  }

  /** Answers one subnet. */
  async get(subnetId: string, options?: CallOptions): Promise<Subnet> {
    const request = message(GetSubnetRequest, { subnetId });
    const answer = await this.#calls.unary({ method: rpc.getSubnet, request, repeatable: true }, options);
    return toSubnet(answer.subnet);
  }

  /** Subnets by id, of one network or of all. */
  list(filter: SubnetFilter = {}, options?: ListOptions): List<Subnet> {
    return new List(async (pageToken) => {
      const request = message(ListSubnetsRequest, { ...filter, pageSize: options?.pageSize ?? 0, pageToken });
      const answer = await this.#calls.unary({ method: rpc.listSubnets, request, repeatable: true }, options);
      return { items: answer.subnets.map(toSubnet), nextPageToken: answer.nextPageToken };
    });
  }

  /** Changes settings; guests learn them at their next renewal. With an `etag` it is not retried (see Networks.update). */
  async update(subnetId: string, changes: SubnetChanges, options?: CallOptions & GuardOptions): Promise<Subnet> {
    checkSettings(new Checks(), changes);
    const etag = options?.etag ?? '';
    const updateMask = changedPaths(changes, PATHS);
    const request = message(UpdateSubnetRequest, { subnet: { ...toWire(changes), subnetId, etag }, updateMask });
    const answer = await this.#calls.unary({ method: rpc.updateSubnet, request, repeatable: etag === '' }, options);
    return toSubnet(answer.subnet);
  }

  /** Deletes a subnet in which nothing is reserved. Never retried: meanwhile the id may name another one. */
  async delete(subnetId: string, options?: CallOptions & GuardOptions): Promise<void> {
    const request = message(DeleteSubnetRequest, { subnetId, etag: options?.etag ?? '' });
    await this.#calls.unary({ method: rpc.deleteSubnet, request, repeatable: false }, options);
  }
}

function checkSettings(checks: Checks, changes: SubnetChanges): void {
  const { gateway, dnsServers, ntpServers, routes, allocationRanges, excludedRanges } = changes;
  const { leaseTimeSeconds, reuseDelaySeconds } = changes;
  checks.optionalSpan('subnet.lease_time', leaseTimeSeconds).optionalSpan('subnet.reuse_delay', reuseDelaySeconds);
  checks.optionalAddress('subnet.gateway', gateway);
  checks.addresses('subnet.dns_servers', dnsServers).addresses('subnet.ntp_servers', ntpServers);
  for (const [i, { destination, nextHop }] of routes?.entries() ?? []) {
    checks.cidr(`subnet.routes[${i}].destination`, destination).address(`subnet.routes[${i}].next_hop`, nextHop);
  }
  checkRanges(checks, 'subnet.allocation_ranges', allocationRanges);
  checkRanges(checks, 'subnet.excluded_ranges', excludedRanges);
  checks.pass();
}

function checkRanges(checks: Checks, field: string, ranges: readonly AddressRange[] | undefined): void {
  for (const [i, { first, last }] of ranges?.entries() ?? []) {
    checks.address(`${field}[${i}].first`, first).address(`${field}[${i}].last`, last);
  }
}

function toWire<Settings extends SubnetChanges>(subnet: Settings) {
  const { leaseTimeSeconds, reuseDelaySeconds, gateway, mtu, ...same } = subnet;
  return {
    ...same,
    gateway: gateway ?? undefined,
    mtu: mtu ?? undefined,
    leaseTime: leaseTimeSeconds === undefined ? undefined : fromSeconds(leaseTimeSeconds),
    reuseDelay: reuseDelaySeconds === undefined ? undefined : fromSeconds(reuseDelaySeconds),
  };
}

/** A subnet as people see it. */
export function toSubnet(answer: WireSubnet | undefined): Subnet {
  const wire = required(answer, 'subnet');
  return {
    subnetId: wire.subnetId,
    uid: wire.uid,
    networkId: wire.networkId,
    cidr: wire.cidr,
    gateway: wire.gateway || undefined,
    dnsServers: wire.dnsServers,
    ntpServers: wire.ntpServers,
    domainName: wire.domainName,
    domainSearch: wire.domainSearch,
    mtu: wire.mtu,
    routes: wire.routes.map(({ destination, nextHop }) => ({ destination, nextHop })),
    options: wire.options.map(toDhcpOption),
    leaseTimeSeconds: toSeconds(required(wire.leaseTime, 'subnet.lease_time')),
    reuseDelaySeconds: toSeconds(required(wire.reuseDelay, 'subnet.reuse_delay')),
    probeBeforeUse: wire.probeBeforeUse,
    allocationRanges: wire.allocationRanges.map(({ first, last }) => ({ first, last })),
    excludedRanges: wire.excludedRanges.map(({ first, last }) => ({ first, last })),
    labels: wire.labels,
    etag: wire.etag,
    usage: wire.usage && toUsage(wire.usage),
    createTime: required(wire.createTime, 'subnet.create_time'),
    updateTime: required(wire.updateTime, 'subnet.update_time'),
    createdBy: wire.createdBy,
  };
}

/** A DHCP option as people see it. */
export function toDhcpOption({ code, value }: DhcpOption): DhcpOption {
  return { code, value };
}

function toUsage(wire: WireSubnetUsage): SubnetUsage {
  return {
    capacity: Number(wire.capacity),
    reserved: Number(wire.reserved),
    quarantined: Number(wire.quarantined),
    free: Number(wire.free),
  };
}
