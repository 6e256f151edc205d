// The aggregate document of a network: settings, subnets, placements and former servers, changed only by
// compare-and-set on its revision. So "subnets do not overlap" and "at most dhcp_server_count wanted placements" hold
// by construction. What changes every second (liveness, acknowledged sequences) is never in it.

import type { Cidr, Ipv4 } from '@leasehold/proto/values';
import type { HostId, NetworkId, Revision, SubnetId, Uid, WallTime } from './ids.js';

/** A network as stored. */
export interface Network {
  readonly networkId: NetworkId;
  readonly uid: Uid;
  readonly displayName: string;
  readonly ipamEnabled: boolean;
  readonly dhcpServerCount: number;
  readonly labels: Labels;
  readonly createTime: WallTime;
  readonly updateTime: WallTime;
  readonly createdBy: string;
  readonly subnets: readonly Subnet[];
  /** The hosts that shall serve, at most `dhcpServerCount`. */
  readonly placements: readonly Placement[];
  /** The hosts that shall not serve any more and may still answer. */
  readonly formerServers: readonly FormerServer[];
  /** The highest placement epoch ever given in this network. */
  readonly placementCounter: number;
  /** Epoch of the holder that claimed the network last; a lower one is refused. */
  readonly holderEpoch: number;
  /** A change of settings under way that must not race with reservations (protocol.md §2.3). */
  readonly mark?: Mark;
  /** A deleted network, kept while former servers or quarantined slots remain. */
  readonly deleted?: true;
  readonly revision: Revision;
}

/** Free to use by callers. */
export type Labels = Readonly<Record<string, string>>;

/** A subnet as stored, inside its network. */
export interface Subnet {
  readonly subnetId: SubnetId;
  readonly uid: Uid;
  readonly cidr: Cidr;
  readonly gateway?: Ipv4;
  readonly dnsServers: readonly Ipv4[];
  readonly ntpServers: readonly Ipv4[];
  readonly domainName: string;
  readonly domainSearch: readonly string[];
  readonly mtu?: number;
  readonly routes: readonly Route[];
  readonly options: readonly DhcpOption[];
  readonly leaseTimeS: number;
  /** The largest lease time that may still be in force at a guest, in seconds. */
  readonly leaseTimeCeilingS: number;
  readonly reuseDelayS: number;
  /** Newly chosen addresses are asked for by ARP before they are reserved. */
  readonly probeBeforeUse?: true;
  readonly allocationRanges: readonly AddressRange[];
  readonly excludedRanges: readonly AddressRange[];
  readonly labels: Labels;
  readonly createTime: WallTime;
  readonly updateTime: WallTime;
  readonly createdBy: string;
}

/** A static route told to guests. */
export interface Route {
  readonly destination: Cidr;
  readonly nextHop: Ipv4;
}

/** A DHCP option from the allow-list, validated, its value in canonical text. */
export interface DhcpOption {
  readonly code: number;
  readonly value: string;
}

/** Addresses from first to last, both included. */
export interface AddressRange {
  readonly first: Ipv4;
  readonly last: Ipv4;
}

/** A host that shall serve the network. Stored before the first byte of its assignment is sent. */
export interface Placement {
  readonly hostId: HostId;
  readonly hostUid: Uid;
  readonly epoch: number;
  readonly since: WallTime;
}

/** A host that shall not serve any more; stays until it confirmed so, or cannot answer any more. */
export interface FormerServer {
  readonly hostId: HostId;
  readonly hostUid: Uid;
  /** Epoch of its placement. */
  readonly epoch: number;
  /** The network's placement counter when it became a former server. */
  readonly counter: number;
  /** The longest authority its agent may have, in seconds. */
  readonly authorityCeilingS: number;
  /** Of a host that was forgotten: how long it is known to have been silent, in seconds. */
  readonly silentForS?: number;
  /** Of a host that was forgotten: it was fenced. */
  readonly fenced?: true;
  readonly since: WallTime;
}

/** What an entry says of a host that was forgotten. */
export type KeptOfHost = Pick<FormerServer, 'silentForS' | 'fenced'>;

/** Keeps reservations out of what is being changed. Only its owner removes it; the holder clears old ones. */
export interface Mark {
  readonly operationId: string;
  readonly subnetId: SubnetId;
  /** The addresses that nobody may be given any more; all of them when the subnet is to be deleted. */
  readonly forbidden: readonly AddressRange[] | 'all';
  readonly since: WallTime;
}
