// Runs a session: turns what the session machine decides into messages, timers, writes and table operations.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { HostAttachment } from '@leasehold/proto/ipam/v1/host';
import type {
  Delivery,
  PlacementKey,
  Probe,
  ProbeResult,
  SessionResponse,
  Sighting,
  TableState,
} from '@leasehold/proto/ipam/v1/session';
import { type AttachmentDifference, difference } from './attachment-difference.js';
import type { Acknowledged } from './authority.js';
import { type AgentDescription, helloParts } from './hello.js';
import { isLater, isOver, type NamedHolder } from './named-holder.js';
import { Session, type SessionAction, type SessionTerms, type StoreIdentity } from './session.js';
import type { Greeting, SessionControl, SessionRunner } from './session-runner.js';
import type { SessionChannel } from './session-transport.js';

/** What a session acts upon. */
export interface SessionHost {
  readonly identity: () => StoreIdentity | undefined;
  readonly attachments: () => readonly HostAttachment[];
  readonly beginSession: () => void;
  readonly tableStates: () => TableState[];
  readonly dropTables: () => void;
  /** Resolves when the identity is on the disk. */
  readonly adopt: (identity: StoreIdentity) => Promise<void>;
  /** What is dictated, when the session opens and whenever it changes. */
  readonly dictated: (terms: SessionTerms) => void;
  readonly acknowledged: (ack: Acknowledged, placements: readonly PlacementKey[]) => void;
  readonly deliver: (delivery: Delivery) => void;
  /** Asks the wire of a network. */
  readonly probe: (probe: Probe) => Promise<Omit<ProbeResult, 'sessionEpoch' | 'probeId'>>;
}

/** Heartbeats come this much earlier or later, so that hosts that began together do not stay together. */
const JITTER = 0.1;

// A server takes 256 KiB; ids, uids and reasons can make an entry 300 bytes. One that is too long would end every session.
const TABLES_PER_HEARTBEAT = 800;
const SIGHTINGS_PER_REPORT = 100;

interface Present {
  readonly session: Session;
  readonly channel: SessionChannel;
  readonly control: SessionControl;
  attachments: readonly HostAttachment[];
  /** How many tables heartbeats told of so far. */
  told: number;
  heartbeat?: Timer;
}

/** Runs one session at a time. */
export class SessionDriver implements SessionRunner {
  readonly #ports: { readonly clock: Clock; readonly entropy: Entropy; readonly log: Log };
  readonly #agent: AgentDescription;
  readonly #host: SessionHost;
  #present: Present | undefined;

  constructor(
    ports: { readonly clock: Clock; readonly entropy: Entropy; readonly log: Log },
    agent: AgentDescription,
    host: SessionHost,
  ) {
    this.#ports = ports;
    this.#agent = agent;
    this.#host = host;
  }

  begin(channel: SessionChannel, control: SessionControl): void {
    this.#host.beginSession();
    this.#present = { ...this.#hello(channel, this.#host.tableStates()), control };
  }

