// What a guest is told with its address.
//
//   O1. Lease time, T1, T2, server identifier and netmask are always told and nothing overrides them: how long an
//       address must rest before another MAC may have it is counted from them.
//   O2. Of the rest, what the client asked for in its parameter request list, in its order; all when it has no list.

import { type Ipv4, netmask } from '@leasehold/proto/values';
import { MESSAGE_TYPE, OPTION } from './dhcp/codes.js';
import type { DhcpMessage } from './dhcp/message.js';
import { ascii, u8, u32 } from './dhcp/option-values.js';
import type { Lease } from './table.js';

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
  addSettings(options, request, lease);
  return options;
}

/** Options of the answer to an INFORM: no lease, so no times (RFC 2131 §4.3.5). */
export function informOptions(request: DhcpMessage, lease: Lease, serviceAddress: Ipv4): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>([
    [OPTION.messageType, u8(MESSAGE_TYPE.ack)],
    [OPTION.serverId, u32(serviceAddress)],
  ]);
  addSettings(options, request, lease);
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

function addSettings(options: Map<number, Uint8Array>, request: DhcpMessage, lease: Lease): void {
  options.set(OPTION.subnetMask, u32(netmask(lease.subnet.cidr.prefixLength)));
  echoClientId(options, request);
  const settings = settingsOf(lease);
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

// The reservation's own win over the subnet's.
function settingsOf({ entry, subnet }: Lease): ReadonlyMap<number, Uint8Array> {
  if (!entry.hostname && entry.options.length === 0) return subnet.settings;
  const settings = new Map(subnet.settings);
  if (entry.hostname) settings.set(OPTION.hostname, ascii(entry.hostname));
  for (const option of entry.options) settings.set(option.code, option.bytes);
  return settings;
}
