// The control plane's side of agents' sessions, played by a test: it sees what the agent says and answers when told to.

import { TableDigest } from '@leasehold/proto/digest';
import type {
  AttachmentChange,
  Delivery,
  Heartbeat,
  Hello,
  PlacementKey,
  SessionRequest,
  SessionResponse,
  TableState,
} from '@leasehold/proto/ipam/v1/session';
import { Assignment, TableEntry } from '@leasehold/proto/ipam/v1/session';

interface End {
  readonly reason: string;
  readonly holder?: {
    readonly endpoint: string;
    readonly of?: { readonly storeUid: string; readonly incarnation: bigint; readonly holderEpoch: bigint };
  };
}

interface Handlers {
  onMessage(response: SessionResponse): void;
  onClose(end: End): void;
}

/** What a welcome dictates. */
export interface ScriptedTerms {
  readonly holderEpoch: bigint;
  readonly counter: bigint;
  readonly intervalMs: number;
  readonly authorityMs: number;
  readonly storeUid: string;
  readonly incarnation: bigint;
  readonly spreadMs: number;
}

const TERMS: ScriptedTerms = {
  holderEpoch: 1n,
  counter: 1n,
  intervalMs: 1_000,
  authorityMs: 60_000,
  storeUid: 'store-1',
  incarnation: 1n,
  spreadMs: 0,
};

/** Takes every session that is opened. */
export class ScriptedServer {
  readonly sessions: ScriptedSession[] = [];

  open(server: string, handlers: Handlers): { send(request: SessionRequest): void; close(): void } {
    const session = new ScriptedSession(server, handlers);
    this.sessions.push(session);
    return session.channel;
  }

  /** The newest session. */
  get session(): ScriptedSession {
    const newest = this.sessions.at(-1);
    if (!newest) throw new Error('no session was opened');
    return newest;
  }
}

/** One session. */
export class ScriptedSession {
  readonly server: string;
  readonly received: SessionRequest[] = [];
  closedByAgent = false;
  terms = TERMS;
  readonly channel: { send(request: SessionRequest): void; close(): void };
  readonly #handlers: Handlers;
  #sequence = 0n;

  constructor(server: string, handlers: Handlers) {
    this.server = server;
    this.#handlers = handlers;
    this.channel = {
      send: (request) => void this.received.push(request),
      close: () => {
        this.closedByAgent = true;
      },
    };
  }

  /** The parts of the hello. */
  get hello(): Hello[] {
    return this.received.flatMap(({ message }) => (message?.$case === 'hello' ? [message.value] : []));
  }

  get heartbeats(): Heartbeat[] {
    return this.received.flatMap(({ message }) => (message?.$case === 'heartbeat' ? [message.value] : []));
  }

  /** The tables that were acknowledged. */
  get acks(): TableState[] {
    return this.received.flatMap(({ message }) =>
      message?.$case === 'deliveryAck' && message.value.table ? [message.value.table] : [],
    );
  }

  get attachmentChanges(): AttachmentChange[] {
    return this.received.flatMap(({ message }) => (message?.$case === 'attachmentChange' ? [message.value] : []));
  }

  welcome(terms: Partial<ScriptedTerms> = {}): void {
    this.terms = { ...TERMS, ...terms };
    const { intervalMs, authorityMs, storeUid, incarnation, spreadMs } = this.terms;
    const value = {
      sessionEpoch: this.epoch,
      heartbeatInterval: toDuration(intervalMs),
      authority: toDuration(authorityMs),
      storeUid,
      incarnation,
      reconnectSpread: toDuration(spreadMs),
    };
    this.#handlers.onMessage({ message: { $case: 'welcome', value } });
  }

  /** Says whatever. */
  say(response: SessionResponse): void {
    this.#handlers.onMessage(response);
  }

  /** Acknowledges a heartbeat, the last one unless told otherwise. */
  acknowledge(
    placements: readonly PlacementKey[],
    sequence = this.heartbeats.at(-1)?.sequence ?? 0n,
    pace: { readonly intervalMs?: number; readonly spreadMs?: number } = {},
  ): void {
    const heartbeatInterval = pace.intervalMs === undefined ? undefined : toDuration(pace.intervalMs);
    const reconnectSpread = pace.spreadMs === undefined ? undefined : toDuration(pace.spreadMs);
    const value = {
      sessionEpoch: this.epoch,
      sequence,
      placements: [...placements],
      heartbeatInterval,
      reconnectSpread,
    };
    this.#handlers.onMessage({ message: { $case: 'heartbeatAck', value } });
  }

  /** Sends a delivery; its sequence. */
  deliver(
    networkId: string,
    placementEpoch: bigint,
    action: NonNullable<Delivery['action']>,
    override: Partial<Delivery> = {},
  ): bigint {
    this.#sequence += 1n;
    const value = {
      sessionEpoch: this.epoch,
      sequence: this.#sequence,
      networkId,
      placementEpoch,
      action,
      ...override,
    };
    this.#handlers.onMessage({ message: { $case: 'delivery', value } });
    return this.#sequence;
  }

  /** Sends an assignment and a whole table; the sequence of its end. */
  deliverTable(
    networkId: string,
    placementEpoch: bigint,
    assignment: Assignment,
    entries: readonly TableEntry[],
  ): bigint {
    this.deliver(networkId, placementEpoch, { $case: 'assignment', value: assignment });
    const begin = { $case: 'snapshotBegin' as const, value: { entries: BigInt(entries.length) } };
    this.deliver(networkId, placementEpoch, begin);
    this.deliver(networkId, placementEpoch, { $case: 'snapshotPart', value: { entries: [...entries] } });
    const end = { $case: 'snapshotEnd' as const, value: { digest: digestOf(assignment, entries) } };
    return this.deliver(networkId, placementEpoch, end);
  }

  /** The connection breaks. */
  drop(reason = 'UNAVAILABLE: gone', holder?: End['holder']): void {
    this.#handlers.onClose({ reason, ...(holder && { holder }) });
  }

  private get epoch(): { holderEpoch: bigint; counter: bigint } {
    return { holderEpoch: this.terms.holderEpoch, counter: this.terms.counter };
  }
}

/** The digest of a table. */
export function digestOf(assignment: Assignment, entries: readonly TableEntry[]): Buffer {
  const digest = new TableDigest();
  digest.addAssignment(assignment);
  for (const entry of entries) digest.addEntry(entry);
  return digest.bytes();
}

/** An assignment of one /24 with `base` in its third octet. */
export function assignmentOf(networkUid: string, base = 0): Assignment {
  const subnet = { subnetId: `s${base}`, cidr: `10.0.${base}.0/24`, gateway: `10.0.${base}.1`, leaseSeconds: 3_600 };
  return Assignment.fromPartial({ networkUid, serviceAddress: '169.254.1.1', subnets: [subnet] });
}

/** A reservation of 10.0.0.`n` for 52:54:00:00:00:`n`. */
export function entryOf(n: number, reservationId = `r${n}`): TableEntry {
  const mac = `52:54:00:00:00:${n.toString(16).padStart(2, '0')}`;
  return TableEntry.fromPartial({ reservationId, address: `10.0.0.${n}`, mac });
}

function toDuration(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}
