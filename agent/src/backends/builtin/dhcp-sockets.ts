// What the builtin backend needs of the host's network, as a port: a socket that hears one interface only.

import type { Ipv4, Parsed } from '@leasehold/proto/values';
import type { Link } from '../dhcp-backend.js';

/** Where DHCP messages come from and go to. */
export interface DhcpSockets {
  /**
   * Opens UDP port 67 on one interface only: it hears nothing of any other and sends out of no other. A refusal says
   * why, for people.
   */
  open(link: Link, events: SocketEvents): Promise<Parsed<DhcpSocket>>;
}

/** Called by an open socket; never after close(). */
export interface SocketEvents {
  onMessage(bytes: Uint8Array): void;
  /** The socket is of no use any more; its owner closes it. */
  onBroken(reason: string): void;
}

/** An open socket. */
export interface DhcpSocket {
  /** What may keep guests from being heard, in the host's settings. Undefined: nothing known. */
  readonly warning: string | undefined;
  /** Sends to port 68. Never blocks and never throws: what cannot be sent now is lost, DHCP clients repeat. */
  send(bytes: Uint8Array, address: Ipv4, onFailure: () => void): void;
  close(): void;
}
