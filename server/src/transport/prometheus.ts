// Metrics as Prometheus scrapes them: what was counted as it happened, and what is true at the moment of a scrape.

import type { TlsMaterial } from '@leasehold/program/tls-files';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Host } from '../domain/host.js';
import { METRICS, type MetricDefinition, type MetricLabels, type Metrics } from '../ports/metrics.js';
import type { UseCases } from './ipam-service.js';

/** All metrics of a server, with those of its process: event loop, memory, processor. */
export class Prometheus {
  readonly #registry = new Registry();
  /** What is counted goes here. */
  readonly metrics: Metrics;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    const counters = new Map<string, Counter>();
    const histograms = new Map<string, Histogram>();
    for (const [key, definition] of Object.entries<MetricDefinition>(METRICS)) {
      const { name, help, kind, labels = [], buckets = [] } = definition;
      const common = { name, help, labelNames: [...labels], registers: [this.#registry] };
      if (kind === 'counter') counters.set(key, new Counter(common));
      else histograms.set(key, new Histogram({ ...common, buckets: [...buckets] }));
    }
    this.metrics = {
      count: (name, labels = {}, by = 1) => counters.get(name)?.inc(labels, by),
      observe: (name, value, labels = {}) => histograms.get(name)?.observe(labels, value),
    };
  }

  /** The media type of a scrape. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, as it is now. */
  scrape(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Shows from now on how the installation is, as this server knows it. */
  show(app: UseCases): void {
    for (const { read, ...definition } of GAUGES) this.#gauge(definition, () => read(app));
  }

  /** Shows from now on what TLS is spoken with, and how much of it begins. */
  showTls(
    files: { readonly current: Pick<TlsMaterial, 'notAfterMs'> },
    listeners: readonly { readonly handshakes: number }[],
  ): void {
    const end = 'Until when the certificate of this server is valid, in seconds since 1970';
    this.#gauge({ name: 'leasehold_tls_certificate_end_seconds', help: end }, () => [
      [files.current.notAfterMs / 1_000],
    ]);
    this.#gauge({ name: 'leasehold_tls_handshakes', help: 'TLS handshakes that are under way' }, () => [
      [listeners.reduce((sum, { handshakes }) => sum + handshakes, 0)],
    ]);
  }

  #gauge({ name, help, labels = [] }: Omit<GaugeDefinition, 'read'>, read: () => readonly Sample[]): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      collect: () => {
        // What is not there any more is not shown any more.
        gauge.reset();
        for (const [value, values = {}] of read()) gauge.set(values, value);
      },
    });
  }
}

type Sample = readonly [value: number, labels?: MetricLabels];

interface GaugeDefinition {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: (app: UseCases) => readonly Sample[];
}

const GAUGES: readonly GaugeDefinition[] = [
  {
    name: 'leasehold_info',
    help: 'Always 1; its labels say what runs',
    labels: ['version', 'server', 'store', 'store_uid', 'incarnation'],
    read({ status }) {
      const { version, server, store } = status.get();
      const { kind, uid, incarnation } = store;
      return [[1, { version, server, store: kind, store_uid: uid, incarnation: String(incarnation) }]];
    },
  },
  {
    name: 'leasehold_store_available',
    help: '1 while the store can be used, 0 while it is away',
    read: ({ context }) => [[context.store.health.unavailableSince === undefined ? 1 : 0]],
  },
  {
    name: 'leasehold_leads',
    help: '1 while this server leads, and is sure of it: it alone places DHCP servers and frees addresses',
    read: ({ context }) => [[context.lease.epoch === undefined ? 0 : 1]],
  },
  {
    name: 'leasehold_holder_known',
    help: '0 while no server is known to lead',
    read: ({ context }) => [[context.lease.holder ? 1 : 0]],
  },
  {
    name: 'leasehold_brake',
    help: '1 while this holds placements back, shown by the server that leads; HOLD_STILL addresses, shown by all',
    labels: ['kind'],
    read: ({ status }) => status.get().brakes.map(({ kind }) => [1, { kind }] as const),
  },
  {
    name: 'leasehold_watches',
    help: 'WatchEvents streams that are open on this server',
    read: ({ events }) => [[events.count]],
  },
  {
    name: 'leasehold_hosts',
    help: 'Hosts by liveness: unknown, up, suspect, down; shown by the server that leads',
    labels: ['liveness'],
    read: (app) => hostsBy(app, app.hostLiveness, LIVENESS, 'liveness'),
  },
  {
    name: 'leasehold_host_breakers',
    help: 'Hosts by the state of the breaker around their commands: closed, open, half-open; shown by the server that leads',
    labels: ['state'],
    read: (app) => hostsBy(app, app.hostBreaker, BREAKER_STATES, 'state'),
  },
  {
    name: 'leasehold_network_servers',
    help: 'DHCP servers of a network by state: wanted, serving; shown by the server that leads',
    labels: ['network_id', 'state'],
    read: ({ context: { view, lease }, networkStatus }) =>
      [...view.networks.values()].flatMap((network) => {
        if (network.deleted || !lease.isSelf) return [];
        const { serversWanted, serversServing } = networkStatus(network);
        const of = (state: string) => ({ network_id: network.networkId, state });
        return [[serversWanted, of('wanted')] as const, [serversServing, of('serving')] as const];
      }),
  },
  {
    name: 'leasehold_foreign_dhcp_servers',
    help: 'Other DHCP servers that hosts noticed on a network in the last ten minutes; shown by the server that leads',
    labels: ['network_id'],
    read: ({ countForeignServers }) =>
      Array.from(countForeignServers(), ([network_id, count]) => [count, { network_id }] as const),
  },
  {
    name: 'leasehold_subnet_addresses',
    help: 'Addresses of a subnet by state: capacity (all that can be handed out), reserved, quarantined, free',
    labels: ['network_id', 'subnet_id', 'state'],
    read: ({ context: { view } }) =>
      [...view.networks.values()].flatMap(({ networkId, subnets, deleted }) =>
        (deleted ? [] : subnets).flatMap(({ subnetId }) =>
          Object.entries(view.occupancy(networkId).usageOf(subnetId)).map(
            ([state, count]: [string, number]) =>
              [count, { network_id: networkId, subnet_id: subnetId, state }] as const,
          ),
        ),
      ),
  },
];

const BREAKER_STATES = ['closed', 'open', 'half-open'] as const;
const LIVENESS = ['unknown', 'up', 'suspect', 'down'] as const;

/** How many hosts are in each of these states; `label`: what the label is called. */
function hostsBy<State extends string>(
  { context: { view, lease } }: UseCases,
  stateOf: (host: Host) => State,
  states: readonly State[],
  label: string,
): readonly Sample[] {
  if (!lease.isSelf) return [];
  const seen = [...view.hosts.values()].map(stateOf);
  return states.map((state) => [seen.filter((each) => each === state).length, { [label]: state }]);
}
