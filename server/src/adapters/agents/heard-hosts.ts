// What is known of hosts by what their agents said, since this server leads.
//
//   K1. A host is there from its first hello that was admitted until it is forgotten, with or without a session.
//   K2. What it took in is of all its sessions: what one had taken in, its table and disk have when the next one begins.

import type { Clock } from '@leasehold/program/clock';
import { type Contact, greeted, shown } from '../../domain/contact.js';
import { type Dictated, knows, slowest, told, welcomed } from '../../domain/dictated.js';
import type { HostId, NetworkId } from '../../domain/ids.js';
import { type Heard, liveness } from '../../domain/liveness.js';
import { lettingInMs, type Pace } from '../../domain/pace.js';
import type { ObservedAttachment, ObservedHost } from '../../ports/dhcp-provider.js';
import type { HostReport } from '../../ports/host-directory.js';
import { Recent } from './recent.js';
import { RecentBreaks } from './recent-breaks.js';
import type { AgentSession } from './session.js';

/** What a hello says of its host beside its attachments. */
export type AboutHost = Omit<HostReport, 'attachments'>;

/** A host. */
export interface HeardHost {
  session: AgentSession | undefined;
  lastHeardMs: number;
  /** What its agent was told in its last session, as far as it may be going by it. */
  dictated: Dictated;
  brokenSinceMs: number | undefined;
  /** Undefined before its first session. */
  contact: Contact | undefined;
  attachments: ReadonlyMap<NetworkId, ObservedAttachment>;
  /** By its last hello. */
  about: AboutHost | undefined;
  /** When it last gave a sign of life: a message of its session, or a hello. */
  lastSignMs: number | undefined;
  /** Hellos of which sessions are about to begin. */
  greetings: number;
  /** What the sessions that are over took in, by network; of networks that are not there, `takenInMs` says it. */
  readonly tookInMs: Map<NetworkId, number>;
  takenInMs: number;
}

// Longer than any agent takes to come again, and than the time that it is given for that, of ten thousand (fleet.ts).
const DOOR_MS = 120_000;

/** All of them. */
export class HeardHosts {
  readonly #clock: Clock;
  readonly #pace: () => Pace;
  readonly #hosts = new Map<HostId, HeardHost>();
  readonly #breaks = new RecentBreaks();
  /**
   * Hosts that said hello and have no session: it is not decided yet, or this server's own trouble was in the way; and since
   * when. What is forgotten, too late for any that comes again, begins anew.
   */
  readonly #door = new Recent<HostId, number>(DOOR_MS);
  #firstShownMs: number | undefined;

  /** `pace`: how fast agents shall speak and come back, now. */
  constructor(clock: Clock, pace: () => Pace) {
    this.#clock = clock;
    this.#pace = pace;
  }

  /** A host, if it is there. */
  get(hostId: HostId): HeardHost | undefined {
    return this.#hosts.get(hostId);
  }

  /** The session of a host, if it has one. */
  sessionOf(hostId: HostId): AgentSession | undefined {
    return this.#hosts.get(hostId)?.session;
  }

  /** Whether it is the present one of its host. */
  isPresentSession(session: AgentSession): boolean {
    return this.sessionOf(session.hostId) === session;
  }

