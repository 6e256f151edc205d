// The provider over agent sessions: makes hosts serve by telling their agents, and shows what they confirmed.
//
//   P1. One session per host; the newest wins. A session begins only when its hello was admitted (admission.ts), and after
//       the host is stored. The sessions of a server that does not lead any more are over.
//   P2. What a host shall serve is remembered while it is away; an agent that connects is brought up to date by itself.
//       Before the manager first said what a host shall serve, it is told nothing: a restarted server must not stop
//       anybody out of ignorance.
//   P3. A heartbeat is acknowledged only after a renewal of the lease that began after its arrival (protocol.md §3.4).
//   P4. A host speaks for itself alone, and is told of what it serves alone: of other networks it is not believed either.

import type { Log } from '@leasehold/program/log';
import type {
  AttachmentChange,
  Hello,
  ProbeResult,
  SessionRequest,
  SightingReport,
  TableState,
} from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4, parseMac } from '@leasehold/proto/values';
import { slowest } from '../../domain/dictated.js';
import { type IpamError, invalidField, sessionSuperseded, storeUnavailable } from '../../domain/errors.js';
import type { HostId, NetworkId, ReservationId } from '../../domain/ids.js';
import type { Pace } from '../../domain/pace.js';
import type {
  DhcpProvider,
  HostObserver,
  IsUndecided,
  ObservedAttachment,
  ObservedHost,
  ObservedTable,
  Probed,
  ProvidedNetwork,
  ProvidedReservation,
  SubnetRef,
} from '../../ports/dhcp-provider.js';
import type { HostDirectory, HostReport } from '../../ports/host-directory.js';
import type { Metrics } from '../../ports/metrics.js';
import type { Sightings } from '../../ports/sightings.js';
import { StoreUnavailableError } from '../../ports/store.js';
import { Admission, type AdmissionOptions, type Admitted, type Sessions } from './admission.js';
import { type AboutHost, type HeardHost, HeardHosts } from './heard-hosts.js';
import { HelloStream, type StreamOwner } from './hello-stream.js';
import { HostReports } from './host-reports.js';
import { Probes } from './probes.js';
import { Provisions } from './provisions.js';
import { type AgentLink, AgentSession } from './session.js';
import { Waiters } from './waiters.js';
import { fromAttachments, fromSightings, MAX_ATTACHMENTS, sameEpoch, toWirePace } from './wire.js';

/** What the sessions need. */
export interface AgentSessionsOptions extends AdmissionOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly directory: HostDirectory;
  readonly sightings: Sightings;
  /** How fast agents shall speak and come back, now. */
  readonly pace: () => Pace;
  /** How long a host may take to confirm what it was told. */
  readonly commandTimeoutMs: number;
}

// Long after a host was called down: until then its stream may still come to life.
const LOST_INTERVALS = 10;
// A server that is well answers a hello within milliseconds, agents wait for ten seconds.
const SLOW_MS = 3_000;

/** The provider. */
export class AgentSessions implements DhcpProvider, HostObserver, StreamOwner, Sessions {
  readonly #options: AgentSessionsOptions;
  readonly #hosts: HeardHosts;
  readonly #provisions: Provisions;
  readonly #waiters = new Waiters();
  readonly #listeners = new Set<() => void>();
  readonly #reports: HostReports;
  readonly #probes: Probes;
  readonly #admission: Admission;
  /** Heartbeats that were not acknowledged since one was. */
  #unacknowledged = 0;
  #counter = 0;
  #isClosed = false;

  constructor(options: AgentSessionsOptions) {
    this.#options = options;
    this.#hosts = new HeardHosts(options.clock, options.pace);
    this.#provisions = new Provisions((hostId) => this.#hosts.sessionOf(hostId));
    this.#reports = new HostReports(options.directory, options.clock, options.log);
    this.#probes = new Probes(options.clock);
    this.#admission = new Admission(options, this);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get begun(): number {
    return this.#counter;
  }

