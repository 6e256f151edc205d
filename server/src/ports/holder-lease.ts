// Whether this server leads, as those that act only while it does ask it.

import type { HolderRecord } from './store.js';

/** The lead, as this server knows it. */
export interface HolderLease {
  /** The epoch under which this server may act now; undefined: it does not lead, or is not sure. */
  readonly epoch: number | undefined;
  /** The server that leads, as far as this one knows; undefined: none, or one that this one's own process came after. */
  readonly holder: Omit<HolderRecord, 'instance'> | undefined;
  /** Whether that is this server. */
  readonly isSelf: boolean;
  /** Whether another server, or this one, is likely to lead in a moment. */
  readonly isChanging: boolean;
  /** Whether this server does not lead, and cannot see who does: what it knows of that is some seconds old. */
  readonly isBlind: boolean;
  /** Resolves after a renewal that began after this call was confirmed; rejects when this server does not lead. */
  confirm(): Promise<void>;
}
