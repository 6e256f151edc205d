// The control plane, put together from its parts: everything but the operating system and the wire. main.ts runs it on
// real ones; simulations run it in virtual time.

import { type Clock, delay } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import { AgentSessions } from './adapters/agents/agent-sessions.js';
import { Audit } from './app/audit.js';
import { Ceilings } from './app/ceilings.js';
import { type Context, newUid, type ReuseEstimates } from './app/context.js';
import { Deployment, tellSlot } from './app/deployment.js';
import { Events } from './app/events.js';
import { Fleet } from './app/fleet.js';
import { countForeignServers } from './app/foreign-servers.js';
import { HistoryPruner } from './app/history.js';
import { HoldingStill } from './app/holding-still.js';
import { HostAnswers } from './app/host-answers.js';
import { hostBreaker, hostLiveness, hostStatus } from './app/host-status.js';
import { Hosts } from './app/hosts.js';
import { KeyedQueue } from './app/keyed-queue.js';
import { type Leadership, leadershipOf } from './app/leadership.js';
import { Manager } from './app/manager.js';
import { networkStatus } from './app/network-status.js';
import { Networks } from './app/networks.js';
import { Placements } from './app/placements.js';
import { Rebalance } from './app/rebalance.js';
import { Reclaimer } from './app/reclaimer.js';
import { Release } from './app/release.js';
import { Reservations } from './app/reservations.js';
import { Reserve } from './app/reserve.js';
import { Sentinel } from './app/sentinel.js';
import { type ServerIdentity, Status } from './app/status.js';
import { Subnets } from './app/subnets.js';
import { View } from './app/view.js';
import { type AuditEvent, type AuditLog, momentEvent } from './domain/audit.js';
import { DEFAULT_LIMITS, type Limits } from './domain/limits.js';
import type { MakeBreaker } from './ports/breaker.js';
import { type Metrics, NO_METRICS } from './ports/metrics.js';
import type { Store } from './ports/store.js';
import { auditFields } from './transfer/audit-fields.js';
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
  /** Of which changes there are log lines; absent: of settings. */
  readonly auditLog?: AuditLog;
  /** Absent: the default ones. */
  readonly limits?: Limits;
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

// A host that is well confirms within milliseconds; half of the time after which one that did not is replaced.
const COMMAND_TIMEOUT_MS = 5_000;
const DAY_MS = 86_400_000;
const HISTORY_RETENTION_MS = 90 * DAY_MS;