  /** Begins a stream; its first message must be a hello. `speaksFor`: of this host; absent: of any. */
  open(link: AgentLink, speaksFor?: string): HelloStream {
    return new HelloStream(link, this, this.#options.clock, speaksFor);
  }

  async provide(hostId: HostId, networks: readonly ProvidedNetwork[], undecided?: IsUndecided): Promise<void> {
    this.#provisions.set(hostId, networks, undecided);
    const session = this.#hosts.sessionOf(hostId);
    if (!session) return;
    session.provide(networks, undecided);
    await this.#confirmation(hostId, session);
  }

  async provideNetwork(hostId: HostId, networkId: NetworkId, network: ProvidedNetwork | undefined): Promise<void> {
    this.#provisions.setNetwork(hostId, networkId, network);
    const session = this.#provisions.of(hostId) && this.#hosts.sessionOf(hostId);
    if (!session) return;
    session.provideNetwork(networkId, network);
    await this.#confirmation(hostId, session, networkId);
  }

  dontProvide(hostId: HostId): Promise<void> {
    return this.provide(hostId, []);
  }

  async #confirmation(hostId: HostId, session: AgentSession, networkId?: NetworkId): Promise<void> {
    const { clock, commandTimeoutMs } = this.#options;
    const hasSettled = () => session.hasSettled(networkId);
    const { done, leave } = this.#waiters.wait(() => hasSettled() || !this.#hosts.isPresentSession(session));
    const timer = clock.after(commandTimeoutMs, leave);
    await done;
    timer.cancel();
    if (hasSettled()) return;
    if (!this.#hosts.isPresentSession(session)) throw new Error(`host ${hostId} went away before it confirmed`);
    throw new Error(`host ${hostId} did not confirm within ${commandTimeoutMs} ms`);
  }

  addReservation({ networkId }: SubnetRef, reservation: ProvidedReservation): void {
    this.#provisions.add(networkId, reservation);
  }

  removeReservation({ networkId }: SubnetRef, address: Ipv4): void {
    this.#provisions.remove(networkId, address);
  }

  beginReread(): void {
    this.#provisions.beginReread();
  }

  endReread(): void {
    this.#provisions.endReread();
  }

  /** A whole hello arrived: begins the session, or says why not. */
  async begin(link: AgentLink, hello: Hello, isOpen: () => boolean): Promise<AgentSession | IpamError> {
    const { clock } = this.#options;
    const hostId = hello.hostId as HostId;
    const cameMs = clock.now();
    this.#hosts.knocks(hostId);
    const begun = await this.#tryBegin(link, hello, isOpen).catch(
      (error: unknown) => storeUnavailable(error instanceof Error ? error.message : String(error)).error,
    );
    const why = begun instanceof AgentSession ? undefined : begun.kind;
    if (why === 'store-unavailable' || why === 'no-holder') {
      // An agent that left at once did so for reasons of its own: one that dies with every hello is as good as dead.
      if (isOpen() || clock.now() - cameMs >= SLOW_MS) this.#hosts.isTurnedAway(hostId);
    }
    // Who is superseded has another hello at the door.
    else if (why !== 'session-superseded') this.#hosts.leftTheDoor(hostId);
    return begun;
  }

