// The address that every DHCP server of a network answers from: the same on every host of a network, so that any of
// them can answer for another, and link-local (RFC 3927), so that no tenant's address is used up.

import { createHash } from 'node:crypto';
import type { Ipv4 } from '@leasehold/proto/values';
import type { NetworkId } from './ids.js';

const LINK_LOCAL = 169 * 2 ** 24 + 254 * 2 ** 16;
// Clouds serve instance metadata there; guests look for it.
const METADATA = LINK_LOCAL + 169 * 256 + 254;
// RFC 3927 §2.1 keeps the first and the last 256 addresses back.
const FIRST = LINK_LOCAL + 256;
const USABLE = 2 ** 16 - 2 * 256;

/** The service address of a network: 169.254.1.0 to 169.254.254.255, never 169.254.169.254. */
export function serviceAddress(networkId: NetworkId): Ipv4 {
  const hash = createHash('sha256').update(networkId).digest().readUInt32BE(0);
  const address = FIRST + (hash % USABLE);
  return (address === METADATA ? address + 1 : address) as Ipv4;
}
