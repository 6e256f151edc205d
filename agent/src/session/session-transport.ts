// How a session reaches a server. The real one is gRPC; simulations have their own.

import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { NamedHolder } from './named-holder.js';

/** Why a session is over. */
export interface SessionEnd {
  /** For people. */
  readonly reason: string;
  /** The server that leads, when one that does not named it. */
  readonly holder?: NamedHolder;
}

/** What a session tells its owner. Never called from inside `open`, `send` or `close`. */
export interface SessionHandlers {
  onMessage(response: SessionResponse): void;
  /** Once, last, unless `close` was called first. */
  onClose(end: SessionEnd): void;
}

/** An open or opening session. */
export interface SessionChannel {
  /** Sends in order; what cannot be sent any more is dropped, and `onClose` says so. */
  send(request: SessionRequest): void;
  /** Ends the session; no handler is called any more. */
  close(): void;
}

/** Opens sessions. */
export interface SessionTransport {
  /**
   * Dials `server` and opens a session at once; trouble comes through `onClose`, and so does that the server says nothing
   * within `speaksWithinMs`: of one that stands still the kernel accepts the connection.
   */
  open(server: string, handlers: SessionHandlers, speaksWithinMs: number): SessionChannel;
  /** Whether `server` is a name of several, of which each session dials the next one; absent: none is. */
  isSeveral?(server: string): boolean;
}
