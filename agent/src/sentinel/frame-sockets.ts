// What the sentinel needs of the host: to hear an interface.

import type { Mac, Parsed } from '@leasehold/proto/values';
import type { Link } from '../backends/dhcp-backend.js';

/** Hears interfaces. */
export interface FrameSockets {
  /**
   * Hears the ARP packets of an interface, and what DHCP servers say and DHCP clients say to them (REQUEST, DECLINE,
   * RELEASE), but nothing that this host sends. A refusal says why, for people.
   */
  open(link: Link): Parsed<FrameSocket>;
}

/** An interface that is heard. */
export interface FrameSocket {
  /** Of the interface. */
  readonly mac: Mac;
  /** Sends a frame, from its Ethernet header on; what cannot be sent is lost. */
  send(frame: Uint8Array): void;
  /** The next frame that came, if any; valid until the next call. `broken`: none will come any more. */
  read(): Uint8Array | 'broken' | undefined;
  close(): void;
}
