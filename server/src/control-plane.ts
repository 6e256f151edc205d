// The control plane, put together from its parts: everything but the operating system and the wire. main.ts runs it on
// real ones; simulations run it in virtual time.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import { AgentSessions } from './adapters/agents/agent-sessions.js';
import { type Context, newUid } from './app/context.js';
import { Deployment, tellSlot } from './app/deployment.js';
import { Events } from './app/events.js';
import { Fleet } from './app/fleet.js';
import { HistoryPruner } from './app/history.js';
import { hostStatus } from './app/host-status.js';
import { Hosts } from './app/hosts.js';
import { type Leadership, leadershipOf } from './app/leadership.js';
import { Manager } from './app/manager.js';
import { networkStatus } from './app/network-status.js';
import { Networks } from './app/networks.js';
import { Placements } from './app/placements.js';
import { Reclaimer } from './app/reclaimer.js';
import { Release } from './app/release.js';
import { Reservations } from './app/reservations.js';
import { Reserve } from './app/reserve.js';
import { Sentinel } from './app/sentinel.js';
import { type ServerIdentity, Status } from './app/status.js';
import { Subnets } from './app/subnets.js';
import { View } from './app/view.js';
import type { MakeBreaker } from './ports/breaker.js';
import { type Metrics, NO_METRICS } from './ports/metrics.js';
import type { Store } from './ports/store.js';
import type { UseCases } from './transport/ipam-service.js';

/** What a control plane runs on. */
export interface ControlPlaneOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly makeBreaker: MakeBreaker;
  readonly identity: ServerIdentity;
  /** Where engines, and where agents reach this server; absent: it does not say. */
  readonly advertise?: string;
  readonly agentAdvertise?: string;
  /** How long ended tenures are kept; absent: 90 days. */
  readonly historyRetentionMs?: number;
  readonly metrics?: Metrics;
}

/** A control plane that runs. */
export interface ControlPlane {
  /** What IpamService serves. */
  readonly useCases: UseCases;
  /** Where agents' streams go. */
  readonly agents: AgentSessions;
  readonly lease: Leadership;
  /** Ends the sessions and the background work; the store stays open. */
  stop(): Promise<void>;
}

// A host that is well confirms within milliseconds; half of the time in which a dead one is noticed anyway.
const COMMAND_TIMEOUT_MS = 5_000;
const DAY_MS = 86_400_000;
const HISTORY_RETENTION_MS = 90 * DAY_MS;

/** Starts a control plane. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { store, clock, entropy, log, makeBreaker, identity, metrics = NO_METRICS } = options;
  const instance = newUid({ clock, entropy });
  const { advertise = '', agentAdvertise = '' } = options;
  const lease = leadershipOf(store, { instance, server: identity.name, advertise, agentAdvertise }, clock, log);
  const agents = new AgentSessions({
    clock,
    log,
    metrics,
    settings: store.settings,
    lease,
    // The directory needs the view, and the view is filled through the sessions: both are there before an agent is.
    directory: { reported: (report) => hosts.reported(report) },
    sightings: new Sentinel({ store, clock, log, metrics }),
    pace: () => fleet.pace,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
  });
  const view = await View.open({
    store,
    clock,
    entropy,
    log,
    metrics,
    listeners: [(shown) => tellSlot(agents, shown)],
  });
  const context: Context = { store, view, hosts: agents, lease, clock, entropy, log, metrics };
  const events = new Events(context);
  const fleet = new Fleet({ view, observer: agents, clock, makeBreaker });
  const hosts = new Hosts(context, fleet);
  // Widened, because the compiler does not see that starting the lease sets it.
  let term = undefined as Term | undefined;
  await lease.start({
    // Hosts are told what to do as soon as the networks are claimed; if the lead is lost before, that is called off.
    async began(epoch) {
      fleet.beginTerm();
      term = beginTerm(context, fleet, agents, epoch, options.historyRetentionMs ?? HISTORY_RETENTION_MS);
    },
    resumed: () => term?.manager.resume(),
    async ended() {
      const over = term;
      term = undefined;
      agents.stepDown();
      await over?.end();
    },
  });
  if (store.holder.kind === 'exclusive') await term?.begun;
  const manager = () => term?.manager;
  const reservations = new Reservations(context);
  const useCases: UseCases = {
    context,
    networks: new Networks(context),
    subnets: new Subnets(context),
    reserve: new Reserve(context),
    reservations,
    release: new Release(context, reservations),
    events,
    hosts,
    placements: new Placements(context, fleet),
    status: new Status(context, fleet, manager, identity),
    networkStatus: (network) => networkStatus(context, fleet, manager(), network),
    hostStatus: (host) => hostStatus(fleet, clock, host),
  };
  const stop = async () => {
    agents.close();
    await lease.stop();
    fleet.close();
    view.close();
  };
  return { useCases, agents, lease, stop };
}

/** What a server does only while it leads. */
interface Term {
  readonly manager: Manager;
  /** Resolves when hosts are told what to do. */
  readonly begun: Promise<void>;
  end(): Promise<void>;
}

function beginTerm(
  context: Context,
  fleet: Fleet,
  agents: AgentSessions,
  epoch: number,
  historyRetentionMs: number,
): Term {
  const { view, log } = context;
  const deployment = new Deployment({ view, provider: agents, observer: agents, fleet, log });
  const manager = new Manager(context, fleet, deployment, epoch);
  const reclaimer = new Reclaimer(context, epoch);
  const pruner = new HistoryPruner(context, epoch, historyRetentionMs);
  const begun = manager.start().then(() => {
    reclaimer.start();
    pruner.start();
  });
  return {
    manager,
    begun,
    async end() {
      await Promise.all([manager.stop(), reclaimer.stop(), pruner.stop(), begun]);
    },
  };
}
