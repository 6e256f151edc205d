// Leases that dnsmasq remembers of MACs that no longer have the address, as a port.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Place } from '../host/placed-address.js';

/** What dnsmasq may remember. */
export interface Ghost {
  readonly mac: Mac;
  readonly address: Ipv4;
}

/** Ends ghosts. */
export interface GhostReleases {
  /** Tells the dnsmasq of this pid; resolves when it has taken all of it from its socket, `false` when some may be lost. */
  release(pid: number, place: Place, ghosts: readonly Ghost[]): Promise<boolean>;
}
