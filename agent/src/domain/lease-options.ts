// What a guest is told with its address.
//
//   O1. Lease time, T1, T2, server identifier and netmask are always told and nothing overrides them: how long an
//       address must rest before another MAC may have it is counted from them.
//   O2. Of the rest, what the client asked for in its parameter request list, in its order; all when it has no list.

import { type Ipv4, lastAddress, netmask } from '@leasehold/proto/values';
import { MESSAGE_TYPE, OPTION } from './dhcp/codes.js';
import type { DhcpMessage } from './dhcp/message.js';
import { addresses, ascii, classlessRoutes, domainSearch, u8, u16, u32 } from './dhcp/option-values.js';
import type { Lease } from './table.js';

const ON_LINK = 0 as Ipv4;
const ANY = { base: 0 as Ipv4, prefixLength: 0 };

/** Of the lease time: when a client begins to renew, by unicast to the server it knows. */
export const T1_OF_LEASE = 1 / 2;

/**
 * Of the lease time: when it begins to ask any server, by broadcast. Soon after T1, because most guests have no route
 * to the server identifier, and because the server they know may be the one that died.
 */
export const T2_OF_LEASE = 9 / 16;

/** Options of an OFFER, or of an ACK that grants the lease; the most important first. */
export function leaseOptions(
  type: 'offer' | 'ack',
  request: DhcpMessage,
  lease: Lease,
  serviceAddress: Ipv4,
): Map<number, Uint8Array> {
  const { leaseSeconds } = lease.subnet;
  const options = new Map<number, Uint8Array>([
    [OPTION.messageType, u8(MESSAGE_TYPE[type])],
    [OPTION.serverId, u32(serviceAddress)],
    [OPTION.leaseTime, u32(leaseSeconds)],
    [OPTION.renewalTime, u32(Math.floor(leaseSeconds * T1_OF_LEASE))],
    [OPTION.rebindingTime, u32(Math.floor(leaseSeconds * T2_OF_LEASE))],
  ]);
  addSettings(options, request, lease, serviceAddress);
  return options;
}

/** Options of the answer to an INFORM: no lease, so no times (RFC 2131 §4.3.5). */
export function informOptions(request: DhcpMessage, lease: Lease, serviceAddress: Ipv4): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>([
    [OPTION.messageType, u8(MESSAGE_TYPE.ack)],
    [OPTION.serverId, u32(serviceAddress)],
  ]);
  addSettings(options, request, lease, serviceAddress);
  return options;
}

/** Options of a NAK (RFC 2131, table 3). */
export function nakOptions(request: DhcpMessage, serviceAddress: Ipv4): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>([
    [OPTION.messageType, u8(MESSAGE_TYPE.nak)],
    [OPTION.serverId, u32(serviceAddress)],
    [OPTION.message, ascii('address is not reserved for this MAC')],
  ]);
  echoClientId(options, request);
  return options;
}

function addSettings(options: Map<number, Uint8Array>, request: DhcpMessage, lease: Lease, serviceAddress: Ipv4): void {
  options.set(OPTION.subnetMask, u32(netmask(lease.subnet.cidr.prefixLength)));
  echoClientId(options, request);
  const settings = settingsOf(lease, serviceAddress);
  for (const code of request.options.get(OPTION.parameterList) ?? settings.keys()) {
    const value = settings.get(code);
    if (value && !options.has(code)) options.set(code, value);
  }
}

// RFC 6842: clients that share a MAC's wire tell their replies apart by it.
function echoClientId(options: Map<number, Uint8Array>, request: DhcpMessage): void {
  const clientId = request.options.get(OPTION.clientId);
  if (clientId?.length) options.set(OPTION.clientId, clientId);
}

function settingsOf({ entry, subnet }: Lease, serviceAddress: Ipv4): Map<number, Uint8Array> {
  const settings = new Map<number, Uint8Array>();
  if (subnet.routes.length) settings.set(OPTION.classlessRoutes, routes(subnet, serviceAddress));
  if (subnet.gateway !== undefined) settings.set(OPTION.router, u32(subnet.gateway));
  if (subnet.dnsServers.length) settings.set(OPTION.dnsServers, addresses(subnet.dnsServers));
  if (entry.hostname) settings.set(OPTION.hostname, ascii(entry.hostname));
  if (subnet.domainName) settings.set(OPTION.domainName, ascii(subnet.domainName));
  if (subnet.mtu) settings.set(OPTION.mtu, u16(subnet.mtu));
  settings.set(OPTION.broadcastAddress, u32(lastAddress(subnet.cidr)));
  if (subnet.ntpServers.length) settings.set(OPTION.ntpServers, addresses(subnet.ntpServers));
  if (subnet.domainSearch.length) settings.set(OPTION.domainSearch, domainSearch(subnet.domainSearch));
  for (const option of subnet.options) settings.set(option.code, option.bytes);
  for (const option of entry.options) settings.set(option.code, option.bytes);
  return settings;
}

// RFC 3442: a client that knows option 121 ignores option 3, so the default route is repeated in it. The host route
// makes the server identifier reachable for a unicast RENEW; without routes of its own a subnet gets no option 121,
// since a client that mishandles it would lose its default route for that little.
function routes(subnet: Lease['subnet'], serviceAddress: Ipv4): Uint8Array {
  return classlessRoutes([
    { destination: { base: serviceAddress, prefixLength: 32 }, nextHop: ON_LINK },
    ...subnet.routes,
    ...(subnet.gateway === undefined ? [] : [{ destination: ANY, nextHop: subnet.gateway }]),
  ]);
}