  async #tryBegin(link: AgentLink, hello: Hello, isOpen: () => boolean): Promise<AgentSession | IpamError> {
    const { directory } = this.#options;
    const admitted = await this.#admission.admit(hello, isOpen);
    if (!admitted.ok) return admitted.error;
    const { hostId, attachments, holderEpoch } = admitted.value;
    const { failureDomain, backend, agentVersion } = hello;
    const about = { hostId, failureDomain, backend, agentVersion };
    // Before it is stored that it is heard: from now on nobody may write that it is silent, or fence it.
    const greeted = this.#hosts.greets(hostId);
    try {
      await directory.greeted({ ...about, attachments: toStored(attachments) }, holderEpoch);
      return this.#begun(link, admitted.value, about, isOpen);
    } finally {
      greeted();
    }
  }

  #begun(
    link: AgentLink,
    { hostId, attachments, tables, holderEpoch }: Admitted,
    about: AboutHost,
    isOpen: () => boolean,
  ): AgentSession | IpamError {
    const { log, lease, clock } = this.#options;
    if (lease.epoch !== holderEpoch) return this.#admission.noHolder().error;
    const settings = this.#options.settings();
    if (!settings) return storeUnavailable('This server just began to lead').error;
    const epoch = { holderEpoch: BigInt(holderEpoch), counter: BigInt(++this.#counter) };
    const session = new AgentSession(
      hostId,
      epoch,
      link,
      (networkId) => this.#provisions.table(networkId),
      attachments,
      tables,
      () => clock.now(),
    );
    if (!isOpen() || this.#isClosed) return storeUnavailable('The stream ended before its session began').error;
    const pace = this.#options.pace();
    const older = this.#hosts.began(session, about, pace);
    older?.end(sessionSuperseded(hostId).error);
    session.say({
      $case: 'welcome',
      value: {
        sessionEpoch: epoch,
        ...toWirePace(pace),
        authority: { seconds: BigInt(settings.authorityS), nanos: 0 },
        storeUid: settings.storeUid,
        incarnation: BigInt(settings.incarnation),
      },
    });
    log.info('agent session began', {
      host: hostId,
      session: Number(epoch.counter),
      tables: tables.length,
    });
    const provision = this.#provisions.of(hostId);
    if (provision) session.provide(provision.networks.values(), provision.undecided);
    this.#watch(session);
    this.#changed();
    return session;
  }

  /** Ends a session once it was silent for so long that its host counts as gone, whatever its socket says. */
  #watch(session: AgentSession): void {
    const host = this.#hosts.get(session.hostId);
    if (host?.session !== session) return;
    const { clock, log } = this.#options;
    const { intervalMs } = slowest(host.dictated);
    const dueMs = Math.max(host.lastHeardMs + LOST_INTERVALS * intervalMs, clock.now() + intervalMs);
    clock.after(dueMs - clock.now(), () => {
      if (host.session !== session || this.#isClosed) return;
      // A timer that comes late says that this server stood still, and what was said meanwhile is not read yet.
      const isLate = clock.now() - dueMs > intervalMs;
      const limitMs = LOST_INTERVALS * slowest(host.dictated).intervalMs;
      if (isLate || clock.now() - host.lastHeardMs < limitMs) {
        this.#watch(session);
        return;
      }
      log.warn('agent session is silent, ended', { host: session.hostId });
      this.ended(session);
      session.end(undefined);
    });
  }

  /** A message of a session that began. */
  received(session: AgentSession, request: SessionRequest): IpamError | undefined {
    const host = this.#hosts.get(session.hostId);
    if (host?.session !== session) return undefined;
    const wasLive = this.#hosts.isLive(session.hostId);
    this.#hosts.spoke(host);
    // It counts again: for who waits for it, and for the plan.
    if (!wasLive) this.#changed();
    const { message } = request;
    // A newer agent may have more to say than this server understands.
    if (!message) return undefined;
    if (!sameEpoch(message.$case === 'hello' ? undefined : message.value.sessionEpoch, session.epoch)) {
      return invalidField('session_epoch', 'Not the epoch of this session').error;
    }
    switch (message.$case) {
      case 'heartbeat':
        if (this.#hosts.knows(host, message.value.acknowledgedSequence)) this.#changed();
        this.#heartbeat(session, host, message.value.sequence, message.value.tables);
        return undefined;
      case 'deliveryAck':
        if (message.value.table && session.acknowledged(message.value.table, this.#wallTimeMs())) this.#changed();
        else this.#waiters.wake();
        return undefined;
      case 'attachmentChange':
        return this.#attachmentsChanged(session, host.about, message.value);
      case 'probeResult':
        return this.#probeAnswered(session, message.value);
      case 'sightingReport':
        return this.#sighted(session, message.value);
      default:
        return invalidField('message', 'Not a message of a session').error;
    }
  }

  #heartbeat(session: AgentSession, host: HeardHost, sequence: bigint, tables: readonly TableState[]): void {
    const { clock, lease, log, metrics } = this.#options;
    const { changed, drifted } = session.heard(tables, clock.now());
    for (const networkId of drifted) {
      this.#hosts.drifted(host, networkId);
      metrics.count('tableDrifts');
      log.warn('table had drifted, sent again', { host: session.hostId, network: networkId });
    }
    if (changed) this.#changed();
    const placements = [...session.assigned()].map(({ networkId, placementEpoch }) => ({
      networkId,
      placementEpoch: BigInt(placementEpoch),
    }));
    const acknowledge = () => {
      this.#confirmsAgain();
      if (!this.#hosts.isPresentSession(session)) return;
      const pace = this.#options.pace();
      this.#hosts.acknowledged(host, pace, sequence);
      const value = { sessionEpoch: session.epoch, sequence, placements, ...toWirePace(pace) };
      session.say({ $case: 'heartbeatAck', value });
    };
    lease.confirm().then(acknowledge, (error: unknown) => {
      // Every host says so again every second.
      if (this.#unacknowledged++ > 0) return;
      log.warn('heartbeats are not acknowledged: the lease cannot be confirmed', {
        host: session.hostId,
        error: String(error),
      });
    });
  }

  #confirmsAgain(): void {
    if (this.#unacknowledged === 0) return;
    this.#options.log.info('heartbeats are acknowledged again', { missed: this.#unacknowledged });
    this.#unacknowledged = 0;
  }

  #probeAnswered(session: AgentSession, { probeId, usedBy, problem }: ProbeResult): IpamError | undefined {
    const mac = usedBy === '' ? undefined : parseMac(usedBy);
    if (mac && !mac.ok) return invalidField('used_by', mac.problem).error;
    this.#probes.answered(session, probeId, problem === '' ? mac?.value : 'unknown');
    return undefined;
  }

  probe(networkId: NetworkId, address: Ipv4): Promise<Probed> {
    return this.#probes.ask({
      sessions: () => [...this.#provisions.sessionsOf(networkId)].filter((session) => this.#mayAsk(session, networkId)),
      say: (session, probeId) => {
        const value = { sessionEpoch: session.epoch, probeId, networkId, address: formatIpv4(address) };
        session.say({ $case: 'probe', value });
      },
    });
  }

  #mayAsk(session: AgentSession, networkId: NetworkId): boolean {
    return this.#hosts.isLive(session.hostId) && session.table(networkId)?.serving === true;
  }

  #sighted({ hostId }: AgentSession, report: SightingReport): IpamError | undefined {
    const sightings = fromSightings(report.sightings, hostId);
    if (!sightings.ok) return sightings.error;
    const serves = this.#provisions.of(hostId)?.networks;
    for (const { place, sighting } of sightings.value) {
      if (serves?.has(place.networkId)) this.#options.sightings.sighted(place, sighting);
      else this.#options.metrics.count('sightings', { kind: sighting.kind, outcome: 'dropped' });
    }
    return undefined;
  }

  #attachmentsChanged(
    session: AgentSession,
    about: AboutHost | undefined,
    change: AttachmentChange,
  ): IpamError | undefined {
    const attachments = fromAttachments(change.attachments);
    if (!attachments.ok) return attachments.error;
    for (const networkId of change.detachedNetworkIds) session.attachments.delete(networkId as NetworkId);
    for (const [networkId, attachment] of attachments.value) session.attachments.set(networkId, attachment);
    if (session.attachments.size > MAX_ATTACHMENTS) {
      return invalidField('attachments', `A host has more than ${MAX_ATTACHMENTS} networks`).error;
    }
    if (about) {
      const isCurrent = () => this.#hosts.isPresentSession(session) && !this.#isClosed;
      this.#reports.store({ ...about, attachments: toStored(session.attachments) }, isCurrent);
    }
    this.#changed();
    return undefined;
  }

  /** The stream of a session is over. */
  ended(session: AgentSession): void {
    this.#probes.ended(session);
    if (!this.#hosts.ended(session)) return;
    this.#options.log.info('agent session ended', { host: session.hostId, session: Number(session.epoch.counter) });
    this.#changed();
  }

  get firstShownMs(): number | undefined {
    return this.#hosts.firstShownMs;
  }

  takenInMs(hostId: HostId, networkId: NetworkId): number {
    return this.#hosts.takenInMs(hostId, networkId);
  }

  lastSignMs(hostId: HostId): number | undefined {
    return this.#hosts.lastSignMs(hostId);
  }

  atTheDoorMs(hostId: HostId): number | undefined {
    return this.#hosts.atTheDoorMs(hostId);
  }

  isPresent(hostId: HostId): boolean {
    return this.#hosts.isPresent(hostId);
  }

  host(hostId: HostId): ObservedHost | undefined {
    return this.#hosts.observed(hostId);
  }

  forget(hostId: HostId): void {
    this.#provisions.forget(hostId);
    this.#hosts.forget(hostId)?.end(undefined);
  }

  tables(hostId: HostId): ReadonlyMap<NetworkId, ObservedTable> {
    return this.#hosts.sessionOf(hostId)?.tables() ?? new Map();
  }

  table(hostId: HostId, networkId: NetworkId): ObservedTable | undefined {
    return this.#hosts.sessionOf(hostId)?.table(networkId);
  }

  onChange(listener: () => void): { close(): void } {
    const own = () => listener();
    this.#listeners.add(own);
    return { close: () => void this.#listeners.delete(own) };
  }

  readyServers(networkId: NetworkId, address: Ipv4, reservationId: ReservationId): number {
    if (!this.#provisions.isServed(networkId, address, reservationId)) return 0;
    let count = 0;
    for (const session of this.#provisions.sessionsOf(networkId)) {
      if (this.#hosts.isLive(session.hostId) && session.isReady(networkId, reservationId)) count++;
    }
    return count;
  }

  async waitReady(
    networkId: NetworkId,
    address: Ipv4,
    reservationId: ReservationId,
    servers: number,
    signal: AbortSignal,
  ): Promise<number> {
    const ready = () => this.readyServers(networkId, address, reservationId);
    const { done, leave } = this.#waiters.wait(() => this.#isClosed || signal.aborted || ready() >= servers);
    signal.addEventListener('abort', leave, { once: true });
    await done;
    signal.removeEventListener('abort', leave);
    // Not "not ready": the caller shall repeat it, and wait on at the next server.
    if (this.#isClosed && ready() < servers) throw new StoreUnavailableError('The server stops');
    return ready();
  }

  #changed(): void {
    this.#waiters.wake();
    for (const listener of this.#listeners) listener();
  }

  #wallTimeMs(): number {
    return this.#options.clock.wallTime().getTime();
  }

  /** Forgets what every host was told and ends every session: this server does not lead any more. */
  stepDown(): void {
    const sessions = [...this.#hosts.sessions()];
    this.#hosts.clear();
    this.#provisions.clear();
    this.#end(sessions, this.#admission.noHolder().error);
  }

  /** Ends every session and all waiting: this server stops. */
  close(): void {
    this.#isClosed = true;
    this.#end([...this.#hosts.sessions()], undefined);
  }

  #end(sessions: readonly AgentSession[], error: IpamError | undefined): void {
    this.#waiters.wake();
    for (const session of sessions) session.end(error);
  }
}

/** Attachments as they are stored: whether they are ready is known only of a connected host. */
function toStored(attachments: Iterable<readonly [NetworkId, ObservedAttachment]>): HostReport['attachments'] {
  return Array.from(attachments, ([networkId, { interface: name, foreignServers }]) => ({
    networkId,
    interface: name,
    ...(foreignServers.length > 0 ? { foreignServers } : {}),
  }));
}