/** Starts a control plane. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { store, clock, entropy, log, makeBreaker, identity, metrics = NO_METRICS, limits = DEFAULT_LIMITS } = options;
  const instance = newUid({ clock, entropy });
  const { advertise = '', agentAdvertise = '' } = options;
  const lease = leadershipOf(store, { instance, server: identity.name, advertise, agentAdvertise }, clock, log);
  const holding = new HoldingStill(store, clock, log);
  // Widened, because the compiler does not see that starting the lease sets it.
  let term = undefined as Term | undefined;
  const agents = new AgentSessions({
    clock,
    log,
    metrics,
    store: store.settings,
    settings: () => (term?.isReady ? store.settings : undefined),
    lease,
    // The directory needs the view, and the view is filled through the sessions: both are there before an agent is.
    directory: {
      greeted: (report, epoch) => hosts.greeted(report, epoch),
      reported: (report) => hosts.reported(report),
    },
    sightings: new Sentinel({ store, clock, log, metrics }),
    knewMore: () => holding.because?.hostIds ?? [],
    knowsMore: (hostId, incarnation, reason) => holding.told(hostId, incarnation, reason),
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
  view.listenToChanges({
    lost: () => agents.beginReread(),
    changed: () => undefined,
    began: () => agents.endReread(),
  });
  await holding.start();
  const holdsStill = () => holding.because;
  const reuse = () => (lease.epoch !== undefined && !holding.because ? term?.estimates : undefined);
  const tell = (event: AuditEvent) => log.info('audit', auditFields(event));
  const tellTenure = options.auditLog === 'all' ? tellerOfTenures(tell) : undefined;
  const known = { store, view, hosts: agents, lease, reuse, holdsStill };
  const context: Context = { ...known, tell, tellTenure, clock, entropy, log, metrics };
  const events = new Events(context, limits);
  const fleet = new Fleet({ view, observer: agents, clock, makeBreaker, log });
  const writes = new KeyedQueue();
  const hosts = new Hosts(context, fleet, writes, () => term?.answers);
  await lease.start({
    // Hosts are told what to do as soon as the networks are claimed; if the lead is lost before, that is called off.
    async began(epoch) {
      fleet.beginTerm();
      const historyRetentionMs = options.historyRetentionMs ?? HISTORY_RETENTION_MS;
      term = beginTerm(context, fleet, agents, new HostAnswers(context, epoch, writes), epoch, historyRetentionMs);
    },
    resumed() {
      // Another may have led meanwhile, and acknowledged what this one did not hear.
      term?.answers.restart();
      term?.manager.wake();
    },
    renewed: (unansweredMs) => term?.manager.storeAnswered(unansweredMs),
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
    limits,
    networks: new Networks(context),
    subnets: new Subnets(context),
    reserve: new Reserve(context),
    reservations,
    release: new Release(context, reservations),
    events,
    hosts,
    placements: new Placements(context, fleet),
    rebalance: new Rebalance(context, manager),
    audit: new Audit(context),
    status: new Status(context, fleet, manager, holding, identity),
    networkStatus: (network) => networkStatus(context, fleet, manager(), network),
    hostStatus: (host) => hostStatus(context, fleet, host),
    hostLiveness: (host) => hostLiveness(context, fleet, host),
    hostBreaker: (host) => hostBreaker(context, fleet, host),
    countForeignServers: () => countForeignServers(context, fleet),
  };
  const stop = async () => {
    agents.close();
    holding.stop();
    await lease.stop();
    fleet.close();
    view.close();
  };
  return { useCases, agents, lease, stop };
}

function tellerOfTenures(tell: Context['tell']): Context['tellTenure'] {
  return (moment, tenure) => {
    const event = momentEvent(moment, tenure);
    if (event) tell(event);
  };
}

/** What a server does only while it leads. */
interface Term {
  /** The settings were read for this term: agents may be told of them. */
  readonly isReady: boolean;
  readonly manager: Manager;
  /** When addresses may be free; undefined: what hosts say, and how long they are silent, is not counted yet. */
  readonly estimates: ReuseEstimates | undefined;
  readonly answers: HostAnswers;
  /** Resolves when hosts are told what to do. */
  readonly begun: Promise<void>;
  end(): Promise<void>;
}

function beginTerm(
  context: Context,
  fleet: Fleet,
  agents: AgentSessions,
  answers: HostAnswers,
  epoch: number,
  historyRetentionMs: number,
): Term {
  const { view, log } = context;
  const deployment = new Deployment({ view, provider: agents, observer: agents, fleet, log, epoch });
  const manager = new Manager(context, fleet, deployment, answers, epoch);
  const reclaimer = new Reclaimer(context, answers, epoch);
  const pruner = new HistoryPruner(context, epoch, historyRetentionMs);
  const ceilings = new Ceilings(context, answers, epoch);
  const stopping = new AbortController();
  let [isReady, isCounting] = [false, false];
  const begin = async () => {
    isReady = await readSettings(context, stopping.signal);
    if (isReady) await manager.start();
    if (!isReady || stopping.signal.aborted) return;
    // The view holds all that was written before this term: the networks are claimed.
    answers.begin();
    isCounting = true;
    reclaimer.start();
    ceilings.start();
    pruner.start();
  };
  const begun = begin();
  return {
    get isReady() {
      return isReady;
    },
    get estimates() {
      return isCounting ? reclaimer.estimates : undefined;
    },
    manager,
    answers,
    begun,
    async end() {
      stopping.abort();
      manager.stop();
      await Promise.all([reclaimer.stop(), ceilings.stop(), pruner.stop(), begun]);
    },
  };
}

const READ_AGAIN_MS = 1_000;

/** Reads the settings of a term: with older ones a holder would reckon with an authority that others have raised since. */
async function readSettings({ store, clock, log }: Context, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      await store.readSettings();
      return true;
    } catch (error) {
      log.warn('the settings cannot be read yet', { error: String(error) });
      await delay(clock, READ_AGAIN_MS, signal);
    }
  }
  return false;
}
