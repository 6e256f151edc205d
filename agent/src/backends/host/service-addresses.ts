// The addresses that answers come from, as a port.

import type { Ipv4, Parsed } from '@leasehold/proto/values';
import type { Link } from '../dhcp-backend.js';

/** The address that answers come from, on the interface. */
export interface ServiceAddresses {
  /** Puts the address on the interface as /32; nothing changes when it is there. */
  put(link: Link, address: Ipv4): Promise<Parsed<void>>;
  /** Takes it away, as far as the interface is still there. */
  remove(link: Link, address: Ipv4): Promise<void>;
  /** Whether the interface has the address now; another one having it does not count. Cheap. */
  isPresent(link: Link, address: Ipv4): boolean;
  /** What looks as if `put` had made it, on any interface. */
  list(): Promise<Parsed<readonly PutAddress[]>>;
}

/** An address on an interface. */
export interface PutAddress {
  readonly link: Link;
  readonly address: Ipv4;
}
