// What a subnet may be: the rules between its settings, each violation named by the field of the request.

import {
  type Cidr,
  cidrContains,
  cidrsOverlap,
  firstAddress,
  formatCidr,
  formatIpv4,
  type Ipv4,
  lastAddress,
} from '@leasehold/proto/values';
import type { FieldViolation } from './errors.js';
import type { AddressRange, Network, Subnet } from './network.js';

/** The settings of a subnet: what a caller chooses. */
export type SubnetSettings = Omit<
  Subnet,
  'subnetId' | 'uid' | 'leaseTimeCeilingS' | 'createTime' | 'updateTime' | 'createdBy'
>;

const MIN_PREFIX = 8;
const MAX_PREFIX = 30;
const LEASE_S = { min: 120, max: 7 * 86_400 };
// Below 30 s an unknown outcome (repeated for up to 20 s) could outlive the rest of its address.
const REUSE_DELAY_S = { min: 30, max: 7 * 86_400 };
const MTU = { min: 576, max: 65_535 };

// No guest can use an address of these (RFC 6890), and DHCP servers have their own in 169.254.0.0/16
// (service-address.ts): one handed out there would be the server's.
const UNUSABLE: readonly { readonly cidr: Cidr; readonly why: string }[] = [
  { cidr: { base: 0 as Ipv4, prefixLength: 8 }, why: 'addresses of "this network"' },
  { cidr: { base: 0x7f000000 as Ipv4, prefixLength: 8 }, why: 'loopback addresses' },
  {
    cidr: { base: 0xa9fe0000 as Ipv4, prefixLength: 16 },
    why: 'link-local addresses, the DHCP servers have theirs there',
  },
  { cidr: { base: 0xe0000000 as Ipv4, prefixLength: 3 }, why: 'multicast and reserved addresses' },
];

/** Everything that is wrong with the settings; empty when they stand. */
export function checkSubnetSettings(settings: SubnetSettings): readonly FieldViolation[] {
  const violations: FieldViolation[] = [];
  const wrong = (field: string, description: string) => violations.push({ field: `subnet.${field}`, description });
  const { cidr } = settings;
  if (cidr.prefixLength < MIN_PREFIX || cidr.prefixLength > MAX_PREFIX) {
    wrong('cidr', `${formatCidr(cidr)} is not between /${MIN_PREFIX} and /${MAX_PREFIX}`);
    return violations;
  }
  const unusable = UNUSABLE.find((range) => cidrsOverlap(range.cidr, cidr));
  if (unusable) wrong('cidr', `${formatCidr(cidr)} has addresses of ${formatCidr(unusable.cidr)}: ${unusable.why}`);
  const problem = settings.gateway === undefined ? undefined : notAHost(cidr, settings.gateway);
  if (problem) wrong('gateway', problem);
  settings.routes.forEach(({ destination, nextHop }, i) => {
    if (destination.prefixLength === 0) wrong(`routes[${i}].destination`, 'The default route is given by gateway');
    const problem = notAHost(cidr, nextHop);
    if (problem) wrong(`routes[${i}].next_hop`, problem);
  });
  checkRanges(cidr, settings.allocationRanges, 'allocation_ranges', wrong);
  checkRanges(cidr, settings.excludedRanges, 'excluded_ranges', wrong);
  checkSpan(settings.leaseTimeS, LEASE_S, 'lease_time', wrong);
  checkSpan(settings.reuseDelayS, REUSE_DELAY_S, 'reuse_delay', wrong);
  if (settings.mtu !== undefined && (settings.mtu < MTU.min || settings.mtu > MTU.max)) {
    wrong('mtu', `${settings.mtu} is not between ${MTU.min} and ${MTU.max}`);
  }
  return violations;
}

type Wrong = (field: string, description: string) => void;

function notAHost(cidr: Cidr, address: Ipv4): string | undefined {
  const text = formatIpv4(address);
  if (!cidrContains(cidr, address)) return `${text} is outside ${formatCidr(cidr)}`;
  if (address === firstAddress(cidr)) return `${text} is the network address of ${formatCidr(cidr)}`;
  if (address === lastAddress(cidr)) return `${text} is the broadcast address of ${formatCidr(cidr)}`;
  return undefined;
}

function checkRanges(cidr: Cidr, ranges: readonly AddressRange[], field: string, wrong: Wrong): void {
  ranges.forEach(({ first, last }, i) => {
    const text = `${formatIpv4(first)} to ${formatIpv4(last)}`;
    if (last < first) wrong(`${field}[${i}]`, `${text} ends before it begins`);
    else if (!cidrContains(cidr, first) || !cidrContains(cidr, last)) {
      wrong(`${field}[${i}]`, `${text} is not inside ${formatCidr(cidr)}`);
    }
  });
}

function checkSpan(seconds: number, bounds: { min: number; max: number }, field: string, wrong: Wrong): void {
  if (seconds < bounds.min || seconds > bounds.max) {
    wrong(field, `${seconds} s is not between ${bounds.min} s and ${bounds.max} s`);
  }
}

/** The subnet of the network that shares addresses with `cidr`, if any. */
export function overlapping(network: Network, cidr: Cidr): Subnet | undefined {
  return network.subnets.find((subnet) => cidrsOverlap(subnet.cidr, cidr));
}

/** The addresses that settings forbid: the gateway and the exclusions. */
export function forbiddenBy({ gateway, excludedRanges }: SubnetSettings): readonly AddressRange[] {
  return gateway === undefined ? excludedRanges : [...excludedRanges, { first: gateway, last: gateway }];
}

/** Whether one of the ranges holds all of another. */
export function covers(ranges: readonly AddressRange[], range: AddressRange): boolean {
  return ranges.some(({ first, last }) => first <= range.first && last >= range.last);
}

/** The addresses that the new settings forbid and the old ones did not. */
export function newlyForbidden(before: SubnetSettings, after: SubnetSettings): readonly AddressRange[] {
  const old = forbiddenBy(before);
  return forbiddenBy(after).filter((range) => !covers(old, range));
}
