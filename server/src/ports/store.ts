// The store: documents changed by compare-and-set, durable before they are acknowledged, watched in order.
//
//   P1. A promise resolves only after the write is durable and after the watch's listeners were given its changes.
//   P2. A write of a slot answers with the network's document as it stands after the write (protocol.md §2.2).
//   P3. The store never holds one (network, address) twice, nor two RESERVED slots of one (network, mac).
//   P4. An ended tenure is in history before its slot is overwritten or deleted.
//   P5. After an I/O error nothing is acknowledged any more: every call rejects with StoreUnavailableError.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import type { EndedTenure, RequestKey, Slot } from '../domain/slot.js';

/** A store that is open. */
export interface Store {
  /** `embedded` or `memory`. */
  readonly kind: string;
  readonly settings: StoreSettings;
  readonly networks: NetworkStore;
  readonly slots: SlotStore;
  readonly hosts: HostStore;
  readonly lease: HolderLease;
  /**
   * Calls `listener` with every durable change from now on, in the order of the writes. To see everything: watch
   * first, scan second, then apply what was heard meanwhile in order; states replace states, so repeats do no harm.
   */
  watch(listener: (changes: readonly Change[]) => void): Subscription;
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

/** Ends a watch. */
export interface Subscription {
  close(): void;
}

/** A durable change: the state a document has now, or that it is gone. */
export type Change =
  | { readonly kind: 'network'; readonly network: Network }
  | { readonly kind: 'network-gone'; readonly networkId: NetworkId }
  | { readonly kind: 'slot'; readonly slot: Slot }
  | { readonly kind: 'slot-gone'; readonly networkId: NetworkId; readonly address: Ipv4 }
  | { readonly kind: 'host'; readonly host: Host }
  | { readonly kind: 'host-gone'; readonly hostId: HostId };

/** The networks, tombstones of deleted ones included. */
export interface NetworkStore {
  /** Resolves `undefined` when absent: absence is an answer, not an error. */
  get(networkId: NetworkId): Promise<Network | undefined>;
  findBySubnet(subnetId: SubnetId): Promise<Network | undefined>;
  /** Every network, by id, one after another. */
  scan(): AsyncIterable<Network>;
  /**
   * Writes if the stored revision still equals `network.revision` (0: must not exist), and answers what was written,
   * with its new revision. `subnet-taken`: another network has a subnet with one of the ids.
   */
  put(network: Network): Promise<Network | 'conflict' | 'subnet-taken'>;
  /** Deletes if the stored revision still equals `revision`. */
  remove(networkId: NetworkId, revision: Revision): Promise<'removed' | 'conflict'>;
}

/** What a write of a slot came to, and the network's document after it (`undefined`: there is none). */
export interface SlotWrite<Outcome> {
  readonly outcome: Outcome;
  readonly network: Network | undefined;
}

/** The addresses that are not free, and the history of tenures. */
export interface SlotStore {
  /**
   * Inserts a slot; its `revision` must be 0. `taken`: the address has this slot. `mac-holds`: the MAC has this
   * RESERVED slot in the network. Concurrent inserts share one durable write.
   */
  insert(
    slot: Slot,
  ): Promise<
    SlotWrite<
      | { readonly kind: 'inserted'; readonly slot: Slot }
      | { readonly kind: 'taken'; readonly slot: Slot }
      | { readonly kind: 'mac-holds'; readonly slot: Slot }
    >
  >;
  /**
   * Overwrites the slot of the same address if its stored revision still equals `slot.revision`, and answers what was
   * written, with its new revision. `ended` is the tenure that ends by it, put into history first. `mac-holds`: the
   * new state is RESERVED and the MAC has this other RESERVED slot in the network.
   */
  replace(
    slot: Slot,
    ended?: EndedTenure,
  ): Promise<
    SlotWrite<
      | { readonly kind: 'replaced'; readonly slot: Slot }
      | { readonly kind: 'conflict' }
      | { readonly kind: 'mac-holds'; readonly slot: Slot }
    >
  >;
  /** Puts the tenure into history and deletes its slot, if that is still QUARANTINED under the same `reservationId`. */
  free(ended: EndedTenure): Promise<'freed' | 'conflict'>;
  get(networkId: NetworkId, address: Ipv4): Promise<Slot | undefined>;
  /** Every slot of a MAC in a network, in address order. */
  findByMac(networkId: NetworkId, mac: Mac): Promise<readonly Slot[]>;
  /** The tenure that this request made or released, wherever it is now. */
  findByRequest(key: RequestKey): Promise<Slot | EndedTenure | undefined>;
  /** An ended tenure. */
  getEnded(reservationId: ReservationId): Promise<EndedTenure | undefined>;
  /**
   * Every slot, by network id and in address order, one batch after another; `from` and `to` (both included) are
   * addresses of `networkId`. A batch is a consistent state, the whole need not be.
   */
  scan(range?: {
    readonly networkId: NetworkId;
    readonly from?: Ipv4;
    readonly to?: Ipv4;
  }): AsyncIterable<readonly Slot[]>;
}

/** The hosts. */
export interface HostStore {
  get(hostId: HostId): Promise<Host | undefined>;
  /** Every host, by id. */
  scan(): AsyncIterable<Host>;
  /** Writes if the stored revision still equals `host.revision` (0: must not exist). */
  put(host: Host): Promise<Host | 'conflict'>;
  remove(hostId: HostId, revision: Revision): Promise<'removed' | 'conflict'>;
}

/** Which server leads. */
export interface HolderLease {
  /** Epoch of this server as the holder; grows with every start and every change of the holder. */
  readonly epoch: number;
  /** Resolves after a renewal that began after this call was confirmed; rejects when this server does not lead. */
  confirm(): Promise<void>;
}

/** The store cannot be used now; nothing is known of the write that met it. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}
