// The store: documents changed by compare-and-set, durable before they are acknowledged, watched in order.
//
//   P1. A promise resolves only after the write is durable: flushed to the disk, or journaled by a majority.
//   P2. A write of a slot answers with the network's document as it stands after the write (protocol.md §2.2).
//   P3. The store never holds one (network, address) twice, nor two RESERVED slots of one (network, mac), nor two slots
//       that one request made or released. That a request made a tenure which is over may be found only after the write.
//   P4. An ended tenure is in history before its slot is overwritten or deleted.
//   P5. A read sees every write that was acknowledged to this process before it began. Where it says *confirmed*, also
//       every write that was acknowledged to any other.
//   P6. The watch shows durable changes only, in the order of the writes, each once. It may lag behind the promises; the
//       writer of a network or a host has its answer only after this process saw the change, or a second passed.
//   P7. Revisions begin anew with every document of a name. So whatever compares names what it is about, by its uid or its
//       reservation id: a write that comes late meets that or nothing.
//   P8. An audit event is stored if and only if its change is: by the same transaction.
//   P9. A store that cannot be used rejects with StoreUnavailableError, and heals by itself; but the embedded one refuses
//       every call after an I/O error, for its process to end.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { AuditEvent, AuditedKind, AuditKey, TenureMoment } from '../domain/audit.js';
import type { Change } from '../domain/change.js';
import type { HoldStill } from '../domain/hold-still.js';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId, WallTime } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import type { SlotKey } from '../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot, SlotSummary } from '../domain/slot.js';
import type { BreakerState } from './breaker.js';

/** A store that is open. */
export interface Store {
  /** `embedded`, `mongodb` or `memory`. */
  readonly kind: string;
  /** As they were read last: at the opening, and by `readSettings`. */
  readonly settings: StoreSettings;
  /** Reads the settings again, which other servers may have changed. */
  readSettings(): Promise<StoreSettings>;
  /** Makes the authority's ceiling the authority, if both still are what they were when they were read last. */
  lowerAuthorityCeiling(): Promise<void>;
  readonly holdStill: HoldStillStore;
  readonly networks: NetworkStore;
  readonly slots: SlotStore;
  readonly history: HistoryStore;
  readonly audit: AuditStore;
  readonly hosts: HostStore;
  readonly holder: HolderStore | ExclusiveHolder;
  readonly health: StoreHealth;
  /** Everything as of one moment, and the position from which to go on. */
  snapshot(): Promise<Snapshot>;
  /** Calls the follower with every change after a position, from now on, until it is closed or `lost`. */
  follow(after: Position, follower: Follower): Subscription;
  /**
   * Every change after a position, up to about now; and up to `until`, which a follower heard of, though that be not
   * known everywhere yet: while it is waited for, nothing is given, again and again. Rejects with PositionLostError when
   * the position is not known any more; kept is at least an hour, unless a store is told otherwise or millions of changes
   * come in between.
   */
  changesAfter(position: Position, until?: Position): AsyncIterable<readonly PositionedChange[]>;
  /** Ends after the writes under way. */
  close(): Promise<void>;
}

/** What is true of the whole installation. */
export interface StoreSettings {
  /** Made when the store was created. */
  readonly storeUid: string;
  /** Grows when the store is restored or imported; the first is 1. */
  readonly incarnation: number;
  readonly schema: number;
  /** How long an agent may answer without hearing from a server, in seconds. */
  readonly authorityS: number;
  /** The largest authority that may still be in force, in seconds. */
  readonly authorityCeilingS: number;
}

/** Whether the store is known to be an older copy of itself; a new incarnation does not know it. */
export interface HoldStillStore {
  get(): Promise<HoldStill | undefined>;
  /** Resolves when it is durable, joined with what was known before; answers that. */
  begin(because: HoldStill): Promise<HoldStill>;
}

/** Whether the store can be used now. */
export interface StoreHealth {
  /** The circuit breaker around it; undefined: this kind has none. */
  readonly breaker: BreakerState | undefined;
  /** Since when it cannot be used; undefined: it can. */
  readonly unavailableSince: WallTime | undefined;
}