  greet(channel: SessionChannel): Greeting {
    // Sequences are the present session's.
    const tables = this.#host.tableStates().map((table) => ({ ...table, sequence: 0n }));
    const greeted = this.#hello(channel, tables);
    return {
      answered: (response, control) => {
        const actions = greeted.session.receive(response);
        const [action] = actions;
        // Whoever would have all tables dropped has another store: no reason to leave who serves this one.
        if (action?.kind !== 'adopt' || action.dropTables !== undefined) return 'refused';
        this.end();
        // A session's tables are measured by what they are at its begin, and that must be what its server was told.
        this.#host.beginSession();
        if (!areSameTables(tables, this.#host.tableStates())) return 'stale';
        const present = { ...greeted, control };
        this.#present = present;
        this.#perform(present, actions);
        return 'taken';
      },
    };
  }

  #hello(channel: SessionChannel, tables: readonly TableState[]): Omit<Present, 'control'> {
    const identity = this.#host.identity();
    const attachments = this.#host.attachments();
    const session = new Session(identity, this.#ports.clock.now());
    for (const part of helloParts(this.#agent, identity, attachments, tables)) channel.send(part);
    return { session, channel, attachments, told: 0 };
  }

  receive(response: SessionResponse): void {
    const present = this.#present;
    if (!present) return;
    const { message } = response;
    if (message?.$case === 'probe') void this.#probe(present, message.value);
    else this.#perform(present, present.session.receive(response));
  }

  end(): void {
    this.#present?.heartbeat?.cancel();
    this.#present = undefined;
  }

  mayLead(holder: NamedHolder): boolean {
    return !isOver(holder, this.#host.identity());
  }

  leadsLater(holder: NamedHolder): boolean {
    return isLater(holder, this.#host.identity());
  }

  /** Acknowledges a network's deliveries. */
  sendAck(table: TableState): void {
    const epoch = this.#present?.session.terms?.epoch;
    if (!epoch) return;
    const value = { sessionEpoch: { ...epoch }, table };
    this.#present?.channel.send({ message: { $case: 'deliveryAck', value } });
  }

  /** Tells the server what changed of the attachments since it was told last. */
  attachmentsChanged(): void {
    const present = this.#present;
    const epoch = present?.session.terms?.epoch;
    // Before the welcome there is no epoch to say it in: it is said when the session opens.
    if (!present || !epoch) return;
    const now = this.#host.attachments();
    const changed: AttachmentDifference | undefined = difference(present.attachments, now);
    if (!changed) return;
    present.attachments = now;
    const value = { sessionEpoch: { ...epoch }, ...changed };
    present.channel.send({ message: { $case: 'attachmentChange', value } });
  }

  /** Whether there is a session in which to tell. */
  get isOpen(): boolean {
    return this.#present?.session.terms !== undefined;
  }

  /** Tells the server what was noticed on the wire; without a session nobody hears it. */
  sendSightings(sightings: readonly Sighting[]): void {
    const epoch = this.#present?.session.terms?.epoch;
    if (!epoch) return;
    for (let i = 0; i < sightings.length; i += SIGHTINGS_PER_REPORT) {
      const value = { sessionEpoch: { ...epoch }, sightings: sightings.slice(i, i + SIGHTINGS_PER_REPORT) };
      this.#present?.channel.send({ message: { $case: 'sightingReport', value } });
    }
  }

  /** It is no delivery, and takes no part in the order of those. */
  async #probe(present: Present, probe: Probe): Promise<void> {
    const epoch = present.session.terms?.epoch;
    const { sessionEpoch, probeId } = probe;
    if (!epoch || epoch.holderEpoch !== sessionEpoch?.holderEpoch || epoch.counter !== sessionEpoch.counter) return;
    const result = await this.#host.probe(probe);
    if (present !== this.#present) return;
    const value = { sessionEpoch: { ...epoch }, probeId, ...result };
    present.channel.send({ message: { $case: 'probeResult', value } });
  }

  #perform(present: Present, actions: readonly SessionAction[]): void {
    for (const action of actions) {
      // An action before it may have ended the session.
      if (present !== this.#present) return;
      this.#performOne(present, action);
    }
  }

  #performOne(present: Present, action: SessionAction): void {
    switch (action.kind) {
      case 'adopt':
        void this.#adopt(present, action);
        return;
      case 'opened':
        this.#host.dictated(action.terms);
        present.control.opened();
        present.control.dictated(action.terms);
        this.#scheduleHeartbeat(present);
        this.attachmentsChanged();
        return;
      case 'paced':
        // The heartbeat that is due comes as it was to come: the server counts on the new interval from that one on.
        this.#host.dictated(action.terms);
        present.control.dictated(action.terms);
        return;
      case 'acknowledged': {
        const authorityMs = present.session.terms?.authorityMs ?? 0;
        this.#host.acknowledged({ sentMs: action.sentMs, authorityMs }, action.placements);
        present.control.acknowledged();
        return;
      }
      case 'deliver':
        this.#host.deliver(action.delivery);
        return;
      case 'close':
        present.control.close(action.reason);
    }
  }

  async #adopt(present: Present, action: SessionAction & { readonly kind: 'adopt' }): Promise<void> {
    if (action.dropTables !== undefined) {
      this.#ports.log.warn('Dropping all tables, the control plane will send its own', { reason: action.dropTables });
      this.#host.dropTables();
    }
    try {
      await this.#host.adopt(action.identity);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (present === this.#present) present.control.close(`State directory cannot be written: ${problem}`);
      return;
    }
    if (present === this.#present) this.#perform(present, present.session.adopted());
  }

  #scheduleHeartbeat(present: Present): void {
    const { clock, entropy } = this.#ports;
    const { session, channel } = present;
    const { terms } = session;
    if (!terms) return;
    const jitter = 1 - JITTER + 2 * JITTER * entropy.random();
    present.heartbeat = clock.after(terms.intervalMs * jitter, () => {
      // At one moment: a heartbeat says by which acknowledgement its agent waits for the next.
      this.#scheduleHeartbeat(present);
      const { acknowledgedSequence } = session;
      const sequence = session.nextHeartbeat(clock.now());
      const tables = this.#nextTables(present);
      const value = { sessionEpoch: { ...terms.epoch }, sequence, tables, acknowledgedSequence };
      channel.send({ message: { $case: 'heartbeat', value } });
    });
  }

  /** As many tables as fit into a heartbeat, beginning where the last one ended. */
  #nextTables(present: Present): TableState[] {
    const all = this.#host.tableStates();
    if (all.length <= TABLES_PER_HEARTBEAT) return all;
    const start = present.told % all.length;
    present.told = start + TABLES_PER_HEARTBEAT;
    return [...all, ...all].slice(start, present.told);
  }
}

/** Whether a hello that told of `told` would tell the same now. */
function areSameTables(told: readonly TableState[], now: readonly TableState[]): boolean {
  const isTold = (table: TableState, i: number) => {
    const before = told[i];
    return (
      before?.networkId === table.networkId &&
      before.networkUid === table.networkUid &&
      before.placementEpoch === table.placementEpoch &&
      before.digest.equals(table.digest)
    );
  };
  return now.length === told.length && now.every(isTold);
}
