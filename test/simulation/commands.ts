// What use cases are asked in simulations, where a test says nothing else.

import { parseCidr, parseIpv4, parseMac } from '@leasehold/proto/values';
import type { Call } from '@leasehold/server/app/context';
import type { ReleaseCommand } from '@leasehold/server/app/release';
import type { ReserveCommand } from '@leasehold/server/app/reserve';
import type { SubnetId } from '@leasehold/server/domain/ids';
import type { SubnetSettings } from '@leasehold/server/domain/subnet-settings';

/** A call that nobody cancels. */
export const CALL: Call = { caller: 'test', signal: new AbortController().signal, stale: () => undefined };

/** The settings of a subnet. */
export function subnetSettings(cidr: string, more: Partial<SubnetSettings> = {}): SubnetSettings {
  return {
    cidr: parsed(parseCidr(cidr)),
    dnsServers: [],
    ntpServers: [],
    domainName: '',
    domainSearch: [],
    routes: [],
    options: [],
    leaseTimeS: 3_600,
    reuseDelayS: 60,
    allocationRanges: [],
    excludedRanges: [],
    labels: {},
    ...more,
  };
}

/** A reservation in a subnet for a MAC, of an address if it is given. */
export function reserveCommand(subnetId: string, mac: string, address: string | undefined): ReserveCommand {
  return {
    subnetId: subnetId as SubnetId,
    networkId: undefined,
    mac: parsed(parseMac(mac)),
    address: address === undefined ? undefined : parsed(parseIpv4(address)),
    hostname: '',
    owner: '',
    labels: {},
    options: [],
    request: undefined,
  };
}

/** A release of an address. */
export function releaseCommand(subnetId: string, address: string): ReleaseCommand {
  const key = { kind: 'address', subnetId: subnetId as SubnetId, address: parsed(parseIpv4(address)) } as const;
  return { key, reservationId: undefined, mac: undefined, guestStopped: false, request: undefined };
}

function parsed<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string },
): T {
  if (result.ok) return result.value;
  throw new Error(result.problem);
}
