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
  /** Says hello to another server beside the present session, of which nothing changes. */
  greet(channel: SessionChannel): Greeting;
  /** Whether a server that was named as the one that leads may be it, by what is known of the store. */
  mayLead(holder: NamedHolder): boolean;
  /** Whether it leads after the server of the last session did, as far as is said of it. */
  leadsLater(holder: NamedHolder): boolean;
}

/** A hello that was said beside a session. */
export interface Greeting {
  /**
   * The server answered. If it welcomes, the present session is over, and its own takes the place: unless the tables are
   * not those of the hello any more, then another hello must be said (`stale`). `refused`: it is nobody to go to, and
   * nothing changed.
   */
  answered(response: SessionResponse, control: SessionControl): 'taken' | 'stale' | 'refused';
}

/** What the server dictates to who keeps the session. */
export interface SessionPace {
  /** Between heartbeats. */
  readonly intervalMs: number;
  /** How far to spread the first attempt after the session. */
  readonly spreadMs: number;
}

/** What a session tells its supervisor. */
export interface SessionControl {
  /** It is open. */
  opened(): void;
  /** What is dictated from now on. */
  dictated(pace: SessionPace): void;
  /** A heartbeat was acknowledged: the server was sure that it leads. */
  acknowledged(): void;
  /** It must end. */
  close(reason: string): void;
}
