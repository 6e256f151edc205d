// Whether a slot fits its network's settings: asked before a reservation is tried, and again of the document as it
// stands after the write (check after write, protocol.md §2.2). Without the second question a subnet could be deleted
// between the look and the insert, and the acknowledged address would belong to nothing.

import { formatCidr, formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import { invalidField, ipamDisabled, networkNotFound, type Refused, subnetClosing, subnetNotFound } from './errors.js';
import type { NetworkId, SubnetId, Uid } from './ids.js';
import type { AddressRange, Network, Subnet } from './network.js';
import { type Unusable, unusable } from './subnet-space.js';

/** What of a slot depends on the settings. */
export interface Placed {
  readonly networkId: NetworkId;
  readonly subnetId: SubnetId;
  readonly subnetUid: Uid;
  readonly address: Ipv4;
}

/** Why the slot does not fit the network's document; undefined when it does. */
export function misfit(network: Network | undefined, slot: Placed): Refused | undefined {
  if (!network || network.deleted) return networkNotFound(slot.networkId);
  const subnet = network.subnets.find((each) => each.subnetId === slot.subnetId);
  if (subnet?.uid !== slot.subnetUid) return subnetNotFound(slot.subnetId);
  return closedTo(network, subnet, slot.address);
}

/** Why nothing, or not this address, can be reserved in a subnet now; undefined when it can. */
export function closedTo(network: Network, subnet: Subnet, address?: Ipv4): Refused | undefined {
  if (!network.ipamEnabled) return ipamDisabled(network.networkId);
  const { mark } = network;
  const forbidden = mark?.subnetId === subnet.subnetId ? mark.forbidden : [];
  if (forbidden === 'all') return subnetClosing(subnet.subnetId);
  if (address === undefined) return undefined;
  if (holds(forbidden, address)) return invalidField('address', `${formatIpv4(address)} is being excluded`);
  const problem = unusable(subnet, address);
  return problem && invalidField('address', whyUnusable(problem, subnet, address));
}

/**
 * Whether a RESERVED slot that is there stands, by the network's document as it is after that was known. `undecided`: a
 * change is under way that may not have seen it. A refusal: there is nothing it could belong to, so nobody was promised
 * it. A disabled network keeps what it has.
 */
export function standing(network: Network | undefined, slot: Placed): 'stands' | 'undecided' | Refused {
  if (!network || network.deleted) return networkNotFound(slot.networkId);
  const subnet = network.subnets.find(({ uid }) => uid === slot.subnetUid);
  if (!subnet) return subnetNotFound(slot.subnetId);
  const { mark } = network;
  if (mark?.subnetId === subnet.subnetId && (mark.forbidden === 'all' || holds(mark.forbidden, slot.address))) {
    return 'undecided';
  }
  const problem = unusable(subnet, slot.address);
  return problem ? invalidField('address', whyUnusable(problem, subnet, slot.address)) : 'stands';
}

function holds(ranges: readonly AddressRange[], address: Ipv4): boolean {
  return ranges.some(({ first, last }) => address >= first && address <= last);
}

function whyUnusable(problem: Unusable, subnet: Subnet, address: Ipv4): string {
  const text = formatIpv4(address);
  switch (problem) {
    case 'outside':
      return `${text} is outside ${formatCidr(subnet.cidr)} of subnet ${subnet.subnetId}`;
    case 'network':
    case 'broadcast':
      return `${text} is the ${problem} address of ${formatCidr(subnet.cidr)}`;
    case 'gateway':
      return `${text} is the gateway of subnet ${subnet.subnetId}`;
    case 'excluded':
      return `${text} is in an excluded range of subnet ${subnet.subnetId}`;
  }
}
