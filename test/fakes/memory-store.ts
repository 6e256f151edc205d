// The store port in memory, for simulations and for speed. What survives a "restart" is its disk, an argument.
//
//   M1. Writes are decided, told to the listeners and resolved one after another, in the order of the calls, each
//       `writeDelayMs` after the one before it or after its call, whichever is later.
//   M2. A write that `fail` or `close` meets before its time has not happened.

import type { Clock } from '@leasehold/program/clock';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Host } from '@leasehold/server/domain/host';
import type { HostId, NetworkId, ReservationId, Revision } from '@leasehold/server/domain/ids';
import type { Network } from '@leasehold/server/domain/network';
import type { EndedTenure, RequestKey, Slot } from '@leasehold/server/domain/slot';
import {
  type Change,
  type HostStore,
  type NetworkStore,
  type SlotStore,
  type Store,
  StoreUnavailableError,
} from '@leasehold/server/ports/store';

const SCAN_BATCH = 1_000;
const DAY_S = 24 * 3600;

/** What a memory store keeps; the next one opened on it finds it again. */
export class MemoryDisk {
  readonly networks = new Map<NetworkId, Network>();
  readonly hosts = new Map<HostId, Host>();
  readonly slots = new Map<NetworkId, Map<Ipv4, Slot>>();
  /** The addresses that a MAC has in a network. */
  readonly macs = new Map<string, Set<Ipv4>>();
  readonly history = new Map<ReservationId, EndedTenure>();
  readonly requests = new Map<
    string,
    { readonly networkId: NetworkId; readonly address: Ipv4; readonly id: ReservationId }
  >();
  starts = 0;
}

/** How a memory store behaves. */
export interface MemoryStoreOptions {
  readonly disk?: MemoryDisk;
  /** Lets each write take time on this clock; without it a write takes no time. */
  readonly delay?: { readonly clock: Clock; readonly writeDelayMs: number };
  readonly authorityS?: number;
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
  const journal = new Journal(options.delay);
  const authorityS = options.authorityS ?? DAY_S;
  const epoch = ++disk.starts;
  return {
    kind: 'memory',
    settings: { storeUid: 'memory', incarnation: 1, schema: 1, authorityS, authorityCeilingS: authorityS },
    disk,
    networks: networkStore(disk, journal),
    slots: slotStore(disk, journal),
    hosts: hostStore(disk, journal),
    lease: {
      epoch,
      async confirm() {
        journal.check();
      },
    },
    watch: (listener) => journal.watch(listener),
    close: () => journal.close(),
    fail: (cause) => journal.refuse(`The store failed: ${cause.message}`),
  };
}

/** Orders the writes. */
class Journal {
  readonly #delay: MemoryStoreOptions['delay'];
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();
  #last: Promise<unknown> = Promise.resolve();
  #closing = false;
  #refusal: StoreUnavailableError | undefined;

  constructor(delay: MemoryStoreOptions['delay']) {
    this.#delay = delay;
  }

