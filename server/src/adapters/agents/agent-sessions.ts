// The provider over agent sessions: makes hosts serve by telling their agents, and shows what they confirmed.
//
//   P1. One session per host; the newest wins. A session begins only when its hello was admitted (admission.ts), and after
//       the host is stored. The sessions of a server that does not lead any more are over.
//   P2. What a host shall serve is remembered while it is away; an agent that connects is brought up to date by itself.
//       Before the manager first said what a host shall serve, it is told nothing: a restarted server must not stop
//       anybody out of ignorance.
//   P3. A heartbeat is acknowledged only after a renewal of the lease that began after its arrival (protocol.md §3.4).

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
import { type Contact, greeted, shown } from '../../domain/contact.js';
import { type Dictated, knows, slowest, told, welcomed } from '../../domain/dictated.js';
import { type IpamError, invalidField, sessionSuperseded, storeUnavailable } from '../../domain/errors.js';
import type { HostId, NetworkId, ReservationId } from '../../domain/ids.js';
import { type Heard, liveness } from '../../domain/liveness.js';
import { lettingInMs, type Pace } from '../../domain/pace.js';
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
import { HelloStream, type StreamOwner } from './hello-stream.js';
import { HostReports } from './host-reports.js';
import { Probes } from './probes.js';
import { Recent } from './recent.js';
import { RecentBreaks } from './recent-breaks.js';
import { ServedTable } from './served-table.js';
import { type AgentLink, AgentSession } from './session.js';
import { Waiters } from './waiters.js';
import { fromAttachments, fromSightings, sameEpoch, toAssignment, toWirePace } from './wire.js';

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

interface HostRecord {
  session: AgentSession | undefined;
  lastHeardMs: number;
  /** What its agent was told in its last session, as far as it may be going by it. */
  dictated: Dictated;
  brokenSinceMs: number | undefined;
  /** Undefined before its first session. */
  contact: Contact | undefined;
  provided: readonly ProvidedNetwork[] | undefined;
  undecided: IsUndecided | undefined;
  attachments: ReadonlyMap<NetworkId, ObservedAttachment>;
  /** What its last hello said beside its attachments. */
  about: Omit<HostReport, 'attachments'> | undefined;
  /** When it last gave a sign of life: a message of its session, or a hello. */
  lastSignMs: number | undefined;
  /** Hellos of which sessions are about to begin. */
  greetings: number;
  /** What the sessions that are over took in, by network; of networks that are not there, `takenInMs` says it. */
  readonly tookInMs: Map<NetworkId, number>;
  takenInMs: number;
}

// As many VLANs as there are.
const MAX_ATTACHMENTS = 4_096;
// Long after a host was called down: until then its stream may still come to life.
const LOST_INTERVALS = 10;
// Longer than any agent takes to come again.
const DOOR_MS = 60_000;

/** The provider. */
export class AgentSessions implements DhcpProvider, HostObserver, StreamOwner, Sessions {
  readonly #options: AgentSessionsOptions;
  readonly #hosts = new Map<HostId, HostRecord>();
  readonly #tables = new Map<NetworkId, ServedTable>();
  /** The hosts that were told to serve a network. */
  readonly #servers = new Map<NetworkId, Set<HostId>>();
  readonly #waiters = new Waiters();
  readonly #listeners = new Set<() => void>();
  readonly #unflushed = new Set<NetworkId>();
  readonly #reports: HostReports;
  readonly #probes: Probes;
  readonly #breaks = new RecentBreaks();
  /** Hosts that said hello and have no session: it is not decided yet, or this server's own trouble was in the way. */
  readonly #door = new Recent<HostId, undefined>(DOOR_MS);
  readonly #admission: Admission;
  /** Heartbeats that were not acknowledged since one was. */
  #unacknowledged = 0;
  #counter = 0;
  #firstShownMs: number | undefined;
  #isClosed = false;
  #drifts = 0;