/** A moment in the order of changes. Of two positions the later one is the greater string. */
export type Position = string & { readonly __brand: 'Position' };

/** The state of a store at one moment. */
export interface Snapshot {
  readonly position: Position;
  /** By id. */
  networks(): AsyncIterable<Network>;
  /** By id. */
  hosts(): AsyncIterable<Host>;
  /** By network and address, in batches; of one network when it is given. */
  slots(networkId?: NetworkId): AsyncIterable<readonly Slot[]>;
  /** The same slots, what servers keep of them in memory: many times quicker. */
  summaries(networkId?: NetworkId): AsyncIterable<readonly SlotSummary[]>;
  /** Lets go of the moment. A snapshot that is kept for minutes may be lost. */
  close(): Promise<void>;
}

/** Hears changes. */
export interface Follower {
  /** Of one write, or of several that became durable together. */
  changed(changes: readonly PositionedChange[]): void;
  /** The way on is lost, and nothing follows: the follower must begin with a snapshot again. */
  lost(reason: string): void;
}

/** Ends a watch. */
export interface Subscription {
  close(): void;
}

/** A change, and the position right after it. */
export type PositionedChange = Change & { readonly position: Position };

/** The networks, tombstones of deleted ones included. */
export interface NetworkStore {
  /** Resolves `undefined` when absent: absence is an answer, not an error. */
  get(networkId: NetworkId): Promise<Network | undefined>;
  findBySubnet(subnetId: SubnetId): Promise<Network | undefined>;
  /**
   * Writes if what is stored still has `network.revision` (0: must not exist) and its uid, or that of `over`, and answers
   * what was written, with its new revision. `subnet-taken`: another network has a subnet with one of the ids. `event`:
   * of a change that somebody made.
   */
  put(
    network: Network,
    over?: Pick<Network, 'uid'>,
    event?: AuditEvent,
  ): Promise<Network | 'conflict' | 'subnet-taken'>;
  /** Deletes if what is stored still has this uid and revision. */
  remove(network: Pick<Network, 'networkId' | 'uid' | 'revision'>): Promise<'removed' | 'conflict'>;
}

/** What a write of a slot came to, and the network's document after it (`undefined`: there is none). */
export interface SlotWrite<Outcome> {
  readonly outcome: Outcome;
  readonly network: Network | undefined;
}

/** The MAC has this RESERVED slot in the network; confirmed. */
export interface MacHolds {
  readonly kind: 'mac-holds';
  readonly slot: Slot;
}

/** The request made or released this other tenure before. */
export interface RequestKnown {
  readonly kind: 'request-known';
  readonly tenure: Slot | EndedTenure;
}

/**
 * A tenure began. `known`: only then it was found that its request had made another one, which is over: the caller gives
 * it back.
 */
interface Began {
  readonly slot: Slot;
  readonly known?: EndedTenure | undefined;
}

/** What came of an insert. */
export type InsertOutcome =
  | (Began & { readonly kind: 'inserted' })
  /** The address has this slot; confirmed. */
  | { readonly kind: 'taken'; readonly slot: Slot }
  | MacHolds
  | RequestKnown;

/** What came of a replacement. */
export type ReplaceOutcome =
  | (Began & { readonly kind: 'replaced' })
  | { readonly kind: 'conflict' }
  | MacHolds
  | RequestKnown;

/** Which slots to list; what is absent does not matter. */
export interface SlotFilter {
  readonly networkId?: NetworkId | undefined;
  /** Addresses of every network, both included. */
  readonly from?: Ipv4 | undefined;
  readonly to?: Ipv4 | undefined;
  readonly subnetId?: SubnetId | undefined;
  readonly mac?: Mac | undefined;
  readonly owner?: string | undefined;
  readonly state?: Slot['state'] | undefined;
}

/** Some slots in order, and from where to go on (`undefined`: there are no more). */
export interface SlotPage {
  readonly slots: readonly Slot[];
  readonly next: SlotKey | undefined;
}

