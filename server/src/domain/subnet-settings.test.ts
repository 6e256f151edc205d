// Which subnets can be.

import { formatIpv4, type Ipv4, parseCidr } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import type { NetworkId } from './ids.js';
import { serviceAddress } from './service-address.js';
import { checkSubnetSettings } from './subnet-settings.js';

function check(text: string) {
  const cidr = parseCidr(text);
  if (!cidr.ok) throw new Error(cidr.problem);
  const empty = { dnsServers: [], ntpServers: [], domainSearch: [], routes: [], options: [] };
  const ranges = { allocationRanges: [], excludedRanges: [] };
  return checkSubnetSettings({
    ...empty,
    ...ranges,
    cidr: cidr.value,
    domainName: '',
    leaseTimeS: 3_600,
    reuseDelayS: 60,
    labels: {},
  });
}

describe('the CIDR of a subnet', () => {
  test.each([
    ['0.0.0.0/8', '"this network"'],
    ['0.1.2.0/24', '"this network"'],
    ['127.0.0.0/8', 'loopback'],
    ['127.0.0.0/30', 'loopback'],
    ['169.254.0.0/16', 'link-local'],
    ['169.254.7.0/24', 'link-local'],
    ['169.0.0.0/8', 'link-local'],
    ['224.0.0.0/8', 'multicast'],
    ['239.255.255.252/30', 'multicast'],
    ['240.0.0.0/8', 'reserved'],
    ['255.255.255.252/30', 'reserved'],
  ])('is not %s: it has %s addresses', (cidr, why) => {
    expect(check(cidr)).toEqual([{ field: 'subnet.cidr', description: expect.stringContaining(why) }]);
  });

  test.each([
    '1.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '126.0.0.0/8',
    '128.0.0.0/16',
    '169.253.0.0/16',
    '169.255.0.0/16',
  ])('may be %s', (cidr) => {
    expect(check(cidr)).toEqual([]);
  });

  test.each(['192.0.2.0/24', '198.18.0.0/15', '223.255.255.0/24'])('may be %s', (cidr) => {
    expect(check(cidr)).toEqual([]);
  });

  test('never holds the address of a DHCP server', () => {
    for (let n = 0; n < 1_000; n++) {
      const address: Ipv4 = serviceAddress(`network-${n}` as NetworkId);
      expect(check(`${formatIpv4(((address & ~3) >>> 0) as Ipv4)}/30`)).not.toEqual([]);
    }
  });
});
