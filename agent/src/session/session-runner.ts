// The seam between who keeps a session (the supervisor) and what is said in it.

import type { SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { NamedHolder } from './named-holder.js';
import type { SessionChannel } from './session-transport.js';

/** Runs one session after the other. */
export interface SessionRunner {
  /** A session was dialled: says hello. */
  begin(channel: SessionChannel, control: SessionControl): void;
  receive(response: SessionResponse): void;
  /** It is over. */
  end(): void;
  /** Whether a server that was named as the one that leads may be it, by what is known of the store. */
  mayLead(holder: NamedHolder): boolean;
}

/** What a session tells its supervisor. */
export interface SessionControl {
  /** It is open. */
  opened(): void;
  /** How far to spread the first attempt after it, from now on. */
  spread(ms: number): void;
  /** It must end. */
  close(reason: string): void;
}