/** The addresses that are not free. */
export interface SlotStore {
  /** Inserts a slot; its `revision` must be 0. Concurrent inserts share one durable write. */
  insert(slot: Slot): Promise<SlotWrite<InsertOutcome>>;
  /**
   * Overwrites the slot of the same address if that still is of the same tenure, or of `ended`, and its revision
   * `slot.revision`, and answers what was written, with its new revision. `ended` is the tenure that ends by it, put
   * into history first.
   */
  replace(slot: Slot, ended?: EndedTenure): Promise<SlotWrite<ReplaceOutcome>>;
  /**
   * Overwrites the slot of the same tenure, which keeps its MAC, its state and its requests, if its revision still is
   * `slot.revision`; answers what was written.
   */
  amend(slot: Slot, event: AuditEvent): Promise<Slot | 'conflict'>;
  /** Puts the tenure into history and deletes its slot, if that still is its own, QUARANTINED and at this revision. */
  free(ended: EndedTenure, revision: Revision): Promise<'freed' | 'conflict'>;
  get(networkId: NetworkId, address: Ipv4): Promise<Slot | undefined>;
  /** The same, confirmed: it costs a write where others may have written. */
  getConfirmed(networkId: NetworkId, address: Ipv4): Promise<Slot | undefined>;
  /** Every slot of a MAC in a network, in address order; confirmed. */
  findByMac(networkId: NetworkId, mac: Mac): Promise<readonly Slot[]>;
  /** The tenure that this request made or released, wherever it is now; confirmed if there is one. */
  findByRequest(key: RequestKey): Promise<Slot | EndedTenure | undefined>;
  /**
   * Slots after `after` that fit, by network and in address order, at most `limit`. A page may end early, with a `next`,
   * because many were looked at that did not fit.
   */
  list(filter: SlotFilter, after: SlotKey | undefined, limit: number): Promise<SlotPage>;
  /** How many slots a range of a network has, both ends included. */
  count(networkId: NetworkId, from: Ipv4, to: Ipv4): Promise<number>;
  /**
   * The first `limit` slots after `after` that fit, the newest first. It looks at every slot of the network, or of all;
   * `too-long`: until nobody waited any more (`signal`), or for longer than the store lets it.
   */
  newest(
    filter: MomentFilter,
    after: MomentKey | undefined,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly Slot[] | 'too-long'>;
}

/** Which tenures to list by one of their moments; what is absent does not matter. */
export interface MomentFilter {
  readonly moment: TenureMoment;
  readonly networkId?: NetworkId | undefined;
  /** Who made it. */
  readonly caller?: string | undefined;
  /** From then on. */
  readonly since?: WallTime | undefined;
  /** Before then. */
  readonly until?: WallTime | undefined;
}

/** Where a tenure stands in a list by a moment: the newest first, those of one time by id. */
export interface MomentKey {
  readonly time: WallTime;
  readonly reservationId: ReservationId;
}

/** Which ended tenures to list: of an address in a subnet, of a MAC, or of an owner; the rest narrows that down. */
export interface HistoryFilter {
  readonly place?: { readonly subnetId: SubnetId; readonly address: Ipv4 } | undefined;
  readonly mac?: Mac | undefined;
  readonly owner?: string | undefined;
  readonly networkId?: NetworkId | undefined;
  /** Not over by then. */
  readonly endedAfter?: WallTime | undefined;
  /** Begun before then. */
  readonly createdBefore?: WallTime | undefined;
}

/** Where a tenure stands in lists of history: the newest first, those of one moment by id. */
export interface HistoryKey {
  readonly createTime: WallTime;
  readonly reservationId: ReservationId;
}

/** Some tenures in order, and from where to go on (`undefined`: there are no more). */
export interface HistoryPage {
  readonly tenures: readonly EndedTenure[];
  readonly next: HistoryKey | undefined;
}

/** The tenures that are over. */
export interface HistoryStore {
  get(reservationId: ReservationId): Promise<EndedTenure | undefined>;
  /** Tenures after `after` that fit, at most `limit`. A page may end early, as that of slots. */
  list(filter: HistoryFilter, after: HistoryKey | undefined, limit: number): Promise<HistoryPage>;
  /**
   * Tenures after `after` that fit, by a moment, the newest first, at most `limit`. A page may end early. `too-long`: it
   * takes longer than the store lets it.
   */
  newest(filter: MomentFilter, after: MomentKey | undefined, limit: number): Promise<MomentPage | 'too-long'>;
  /** Forgets up to `limit` tenures that ended before a time, with the requests they know; answers how many. */
  prune(endedBefore: WallTime, limit: number): Promise<number>;
}

/** Some tenures by a moment, and from where to go on (`undefined`: there are no more). */
export interface MomentPage {
  readonly tenures: readonly EndedTenure[];
  readonly next: MomentKey | undefined;
}

/** Which audit events to list; what is absent does not matter. */
export interface AuditFilter {
  readonly networkId?: NetworkId | undefined;
  readonly kind?: AuditedKind | undefined;
  readonly resourceId?: string | undefined;
  readonly caller?: string | undefined;
  /** From then on. */
  readonly since?: WallTime | undefined;
  /** Before then. */
  readonly until?: WallTime | undefined;
}

/** Some events, the newest first, and from where to go on (`undefined`: there are no more). */
export interface AuditPage {
  readonly events: readonly AuditEvent[];
  readonly next: AuditKey | undefined;
}

/** The audit events that were stored with their changes. */
export interface AuditStore {
  /** Events after `after` that fit, at most `limit`. A page may end early, as that of slots. */
  list(filter: AuditFilter, after: AuditKey | undefined, limit: number): Promise<AuditPage>;
  /** Forgets up to `limit` events of before a time; answers how many. */
  prune(before: WallTime, limit: number): Promise<number>;
}

/** The hosts. */
export interface HostStore {
  get(hostId: HostId): Promise<Host | undefined>;
  /** Writes if what is stored still has this uid and revision (0: must not exist). `event`: of a change that somebody made. */
  put(host: Host, event?: AuditEvent): Promise<Host | 'conflict'>;
  /** Deletes if what is stored still has this uid and revision. */
  remove(host: Pick<Host, 'hostId' | 'uid' | 'revision'>, event?: AuditEvent): Promise<'removed' | 'conflict'>;
}

/** Who leads, as the store has it. */
export interface HolderRecord {
  /** Made anew by every start of a server; empty: it gave the lead up. */
  readonly instance: string;
  /** Name of the server. */
  readonly server: string;
  /** Grows with every change of the holder. */
  readonly epoch: number;
  /** Where engines, and where agents reach it; empty: it did not say. */
  readonly advertise: string;
  readonly agentAdvertise: string;
  /** Grows with every renewal. */
  readonly beat: number;
}

/** The document that says which of several servers leads (protocol.md §5). */
export interface HolderStore {
  readonly kind: 'shared';
  get(): Promise<HolderRecord | undefined>;
  /** Takes the lead from `seen`, if nothing of it has changed; answers the record that stands afterwards. */
  take(seen: HolderRecord | undefined, mine: Omit<HolderRecord, 'epoch' | 'beat'>): Promise<HolderRecord | undefined>;
  /** Raises the beat, if this record still leads; answers the record that stands afterwards. */
  renew(mine: HolderRecord): Promise<HolderRecord | undefined>;
  /** Empties the instance, if this record still leads: whoever comes next need not wait. */
  giveUp(mine: HolderRecord): Promise<void>;
}

/** The single server of a store leads as long as it has the store. */
export interface ExclusiveHolder {
  readonly kind: 'exclusive';
  /** Grows with every start. */
  readonly epoch: number;
  /** Rejects when the store can no longer be used. */
  confirm(): Promise<void>;
}

/** The store cannot be used now. A write that met this was not done, unless it is the error below. */
export class StoreUnavailableError extends Error {
  override readonly name: string = 'StoreUnavailableError';
}

/** The same, of a write of which nobody knows whether it was done: it failed under way, or was repeated for as long as it may be. */
export class OutcomeUnknownError extends StoreUnavailableError {
  override readonly name = 'OutcomeUnknownError';
}

/** The changes after a position are not known any more. */
export class PositionLostError extends Error {
  override readonly name = 'PositionLostError';
}
