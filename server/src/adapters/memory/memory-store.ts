// The store port in memory, for simulations and for speed. What survives a "restart" is its disk, an argument; several
// stores may be open on one disk, as several servers share one database.
//
//   M1. Writes are decided, told to the followers and resolved one after another, in the order of the calls, each
//       `writeDelayMs` after the one before it or after its call, whichever is later.
//   M2. A write that `fail` or `close` meets before its time has not happened.
//   M3. With `watchLagMs` followers hear a change that much later, and only the writer of a network or a host waits.

import { type Clock, delay } from '@leasehold/program/clock';
import { inAuditOrder, momentEventId } from '../../domain/audit.js';
import type { Change } from '../../domain/change.js';
import { joined } from '../../domain/hold-still.js';
import { isStill, type Revision } from '../../domain/ids.js';
import type { EndedTenure, Slot, Tenure } from '../../domain/slot.js';
import {
  type AuditStore,
  type ExclusiveHolder,
  type Follower,
  type HistoryFilter,
  type HistoryKey,
  type HistoryStore,
  type HolderRecord,
  type HolderStore,
  type HostStore,
  type MomentFilter,
  type MomentKey,
  type NetworkStore,
  type Position,
  type PositionedChange,
  PositionLostError,
  type SlotFilter,
  type SlotStore,
  type Snapshot,
  type Store,
  type StoreSettings,
  StoreUnavailableError,
  type Subscription,
} from '../../ports/store.js';
import { MemoryDisk } from './memory-disk.js';

const SCAN_BATCH = 1_000;
const DAY_S = 24 * 3600;

/** How long things take. */
export interface StoreDelay {
  readonly clock: Clock;
  readonly writeDelayMs: number;
  readonly watchLagMs?: number;
  /** How much later still followers hear of what changes now: for that no writer waits. */
  readonly behindMs?: () => number;
}

/** How a memory store behaves. */
export interface MemoryStoreOptions {
  readonly disk?: MemoryDisk;
  /** Lets writes, and the watch, take time on this clock; without it nothing takes time. */
  readonly delay?: StoreDelay;
  readonly authorityS?: number;
  /** Whether other stores may be open on the disk, so that their servers elect a holder. */
  readonly shared?: boolean;
}

/** A store in memory, which can be made to fail. */
export interface MemoryStore extends Store {
  readonly disk: MemoryDisk;
  /** From now on every call rejects, those under way included. */
  fail(cause: Error): void;
}

/** Opens a store on a disk in memory, a new one unless it is given. */
export function openMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const disk = options.disk ?? new MemoryDisk();
  const journal = new Journal(disk, options.delay);
  const { authorityS } = options;
  disk.authorityS = authorityS ?? disk.authorityS ?? DAY_S;
  disk.authorityCeilingS = Math.max(disk.authorityS, disk.authorityCeilingS);
  const read = (): StoreSettings => {
    const { authorityS: now = DAY_S, authorityCeilingS } = disk;
    return { storeUid: 'memory', incarnation: disk.incarnation, schema: 1, authorityS: now, authorityCeilingS };
  };
  let settings = read();
  return {
    kind: 'memory',
    get settings() {
      return settings;
    },
    async readSettings() {
      journal.check();
      settings = read();
      return settings;
    },
    async lowerAuthorityCeiling() {
      const seen = settings;
      await journal.write(() => {
        const isStill = disk.authorityS === seen.authorityS && disk.authorityCeilingS === seen.authorityCeilingS;
        if (isStill) disk.authorityCeilingS = seen.authorityS;
      });
      settings = read();
    },
    holdStill: {
      async get() {
        journal.check();
        return disk.holdStill;
      },
      begin: (because) =>
        journal.write(() => {
          disk.holdStill = joined(disk.holdStill, because);
          return disk.holdStill;
        }),
    },
    disk,
    networks: networkStore(disk, journal),
    slots: slotStore(disk, journal),
    history: historyStore(disk, journal),
    audit: auditStore(disk, journal),
    hosts: hostStore(disk, journal),
    holder: options.shared ? sharedHolder(disk, journal) : exclusiveHolder(disk, journal),
    health: { breaker: undefined, unavailableSince: undefined },
    async snapshot() {
      journal.check();
      return snapshotOf(disk);
    },
    follow: (after, follower) => journal.follow(after, follower),
    async *changesAfter(position) {
      journal.check();
      if (!disk.knows(position)) throw new PositionLostError('The changes were forgotten');
      for (const change of disk.log) if (change.position > position) yield [change];
    },
    close: () => journal.close(),
    fail: (cause) => journal.refuse(`The store failed: ${cause.message}`),
  };
}

