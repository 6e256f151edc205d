// How much callers may take of a server. What they are by default is told here and nowhere else.

/** The limits of a server. Sizes are in bytes, spans in milliseconds. */
export interface Limits {
  /** Of a request to IpamService. */
  readonly maxRequestSize: number;
  /** Of a message of an agent. */
  readonly maxAgentMessageSize: number;
  /** Of the metadata of a call. */
  readonly maxMetadataSize: number;
  /** Calls at once on a connection of an engine. */
  readonly maxStreams: number;
  /** Connections at once, of each of the two listeners. */
  readonly maxConnections: number;
  /** Of each caller that is known by a certificate. */
  readonly maxCallsPerSecond: number;
  /** Items on a page of a list. */
  readonly maxPageSize: number;
  /** Watches at once. */
  readonly maxWatches: number;
  /** The same, of each caller that is known by a certificate. */
  readonly maxWatchesPerCaller: number;
  /** How long a reader of a watch may take nothing. */
  readonly maxWatchStall: number;
}

const KIB = 1_024;

/** What holds where an operator says nothing else. */
export const DEFAULT_LIMITS: Limits = {
  maxRequestSize: 1_024 * KIB,
  // Hellos come in parts of less.
  maxAgentMessageSize: 256 * KIB,
  maxMetadataSize: 8 * KIB,
  maxStreams: 100,
  // Ten thousand agents, and as many that come anew before their old connections are known to be gone.
  maxConnections: 20_000,
  // More than a server answers, items of batches included: whoever shares a server with others lowers it.
  maxCallsPerSecond: 100_000,
  maxPageSize: 1_000,
  maxWatches: 128,
  maxWatchesPerCaller: 16,
  // A snapshot and a read of old changes hold a moment of the store, which costs it more the longer that takes.
  maxWatchStall: 30_000,
};
