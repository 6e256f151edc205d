// What this server knows of the store, in memory: networks, hosts, and which addresses are not free.
//
//   V1. It is fed by the store's watch alone, after one snapshot. It may lag; every write is compared by the store.
//   V2. Listeners hear every change once, after the view holds it, in the order of the writes.
//   V3. A watch that was lost is made good by another snapshot: listeners then hear what is there now, what is gone, and
//       go on.
//       Meanwhile it shows networks before their slots, so that slots may be older than a claim that is shown.
//   V4. `learn` makes room for the addresses of subnets that the watch did not show yet, and tells nobody.

import { type Clock, delay } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { Ipv4 } from '@leasehold/proto/values';
import type { Change } from '../domain/change.js';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, Revision, SubnetId } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import { Occupancy } from '../domain/occupancy.js';
import type { SlotSummary } from '../domain/slot.js';
import type { Metrics } from '../ports/metrics.js';
import {
  type Position,
  type PositionedChange,
  type Snapshot,
  type Store,
  StoreUnavailableError,
  type Subscription,
} from '../ports/store.js';
import { KeyedQueue } from './keyed-queue.js';

/** What the view took over: a change, or a slot as a snapshot has it. */
export type Shown = Exclude<Change, { readonly kind: 'slot' }> | { readonly kind: 'slot'; readonly slot: SlotSummary };

/** Hears what the view took over. */
export type ViewListener = (shown: Shown) => void;

/** Hears the changes of the watch as they came, before the view holds them. */
export interface ChangeListener {
  /** Every change after this position will be heard. */
  began(position: Position): void;
  changed(changes: readonly PositionedChange[]): void;
  /** Changes are missed, until it begins anew. */
  lost(): void;
}

/** What a view is made with. */
export interface ViewOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly metrics: Metrics;
  /** They hear all that is there, too. */
  readonly listeners?: readonly ViewListener[];
}

const READ_AGAIN_MS = 1_000;

type ShownSlot = Extract<Shown, { readonly kind: 'slot' | 'slot-gone' }>;

/** What this server knows of the store. */
export class View {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #entropy: Entropy;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #networks = new Map<NetworkId, Network>();
  readonly #networkOfSubnet = new Map<SubnetId, NetworkId>();
  readonly #hosts = new Map<HostId, Host>();
  readonly #occupancy = new Map<NetworkId, Occupancy>();
  readonly #learned = new Map<NetworkId, Revision>();
  readonly #listeners: Set<ViewListener>;
  readonly #changeListeners = new Set<ChangeListener>();
  readonly #rescans = new KeyedQueue();
  /** Slots that a rescan found to be gone; the watch, or a snapshot in its place, will show that to listeners. */
  readonly #untold = new Set<string>();
  readonly #heardDuringRescan = new Map<NetworkId, ShownSlot[]>();
  #subscription: Subscription | undefined;
  #position = '' as Position;
  #isReading = true;
  #isClosed = false;

  private constructor({ store, clock, entropy, log, metrics, listeners = [] }: ViewOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#entropy = entropy;
    this.#log = log;
    this.#metrics = metrics;
    this.#listeners = new Set(listeners);
  }

  /** Opens a view that holds everything the store holds; a store that goes away meanwhile is waited for. */
  static async open(options: ViewOptions): Promise<View> {
    const view = new View(options);
    await view.#read((snapshot) => view.#load(snapshot));
    return view;
  }