  constructor(options: AgentSessionsOptions) {
    this.#options = options;
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

  /** How many tables were found to differ and were sent again. */
  get drifts(): number {
    return this.#drifts;
  }

  /** Begins a stream; its first message must be a hello. */
  open(link: AgentLink): HelloStream {
    return new HelloStream(link, this, this.#options.clock);
  }

  async provide(hostId: HostId, networks: readonly ProvidedNetwork[], undecided?: IsUndecided): Promise<void> {
    for (const network of networks) this.#table(network.networkId).assign(toAssignment(network));
    const record = this.#record(hostId);
    this.#index(hostId, record.provided ?? [], networks);
    record.provided = networks;
    record.undecided = undecided;
    const { session } = record;
    if (!session) return;
    session.provide(networks, undecided);
    await this.#confirmation(hostId, session);
  }

  #index(hostId: HostId, before: readonly ProvidedNetwork[], after: readonly ProvidedNetwork[]): void {
    for (const { networkId } of before) this.#servers.get(networkId)?.delete(hostId);
    for (const { networkId } of after) {
      const servers = this.#servers.get(networkId) ?? new Set();
      this.#servers.set(networkId, servers.add(hostId));
    }
  }

  /** The sessions of the hosts that were told to serve a network. */
  *#sessionsOf(networkId: NetworkId): Iterable<AgentSession> {
    for (const hostId of this.#servers.get(networkId) ?? []) {
      const session = this.#hosts.get(hostId)?.session;
      if (session) yield session;
    }
  }

  dontProvide(hostId: HostId): Promise<void> {
    return this.provide(hostId, []);
  }

  async #confirmation(hostId: HostId, session: AgentSession): Promise<void> {
    const { clock, commandTimeoutMs } = this.#options;
    const { done, leave } = this.#waiters.wait(() => session.settled || this.#hosts.get(hostId)?.session !== session);
    const timer = clock.after(commandTimeoutMs, leave);
    await done;
    timer.cancel();
    if (session.settled) return;
    if (this.#hosts.get(hostId)?.session !== session) throw new Error(`host ${hostId} went away before it confirmed`);
    throw new Error(`host ${hostId} did not confirm within ${commandTimeoutMs} ms`);
  }

  addReservation({ networkId }: SubnetRef, reservation: ProvidedReservation): void {
    const table = this.#table(networkId);
    if (!this.#servers.get(networkId)?.size) {
      table.fill(reservation);
      return;
    }
    const before = table.at(reservation.address);
    const put = table.put(reservation);
    if (!put) return;
    // The end of the tenure before was missed. Who is sent removals alone would go on with it, and ignore that of this one.
    if (before && before.reservationId !== put.reservationId) {
      this.#spread(networkId, { remove: { address: before.address, reservationId: before.reservationId } });
    }
    this.#spread(networkId, { put });
  }

  removeReservation({ networkId }: SubnetRef, address: Ipv4): void {
    const remove = this.#table(networkId).remove(address);
    if (remove) this.#spread(networkId, { remove });
  }

  #spread(networkId: NetworkId, change: Parameters<AgentSession['change']>[1]): void {
    let needed = false;
    for (const session of this.#sessionsOf(networkId)) {
      if (session.change(networkId, change)) needed = true;
    }
    if (!needed) return;
    // Changes that became true in one turn of the event loop go out in one delivery.
    if (this.#unflushed.size === 0) queueMicrotask(() => this.#flush());
    this.#unflushed.add(networkId);
  }

  #flush(): void {
    for (const networkId of this.#unflushed) {
      for (const session of this.#sessionsOf(networkId)) session.flush(networkId);
    }
    this.#unflushed.clear();
  }

