// One session with one agent: what it was sent, what it acknowledged.
//
//   N1. Every delivery carries the session's epoch and the next sequence; deliveries of a network go out in the order
//       in which they became true. A snapshot is a copy made at its begin; changes after it follow its end.
//   N2. Only a DeliveryAck acknowledges: what a heartbeat says of a table is news, not a promise.
//   N3. A network leaves the session only by an acknowledged Unassignment.
//   N4. Digests are compared only at equal placement epoch and sequence (protocol.md §3.5).
//   N5. What a host has taken in is counted by what it acknowledged of a whole table (protocol.md §3.2); a table that
//       drifted acknowledged nothing, and is not ready, until it was sent again and acknowledged whole.
//   N6. An agent that goes on with a network that another holder has is told no changes of it any more: its table is not
//       compared, and takes nothing in. Once it is decided who serves the network, and that is another, its next heartbeat
//       ends that.

import type {
  Assignment,
  Delivery,
  SessionEpoch,
  SessionResponse,
  TableDelta,
  TableEntry,
  TableRemoval,
  TableState,
} from '@leasehold/proto/ipam/v1/session';
import type { IpamError } from '../../domain/errors.js';
import type { HostId, NetworkId, ReservationId, Uid } from '../../domain/ids.js';
import type { IsUndecided, ObservedAttachment, ObservedTable, ProvidedNetwork } from '../../ports/dhcp-provider.js';
import { type ServedTable, sameAssignment } from './served-table.js';
import { reasonOf, toAssignment } from './wire.js';

/** The way to an agent. */
export interface AgentLink {
  send(message: SessionResponse): void;
  /** Ends the stream, with a refusal or without. */
  end(error: IpamError | undefined): void;
}

type DeliveryAction = NonNullable<Delivery['action']>;

interface Cover {
  readonly sequence: number;
  readonly atMs: number;
}

/** What one agent knows of one network. */
interface Tracked {
  readonly networkUid: Uid;
  readonly placementEpoch: number;
  /** What was sent in this session; undefined while the agent only reported a table in its hello. */
  assignment: Assignment | undefined;
  withdrawing: boolean;
  removalsOnly: boolean;
  /** It goes on with what it was sent (N6). */
  leftAlone: boolean;
  sentSequence: number;
  ackedSequence: number;
  /** The sequence whose acknowledgement makes the table whole: a snapshot's end or a confirmation. */
  wholeSequence: number;
  /** Put, and not yet acknowledged: by reservation, the sequence that carries it, in the order of these. */
  readonly unconfirmed: Map<ReservationId, number>;
  /** Changes not sent yet; puts by address, in their order. */
  readonly puts: Map<string, TableEntry>;
  readonly removals: TableRemoval[];
  /** Deliveries not yet acknowledged behind which nothing waited to be sent: what they cover was seen before `atMs`. */
  covers: Cover[];
  /** Everything that was seen before is acknowledged. */
  coveredMs: number;
  state: TableState | undefined;
  syncedTime: number | undefined;
  /** Its table was found to be another, and was not sent again yet. */
  differs: boolean;
  /** Snapshots sent because of drift since the table was last confirmed, and the earliest time of the next. */
  resyncs: number;
  resyncAfterMs: number;
}

// protocol: snapshots and deltas in parts of at most this many entries, far below the agents' message limit.
const PART_ENTRIES = 1_000;

// The parts of a snapshot say nothing before its end.
const COVERING: ReadonlySet<DeliveryAction['$case']> = new Set([
  'assignment',
  'tableConfirmation',
  'snapshotEnd',
  'tableDelta',
]);

// What is left out is only known to be taken in later. It keeps a host that acknowledges nothing for days from filling the
// memory: by this share of the time since the first cover the next one comes later.
const COVERS_APART = 1 / 64;

// An agent that can never take a table in must not be sent it with every heartbeat.
const FIRST_RESYNC_MS = 1_000;
const MAX_RESYNC_MS = 60_000;