  async #load(snapshot: Snapshot): Promise<void> {
    for await (const network of snapshot.networks()) this.#apply({ kind: 'network', network });
    for await (const host of snapshot.hosts()) this.#apply({ kind: 'host', host });
    for await (const slots of snapshot.summaries()) {
      const nowMs = this.#clock.now();
      for (const slot of slots) this.#apply({ kind: 'slot', slot }, nowMs);
    }
  }

  #follow({ position }: Snapshot): void {
    this.#position = position;
    this.#isReading = false;
    for (const listener of this.#changeListeners) listener.began(position);
    this.#subscription = this.#store.follow(position, {
      changed: (changes) => {
        this.#position = changes.at(-1)?.position ?? this.#position;
        for (const listener of this.#changeListeners) listener.changed(changes);
        const nowMs = this.#clock.now();
        for (const change of changes) {
          if (change.kind === 'slot') this.occupancy(change.slot.networkId).markSeen(change.slot.address);
          this.#apply(change, nowMs);
        }
      },
      lost: (reason) => {
        this.#isReading = true;
        this.#metrics.count('watchLost');
        this.#log.error('the watch of the store was lost, reading everything again', { reason });
        for (const listener of this.#changeListeners) listener.lost();
        this.#loadAgain().catch((error: unknown) =>
          this.#log.error('the store cannot be read, by a defect', { error }),
        );
      },
    });
  }

  async #loadAgain(): Promise<void> {
    await this.#read((snapshot) => this.#replaceBy(snapshot));
    this.#log.info('the store was read again');
  }

  /** Takes in a snapshot, by `take` or again while the store is away, and follows what comes after it. */
  async #read(take: (snapshot: Snapshot) => Promise<void>): Promise<void> {
    for (let next = take; !this.#isClosed; next = (snapshot) => this.#replaceBy(snapshot)) {
      try {
        const snapshot = await this.#store.snapshot();
        try {
          await next(snapshot);
          if (!this.#isClosed) this.#follow(snapshot);
        } finally {
          await snapshot.close();
        }
        return;
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error;
        this.#log.warn('the store cannot be read yet', { error: error.message });
        await delay(this.#clock, READ_AGAIN_MS);
      }
    }
  }

  /** Takes in all that is there, and that the rest is gone. */
  async #replaceBy(snapshot: Snapshot): Promise<void> {
    const shown = [...this.#occupancy].flatMap(([id, each]) => [...each.occupied()].map((at) => key(id, at)));
    const gone = new Set([...shown, ...this.#untold]);
    const networks = new Set(this.#networks.keys());
    const hosts = new Set(this.#hosts.keys());
    for await (const network of snapshot.networks()) {
      const { networkId, uid } = network;
      networks.delete(networkId);
      // The end of what was there before comes first, as the watch would have shown it.
      if ((this.#networks.get(networkId)?.uid ?? uid) !== uid) this.#apply({ kind: 'network-gone', networkId });
      this.#apply({ kind: 'network', network });
    }
    for await (const host of snapshot.hosts()) {
      const { hostId, uid } = host;
      hosts.delete(hostId);
      if ((this.#hosts.get(hostId)?.uid ?? uid) !== uid) this.#apply({ kind: 'host-gone', hostId });
      this.#apply({ kind: 'host', host });
    }
    for await (const slots of snapshot.summaries()) {
      for (const slot of slots) {
        gone.delete(key(slot.networkId, slot.address));
        this.#apply({ kind: 'slot', slot });
      }
    }
    for (const each of gone) this.#apply({ kind: 'slot-gone', ...parseKey(each) });
    for (const networkId of networks) this.#apply({ kind: 'network-gone', networkId });
    for (const hostId of hosts) this.#apply({ kind: 'host-gone', hostId });
  }

  /** Calls `listener` with everything that is taken over from now on. */
  listen(listener: ViewListener): Subscription {
    const own: ViewListener = (shown) => listener(shown);
    this.#listeners.add(own);
    return { close: () => void this.#listeners.delete(own) };
  }

  /** Calls `listener` with every change from now on, before the view holds it. */
  listenToChanges(listener: ChangeListener): Subscription {
    this.#changeListeners.add(listener);
    return { close: () => void this.#changeListeners.delete(listener) };
  }

  /** Up to where it followed the store. */
  get position(): Position {
    return this.#position;
  }

  /** Whether it reads everything again; change listeners hear when that is over. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Stops following the store. */
  close(): void {
    this.#isClosed = true;
    this.#subscription?.close();
  }

  /** Every network, tombstones of deleted ones included, in no order. */
  get networks(): ReadonlyMap<NetworkId, Network> {
    return this.#networks;
  }

  /** Every host, in no order. */
  get hosts(): ReadonlyMap<HostId, Host> {
    return this.#hosts;
  }

  /** A network that is not deleted. */
  network(networkId: NetworkId): Network | undefined {
    const network = this.#networks.get(networkId);
    return network?.deleted ? undefined : network;
  }

  /** A subnet with its network. */
  subnet(subnetId: SubnetId): { readonly network: Network; readonly subnet: Subnet } | undefined {
    const networkId = this.#networkOfSubnet.get(subnetId);
    const network = networkId && this.#networks.get(networkId);
    const subnet = network?.subnets.find((each) => each.subnetId === subnetId);
    return network && subnet && { network, subnet };
  }

  /** Where addresses may not be free: also networks that are gone, of which a slot was seen since. */
  get occupiedNetworks(): Iterable<NetworkId> {
    return this.#occupancy.keys();
  }

  /** Which addresses of a network are not free. */
  occupancy(networkId: NetworkId): Occupancy {
    let occupancy = this.#occupancy.get(networkId);
    if (!occupancy) {
      occupancy = new Occupancy(() => this.#entropy.random());
      this.#occupancy.set(networkId, occupancy);
    }
    return occupancy;
  }

  /** Makes room for the subnets of a network as it was read from the store, which the watch may not have shown yet. */
  learn(network: Network): void {
    const { networkId, uid, revision } = network;
    const shown = this.#networks.get(networkId);
    const known = Math.max(shown?.revision ?? 0, this.#learned.get(networkId) ?? 0);
    if (revision <= known && shown?.uid === uid) return;
    this.#learned.set(networkId, revision);
    this.occupancy(networkId).setSubnets(network);
  }

  /** Reads every slot of a network again, because the view may have missed something. */
  rescan(networkId: NetworkId): Promise<void> {
    // One at a time: the changes heard during a scan belong to that scan.
    return this.#rescans.run(networkId, async () => {
      const heard: ShownSlot[] = [];
      this.#heardDuringRescan.set(networkId, heard);
      try {
        const slots: SlotSummary[] = [];
        const snapshot = await this.#store.snapshot();
        try {
          for await (const batch of snapshot.summaries(networkId)) slots.push(...batch);
        } finally {
          await snapshot.close();
        }
        const occupancy = this.occupancy(networkId);
        const before = new Set(occupancy.occupied());
        occupancy.rescanned(slots, this.#clock.now());
        // Without these the older scan would stand for ever where it overtook the watch.
        for (const change of heard) this.#applySlot(change, this.#clock.now());
        for (const address of occupancy.occupied()) before.delete(address);
        for (const address of before) this.#untold.add(key(networkId, address));
      } finally {
        this.#heardDuringRescan.delete(networkId);
      }
    });
  }

  #applySlot(change: ShownSlot, nowMs: number): void {
    if (change.kind === 'slot') this.occupancy(change.slot.networkId).setSlot(change.slot, nowMs);
    else this.occupancy(change.networkId).removeSlot(change.address);
  }

  #apply(shown: Shown, nowMs = this.#clock.now()): void {
    switch (shown.kind) {
      case 'network':
        this.#setNetwork(shown.network);
        break;
      case 'network-gone':
        this.#dropSubnets(shown.networkId);
        this.#networks.delete(shown.networkId);
        this.#learned.delete(shown.networkId);
        this.occupancy(shown.networkId).setSubnets({ subnets: [] });
        this.#forgetWhenEmpty(shown.networkId);
        break;
      case 'slot':
      case 'slot-gone':
        this.#applySlot(shown, nowMs);
        if (this.#untold.size > 0) this.#untold.delete(keyOf(shown));
        if (this.#heardDuringRescan.size > 0) {
          this.#heardDuringRescan.get(shown.kind === 'slot' ? shown.slot.networkId : shown.networkId)?.push(shown);
        }
        if (shown.kind === 'slot-gone') this.#forgetWhenEmpty(shown.networkId);
        break;
      case 'host':
        this.#hosts.set(shown.host.hostId, shown.host);
        break;
      case 'host-gone':
        this.#hosts.delete(shown.hostId);
        break;
    }
    for (const listener of this.#listeners) listener(shown);
  }

  /** What rests outlives its network: until it is free, and perhaps longer, when the network is made again. */
  #forgetWhenEmpty(networkId: NetworkId): void {
    if (!this.#networks.has(networkId) && !this.#occupancy.get(networkId)?.isLeftOver)
      this.#occupancy.delete(networkId);
  }

  #setNetwork(network: Network): void {
    const { networkId, revision } = network;
    this.#dropSubnets(networkId);
    for (const subnet of network.subnets) this.#networkOfSubnet.set(subnet.subnetId, networkId);
    this.#networks.set(networkId, network);
    // What was learned is newer: going back would forget which addresses of a new subnet are taken.
    if (revision < (this.#learned.get(networkId) ?? 0)) return;
    this.#learned.delete(networkId);
    this.occupancy(networkId).setSubnets(network);
  }

  #dropSubnets(networkId: NetworkId): void {
    for (const subnet of this.#networks.get(networkId)?.subnets ?? []) {
      if (this.#networkOfSubnet.get(subnet.subnetId) === networkId) this.#networkOfSubnet.delete(subnet.subnetId);
    }
  }
}

function key(networkId: NetworkId, address: Ipv4): string {
  return `${networkId} ${address}`;
}

function keyOf(shown: ShownSlot): string {
  return shown.kind === 'slot' ? key(shown.slot.networkId, shown.slot.address) : key(shown.networkId, shown.address);
}

function parseKey(text: string): { readonly networkId: NetworkId; readonly address: Ipv4 } {
  const [networkId, address] = text.split(' ');
  return { networkId: networkId as NetworkId, address: Number(address) as Ipv4 };
}
