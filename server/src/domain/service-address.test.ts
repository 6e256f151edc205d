import { cidrContains, formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import type { NetworkId } from './ids.js';
import { serviceAddress } from './service-address.js';

const LINK_LOCAL = { base: 0xa9fe0000 as Ipv4, prefixLength: 16 };
const METADATA = 0xa9fea9fe;

test('a service address is link-local, not reserved by RFC 3927, and never that of instance metadata', () => {
  const addresses = Array.from({ length: 200_000 }, (_, n) => serviceAddress(`network-${n}` as NetworkId));
  const unusable = addresses.filter((address) => {
    const third = (address >>> 8) & 255;
    return !cidrContains(LINK_LOCAL, address) || address === METADATA || third === 0 || third === 255;
  });
  expect(unusable.map(formatIpv4)).toEqual([]);
  // All others occur: what is kept back is no more than what must be.
  expect(new Set(addresses).size).toBeGreaterThan(60_000);
});

test('a network has the same service address wherever it is computed', () => {
  expect(formatIpv4(serviceAddress('red' as NetworkId))).toBe(formatIpv4(serviceAddress('red' as NetworkId)));
  expect(serviceAddress('red' as NetworkId)).not.toBe(serviceAddress('blue' as NetworkId));
});
