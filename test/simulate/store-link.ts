// A server's store: the one in memory that all servers share, behind exchanges that take time and get lost, and a watch
// that lags behind.
//
//   L1. A write that is repeated finds itself, as those of the MongoDB adapter do (slot-writes.ts W1, resources.ts N1).
//   L2. The watch is a lane: in order, each change once, late while the way is cut, lost when its position is.
//       A snapshot is of one moment and read in parts, each of which takes time; but for that which a server begins with.
//   L3. The writer of a network or a host has its answer after this server's watch showed the change, or a second passed.

import { delay } from '@leasehold/program/clock';
import type { MemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import type {
  Follower,
  HolderStore,
  HostStore,
  NetworkStore,
  Position,
  SlotStore,
  Snapshot,
  Store,
  StoreSettings,
  Subscription,
} from '@leasehold/server/ports/store';
import type { VirtualProcess } from './node.js';
import type { Seeded } from './seeded.js';
import { StoreExchange, type StorePlace } from './store-exchange.js';

const SEEN_WITHIN_MS = 1_000;
// A part of a snapshot takes so long; at times that of a large store.
const PART_MS = 50;
const SLOW_PART_MS = 8_000;
const SLOW_SHARE = 0.3;
/** Of a large one every slot may come so long after the one before it. */
const SLOW_SLOT_MS = 300;

/** A server's store. */
export interface LinkedStore extends Store {
  /** The way on of the watch is lost. */
  loseWatch(): void;
  /** The watch shows nothing from now on, until the answer is called: then all of it. */
  holdWatch(): () => void;
}

/** What a server's store is made with. */
export interface StoreLinkOptions {
  readonly base: MemoryStore;
  readonly place: StorePlace;
  readonly process: VirtualProcess;
  readonly chance: Seeded;
  /** How much later than it is durable the next change is seen. */
  readonly watchLagMs: () => number;
}

/** Opens a server's store. */
export function linkStore(options: StoreLinkOptions): LinkedStore {
  const { base, process, place, chance } = options;
  const exchange = new StoreExchange(process, place, chance);
  const watch = new Watch(options);
  let wasOpened = false;
  // As this server read them last: others change them.
  let settings = settingsOf(base);
  return {
    kind: 'mongodb',
    get settings() {
      return settings;
    },
    async readSettings() {
      settings = await exchange.read(async () => settingsOf(base));
      return settings;
    },
    async lowerAuthorityCeiling() {
      const { authorityS, authorityCeilingS } = settings;
      settings = await exchange.write(async () => {
        const { disk } = base;
        const isStill = disk.authorityS === authorityS && disk.authorityCeilingS === authorityCeilingS;
        if (isStill) disk.authorityCeilingS = authorityS;
        return settingsOf(base);
      });
    },
    holdStill: {
      get: () => exchange.read(() => base.holdStill.get()),
      begin: (because) => exchange.write(() => base.holdStill.begin(because)),
    },
    networks: networkStore(base, exchange, watch),
    slots: slotStore(base, exchange),
    history: {
      get: (id) => exchange.read(() => base.history.get(id)),
      list: (filter, after, limit) => exchange.read(() => base.history.list(filter, after, limit)),
      newest: (filter, after, limit) => exchange.read(() => base.history.newest(filter, after, limit)),
      prune: (endedBefore, limit) => exchange.write(() => base.history.prune(endedBefore, limit)),
    },
    audit: {
      list: (filter, after, limit) => exchange.read(() => base.audit.list(filter, after, limit)),
      prune: (before, limit) => exchange.write(() => base.audit.prune(before, limit)),
    },
    hosts: hostStore(base, exchange, watch),
    holder: holderStore(base, exchange),
    get health() {
      return exchange.health;
    },
    async snapshot() {
      const snapshot = await exchange.read(() => base.snapshot());
      const isFirst = !wasOpened;
      wasOpened = true;
      return isFirst ? snapshot : slowSnapshot(snapshot, exchange, options);
    },
    follow: (after, follower) => watch.follow(after, follower),
    async *changesAfter(position, until) {
      await exchange.read(async () => undefined);
      yield* base.changesAfter(position, until);
    },
    async close() {},
    loseWatch: () => watch.lose(),
    holdWatch: () => watch.hold(),
  };
}

function settingsOf({ settings, disk }: MemoryStore): StoreSettings {
  const { authorityS = settings.authorityS, authorityCeilingS } = disk;
  return { ...settings, authorityS, authorityCeilingS };
}

function slowSnapshot(snapshot: Snapshot, exchange: StoreExchange, { process, chance }: StoreLinkOptions): Snapshot {
  const drawn = chance.of(`snapshot ${snapshot.position}`);
  const slowly = <T>(read: () => AsyncIterable<T>) =>
    (async function* () {
      await delay(process, drawn.between(0, drawn.chance(SLOW_SHARE) ? SLOW_PART_MS : PART_MS));
      await exchange.read(async () => undefined);
      yield* read();
    })();
  const oneByOne = <T>(read: () => AsyncIterable<readonly T[]>) =>
    (async function* () {
      for await (const some of read()) {
        for (const each of some) {
          await delay(process, drawn.between(0, SLOW_SLOT_MS));
          yield [each];
        }
      }
    })();
  const isLarge = drawn.of('slots').chance(SLOW_SHARE);
  return {
    position: snapshot.position,
    networks: () => slowly(() => snapshot.networks()),
    hosts: () => slowly(() => snapshot.hosts()),
    slots: (networkId) => slowly(() => snapshot.slots(networkId)),
    summaries: (networkId) => {
      const summaries = () => snapshot.summaries(networkId);
      return slowly(isLarge ? () => oneByOne(summaries) : summaries);
    },
    close: () => snapshot.close(),
  };
}

function slotStore(base: MemoryStore, exchange: StoreExchange): SlotStore {
  const { slots, disk } = base;
  return {
    insert: (slot) =>
      exchange.write(async () => {
        const there = disk.slot(slot.networkId, slot.address);
        if (there?.reservationId !== slot.reservationId) return slots.insert(slot);
        return { outcome: { kind: 'inserted', slot: there }, network: disk.networks.get(slot.networkId) };
      }),
    replace: (slot, ended) => {
      const mine = new Set<unknown>();
      return exchange.write(async () => {
        const answer = await slots.replace(slot, ended);
        if (answer.outcome.kind === 'replaced') mine.add(answer.outcome.slot);
        if (answer.outcome.kind !== 'conflict') return answer;
        const there = disk.slot(slot.networkId, slot.address);
        const isMine = mine.has(there) || (mine.size > 0 && ended && there?.reservationId === slot.reservationId);
        return there && isMine ? { ...answer, outcome: { kind: 'replaced', slot: there } } : answer;
      });
    },
    amend: (slot, event) => {
      const mine = new Set<unknown>();
      return exchange.write(async () => {
        const answer = await slots.amend(slot, event);
        if (answer !== 'conflict') mine.add(answer);
        const there = disk.slot(slot.networkId, slot.address);
        return answer === 'conflict' && there && mine.has(there) ? there : answer;
      });
    },
    free: (ended, revision) =>
      exchange.write(async (attempt) => {
        const answer = await slots.free(ended, revision);
        if (answer === 'freed' || attempt === 1 || !disk.history.has(ended.reservationId)) return answer;
        const there = disk.slot(ended.networkId, ended.address);
        return there?.reservationId === ended.reservationId ? answer : 'freed';
      }),
    get: (networkId, address) => exchange.read(() => slots.get(networkId, address)),
    getConfirmed: (networkId, address) => exchange.read(() => slots.getConfirmed(networkId, address)),
    findByMac: (networkId, mac) => exchange.read(() => slots.findByMac(networkId, mac)),
    findByRequest: (key) => exchange.read(() => slots.findByRequest(key)),
    list: (filter, after, limit) => exchange.read(() => slots.list(filter, after, limit)),
    count: (networkId, from, to) => exchange.read(() => slots.count(networkId, from, to)),
    newest: (filter, after, limit) => exchange.read(() => slots.newest(filter, after, limit)),
  };
}

function networkStore({ networks, disk }: MemoryStore, exchange: StoreExchange, watch: Watch): NetworkStore {
  return {
    get: (networkId) => exchange.read(() => networks.get(networkId)),
    findBySubnet: (subnetId) => exchange.read(() => networks.findBySubnet(subnetId)),
    put: (network, over, event) => {
      const mine = new Set<unknown>();
      return watch.seen(
        (answer) => typeof answer === 'object',
        () =>
          exchange.write(async () => {
            const answer = await networks.put(network, over, event);
            if (typeof answer === 'object') mine.add(answer);
            const there = disk.networks.get(network.networkId);
            return answer === 'conflict' && there && mine.has(there) ? there : answer;
          }),
      );
    },
    remove: (network) =>
      watch.seen(
        (answer) => answer === 'removed',
        () =>
          exchange.write(async (attempt) => {
            const answer = await networks.remove(network);
            if (answer === 'removed' || attempt === 1) return answer;
            return disk.networks.get(network.networkId)?.uid === network.uid ? answer : 'removed';
          }),
      ),
  };
}

function hostStore({ hosts, disk }: MemoryStore, exchange: StoreExchange, watch: Watch): HostStore {
  return {
    get: (hostId) => exchange.read(() => hosts.get(hostId)),
    put: (host, event) => {
      const mine = new Set<unknown>();
      return watch.seen(
        (answer) => typeof answer === 'object',
        () =>
          exchange.write(async () => {
            const answer = await hosts.put(host, event);
            if (typeof answer === 'object') mine.add(answer);
            const there = disk.hosts.get(host.hostId);
            return answer === 'conflict' && there && mine.has(there) ? there : answer;
          }),
      );
    },
    remove: (host, event) =>
      watch.seen(
        (answer) => answer === 'removed',
        () =>
          exchange.write(async (attempt) => {
            const answer = await hosts.remove(host, event);
            if (answer === 'removed' || attempt === 1) return answer;
            return disk.hosts.get(host.hostId)?.uid === host.uid ? answer : 'removed';
          }),
      ),
  };
}

function holderStore({ holder }: MemoryStore, exchange: StoreExchange): HolderStore {
  if (holder.kind !== 'shared') throw new Error('The store in memory is not shared');
  return {
    kind: 'shared',
    get: () => exchange.read(() => holder.get()),
    take: (seen, mine) => exchange.write(() => holder.take(seen, mine)),
    renew: (mine) => exchange.write(() => holder.renew(mine)),
    giveUp: (mine) => exchange.write(() => holder.giveUp(mine)),
  };
}

/** The watch of one server. */
class Watch {
  readonly #options: StoreLinkOptions;
  readonly #losing = new Set<() => void>();
  #shown: Position;
  #waiting: { readonly position: Position; readonly done: () => void }[] = [];
  /** What it does not show yet, while it is held. */
  #held: (() => void)[] | undefined;

  constructor(options: StoreLinkOptions) {
    this.#options = options;
    this.#shown = options.base.disk.position;
  }

  follow(after: Position, { changed, lost }: Follower): Subscription {
    const { base, process, place, watchLagMs } = this.#options;
    const lane = place.network.lane(place.machine, process.machine, watchLagMs);
    let isOpen = true;
    const close = () => {
      isOpen = false;
      subscription.close();
      lane.close();
      this.#losing.delete(lose);
    };
    const lose = () => {
      if (!isOpen) return;
      close();
      lost('the changes were forgotten');
    };
    const subscription = base.follow(after, {
      changed: (changes) =>
        lane.push(() =>
          this.#whenShown(() => {
            if (!isOpen) return;
            changed(changes);
            this.#show(changes.at(-1)?.position);
          }),
        ),
      lost: () => lane.push(() => process.arrive(lose)),
    });
    this.#losing.add(lose);
    process.onKill(close);
    return { close };
  }

  lose(): void {
    const { process } = this.#options;
    for (const lose of [...this.#losing]) process.arrive(lose);
  }

  hold(): () => void {
    this.#held ??= [];
    return () => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const show of held) this.#options.process.arrive(show);
    };
  }

  #whenShown(show: () => void): void {
    if (this.#held) this.#held.push(show);
    else this.#options.process.arrive(show);
  }

  #show(position: Position | undefined): void {
    if (position === undefined) return;
    this.#shown = position;
    const due = this.#waiting.filter((each) => each.position <= position);
    this.#waiting = this.#waiting.filter((each) => each.position > position);
    for (const { done } of due) done();
  }

  /** Writes, and answers when this server saw what was written, or a second passed. */
  async seen<T>(isWritten: (answer: T) => boolean, write: () => Promise<T>): Promise<T> {
    const { base, process } = this.#options;
    const answer = await write();
    // No earlier than the change itself; a later one only makes it wait longer.
    const { position } = base.disk;
    if (!isWritten(answer) || this.#shown >= position) return answer;
    await new Promise<void>((resolve) => {
      const timer = process.after(SEEN_WITHIN_MS, resolve);
      const done = () => {
        timer.cancel();
        resolve();
      };
      this.#waiting.push({ position, done });
    });
    return answer;
  }
}
