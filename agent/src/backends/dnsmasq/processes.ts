// The dnsmasq processes of this host, as a port: they outlive the agent, until their deadline.

import type { Parsed } from '@leasehold/proto/values';

/** Where dnsmasq runs. */
export interface Processes {
  /** What runs under a key, whoever started it. A refusal: nobody can tell. */
  find(key: string, events: ProcessEvents): Promise<Parsed<Process | undefined>>;
  /** Runs dnsmasq until a time of the agent's clock. Nothing may run under the key. */
  start(key: string, args: readonly string[], untilMs: number, events: ProcessEvents): Promise<Parsed<Process>>;
  /** Ends what runs under other keys than these. */
  keepOnly(keys: ReadonlySet<string>): Promise<void>;
}

/** A dnsmasq. */
export interface Process {
  readonly pid: number;
  readonly args: readonly string[];
  /** Moves its deadline. */
  hold(untilMs: number): void;
  /** Moves its deadline, but never to a later time. */
  limit(untilMs: number): void;
  /** Makes it read hosts and options again (SIGHUP). */
  reread(): void;
  /** Resolves when it is gone. `onExit` is not called. */
  end(): Promise<void>;
}

/** What a process does until it is gone. */
export interface ProcessEvents {
  onLine(line: string): void;
  onExit(reason: string): void;
}