/** The tables of the networks, made when first asked for. */
export type Tables = (networkId: NetworkId) => ServedTable;

/** One session. */
export class AgentSession {
  readonly hostId: HostId;
  readonly epoch: SessionEpoch;
  readonly attachments: Map<NetworkId, ObservedAttachment>;
  readonly #link: AgentLink;
  readonly #tables: Tables;
  readonly #tracked = new Map<NetworkId, Tracked>();
  readonly #now: () => number;
  /** Those of them that did not take in yet what they were sent, acknowledged or not. */
  readonly #unsettled = new Set<NetworkId>();
  #undecided: IsUndecided | undefined;
  #sequence = 0;

  constructor(
    hostId: HostId,
    epoch: SessionEpoch,
    link: AgentLink,
    tables: Tables,
    attachments: Iterable<readonly [NetworkId, ObservedAttachment]>,
    reported: readonly TableState[],
    now: () => number,
  ) {
    this.#now = now;
    this.hostId = hostId;
    this.epoch = epoch;
    this.#link = link;
    this.#tables = tables;
    this.attachments = new Map(attachments);
    for (const state of reported) {
      const tracked = track(state.networkUid as Uid, Number(state.placementEpoch));
      this.#tracked.set(state.networkId as NetworkId, { ...tracked, state });
    }
  }

  /** Says something that is no delivery. */
  say(message: SessionResponse['message']): void {
    this.#link.send({ message });
  }

  /** Ends the session. */
  end(error: IpamError | undefined): void {
    this.#link.end(error);
  }

  /** The networks that were assigned in this session and are still wanted. */
  *assigned(): Iterable<{ readonly networkId: NetworkId; readonly placementEpoch: number }> {
    for (const [networkId, { assignment, withdrawing, placementEpoch }] of this.#tracked) {
      if (assignment && !withdrawing) yield { networkId, placementEpoch };
    }
  }

  /** Sends what is missing so that the agent serves exactly these networks, and goes on as it does with undecided ones. */
  provide(networks: Iterable<ProvidedNetwork>, undecided?: IsUndecided): void {
    this.#undecided = undecided;
    const wanted = new Map([...networks].map((network) => [network.networkId, network]));
    for (const [networkId, tracked] of this.#tracked) {
      if (!wanted.has(networkId)) this.#stop(networkId, tracked);
    }
    for (const [networkId, network] of wanted) this.provideNetwork(networkId, network);
  }

  /** Sends what is missing so that the agent serves this network so, or no more, and all others as it does. */
  provideNetwork(networkId: NetworkId, network: ProvidedNetwork | undefined): void {
    const tracked = this.#tracked.get(networkId);
    if (network && this.#mayGoOn(network)) this.#assign(network);
    else if (tracked) this.#stop(networkId, tracked);
  }

  #stop(networkId: NetworkId, tracked: Tracked): void {
    if (tracked.withdrawing) return;
    tracked.leftAlone = this.#undecided?.(networkId) ?? false;
    if (tracked.leftAlone) return;
    tracked.withdrawing = true;
    this.#deliver(networkId, tracked, { $case: 'unassignment', value: {} });
  }

