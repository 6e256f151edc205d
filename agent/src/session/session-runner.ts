// The seam between who keeps a session (the supervisor) and what is said in it.

import type { SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { SessionChannel } from './session-transport.js';

/** Runs one session after the other. */
export interface SessionRunner {
  /** A session was dialled: says hello. */
  begin(channel: SessionChannel, control: SessionControl): void;
  receive(response: SessionResponse): void;
  /** It is over. */
  end(): void;
}

/** What a session tells its supervisor. */
export interface SessionControl {
  /** It is open. */
  opened(): void;
  /** It must end. */
  close(reason: string): void;
}