/** Orders the writes. */
class Journal {
  readonly #disk: MemoryDisk;
  readonly #delay: MemoryStoreOptions['delay'];
  readonly #unlisten = new Set<() => void>();
  #last: Promise<unknown> = Promise.resolve();
  #closing = false;
  #refusal: StoreUnavailableError | undefined;

  constructor(disk: MemoryDisk, delay: MemoryStoreOptions['delay']) {
    this.#disk = disk;
    this.#delay = delay;
  }

  check(): void {
    if (this.#refusal) throw this.#refusal;
    if (this.#closing) throw new StoreUnavailableError('The store is closed');
  }

  refuse(message: string): void {
    this.#refusal ??= new StoreUnavailableError(message);
    for (const unlisten of this.#unlisten) unlisten();
  }

  follow(after: Position, { changed, lost }: Follower): Subscription {
    const lagMs = this.#delay?.watchLagMs;
    let isOpen = true;
    let heardMs = Number.NEGATIVE_INFINITY;
    const hear = (changes: readonly PositionedChange[]) => {
      if (!this.#delay || lagMs === undefined) {
        changed(changes);
        return;
      }
      const { clock, behindMs = () => 0 } = this.#delay;
      heardMs = Math.max(heardMs, clock.now() + lagMs + behindMs());
      clock.after(heardMs - clock.now(), () => isOpen && changed(changes));
    };
    const unlisten = this.#disk.listen(hear);
    this.#unlisten.add(unlisten);
    if (!this.#disk.knows(after)) queueMicrotask(() => isOpen && lost('the changes were forgotten'));
    const missed = this.#disk.log.filter(({ position }) => position > after);
    if (missed.length > 0) hear(missed);
    return {
      close: () => {
        isOpen = false;
        unlisten();
        this.#unlisten.delete(unlisten);
      },
    };
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#last;
    this.refuse('The store is closed');
  }

  /** Writes documents of which servers see what they wrote themselves. */
  async writeSeen<T>(decide: (changes: Change[]) => T): Promise<T> {
    const answer = await this.write(decide);
    if (this.#delay?.watchLagMs !== undefined) await delay(this.#delay.clock, this.#delay.watchLagMs);
    return answer;
  }

  write<T>(decide: (changes: Change[]) => T): Promise<T> {
    const done = this.#begin(decide, this.#last);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #begin<T>(decide: (changes: Change[]) => T, before: Promise<unknown>): Promise<T> {
    this.check();
    await Promise.all([before, this.#delay && delay(this.#delay.clock, this.#delay.writeDelayMs)]);
    if (this.#refusal) throw this.#refusal;
    const changes: Change[] = [];
    const answer = decide(changes);
    this.#disk.commit(changes);
    return answer;
  }
}

function nextRevision<T extends { readonly revision: Revision }>(document: T): T {
  return { ...document, revision: (document.revision + 1) as Revision };
}

function networkStore(disk: MemoryDisk, journal: Journal): NetworkStore {
  return {
    async get(networkId) {
      journal.check();
      return disk.networks.get(networkId);
    },
    async findBySubnet(subnetId) {
      journal.check();
      return [...disk.networks.values()].find((each) => each.subnets.some((subnet) => subnet.subnetId === subnetId));
    },
    put: (network, over = network, event) =>
      journal.writeSeen((changes) => {
        const before = disk.networks.get(network.networkId);
        if (!isStill(before, { uid: over.uid, revision: network.revision })) return 'conflict';
        const ids = new Set(network.subnets.map(({ subnetId }) => subnetId));
        const others = [...disk.networks.values()].filter(({ networkId }) => networkId !== network.networkId);
        if (others.some(({ subnets }) => subnets.some(({ subnetId }) => ids.has(subnetId)))) return 'subnet-taken';
        const written = nextRevision(network);
        disk.networks.set(network.networkId, written);
        disk.putEvent(event);
        changes.push({ kind: 'network', network: written, ...(before ? { before } : {}) });
        return written;
      }),
    remove: (network) =>
      journal.writeSeen((changes) => {
        const { networkId } = network;
        const before = disk.networks.get(networkId);
        if (!before || !isStill(before, network)) return 'conflict';
        disk.networks.delete(networkId);
        changes.push({ kind: 'network-gone', networkId, before });
        return 'removed';
      }),
  };
}

function hostStore(disk: MemoryDisk, journal: Journal): HostStore {
  return {
    async get(hostId) {
      journal.check();
      return disk.hosts.get(hostId);
    },
    put: (host, event) =>
      journal.writeSeen((changes) => {
        const before = disk.hosts.get(host.hostId);
        if (!isStill(before, host)) return 'conflict';
        const written = nextRevision(host);
        disk.hosts.set(host.hostId, written);
        disk.putEvent(event);
        changes.push({ kind: 'host', host: written, ...(before ? { before } : {}) });
        return written;
      }),
    remove: (host, event) =>
      journal.writeSeen((changes) => {
        const { hostId } = host;
        const before = disk.hosts.get(hostId);
        if (!before || !isStill(before, host)) return 'conflict';
        disk.hosts.delete(hostId);
        disk.putEvent(event);
        changes.push({ kind: 'host-gone', hostId, before });
        return 'removed';
      }),
  };
}

function slotStore(disk: MemoryDisk, journal: Journal): SlotStore {
  const otherReserved = (slot: Slot) =>
    slot.state === 'reserved'
      ? disk.byMac(slot.networkId, slot.mac).find((each) => each.state === 'reserved' && each.address !== slot.address)
      : undefined;
  const knownRequest = ({ request, releaseRequest, reservationId }: Slot) =>
    [request, releaseRequest]
      .map((key) => key && disk.byRequest(key))
      .find((tenure) => tenure !== undefined && tenure.reservationId !== reservationId);
  return {
    ...slotReads(disk, journal),
    insert: (slot) =>
      journal.write((changes) => {
        const network = disk.networks.get(slot.networkId);
        const known = knownRequest(slot);
        if (known) return { outcome: { kind: 'request-known', tenure: known }, network };
        const taken = disk.slot(slot.networkId, slot.address);
        if (taken) return { outcome: { kind: 'taken', slot: taken }, network };
        const held = otherReserved(slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        return { outcome: { kind: 'inserted', slot: disk.putSlot(slot, changes) }, network };
      }),
    replace: (slot, ended) =>
      journal.write((changes) => {
        const network = disk.networks.get(slot.networkId);
        const before = disk.slot(slot.networkId, slot.address);
        const { reservationId } = ended ?? slot;
        if (before?.revision !== slot.revision || before.reservationId !== reservationId) {
          return { outcome: { kind: 'conflict' }, network };
        }
        const known = knownRequest(slot);
        if (known) return { outcome: { kind: 'request-known', tenure: known }, network };
        const held = otherReserved(slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        if (ended) disk.putEnded(ended);
        return { outcome: { kind: 'replaced', slot: disk.putSlot(slot, changes) }, network };
      }),
    amend: (slot, event) =>
      journal.write((changes) => {
        const before = disk.slot(slot.networkId, slot.address);
        if (before?.revision !== slot.revision || before.reservationId !== slot.reservationId) return 'conflict';
        disk.putEvent(event);
        return disk.putSlot(slot, changes);
      }),
    free: (ended, revision) =>
      journal.write((changes) => {
        const slot = disk.slot(ended.networkId, ended.address);
        const isStill = slot?.revision === revision && slot.reservationId === ended.reservationId;
        if (!isStill || slot.state !== 'quarantined') return 'conflict';
        disk.putEnded(ended);
        disk.deleteSlot(slot, changes);
        return 'freed';
      }),
  };
}

function slotReads(disk: MemoryDisk, journal: Journal): Omit<SlotStore, 'insert' | 'replace' | 'amend' | 'free'> {
  const get: SlotStore['get'] = async (networkId, address) => {
    journal.check();
    return disk.slot(networkId, address);
  };
  return {
    get,
    getConfirmed: get,
    async findByMac(networkId, mac) {
      journal.check();
      return disk.byMac(networkId, mac);
    },
    async findByRequest(key) {
      journal.check();
      return disk.byRequest(key);
    },
    async list(filter, after, limit) {
      journal.check();
      const all = disk.slotsInOrder(filter.networkId).filter((slot) => fits(slot, filter));
      const rest = all.filter((slot) => !after || isAfter(slot, after));
      const slots = rest.slice(0, limit);
      return { slots, next: rest.length > limit ? slots.at(-1) : undefined };
    },
    async count(networkId, from, to) {
      journal.check();
      return disk.slotsInOrder(networkId).filter(({ address }) => address >= from && address <= to).length;
    },
    async newest(filter, after, limit) {
      journal.check();
      return ofMoment(disk.slotsInOrder(filter.networkId), filter, after).slice(0, limit);
    },
  };
}

function fits(slot: Slot, { networkId, from, to, subnetId, mac, owner, state }: SlotFilter): boolean {
  return (
    (networkId === undefined || slot.networkId === networkId) &&
    (from === undefined || slot.address >= from) &&
    (to === undefined || slot.address <= to) &&
    (subnetId === undefined || slot.subnetId === subnetId) &&
    (mac === undefined || slot.mac === mac) &&
    (owner === undefined || slot.owner === owner) &&
    (state === undefined || slot.state === state)
  );
}

function isAfter(slot: Pick<Slot, 'networkId' | 'address'>, after: Pick<Slot, 'networkId' | 'address'>): boolean {
  if (slot.networkId !== after.networkId) return slot.networkId > after.networkId;
  return slot.address > after.address;
}

function historyStore(disk: MemoryDisk, journal: Journal): HistoryStore {
  return {
    async get(reservationId) {
      journal.check();
      return disk.history.get(reservationId);
    },
    async list(filter, after, limit) {
      journal.check();
      const all = [...disk.history.values()].filter((tenure) => wasSo(tenure, filter)).sort(newestFirst);
      const rest = all.filter((tenure) => !after || newestFirst(after, tenure) < 0);
      const tenures = rest.slice(0, limit);
      return { tenures, next: rest.length > limit ? tenures.at(-1) : undefined };
    },
    async newest(filter, after, limit) {
      journal.check();
      const rest = ofMoment([...disk.history.values()], filter, after);
      const tenures = rest.slice(0, limit);
      const last = rest.length > limit ? tenures.at(-1) : undefined;
      const time = last?.[filter.moment];
      return { tenures, next: last && time !== undefined ? { time, reservationId: last.reservationId } : undefined };
    },
    prune: (endedBefore, limit) =>
      journal.write(() => {
        const over = [...disk.history.values()].filter(({ endTime }) => endTime < endedBefore).slice(0, limit);
        for (const ended of over) disk.forgetEnded(ended);
        return over.length;
      }),
  };
}

/** Those that fit, in the order of their moment, after a key. */
function ofMoment<T extends Tenure>(tenures: readonly T[], filter: MomentFilter, after: MomentKey | undefined): T[] {
  const { moment, networkId, caller, since = 0, until = Number.POSITIVE_INFINITY } = filter;
  const key = (tenure: Tenure) => ({
    time: tenure[moment] ?? tenure.createTime,
    eventId: momentEventId(moment, tenure),
  });
  const from = after && { time: after.time, eventId: momentEventId(moment, after) };
  return tenures
    .filter((tenure) => {
      const time = tenure[moment];
      const by = moment === 'createTime' ? tenure.createdBy : tenure.releasedBy;
      return (
        time !== undefined &&
        time >= since &&
        time < until &&
        (networkId === undefined || tenure.networkId === networkId) &&
        (caller === undefined || by === caller) &&
        (!from || inAuditOrder(from, key(tenure)) < 0)
      );
    })
    .sort((a, b) => inAuditOrder(key(a), key(b)));
}

function auditStore(disk: MemoryDisk, journal: Journal): AuditStore {
  return {
    async list({ networkId, kind, resourceId, caller, since = 0, until = Number.POSITIVE_INFINITY }, after, limit) {
      journal.check();
      const rest = [...disk.audit.values()]
        .filter(
          (event) =>
            event.time >= since &&
            event.time < until &&
            (networkId === undefined || event.networkId === networkId) &&
            (kind === undefined || event.kind === kind) &&
            (resourceId === undefined || event.resourceId === resourceId) &&
            (caller === undefined || event.caller === caller) &&
            (!after || inAuditOrder(after, event) < 0),
        )
        .sort(inAuditOrder);
      const events = rest.slice(0, limit);
      return { events, next: rest.length > limit ? events.at(-1) : undefined };
    },
    prune: (before, limit) =>
      journal.write(() => {
        const over = [...disk.audit.values()].filter(({ time }) => time < before).slice(0, limit);
        for (const { eventId } of over) disk.audit.delete(eventId);
        return over.length;
      }),
  };
}

function wasSo(tenure: EndedTenure, filter: HistoryFilter): boolean {
  const { place, mac, owner, networkId, endedAfter, createdBefore } = filter;
  return (
    (place === undefined || (tenure.subnetId === place.subnetId && tenure.address === place.address)) &&
    (mac === undefined || tenure.mac === mac) &&
    (owner === undefined || tenure.owner === owner) &&
    (networkId === undefined || tenure.networkId === networkId) &&
    (endedAfter === undefined || tenure.endTime > endedAfter) &&
    (createdBefore === undefined || tenure.createTime < createdBefore)
  );
}

function newestFirst(a: HistoryKey, b: HistoryKey): number {
  if (a.createTime !== b.createTime) return b.createTime - a.createTime;
  return a.reservationId < b.reservationId ? -1 : a.reservationId > b.reservationId ? 1 : 0;
}

function exclusiveHolder(disk: MemoryDisk, journal: Journal): ExclusiveHolder {
  const epoch = ++disk.starts;
  return {
    kind: 'exclusive',
    epoch,
    async confirm() {
      journal.check();
    },
  };
}

function sharedHolder(disk: MemoryDisk, journal: Journal): HolderStore {
  const leads = ({ instance, epoch }: HolderRecord) =>
    disk.holder?.instance === instance && disk.holder.epoch === epoch;
  return {
    kind: 'shared',
    async get() {
      journal.check();
      return disk.holder;
    },
    take: (seen, mine) =>
      journal.write(() => {
        const { holder } = disk;
        if (holder?.epoch !== seen?.epoch || holder?.beat !== seen?.beat) return holder;
        disk.holder = { ...mine, epoch: (seen?.epoch ?? 0) + 1, beat: 0 };
        return disk.holder;
      }),
    renew: (mine) =>
      journal.write(() => {
        if (leads(mine)) disk.holder = { ...mine, beat: (disk.holder?.beat ?? 0) + 1 };
        return disk.holder;
      }),
    giveUp: (mine) =>
      journal.write(() => {
        if (leads(mine)) disk.holder = { ...mine, instance: '' };
      }),
  };
}

function snapshotOf(disk: MemoryDisk): Snapshot {
  const { position } = disk;
  const [networks, hosts, slots] = [[...disk.networks.values()], [...disk.hosts.values()], disk.slotsInOrder()];
  const batches: Snapshot['slots'] = async function* (networkId) {
    const wanted = slots.filter((slot) => networkId === undefined || slot.networkId === networkId);
    for (let i = 0; i < wanted.length; i += SCAN_BATCH) yield wanted.slice(i, i + SCAN_BATCH);
  };
  return {
    position,
    async *networks() {
      yield* networks.sort((a, b) => (a.networkId < b.networkId ? -1 : 1));
    },
    async *hosts() {
      yield* hosts.sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
    },
    slots: batches,
    summaries: batches,
    async close() {},
  };
}