  #mayGoOn({ networkId, placementEpoch, removalsOnly }: ProvidedNetwork): boolean {
    if (!removalsOnly) return true;
    const tracked = this.#tracked.get(networkId);
    // One that was told to stop stays stopped: a new table would hold what was reserved since.
    return tracked?.assignment !== undefined && !tracked.withdrawing && tracked.placementEpoch === placementEpoch;
  }

  #assign(network: ProvidedNetwork): void {
    const { networkId, uid, placementEpoch } = network;
    const table = this.#tables(networkId);
    const assignment = table.assignment ?? toAssignment(network);
    let tracked = this.#tracked.get(networkId);
    const known = tracked?.networkUid === uid && tracked.placementEpoch === placementEpoch && !tracked.withdrawing;
    if (!tracked || !known) {
      tracked = track(uid, placementEpoch);
      this.#tracked.set(networkId, tracked);
    }
    tracked.leftAlone = false;
    if (network.removalsOnly) this.#onlyRemovals(tracked);
    if (tracked.assignment && sameAssignment(tracked.assignment, assignment)) return;
    const first = tracked.assignment === undefined;
    tracked.assignment = assignment;
    this.#deliver(networkId, tracked, { $case: 'assignment', value: assignment });
    if (!first) return;
    const reported = tracked.state?.digest;
    if (reported && reported.length > 0 && table.digest().equals(reported)) {
      tracked.wholeSequence = this.#deliver(networkId, tracked, { $case: 'tableConfirmation', value: {} });
    } else {
      this.#sendSnapshot(networkId, tracked, table);
    }
  }

  // What it was not sent yet it is never sent: reservations made from now on must not count this host.
  #onlyRemovals(tracked: Tracked): void {
    tracked.removalsOnly = true;
    tracked.puts.clear();
  }

  #sendSnapshot(networkId: NetworkId, tracked: Tracked, table: ServedTable): void {
    const entries = table.snapshot();
    tracked.differs = false;
    tracked.puts.clear();
    tracked.removals.length = 0;
    tracked.unconfirmed.clear();
    this.#deliver(networkId, tracked, { $case: 'snapshotBegin', value: { entries: BigInt(entries.length) } });
    for (let i = 0; i < entries.length; i += PART_ENTRIES) {
      this.#deliver(networkId, tracked, {
        $case: 'snapshotPart',
        value: { entries: entries.slice(i, i + PART_ENTRIES) },
      });
    }
    tracked.wholeSequence = this.#deliver(networkId, tracked, {
      $case: 'snapshotEnd',
      value: { digest: table.digest() },
    });
  }

  /** Notes a change of a network's table; `flush` sends it. Answers whether this agent needs it. */
  change(networkId: NetworkId, change: { readonly put: TableEntry } | { readonly remove: TableRemoval }): boolean {
    const tracked = this.#tracked.get(networkId);
    if (!tracked?.assignment || tracked.withdrawing) return false;
    if ('put' in change) {
      const { put } = change;
      // Also of a host that is never sent it: it is not ready for this reservation.
      tracked.unconfirmed.delete(put.reservationId as ReservationId);
      tracked.unconfirmed.set(put.reservationId as ReservationId, Number.POSITIVE_INFINITY);
      if (tracked.removalsOnly) return false;
      // Of several of one address the last one says it all.
      tracked.puts.delete(put.address);
      tracked.puts.set(put.address, put);
    } else {
      // Removals are applied before puts: a put of this address that was not sent yet must not come after its removal.
      tracked.puts.delete(change.remove.address);
      tracked.removals.push(change.remove);
      tracked.unconfirmed.delete(change.remove.reservationId as ReservationId);
    }
    return true;
  }

  /** Sends the changes of a network. */
  flush(networkId: NetworkId): void {
    const tracked = this.#tracked.get(networkId);
    if (!tracked) return;
    while (tracked.puts.size + tracked.removals.length > 0) {
      const remove = tracked.removals.splice(0, PART_ENTRIES);
      const put = tracked.removals.length > 0 ? [] : takeFirst(tracked.puts, PART_ENTRIES - remove.length);
      const delta: TableDelta = { put, remove };
      const sequence = this.#deliver(networkId, tracked, { $case: 'tableDelta', value: delta });
      for (const { reservationId } of put) tracked.unconfirmed.set(reservationId as ReservationId, sequence);
    }
  }

  #deliver(networkId: NetworkId, tracked: Tracked, action: DeliveryAction): number {
    const sequence = ++this.#sequence;
    tracked.sentSequence = sequence;
    this.#unsettled.add(networkId);
    if (tracked.removals.length === 0 && COVERING.has(action.$case)) addCover(tracked.covers, sequence, this.#now());
    const { placementEpoch } = tracked;
    const delivery: Delivery = {
      sessionEpoch: this.epoch,
      sequence: BigInt(sequence),
      networkId,
      placementEpoch: BigInt(placementEpoch),
      action,
    };
    this.#link.send({ message: { $case: 'delivery', value: delivery } });
    return sequence;
  }

  /** Takes an acknowledgement; answers whether a plan may depend on what it says, beyond a few more reservations. */
  acknowledged(state: TableState, wallTimeMs: number): boolean {
    const networkId = state.networkId as NetworkId;
    const tracked = this.#tracked.get(networkId);
    if (!tracked || tracked.placementEpoch !== Number(state.placementEpoch)) return false;
    // An agent cannot have what it was not sent.
    const sequence = Math.min(Number(state.sequence), tracked.sentSequence);
    if (sequence < tracked.ackedSequence) return false;
    const wasServing = isServing(tracked);
    tracked.ackedSequence = sequence;
    this.#said(networkId, tracked, state);
    if (isWhole(tracked)) {
      tracked.resyncs = 0;
      while (tracked.covers[0] && tracked.covers[0].sequence <= sequence) {
        tracked.coveredMs = tracked.covers[0].atMs;
        tracked.covers.shift();
      }
    }
    for (const [reservationId, sent] of tracked.unconfirmed) {
      if (sent > sequence) break;
      tracked.unconfirmed.delete(reservationId);
    }
    if (sequence === tracked.sentSequence) tracked.syncedTime = wallTimeMs;
    if (!tracked.withdrawing || sequence < tracked.sentSequence) return isServing(tracked) !== wasServing;
    this.#tracked.delete(networkId);
    return true;
  }

  /** Takes what a heartbeat says of the tables; answers the networks whose table had drifted and is sent again. */
  heard(
    states: readonly TableState[],
    nowMs: number,
  ): { readonly changed: boolean; readonly drifted: readonly NetworkId[] } {
    const drifted: NetworkId[] = [];
    let changed = false;
    for (const state of states) {
      const networkId = state.networkId as NetworkId;
      const tracked = this.#tracked.get(networkId);
      if (!tracked || tracked.placementEpoch !== Number(state.placementEpoch)) continue;
      changed ||= tracked.state?.serving !== state.serving || tracked.state.reason !== state.reason;
      this.#said(networkId, tracked, state);
      // It is decided by now, and not to be served by this host: whoever shall serve it was told at once.
      if (tracked.leftAlone) this.#stop(networkId, tracked);
      if (!tracked.differs && this.#drifted(networkId, tracked, state)) {
        changed ||= isServing(tracked);
        tracked.differs = true;
        tracked.covers = [];
        tracked.coveredMs = Number.NEGATIVE_INFINITY;
      }
      // Who goes on only until it is replaced gets no table any more.
      const { differs, withdrawing, removalsOnly, leftAlone, resyncAfterMs } = tracked;
      if (!differs || withdrawing || removalsOnly || leftAlone || nowMs < resyncAfterMs) continue;
      drifted.push(networkId);
      tracked.resyncAfterMs = nowMs + Math.min(FIRST_RESYNC_MS * 2 ** tracked.resyncs++, MAX_RESYNC_MS);
      this.#sendSnapshot(networkId, tracked, this.#tables(networkId));
    }
    return { changed, drifted };
  }

  #drifted(networkId: NetworkId, tracked: Tracked, state: TableState): boolean {
    if (!tracked.assignment || tracked.withdrawing || tracked.removalsOnly || tracked.leftAlone) return false;
    const unsent = tracked.puts.size + tracked.removals.length > 0;
    if (unsent || Number(state.sequence) !== tracked.sentSequence) return false;
    return !this.#tables(networkId).digest().equals(state.digest);
  }

  // A network whose interface is gone is not acknowledged (protocol.md §3.2), yet its agent is well and said so.
  #said(networkId: NetworkId, tracked: Tracked, state: TableState): void {
    tracked.state = state;
    const sequence = Math.max(tracked.ackedSequence, Number(state.sequence));
    if (sequence >= tracked.sentSequence) this.#unsettled.delete(networkId);
  }

  /** Whether the agent took in all that it was sent, of one network or of all, acknowledged or not. */
  hasSettled(networkId: NetworkId | undefined): boolean {
    return networkId === undefined ? this.#unsettled.size === 0 : !this.#unsettled.has(networkId);
  }

  /** Whether the agent confirmed that it answers with this reservation. */
  isReady(networkId: NetworkId, reservationId: ReservationId): boolean {
    const tracked = this.#tracked.get(networkId);
    return tracked !== undefined && isServing(tracked) && !tracked.unconfirmed.has(reservationId);
  }

  /** What of a network was seen before this moment, the agent has taken in: table and disk. */
  takenInMs(networkId: NetworkId): number {
    const tracked = this.#tracked.get(networkId);
    // It has no table, and was sent none.
    if (!tracked) return this.#now();
    const { assignment, withdrawing, leftAlone, sentSequence, ackedSequence, removals, coveredMs } = tracked;
    const hasTable = assignment !== undefined && !withdrawing && !leftAlone && isWhole(tracked);
    return hasTable && ackedSequence === sentSequence && removals.length === 0 ? this.#now() : coveredMs;
  }

  /** Every table the agent has, or was told to have. */
  tables(): ReadonlyMap<NetworkId, ObservedTable> {
    return new Map([...this.#tracked].map(([networkId, tracked]) => [networkId, observe(tracked)]));
  }

  /** One of them. */
  table(networkId: NetworkId): ObservedTable | undefined {
    const tracked = this.#tracked.get(networkId);
    return tracked && observe(tracked);
  }
}

function observe(tracked: Tracked): ObservedTable {
  return {
    networkUid: tracked.networkUid,
    placementEpoch: tracked.placementEpoch,
    serving: isServing(tracked),
    reason: reasonOf(tracked.state),
    pendingChanges: tracked.sentSequence - tracked.ackedSequence + tracked.puts.size + tracked.removals.length,
    syncedTime: tracked.syncedTime,
  };
}

function track(networkUid: Uid, placementEpoch: number): Tracked {
  return {
    networkUid,
    placementEpoch,
    assignment: undefined,
    withdrawing: false,
    removalsOnly: false,
    leftAlone: false,
    sentSequence: 0,
    ackedSequence: 0,
    wholeSequence: Number.POSITIVE_INFINITY,
    unconfirmed: new Map(),
    puts: new Map(),
    removals: [],
    covers: [],
    coveredMs: Number.NEGATIVE_INFINITY,
    state: undefined,
    syncedTime: undefined,
    differs: false,
    resyncs: 0,
    resyncAfterMs: Number.NEGATIVE_INFINITY,
  };
}

function addCover(covers: Cover[], sequence: number, atMs: number): void {
  const [first, last] = [covers[0], covers.at(-1)];
  if (first && last && atMs - last.atMs <= (atMs - first.atMs) * COVERS_APART) return;
  covers.push({ sequence, atMs });
}

function takeFirst(puts: Map<string, TableEntry>, count: number): TableEntry[] {
  const taken: TableEntry[] = [];
  for (const [address, put] of puts) {
    if (taken.length === count) break;
    puts.delete(address);
    taken.push(put);
  }
  return taken;
}

/** Whether the agent acknowledged its whole table, and nothing says that it has another. */
function isWhole({ differs, ackedSequence, wholeSequence }: Tracked): boolean {
  return !differs && ackedSequence >= wholeSequence;
}

function isServing(tracked: Tracked): boolean {
  return !tracked.withdrawing && tracked.state?.serving === true && isWhole(tracked);
}