  /** Every session. */
  *sessions(): Iterable<AgentSession> {
    for (const { session } of this.#hosts.values()) if (session) yield session;
  }

  /** Its hello waits to be decided on. What counts is when it came first: one that comes again and again has no session. */
  knocks(hostId: HostId): void {
    const nowMs = this.#clock.now();
    // Noted again, so that it is not forgotten while it comes again and again.
    this.#door.note(hostId, this.#door.get(hostId, nowMs)?.value ?? nowMs, nowMs);
  }

  /** Its hello was refused because of this server's own trouble: it has as long to come again as if it had just come. */
  isTurnedAway(hostId: HostId): void {
    const nowMs = this.#clock.now();
    this.#door.note(hostId, nowMs, nowMs);
  }

  /** Its hello was decided on. */
  leftTheDoor(hostId: HostId): void {
    this.#door.forget(hostId);
  }

  /** A hello was admitted; returns what ends that, once its session began or did not. */
  greets(hostId: HostId): () => void {
    const host = this.#hostOf(hostId);
    host.lastSignMs = this.#clock.now();
    host.greetings++;
    return () => {
      host.greetings--;
    };
  }

  /** A session began; answers the one that it takes the place of. */
  began(session: AgentSession, about: AboutHost, pace: Pace): AgentSession | undefined {
    const nowMs = this.#clock.now();
    const host = this.#hostOf(session.hostId);
    const older = host.session;
    if (older) this.#keepTakenIn(host, older);
    Object.assign(host, {
      ...{ session, about, lastHeardMs: nowMs, lastSignMs: nowMs, brokenSinceMs: undefined },
      dictated: welcomed(pace),
      contact: greeted(host.contact, this.#firstShownMs, nowMs),
      attachments: session.attachments,
    });
    return older;
  }

  /** A message arrived in its session. */
  spoke(host: HeardHost): void {
    host.lastHeardMs = this.#clock.now();
    host.lastSignMs = host.lastHeardMs;
  }

  /** A heartbeat said which acknowledgement its agent has; answers whether it is the first one that shows contact. */
  knows(host: HeardHost, acknowledged: bigint): boolean {
    const isFirst = host.contact?.isShown === false;
    if (host.contact) {
      host.contact = shown(host.contact, acknowledged, slowest(host.dictated).intervalMs, host.lastHeardMs);
      this.#firstShownMs ??= host.lastHeardMs;
    }
    host.dictated = knows(host.dictated, acknowledged);
    return isFirst;
  }

  /** The acknowledgement of this heartbeat is being sent, and dictates `pace`. */
  acknowledged(host: HeardHost, pace: Pace, sequence: bigint): void {
    host.dictated = told(host.dictated, pace, sequence);
  }

  /** A table of the host differed: what it said before of it was not so. */
  drifted(host: HeardHost, networkId: NetworkId): void {
    host.tookInMs.set(networkId, Number.NEGATIVE_INFINITY);
  }

  /** A session is over; answers whether it was its host's present one. */
  ended(session: AgentSession): boolean {
    const host = this.#hosts.get(session.hostId);
    if (host?.session !== session) return false;
    this.#keepTakenIn(host, session);
    host.session = undefined;
    host.brokenSinceMs = this.#clock.now();
    this.#breaks.add(host.brokenSinceMs);
    return true;
  }

  /** It is not there any more; answers the session that it had. */
  forget(hostId: HostId): AgentSession | undefined {
    const session = this.sessionOf(hostId);
    this.#hosts.delete(hostId);
    return session;
  }

  /** This server does not lead any more: no host is there. */
  clear(): void {
    this.#firstShownMs = undefined;
    this.#door.clear();
    this.#hosts.clear();
  }

  #hostOf(hostId: HostId): HeardHost {
    let host = this.#hosts.get(hostId);
    if (!host) {
      host = {
        session: undefined,
        lastHeardMs: Number.NEGATIVE_INFINITY,
        dictated: welcomed(this.#pace()),
        brokenSinceMs: undefined,
        contact: undefined,
        attachments: new Map(),
        about: undefined,
        lastSignMs: undefined,
        greetings: 0,
        tookInMs: new Map(),
        takenInMs: Number.NEGATIVE_INFINITY,
      };
      this.#hosts.set(hostId, host);
    }
    return host;
  }

  #keepTakenIn(host: HeardHost, session: AgentSession): void {
    const tables = [...session.tables().keys()];
    const tookIn = tables.map((networkId) => [networkId, takenIn(host, session, networkId)] as const);
    host.tookInMs.clear();
    for (const [networkId, ms] of tookIn) host.tookInMs.set(networkId, ms);
    // It had no others.
    host.takenInMs = this.#clock.now();
  }

  /** See `HostObserver`, as all that follows. */
  get firstShownMs(): number | undefined {
    return this.#firstShownMs;
  }

  takenInMs(hostId: HostId, networkId: NetworkId): number {
    const host = this.#hosts.get(hostId);
    return host ? takenIn(host, host.session, networkId) : Number.NEGATIVE_INFINITY;
  }

  lastSignMs(hostId: HostId): number | undefined {
    return this.#hosts.get(hostId)?.lastSignMs;
  }

  atTheDoorMs(hostId: HostId): number | undefined {
    return this.#door.get(hostId, this.#clock.now())?.value;
  }

  isPresent(hostId: HostId): boolean {
    const host = this.#hosts.get(hostId);
    return host !== undefined && (host.session !== undefined || host.greetings > 0);
  }

  observed(hostId: HostId): ObservedHost | undefined {
    const host = this.#hosts.get(hostId);
    if (!host || host.lastHeardMs === Number.NEGATIVE_INFINITY) return undefined;
    const { session, attachments, contact } = host;
    return { hostId, connected: session !== undefined, ...this.#heardOf(host), contact, attachments };
  }

  isLive(hostId: HostId): boolean {
    const host = this.#hosts.get(hostId);
    return host !== undefined && liveness(this.#heardOf(host), this.#clock.now()) !== 'down';
  }

  #heardOf({ lastHeardMs, brokenSinceMs, dictated }: HeardHost): Heard {
    const { intervalMs, spreadMs } = slowest(dictated);
    const returnMs = spreadMs + lettingInMs(this.#breaks.count(this.#clock.now()));
    return { lastHeardMs, brokenSinceMs, intervalMs, returnMs };
  }
}

function takenIn(host: HeardHost, session: AgentSession | undefined, networkId: NetworkId): number {
  const before = host.tookInMs.get(networkId) ?? host.takenInMs;
  return Math.max(before, session?.takenInMs(networkId) ?? before);
}
