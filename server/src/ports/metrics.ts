// What is counted and measured, by names of our own. How it is shown is the adapter's business.

/** What a metric is. */
export interface MetricDefinition {
  /** `counter`: grows. `histogram`: how values are spread. */
  readonly kind: 'counter' | 'histogram';
  /** As it is scraped. */
  readonly name: string;
  /** What it means, with its unit. */
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20] as const;

/** Every metric that is counted as things happen. What is true at the moment of a scrape is a gauge (transport/prometheus). */
export const METRICS = {
  reserves: {
    kind: 'counter',
    name: 'leasehold_reserves_total',
    help: 'Answered ReserveAddress requests, batched ones included, by outcome: created, existing, or the reason of the refusal',
    labels: ['outcome'],
  },
  releases: {
    kind: 'counter',
    name: 'leasehold_releases_total',
    help: 'Answered ReleaseAddress requests, batched ones included, by outcome: ok, or the reason of the refusal',
    labels: ['outcome'],
  },
  sightings: {
    kind: 'counter',
    name: 'leasehold_sightings_total',
    help: 'What hosts noticed on the wire that does not fit a reservation, by kind (declined, address-in-use, released) and outcome: noted, known (the same within a minute, or over), dropped',
    labels: ['kind', 'outcome'],
  },
  probes: {
    kind: 'counter',
    name: 'leasehold_probes_total',
    help: 'Newly chosen addresses that were asked for by ARP (probe_before_use), by outcome: free, used, or skipped because no host could be asked',
    labels: ['outcome'],
  },
  reserveRetries: {
    kind: 'counter',
    name: 'leasehold_reserve_retries_total',
    help: 'Addresses that were proposed and turned out to be taken, or not to fit any more: a further round of a reserve',
  },
  placementsWithdrawn: {
    kind: 'counter',
    name: 'leasehold_placements_withdrawn_total',
    help: 'Placements that the manager took from hosts, by why, as in placement.md',
    labels: ['why'],
  },
  freed: {
    kind: 'counter',
    name: 'leasehold_addresses_freed_total',
    help: 'Quarantined addresses that became free',
  },
  historyPruned: {
    kind: 'counter',
    name: 'leasehold_history_pruned_total',
    help: 'Ended tenures that were forgotten after the history retention',
  },
  storeSeconds: {
    kind: 'histogram',
    name: 'leasehold_store_seconds',
    help: 'How long an exchange with the store took, in seconds, by operation',
    labels: ['operation'],
    buckets: SECONDS,
  },
  storeBatch: {
    kind: 'histogram',
    name: 'leasehold_store_batch_size',
    help: 'How many writes shared one durable write, by operation',
    labels: ['operation'],
    buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000],
  },
  storeFailures: {
    kind: 'counter',
    name: 'leasehold_store_failures_total',
    help: 'Exchanges with the store that failed, by operation',
    labels: ['operation'],
  },
  storeRepeats: {
    kind: 'counter',
    name: 'leasehold_store_repeats_total',
    help: 'Writes that were sent again because it was not known whether they had been done',
  },
  storeUnknown: {
    kind: 'counter',
    name: 'leasehold_store_outcomes_unknown_total',
    help: 'Writes of which it was not known in time whether they had been done (OUTCOME_UNKNOWN)',
  },
  watchReopened: {
    kind: 'counter',
    name: 'leasehold_watch_reopened_total',
    help: 'How often the watch of the store broke and went on where it was',
  },
  watchLost: {
    kind: 'counter',
    name: 'leasehold_watch_lost_total',
    help: 'How often the watch of the store was lost and everything was read again',
  },
  watchLagSeconds: {
    kind: 'histogram',
    name: 'leasehold_watch_lag_seconds',
    help: 'How long after it was made a change of the store was seen, in seconds, by the clock of the store',
    buckets: SECONDS,
  },
  agentAcceptSeconds: {
    kind: 'histogram',
    name: 'leasehold_agent_accept_seconds',
    help: 'How long a new connection of an agent waited until it was let in, in seconds',
    buckets: SECONDS,
  },
  agentConnectionsRefused: {
    kind: 'counter',
    name: 'leasehold_agent_connections_refused_total',
    help: 'New connections of agents that were closed, because too many were there or waited to be let in, or they waited too long',
  },
  engineAcceptSeconds: {
    kind: 'histogram',
    name: 'leasehold_engine_accept_seconds',
    help: 'How long a new TLS connection of an engine waited until it was let in, in seconds',
    buckets: SECONDS,
  },
  engineConnectionsRefused: {
    kind: 'counter',
    name: 'leasehold_engine_connections_refused_total',
    help: 'New connections of engines that were closed, because too many were there, or by TLS waited to be let in, or they waited too long',
  },
  handshakesFailed: {
    kind: 'counter',
    name: 'leasehold_tls_handshakes_failed_total',
    help: 'TLS handshakes that came to nothing, by reason: timeout, crowded (too many were under way), other',
    labels: ['reason'],
  },
  connectionsUnauthenticated: {
    kind: 'counter',
    name: 'leasehold_unauthenticated_connections_total',
    help: 'TLS connections of nobody who is known, by reason: none (no certificate), ended, not-yet, other-ca, purpose, identity',
    labels: ['reason'],
  },
  callsRefused: {
    kind: 'counter',
    name: 'leasehold_refused_calls_total',
    help: 'Calls that were refused for who called, by reason: UNAUTHENTICATED, PERMISSION_DENIED',
    labels: ['reason'],
  },
  callsLimited: {
    kind: 'counter',
    name: 'leasehold_limited_calls_total',
    help: 'Calls that were refused with RATE_LIMITED, by limit (watches, calls-per-second) and the role of the caller',
    labels: ['limit', 'role'],
  },
  tableDrifts: {
    kind: 'counter',
    name: 'leasehold_table_drifts_total',
    help: 'Tables of hosts that differed from what they should be and were sent again',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

type NameOf<Kind> = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never;
}[keyof typeof METRICS];

/** Values of a metric's labels. */
export type MetricLabels = Readonly<Record<string, string>>;

/** Where metrics go. */
export interface Metrics {
  /** Counts once, or `by`. */
  count(name: NameOf<'counter'>, labels?: MetricLabels, by?: number): void;
  /** Notes a value. */
  observe(name: NameOf<'histogram'>, value: number, labels?: MetricLabels): void;
}

/** Metrics that go nowhere. */
export const NO_METRICS: Metrics = { count: () => undefined, observe: () => undefined };
