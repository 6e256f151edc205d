// The settings of a subnet, parsed, and the options that say them: made once per assignment and not once per answer.

import type { ParsedDhcpOption } from '@leasehold/proto/dhcp-options';
import { type Cidr, type Ipv4, lastAddress } from '@leasehold/proto/values';
import { OPTION } from './dhcp/codes.js';
import { addresses, ascii, classlessRoutes, domainSearch, u16, u32 } from './dhcp/option-values.js';

/** What a subnet says about itself. */
export interface SubnetSettings {
  readonly subnetId: string;
  readonly cidr: Cidr;
  readonly gateway: Ipv4 | undefined;
  readonly dnsServers: readonly Ipv4[];
  readonly ntpServers: readonly Ipv4[];
  /** Empty: none. */
  readonly domainName: string;
  readonly domainSearch: readonly string[];
  /** 0: none. */
  readonly mtu: number;
  readonly routes: readonly ServedRoute[];
  readonly options: readonly ParsedDhcpOption[];
  /** 120 to 604,800. */
  readonly leaseSeconds: number;
}

/** A static route that guests are told. */
export interface ServedRoute {
  readonly destination: Cidr;
  readonly nextHop: Ipv4;
}

const ON_LINK = 0 as Ipv4;
const ANY = { base: 0 as Ipv4, prefixLength: 0 };

/** Options by code, the most important first; what has no value has no option. */
export function encodeSettings(subnet: SubnetSettings, serviceAddress: Ipv4): ReadonlyMap<number, Uint8Array> {
  const settings = new Map<number, Uint8Array>();
  if (subnet.routes.length) settings.set(OPTION.classlessRoutes, classlessRoutes(routes(subnet, serviceAddress)));
  if (subnet.gateway !== undefined) settings.set(OPTION.router, u32(subnet.gateway));
  if (subnet.dnsServers.length) settings.set(OPTION.dnsServers, addresses(subnet.dnsServers));
  if (subnet.domainName) settings.set(OPTION.domainName, ascii(subnet.domainName));
  if (subnet.mtu) settings.set(OPTION.mtu, u16(subnet.mtu));
  settings.set(OPTION.broadcastAddress, u32(lastAddress(subnet.cidr)));
  if (subnet.ntpServers.length) settings.set(OPTION.ntpServers, addresses(subnet.ntpServers));
  if (subnet.domainSearch.length) settings.set(OPTION.domainSearch, domainSearch(subnet.domainSearch));
  for (const option of subnet.options) settings.set(option.code, option.bytes);
  return settings;
}

// RFC 3442: a client that knows option 121 ignores option 3, so the default route is repeated in it. The host route
// makes the server identifier reachable for a unicast RENEW; without routes of its own a subnet gets no option 121,
// since a client that mishandles it would lose its default route for that little.
function routes(subnet: SubnetSettings, serviceAddress: Ipv4): readonly ServedRoute[] {
  return [
    { destination: { base: serviceAddress, prefixLength: 32 }, nextHop: ON_LINK },
    ...subnet.routes,
    ...(subnet.gateway === undefined ? [] : [{ destination: ANY, nextHop: subnet.gateway }]),
  ];
}
