// What a network's guests are told, parsed from the wire.
//
// The server checked all of it already. It is checked again here because a host answers for what its guests get, and
// because only canonical text makes the digests of both sides equal: what would be printed otherwise is refused.

import { type ParsedDhcpOption, parseDhcpOption } from '@leasehold/proto/dhcp-options';
import type { AssignedSubnet, Assignment } from '@leasehold/proto/ipam/v1/session';
import type { DhcpOption, Route } from '@leasehold/proto/ipam/v1/subnet';
import {
  type Cidr,
  cidrContains,
  cidrsOverlap,
  formatCidr,
  formatIpv4,
  type Ipv4,
  lastAddress,
  type Parsed,
  parseCidr,
  parseDomain,
  parseIpv4,
  parseResourceId,
  quote,
} from '@leasehold/proto/values';
import { encodeSettings, type ServedRoute, type SubnetSettings } from './subnet-settings.js';

/** A network to serve, parsed. */
export interface ServedNetwork {
  readonly networkUid: string;
  /** The server identifier of every server of the network (option 54). */
  readonly serviceAddress: Ipv4;
  /** They do not overlap. */
  readonly subnets: readonly ServedSubnet[];
}

/** A subnet to serve, parsed. */
export interface ServedSubnet extends SubnetSettings {
  /** All of its settings as DHCP options, but the netmask and the times. */
  readonly settings: ReadonlyMap<number, Uint8Array>;
}

const LINK_LOCAL: Cidr = { base: 0xa9fe0000 as Ipv4, prefixLength: 16 };

// Clouds put their metadata service there: a DHCP server on it would cut guests off from it.
const METADATA_SERVICE = 0xa9fea9fe;

const MIN_LEASE_S = 120;
const MAX_LEASE_S = 604_800;
const MAX_SERVERS = 8;
const MAX_SEARCH = 6;
const MAX_ROUTES = 16;
const MAX_OPTIONS = 16;

/** Parses an assignment; it is all right or refused whole. */
export function parseAssignment(wire: Assignment): Parsed<ServedNetwork> {
  if (wire.networkUid === '') return bad('Assignment has no network uid');
  const serviceAddress = parseServiceAddress(wire.serviceAddress);
  if (!serviceAddress.ok) return serviceAddress;
  const subnets = each(wire.subnets, (subnet) =>
    within(`Subnet ${quote(subnet.subnetId)}`, parseSubnet(subnet, serviceAddress.value)),
  );
  if (!subnets.ok) return subnets;
  const clash = findOverlap(subnets.value);
  if (clash) return bad(clash);
  return good({ networkUid: wire.networkUid, serviceAddress: serviceAddress.value, subnets: subnets.value });
}

function parseServiceAddress(text: string): Parsed<Ipv4> {
  const address = parseIpv4(text);
  if (!address.ok) return within('Service address', address);
  const usable =
    cidrContains(LINK_LOCAL, address.value) &&
    address.value !== LINK_LOCAL.base &&
    address.value !== lastAddress(LINK_LOCAL) &&
    address.value !== METADATA_SERVICE;
  return usable ? address : bad(`Service address ${text} is not a usable address of 169.254.0.0/16`);
}

function findOverlap(subnets: readonly ServedSubnet[]): string | undefined {
  const ascending = subnets.toSorted((a, b) => a.cidr.base - b.cidr.base);
  for (const [i, subnet] of ascending.entries()) {
    const next = ascending[i + 1];
    if (next && cidrsOverlap(subnet.cidr, next.cidr)) return `Subnets ${subnet.subnetId} and ${next.subnetId} overlap`;
  }
  return undefined;
}

function parseSubnet(wire: AssignedSubnet, serviceAddress: Ipv4): Parsed<ServedSubnet> {
  const subnetId = parseResourceId(wire.subnetId);
  if (!subnetId.ok) return subnetId;
  const cidr = canonical(wire.cidr, parseCidr, formatCidr);
  if (!cidr.ok) return cidr;
  if (cidr.value.prefixLength < 8 || cidr.value.prefixLength > 30) return bad(`${wire.cidr} is not between /8 and /30`);
  const gateway = wire.gateway === '' ? good(undefined) : insideOf(cidr.value, 'Gateway', wire.gateway);
  if (!gateway.ok) return gateway;
  const told = parseTold(wire, cidr.value);
  if (!told.ok) return told;
  const subnet = { subnetId: subnetId.value, cidr: cidr.value, gateway: gateway.value, ...told.value };
  return good({ ...subnet, settings: encodeSettings(subnet, serviceAddress) });
}