  #table(networkId: NetworkId): ServedTable {
    let table = this.#tables.get(networkId);
    if (!table) {
      table = new ServedTable(networkId);
      this.#tables.set(networkId, table);
    }
    return table;
  }

  #record(hostId: HostId): HostRecord {
    let record = this.#hosts.get(hostId);
    if (!record) {
      record = {
        session: undefined,
        lastHeardMs: Number.NEGATIVE_INFINITY,
        dictated: welcomed(this.#options.pace()),
        brokenSinceMs: undefined,
        contact: undefined,
        provided: undefined,
        undecided: undefined,
        attachments: new Map(),
        about: undefined,
        lastSignMs: undefined,
        greetings: 0,
        tookInMs: new Map(),
        takenInMs: Number.NEGATIVE_INFINITY,
      };
      this.#hosts.set(hostId, record);
    }
    return record;
  }

  /** A whole hello arrived: begins the session, or says why not. */
  async begin(link: AgentLink, hello: Hello, isOpen: () => boolean): Promise<AgentSession | IpamError> {
    const { clock } = this.#options;
    const hostId = hello.hostId as HostId;
    this.#door.note(hostId, undefined, clock.now());
    const begun = await this.#tryBegin(link, hello, isOpen).catch(
      (error: unknown) => storeUnavailable(error instanceof Error ? error.message : String(error)).error,
    );
    const why = begun instanceof AgentSession ? undefined : begun.kind;
    if (why === 'store-unavailable' || why === 'no-holder') this.#door.note(hostId, undefined, clock.now());
    // Who is superseded has another hello at the door.
    else if (why !== 'session-superseded') this.#door.forget(hostId);
    return begun;
  }

  async #tryBegin(link: AgentLink, hello: Hello, isOpen: () => boolean): Promise<AgentSession | IpamError> {
    const { directory, clock } = this.#options;
    const admitted = await this.#admission.admit(hello, isOpen);
    if (!admitted.ok) return admitted.error;
    const { hostId, attachments, holderEpoch } = admitted.value;
    const { failureDomain, backend, agentVersion } = hello;
    const about = { hostId, failureDomain, backend, agentVersion };
    const greeted = this.#record(hostId);
    // Before it is stored that it is heard: from now on nobody may write that it is silent, or fence it.
    greeted.lastSignMs = clock.now();
    greeted.greetings++;
    try {
      await directory.greeted({ ...about, attachments: toStored(attachments) }, holderEpoch);
      return this.#begun(link, admitted.value, about, isOpen);
    } finally {
      greeted.greetings--;
    }
  }

  #begun(
    link: AgentLink,
    { hostId, attachments, tables, holderEpoch }: Admitted,
    about: HostRecord['about'],
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
      (networkId) => this.#table(networkId),
      attachments,
      tables,
      () => clock.now(),
    );
    if (!isOpen() || this.#isClosed) return storeUnavailable('The stream ended before its session began').error;
    const record = this.#record(hostId);
    const older = record.session;
    if (older) this.#keepTakenIn(record, older);
    const pace = this.#options.pace();
    Object.assign(record, {
      session,
      lastHeardMs: clock.now(),
      lastSignMs: clock.now(),
      dictated: welcomed(pace),
      brokenSinceMs: undefined,
      contact: greeted(record.contact, this.#firstShownMs, clock.now()),
      attachments: session.attachments,
      about,
    });
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
    if (record.provided) session.provide(record.provided, record.undecided);
    this.#watch(record, session);
    this.#changed();
    return session;
  }

  /** Ends a session once it was silent for so long that its host counts as gone, whatever its socket says. */
  #watch(record: HostRecord, session: AgentSession): void {
    const { clock, log } = this.#options;
    const { intervalMs } = slowest(record.dictated);
    const dueMs = Math.max(record.lastHeardMs + LOST_INTERVALS * intervalMs, clock.now() + intervalMs);
    clock.after(dueMs - clock.now(), () => {
      if (record.session !== session || this.#isClosed) return;
      // A timer that comes late says that this server stood still, and what was said meanwhile is not read yet.
      const isLate = clock.now() - dueMs > intervalMs;
      const limitMs = LOST_INTERVALS * slowest(record.dictated).intervalMs;
      if (isLate || clock.now() - record.lastHeardMs < limitMs) {
        this.#watch(record, session);
        return;
      }
      log.warn('agent session is silent, ended', { host: session.hostId });
      this.ended(session);
      session.end(undefined);
    });
  }

  /** A message of a session that began. */
  received(session: AgentSession, request: SessionRequest): IpamError | undefined {
    const record = this.#hosts.get(session.hostId);
    if (record?.session !== session) return undefined;
    const wasLive = this.#isLive(session.hostId);
    record.lastHeardMs = this.#options.clock.now();
    record.lastSignMs = record.lastHeardMs;
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
        this.#showsContact(record, message.value.acknowledgedSequence);
        record.dictated = knows(record.dictated, message.value.acknowledgedSequence);
        this.#heartbeat(session, record, message.value.sequence, message.value.tables);
        return undefined;
      case 'deliveryAck':
        if (message.value.table && session.acknowledged(message.value.table, this.#wallTimeMs())) this.#changed();
        else this.#waiters.wake();
        return undefined;
      case 'attachmentChange':
        return this.#attachmentsChanged(session, record, message.value);
      case 'probeResult':
        return this.#probeAnswered(session, message.value);
      case 'sightingReport':
        return this.#sighted(session, message.value);
      default:
        return invalidField('message', 'Not a message of a session').error;
    }
  }

  #showsContact(record: HostRecord, acknowledged: bigint): void {
    const { intervalMs } = slowest(record.dictated);
    if (!record.contact) return;
    record.contact = shown(record.contact, acknowledged, intervalMs, record.lastHeardMs);
    this.#firstShownMs ??= record.lastHeardMs;
  }

  #heartbeat(session: AgentSession, record: HostRecord, sequence: bigint, tables: readonly TableState[]): void {
    const { clock, lease, log, metrics } = this.#options;
    const { changed, drifted } = session.heard(tables, clock.now());
    for (const networkId of drifted) {
      // What it said before of this table was not so.
      this.#hosts.get(session.hostId)?.tookInMs.set(networkId, Number.NEGATIVE_INFINITY);
      this.#drifts++;
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
      if (this.#hosts.get(session.hostId)?.session !== session) return;
      const pace = this.#options.pace();
      record.dictated = told(record.dictated, pace, sequence);
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
      sessions: () => [...this.#sessionsOf(networkId)].filter((session) => this.#mayAsk(session, networkId)),
      say: (session, probeId) => {
        const value = { sessionEpoch: session.epoch, probeId, networkId, address: formatIpv4(address) };
        session.say({ $case: 'probe', value });
      },
    });
  }

  #mayAsk(session: AgentSession, networkId: NetworkId): boolean {
    return this.#isLive(session.hostId) && session.table(networkId)?.serving === true;
  }

  #sighted({ hostId }: AgentSession, report: SightingReport): IpamError | undefined {
    const sightings = fromSightings(report.sightings, hostId);
    if (!sightings.ok) return sightings.error;
    for (const { place, sighting } of sightings.value) this.#options.sightings.sighted(place, sighting);
    return undefined;
  }

  #attachmentsChanged(session: AgentSession, record: HostRecord, change: AttachmentChange): IpamError | undefined {
    const attachments = fromAttachments(change.attachments);
    if (!attachments.ok) return attachments.error;
    for (const networkId of change.detachedNetworkIds) session.attachments.delete(networkId as NetworkId);
    for (const [networkId, attachment] of attachments.value) session.attachments.set(networkId, attachment);
    if (session.attachments.size > MAX_ATTACHMENTS) {
      return invalidField('attachments', `A host has more than ${MAX_ATTACHMENTS} networks`).error;
    }
    if (record.about) {
      const isCurrent = () => this.#hosts.get(session.hostId)?.session === session && !this.#isClosed;
      this.#reports.store({ ...record.about, attachments: toStored(session.attachments) }, isCurrent);
    }
    this.#changed();
    return undefined;
  }

  /** The stream of a session is over. */
  ended(session: AgentSession): void {
    this.#probes.ended(session);
    const record = this.#hosts.get(session.hostId);
    if (record?.session !== session) return;
    this.#keepTakenIn(record, session);
    record.session = undefined;
    record.brokenSinceMs = this.#options.clock.now();
    this.#breaks.add(record.brokenSinceMs);
    this.#options.log.info('agent session ended', { host: session.hostId, session: Number(session.epoch.counter) });
    this.#changed();
  }

  #keepTakenIn(record: HostRecord, session: AgentSession): void {
    const tables = [...session.tables().keys()];
    const tookIn = tables.map((networkId) => [networkId, takenIn(record, session, networkId)] as const);
    record.tookInMs.clear();
    for (const [networkId, ms] of tookIn) record.tookInMs.set(networkId, ms);
    // It had no others.
    record.takenInMs = this.#options.clock.now();
  }

  get firstShownMs(): number | undefined {
    return this.#firstShownMs;
  }

  takenInMs(hostId: HostId, networkId: NetworkId): number {
    const record = this.#hosts.get(hostId);
    return record ? takenIn(record, record.session, networkId) : Number.NEGATIVE_INFINITY;
  }

  lastSignMs(hostId: HostId): number | undefined {
    return this.#hosts.get(hostId)?.lastSignMs;
  }

  atTheDoorMs(hostId: HostId): number | undefined {
    return this.#door.get(hostId)?.atMs;
  }

  isPresent(hostId: HostId): boolean {
    const record = this.#hosts.get(hostId);
    return record !== undefined && (record.session !== undefined || record.greetings > 0);
  }

  host(hostId: HostId): ObservedHost | undefined {
    const record = this.#hosts.get(hostId);
    if (!record || record.lastHeardMs === Number.NEGATIVE_INFINITY) return undefined;
    const { session, attachments, contact } = record;
    return { hostId, connected: session !== undefined, ...this.#heardOf(record), contact, attachments };
  }

  #heardOf({ lastHeardMs, brokenSinceMs, dictated }: HostRecord): Heard {
    const { intervalMs, spreadMs } = slowest(dictated);
    const returnMs = spreadMs + lettingInMs(this.#breaks.count(this.#options.clock.now()));
    return { lastHeardMs, brokenSinceMs, intervalMs, returnMs };
  }

  forget(hostId: HostId): void {
    const record = this.#hosts.get(hostId);
    this.#index(hostId, record?.provided ?? [], []);
    this.#hosts.delete(hostId);
    const session = record?.session;
    if (!session) return;
    record.session = undefined;
    session.end(undefined);
  }

  tables(hostId: HostId): ReadonlyMap<NetworkId, ObservedTable> {
    return this.#hosts.get(hostId)?.session?.tables() ?? new Map();
  }

  table(hostId: HostId, networkId: NetworkId): ObservedTable | undefined {
    return this.#hosts.get(hostId)?.session?.table(networkId);
  }

  onChange(listener: () => void): { close(): void } {
    const own = () => listener();
    this.#listeners.add(own);
    return { close: () => void this.#listeners.delete(own) };
  }

  readyServers(networkId: NetworkId, address: Ipv4, reservationId: ReservationId): number {
    if (!this.#servers.get(networkId)?.size) return 0;
    if (this.#tables.get(networkId)?.at(address)?.reservationId !== reservationId) return 0;
    let count = 0;
    for (const session of this.#sessionsOf(networkId)) {
      if (this.#isLive(session.hostId) && session.isReady(networkId, reservationId)) count++;
    }
    return count;
  }

  #isLive(hostId: HostId): boolean {
    const record = this.#hosts.get(hostId);
    return record !== undefined && liveness(this.#heardOf(record), this.#options.clock.now()) !== 'down';
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
    this.#firstShownMs = undefined;
    this.#door.clear();
    const records = [...this.#hosts.values()];
    this.#hosts.clear();
    this.#servers.clear();
    this.#end(records, this.#admission.noHolder().error);
  }

  /** Ends every session and all waiting: this server stops. */
  close(): void {
    this.#isClosed = true;
    this.#end([...this.#hosts.values()], undefined);
  }

  #end(records: readonly HostRecord[], error: IpamError | undefined): void {
    this.#waiters.wake();
    for (const { session } of records) session?.end(error);
  }
}

function takenIn(record: HostRecord, session: AgentSession | undefined, networkId: NetworkId): number {
  const before = record.tookInMs.get(networkId) ?? record.takenInMs;
  return Math.max(before, session?.takenInMs(networkId) ?? before);
}

/** Attachments as they are stored: whether they are ready is known only of a connected host. */
function toStored(attachments: Iterable<readonly [NetworkId, ObservedAttachment]>): HostReport['attachments'] {
  return Array.from(attachments, ([networkId, { interface: name, foreignServers }]) => ({
    networkId,
    interface: name,
    ...(foreignServers.length > 0 ? { foreignServers } : {}),
  }));
}