  check(): void {
    if (this.#refusal) throw this.#refusal;
    if (this.#closing) throw new StoreUnavailableError('The store is closed');
  }

  refuse(message: string): void {
    this.#refusal ??= new StoreUnavailableError(message);
  }

  watch(listener: (changes: readonly Change[]) => void): { close(): void } {
    const own = (changes: readonly Change[]) => listener(changes);
    this.#listeners.add(own);
    return { close: () => void this.#listeners.delete(own) };
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#last;
    this.refuse('The store is closed');
  }

  write<T>(decide: (changes: Change[]) => T): Promise<T> {
    const done = this.#begin(decide, this.#last);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #begin<T>(decide: (changes: Change[]) => T, before: Promise<unknown>): Promise<T> {
    this.check();
    await Promise.all([before, this.#delay && wait(this.#delay)]);
    if (this.#refusal) throw this.#refusal;
    const changes: Change[] = [];
    const answer = decide(changes);
    if (changes.length > 0) for (const listener of [...this.#listeners]) listener(changes);
    return answer;
  }
}

function wait({ clock, writeDelayMs }: NonNullable<MemoryStoreOptions['delay']>): Promise<void> {
  return new Promise((resolve) => clock.after(writeDelayMs, resolve));
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
    async *scan() {
      for (const networkId of [...disk.networks.keys()].sort()) {
        journal.check();
        const network = disk.networks.get(networkId);
        if (network) yield network;
      }
    },
    put: (network) =>
      journal.write((changes) => {
        if ((disk.networks.get(network.networkId)?.revision ?? 0) !== network.revision) return 'conflict';
        const ids = new Set(network.subnets.map(({ subnetId }) => subnetId));
        const others = [...disk.networks.values()].filter(({ networkId }) => networkId !== network.networkId);
        if (others.some(({ subnets }) => subnets.some(({ subnetId }) => ids.has(subnetId)))) return 'subnet-taken';
        const written = nextRevision(network);
        disk.networks.set(network.networkId, written);
        changes.push({ kind: 'network', network: written });
        return written;
      }),
    remove: (networkId, revision) =>
      journal.write((changes) => {
        if (disk.networks.get(networkId)?.revision !== revision) return 'conflict';
        disk.networks.delete(networkId);
        changes.push({ kind: 'network-gone', networkId });
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
    async *scan() {
      for (const hostId of [...disk.hosts.keys()].sort()) {
        journal.check();
        const host = disk.hosts.get(hostId);
        if (host) yield host;
      }
    },
    put: (host) =>
      journal.write((changes) => {
        if ((disk.hosts.get(host.hostId)?.revision ?? 0) !== host.revision) return 'conflict';
        const written = nextRevision(host);
        disk.hosts.set(host.hostId, written);
        changes.push({ kind: 'host', host: written });
        return written;
      }),
    remove: (hostId, revision) =>
      journal.write((changes) => {
        if (disk.hosts.get(hostId)?.revision !== revision) return 'conflict';
        disk.hosts.delete(hostId);
        changes.push({ kind: 'host-gone', hostId });
        return 'removed';
      }),
  };
}

function slotStore(disk: MemoryDisk, journal: Journal): SlotStore {
  const read = (networkId: NetworkId, address: Ipv4) => disk.slots.get(networkId)?.get(address);
  const otherReserved = (slot: Slot) =>
    slot.state === 'reserved'
      ? byMac(disk, slot.networkId, slot.mac).find((each) => each.state === 'reserved' && each.address !== slot.address)
      : undefined;
  return {
    ...slotReads(disk, journal),
    insert: (slot) =>
      journal.write((changes) => {
        const network = disk.networks.get(slot.networkId);
        const taken = read(slot.networkId, slot.address);
        if (taken) return { outcome: { kind: 'taken', slot: taken }, network };
        const held = otherReserved(slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        return { outcome: { kind: 'inserted', slot: put(disk, slot, changes) }, network };
      }),
    replace: (slot, ended) =>
      journal.write((changes) => {
        const network = disk.networks.get(slot.networkId);
        if (read(slot.networkId, slot.address)?.revision !== slot.revision) {
          return { outcome: { kind: 'conflict' }, network };
        }
        const held = otherReserved(slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        if (ended) end(disk, ended);
        return { outcome: { kind: 'replaced', slot: put(disk, slot, changes) }, network };
      }),
    free: (ended) =>
      journal.write((changes) => {
        const { networkId, address, reservationId } = ended;
        const slot = read(networkId, address);
        if (slot?.state !== 'quarantined' || slot.reservationId !== reservationId) return 'conflict';
        end(disk, ended);
        disk.slots.get(networkId)?.delete(address);
        disk.macs.get(macName(slot))?.delete(address);
        changes.push({ kind: 'slot-gone', networkId, address });
        return 'freed';
      }),
  };
}

function slotReads(disk: MemoryDisk, journal: Journal): Omit<SlotStore, 'insert' | 'replace' | 'free'> {
  return {
    async get(networkId, address) {
      journal.check();
      return disk.slots.get(networkId)?.get(address);
    },
    async findByMac(networkId, mac) {
      journal.check();
      return byMac(disk, networkId, mac);
    },
    async findByRequest(key) {
      journal.check();
      const found = disk.requests.get(requestName(key));
      if (!found) return undefined;
      const slot = disk.slots.get(found.networkId)?.get(found.address);
      return slot?.reservationId === found.id ? slot : disk.history.get(found.id);
    },
    async getEnded(reservationId) {
      journal.check();
      return disk.history.get(reservationId);
    },
    async *scan(range) {
      journal.check();
      const networks = range ? [range.networkId] : [...disk.slots.keys()].sort();
      for (const networkId of networks) {
        const all = inOrder(disk.slots.get(networkId)?.values() ?? []);
        const found = all.filter(({ address }) => address >= (range?.from ?? 0) && address <= (range?.to ?? Infinity));
        for (let i = 0; i < found.length; i += SCAN_BATCH) {
          journal.check();
          yield found.slice(i, i + SCAN_BATCH);
        }
      }
    },
  };
}

function put(disk: MemoryDisk, slot: Slot, changes: Change[]): Slot {
  const written = nextRevision(slot);
  const network = disk.slots.get(slot.networkId) ?? new Map<Ipv4, Slot>();
  const before = network.get(slot.address);
  if (before) disk.macs.get(macName(before))?.delete(slot.address);
  disk.slots.set(slot.networkId, network.set(slot.address, written));
  disk.macs.set(macName(slot), (disk.macs.get(macName(slot)) ?? new Set()).add(slot.address));
  noteRequests(disk, slot);
  changes.push({ kind: 'slot', slot: written });
  return written;
}

function end(disk: MemoryDisk, ended: EndedTenure): void {
  disk.history.set(ended.reservationId, ended);
  noteRequests(disk, ended);
}

function noteRequests(disk: MemoryDisk, tenure: Slot | EndedTenure): void {
  const { networkId, address, reservationId: id } = tenure;
  for (const key of [tenure.request, tenure.releaseRequest]) {
    if (key) disk.requests.set(requestName(key), { networkId, address, id });
  }
}

function macName({ networkId, mac }: Pick<Slot, 'networkId' | 'mac'>): string {
  return `${networkId} ${mac}`;
}

function requestName({ caller, rpc, id }: RequestKey): string {
  return JSON.stringify([caller, rpc, id]);
}

function byMac(disk: MemoryDisk, networkId: NetworkId, mac: Mac): Slot[] {
  const slots = disk.slots.get(networkId);
  const found = [...(disk.macs.get(macName({ networkId, mac })) ?? [])].map((address) => slots?.get(address));
  return inOrder(found.filter((slot) => slot !== undefined));
}

function inOrder(slots: Iterable<Slot>): Slot[] {
  return [...slots].sort((a, b) => a.address - b.address);
}