function parseTold(wire: AssignedSubnet, cidr: Cidr): Parsed<Omit<SubnetSettings, 'subnetId' | 'cidr' | 'gateway'>> {
  const dnsServers = listOf('DNS servers', wire.dnsServers, MAX_SERVERS, parseIpv4);
  if (!dnsServers.ok) return dnsServers;
  const ntpServers = listOf('NTP servers', wire.ntpServers, MAX_SERVERS, parseIpv4);
  if (!ntpServers.ok) return ntpServers;
  const domainName = wire.domainName === '' ? good('') : canonical(wire.domainName, parseDomain, String);
  if (!domainName.ok) return domainName;
  const search = listOf('Search domains', wire.domainSearch, MAX_SEARCH, (d) => canonical(d, parseDomain, String));
  if (!search.ok) return search;
  if (wire.mtu !== 0 && (wire.mtu < 576 || wire.mtu > 65_535)) return bad(`MTU ${wire.mtu} is not 576 to 65535`);
  const routes = listOf('Routes', wire.routes, MAX_ROUTES, (route) => parseRoute(route, cidr));
  if (!routes.ok) return routes;
  const options = parseOptions(wire.options);
  if (!options.ok) return options;
  if (wire.leaseSeconds < MIN_LEASE_S || wire.leaseSeconds > MAX_LEASE_S) {
    return bad(`Lease time of ${wire.leaseSeconds} s is not ${MIN_LEASE_S} to ${MAX_LEASE_S} s`);
  }
  return good({
    dnsServers: dnsServers.value,
    ntpServers: ntpServers.value,
    domainName: domainName.value,
    domainSearch: search.value,
    mtu: wire.mtu,
    routes: routes.value,
    options: options.value,
    leaseSeconds: wire.leaseSeconds,
  });
}

function parseRoute(wire: Route, cidr: Cidr): Parsed<ServedRoute> {
  const destination = canonical(wire.destination, parseCidr, formatCidr);
  if (!destination.ok) return destination;
  if (destination.value.prefixLength === 0) return bad('Route to 0.0.0.0/0 is refused, use the gateway');
  const nextHop = insideOf(cidr, 'Next hop', wire.nextHop);
  return nextHop.ok ? good({ destination: destination.value, nextHop: nextHop.value }) : nextHop;
}

/** Parses the options of a subnet or a reservation: from the allow-list, canonical, at most one of a code. */
export function parseOptions(wire: readonly DhcpOption[]): Parsed<readonly ParsedDhcpOption[]> {
  const options = listOf('Options', wire, MAX_OPTIONS, ({ code, value }) => {
    const option = parseDhcpOption(code, value);
    return option.ok && option.value.value !== value ? bad(notCanonical(value, option.value.value)) : option;
  });
  if (!options.ok) return options;
  const codes = new Set(options.value.map((option) => option.code));
  return codes.size === options.value.length ? options : bad('An option is set twice');
}

/** Parses text that must already be in its canonical form. */
export function canonical<T>(text: string, parse: (text: string) => Parsed<T>, print: (value: T) => string): Parsed<T> {
  const parsed = parse(text);
  if (!parsed.ok) return parsed;
  const printed = print(parsed.value);
  return printed === text ? parsed : bad(notCanonical(text, printed));
}

function notCanonical(text: string, printed: string): string {
  return `${quote(text)} is not in canonical form, ${quote(printed)} is`;
}

function insideOf(cidr: Cidr, what: string, text: string): Parsed<Ipv4> {
  const address = canonical(text, parseIpv4, formatIpv4);
  if (!address.ok) return within(what, address);
  const usable =
    cidrContains(cidr, address.value) && address.value !== cidr.base && address.value !== lastAddress(cidr);
  return usable ? address : bad(`${what} ${text} is not a usable address of ${formatCidr(cidr)}`);
}

function listOf<W, T>(what: string, items: readonly W[], max: number, parse: (item: W) => Parsed<T>): Parsed<T[]> {
  if (items.length > max) return bad(`${what}: ${items.length} are too many, at most ${max} are allowed`);
  return within(what, each(items, parse));
}

/** Parses every item, or says what is wrong with the first bad one. */
export function each<W, T>(items: readonly W[], parse: (item: W) => Parsed<T>): Parsed<T[]> {
  const values: T[] = [];
  for (const item of items) {
    const parsed = parse(item);
    if (!parsed.ok) return parsed;
    values.push(parsed.value);
  }
  return good(values);
}

/** Names the thing in a refusal. */
export function within<T>(what: string, parsed: Parsed<T>): Parsed<T> {
  return parsed.ok ? parsed : bad(`${what}: ${parsed.problem}`);
}

function good<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
