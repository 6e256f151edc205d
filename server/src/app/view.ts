// What this server knows of the store, in memory: networks, hosts, and which addresses are not free.
//
//   V1. It is fed by the store's watch alone, after one scan. It may lag; every write is compared by the store.
//   V2. Listeners hear every change once, after the view holds it, in the order of the writes.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, SubnetId } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import { Occupancy } from '../domain/occupancy.js';
import type { Slot } from '../domain/slot.js';
import type { Change, Store, Subscription } from '../ports/store.js';
import { KeyedQueue } from './keyed-queue.js';

/** Hears what the view took over. */
export type ViewListener = (change: Change) => void;

type SlotChange = Extract<Change, { readonly kind: 'slot' | 'slot-gone' }>;

/** What this server knows of the store. */
export class View {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #entropy: Entropy;
  readonly #networks = new Map<NetworkId, Network>();
  readonly #networkOfSubnet = new Map<SubnetId, NetworkId>();
  readonly #hosts = new Map<HostId, Host>();
  readonly #occupancy = new Map<NetworkId, Occupancy>();
  readonly #listeners: ViewListener[] = [];
  readonly #rescans = new KeyedQueue();
  readonly #heardDuringRescan = new Map<NetworkId, SlotChange[]>();
  #subscription: Subscription | undefined;

  private constructor(store: Store, clock: Clock, entropy: Entropy) {
    this.#store = store;
    this.#clock = clock;
    this.#entropy = entropy;
  }

  /** Opens a view that holds everything the store holds; `listeners` hear that, too. */
  static async open(
    store: Store,
    clock: Clock,
    entropy: Entropy,
    listeners: readonly ViewListener[] = [],
  ): Promise<View> {
    const view = new View(store, clock, entropy);
    view.#listeners.push(...listeners);
    await view.#load();
    return view;
  }

  async #load(): Promise<void> {
    // Watch first, scan second, then what was heard meanwhile: states replace states, so nothing is missed or doubled.
    let heard: Change[] | undefined = [];
    this.#subscription = this.#store.watch((changes) => {
      if (heard) heard.push(...changes);
      else for (const change of changes) this.#apply(change);
    });
    for await (const network of this.#store.networks.scan()) this.#apply({ kind: 'network', network });
    for await (const host of this.#store.hosts.scan()) this.#apply({ kind: 'host', host });
    for await (const slots of this.#store.slots.scan()) for (const slot of slots) this.#apply({ kind: 'slot', slot });
    const missed = heard;
    heard = undefined;
    for (const change of missed) this.#apply(change);
  }

  /** Calls `listener` with every change from now on. */
  listen(listener: ViewListener): void {
    this.#listeners.push(listener);
  }

  /** Stops following the store. */
  close(): void {
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

  /** Which addresses of a network are not free. */
  occupancy(networkId: NetworkId): Occupancy {
    let occupancy = this.#occupancy.get(networkId);
    if (!occupancy) {
      occupancy = new Occupancy(() => this.#entropy.random());
      this.#occupancy.set(networkId, occupancy);
    }
    return occupancy;
  }

  /** Reads every slot of a network again, because the view may have missed something. */
  rescan(networkId: NetworkId): Promise<void> {
    // One at a time: the changes heard during a scan belong to that scan.
    return this.#rescans.run(networkId, async () => {
      const heard: SlotChange[] = [];
      this.#heardDuringRescan.set(networkId, heard);
      try {
        const slots: Slot[] = [];
        for await (const batch of this.#store.slots.scan({ networkId })) slots.push(...batch);
        this.occupancy(networkId).rescanned(slots, this.#clock.now());
        // Without these the older scan would stand for ever where it overtook the watch.
        for (const change of heard) this.#applySlot(change);
      } finally {
        this.#heardDuringRescan.delete(networkId);
      }
    });
  }

  #applySlot(change: SlotChange): void {
    if (change.kind === 'slot') this.occupancy(change.slot.networkId).setSlot(change.slot, this.#clock.now());
    else this.occupancy(change.networkId).removeSlot(change.address);
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case 'network':
        this.#setNetwork(change.network);
        break;
      case 'network-gone':
        this.#dropSubnets(change.networkId);
        this.#networks.delete(change.networkId);
        this.#occupancy.delete(change.networkId);
        break;
      case 'slot':
      case 'slot-gone':
        this.#applySlot(change);
        this.#heardDuringRescan.get(change.kind === 'slot' ? change.slot.networkId : change.networkId)?.push(change);
        break;
      case 'host':
        this.#hosts.set(change.host.hostId, change.host);
        break;
      case 'host-gone':
        this.#hosts.delete(change.hostId);
        break;
    }
    for (const listener of this.#listeners) listener(change);
  }

  #setNetwork(network: Network): void {
    this.#dropSubnets(network.networkId);
    for (const subnet of network.subnets) this.#networkOfSubnet.set(subnet.subnetId, network.networkId);
    this.#networks.set(network.networkId, network);
    this.occupancy(network.networkId).setSubnets(network);
  }

  #dropSubnets(networkId: NetworkId): void {
    for (const subnet of this.#networks.get(networkId)?.subnets ?? []) this.#networkOfSubnet.delete(subnet.subnetId);
  }
}
