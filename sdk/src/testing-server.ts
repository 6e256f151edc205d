// @leasehold/sdk/testing: a Leasehold server in the process of a test, for those who test their own engine.
//
// It is the real one: the same use cases, allocation, refusals and gRPC, on a store in memory, with hosts that run the real agent
// without a network below it. Only its clock is another: it can be put forward.

import { startFakeServer as start } from './bundle/fake-server.js';

/** How a fake server is started. */
export interface FakeServerOptions {
  /** `127.0.0.1:7067`, another port of loopback, or `unix:PATH`. Absent: a port of 127.0.0.1 that the system chooses. */
  readonly listen?: string | undefined;
}

/** A server in this process. Close it, or hold it with `await using`. */
export interface FakeServer extends AsyncDisposable {
  /** Where it listens, as `connect` takes it. Stays the same when it is started again. */
  readonly address: string;
  /** The time of the server and its hosts; deadlines of calls are on the clock of the machine. */
  readonly clock: FakeClock;
  /**
   * Adds a host on which these networks are set up, and resolves when the server knows it, three seconds of its clock later. From
   * then on it serves what it is told to, as a real one: reserve with `waitReady` to wait for that. An id that is none is a TypeError.
   */
  addHost(hostId: string, options: FakeHostOptions): Promise<FakeHost>;
  /** A host that was added; an id that was not is a RangeError. */
  host(hostId: string): FakeHost;
  /** Stops the server: calls find nobody, as while a real one is restarted. What it stored stays, hosts go on. */
  stop(): Promise<void>;
  /** Starts it again, on what it stored; does nothing while it runs. */
  start(): Promise<void>;
  /** Ends the server, its hosts and its clock. */
  close(): Promise<void>;
}

/** A host to add. */
export interface FakeHostOptions {
  /** Ids of the networks that it has, whether they exist yet or not. */
  readonly networks: readonly string[];
  /** Servers of a network are spread over failure domains. Absent: unknown. */
  readonly failureDomain?: string | undefined;
}

/** A host, with its agent. */
export interface FakeHost {
  readonly hostId: string;
  /** The address that a guest of the network with this MAC would be given by this host now. Undefined: it is not answered. */
  answer(networkId: string, mac: string): string | undefined;
  /** The host dies: it answers nobody, and what it served is served by others soon. */
  stop(): Promise<void>;
  /** It comes back, on what it left on its disk; does nothing while it lives. */
  start(): Promise<void>;
}

/** The clock of a fake server. It runs as the clock of the machine does, and can be put forward. */
export interface FakeClock {
  /** The time it shows. */
  now(): Date;
  /**
   * Puts it forward by so many milliseconds, or by a text like `500ms`, `30s`, `15m`, `24h` or `90d`. All that falls due on the way
   * happens in its order: quarantines end, leases lapse, hosts send their heartbeats. A day takes a few seconds.
   */
  advance(by: number | string): Promise<void>;
}

/** Starts a fake server. */
export function startFakeServer(options: FakeServerOptions = {}): Promise<FakeServer> {
  return start(options);
}
