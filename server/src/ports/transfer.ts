// A store that is carried to another one: read whole, at one moment, or written whole, before it is ever served.
//
//   T1. What a source gives is what the store held at one moment, while no server served it.
//   T2. A target is marked before the first document is written. Until it is finished it is refused by every server, and
//       can be begun again, whatever happened meanwhile; from then on it is a store like any other.

import type { AuditEvent } from '../domain/audit.js';
import type { Host } from '../domain/host.js';
import type { Network } from '../domain/network.js';
import type { EndedTenure, Slot } from '../domain/slot.js';

/** What is true of an installation, beside its documents. */
export interface StoreIdentity {
  readonly storeUid: string;
  readonly incarnation: number;
  readonly authorityS: number;
  readonly authorityCeilingS: number;
  /** The highest one there was: the next holder's is higher. */
  readonly holderEpoch: number;
}

/** Some documents of one kind. Their revisions are those of the store. */
export type Documents =
  | { readonly kind: 'networks'; readonly documents: readonly Network[] }
  | { readonly kind: 'hosts'; readonly documents: readonly Host[] }
  | { readonly kind: 'slots'; readonly documents: readonly Slot[] }
  | { readonly kind: 'history'; readonly documents: readonly EndedTenure[] }
  | { readonly kind: 'audit'; readonly documents: readonly AuditEvent[] };

/** How many documents of each kind there are. */
export type Counts = Readonly<Record<Documents['kind'], number>>;

/** A store to be read whole. */
export interface ExportSource {
  readonly identity: StoreIdentity;
  /** Networks and hosts by id, slots by network and address, history by reservation id, audit events newest first; in this order. */
  documents(): AsyncIterable<Documents>;
  /** Rejects, with what to do, when a server began to serve the store since it was opened. */
  confirm(): Promise<void>;
  close(): Promise<void>;
}

/** A store to be written whole. */
export interface ImportTarget {
  /** Looks whether the store is empty, or an import that did not finish; rejects with what to do when it is anything else. */
  look(): Promise<'empty' | 'unfinished'>;
  /** Marks the store as unfinished and removes what an earlier import left. */
  begin(identity: StoreIdentity): Promise<void>;
  /** Writes documents, in the order of the kinds; durable once the import is finished. One call at a time. */
  write(documents: Documents): Promise<void>;
  /** Makes it a store that can be served, if it holds exactly so many documents. */
  finish(counts: Counts): Promise<void>;
  close(): Promise<void>;
}
