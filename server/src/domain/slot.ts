// One stored document per address that is not free. It carries the current tenure. Keyed by network and address, not by
// subnet: a quarantined slot outlives its subnet and blocks the address in any later one.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Conflict } from './conflict.js';
import type { NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from './ids.js';
import type { DhcpOption, Labels } from './network.js';

/** One reservation from reserve to the moment its address is free again. */
export interface Tenure {
  readonly reservationId: ReservationId;
  readonly networkId: NetworkId;
  readonly address: Ipv4;
  readonly subnetId: SubnetId;
  readonly subnetUid: Uid;
  readonly mac: Mac;
  readonly hostname: string;
  readonly owner: string;
  readonly labels: Labels;
  readonly options: readonly DhcpOption[];
  readonly createTime: WallTime;
  readonly createdBy: string;
  /** The request that made it. */
  readonly request?: RequestKey;
  readonly releaseTime?: WallTime;
  /** Absent of a released tenure: nobody did, it was taken back, for it was promised to nobody. */
  readonly releasedBy?: string;
  /** The request that released it. */
  readonly releaseRequest?: RequestKey;
  /** The engine vouched that the guest is stopped. */
  readonly vouched: boolean;
  /** The word came after the release: whose it was is in an audit event. */
  readonly vouchedLater?: true;
  /** What was noticed on the wire last that does not fit it. */
  readonly conflict?: Conflict;
}

/** A slot as stored. */
export interface Slot extends Tenure {
  readonly state: 'reserved' | 'quarantined';
  /**
   * The placement counter as the reserver knew it when the slot was inserted; sticky re-reserve copies it. 0, so that every
   * host counts, once it was released and its subnet is gone.
   */
  readonly chainCounter: number;
  /** Whether all earlier tenures of its chain were released with the word that their guests are stopped; absent: there are none. */
  readonly chainSoFar?: 'vouched' | 'unvouched';
  /** Fixed at release, since the subnet may be gone when they matter. In seconds; 0 while reserved. */
  readonly reuseDelayS: number;
  readonly leaseTimeCeilingS: number;
  readonly revision: Revision;
}

/** Whether it was taken back by a server that had promised it to nobody, as when a reserve was refused after its write. */
export function isTakenBack({ releaseTime, releasedBy }: Pick<Tenure, 'releaseTime' | 'releasedBy'>): boolean {
  return releaseTime !== undefined && releasedBy === undefined;
}

/** Whether the guests of all tenures of a chain, up to this one, are vouched to be stopped. */
export function isChainVouched({ vouched, chainSoFar }: Pick<Slot, 'vouched' | 'chainSoFar'>): boolean {
  return vouched && chainSoFar !== 'unvouched';
}

/** What servers keep of every slot in memory, in their bitmaps and in the tables of the hosts. */
export type SlotSummary = Pick<
  Slot,
  | 'networkId'
  | 'address'
  | 'subnetUid'
  | 'state'
  | 'mac'
  | 'reservationId'
  | 'hostname'
  | 'options'
  | 'reuseDelayS'
  | 'leaseTimeCeilingS'
> &
  // Only of what rests, and where the store says it for little.
  Partial<Pick<Slot, 'chainCounter' | 'vouched' | 'chainSoFar'>>;

/** An ended tenure, as kept in history. */
export interface EndedTenure extends Tenure {
  readonly endTime: WallTime;
}

/** Names a request for ever: the same caller, RPC and id is the same request. */
export interface RequestKey {
  readonly caller: string;
  readonly rpc: 'ReserveAddress' | 'ReleaseAddress';
  readonly id: string;
  /** SHA-256 of the request's content, base64url: other content under the same key is refused. */
  readonly contentHash: string;
}
