// What every use case works with.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { AuditEvent, Author, TenureMoment } from '../domain/audit.js';
import type { HoldStill } from '../domain/hold-still.js';
import { type HostId, type NetworkId, type Uid, uuid, type WallTime } from '../domain/ids.js';
import type { Subnet } from '../domain/network.js';
import type { Slot } from '../domain/slot.js';
import type { HostObserver } from '../ports/dhcp-provider.js';
import type { HolderLease } from '../ports/holder-lease.js';
import type { Metrics } from '../ports/metrics.js';
import { type Store, StoreUnavailableError } from '../ports/store.js';
import type { View } from './view.js';

/** When a slot may be free, on this server's clock, and who holds that up. */
export interface ReuseEstimate {
  readonly atMs: number;
  readonly blockedBy: readonly HostId[];
}

/** What the holder knows of when addresses may go to another MAC. */
export interface ReuseEstimates {
  estimate(slot: Slot): ReuseEstimate;
  /** When the next one of these subnets may be free; undefined: none rests. */
  nextMs(networkId: NetworkId, subnets: readonly Subnet[]): number | undefined;
}

/** The store, what is known of it, the hosts, who leads, and time and chance. */
export interface Context {
  readonly store: Store;
  readonly view: View;
  readonly hosts: HostObserver;
  readonly lease: HolderLease;
  /** Undefined while another server leads. */
  readonly reuse: () => ReuseEstimates | undefined;
  /** Why no address is freed or handed out; undefined: nothing speaks against it. */
  readonly holdsStill: () => HoldStill | undefined;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** Writes the log line of a change. */
  readonly tell: (event: AuditEvent) => void;
  /** The same of a reservation; undefined: they are not wanted, and cost nothing. */
  readonly tellTenure: ((moment: TenureMoment, tenure: Slot) => void) | undefined;
  readonly metrics: Metrics;
}

/** Who asks, and until when the answer matters. */
export interface Call extends Author {
  /** Who calls, `engine/ovirt`; `insecure` on a plaintext listener. */
  readonly caller: string;
  readonly signal: AbortSignal;
  /** The answer is given from memory, because the store is away: it is as things were at that time. */
  stale(since: WallTime): void;
}

/** What the store says; while it is away, what memory says, and the call is told so. */
export async function readOrRemember<T>(
  { store, clock }: Pick<Context, 'store' | 'clock'>,
  call: Pick<Call, 'stale'>,
  read: () => Promise<T>,
  remember: () => T,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error;
    const answer = remember();
    call.stale(store.health.unavailableSince ?? wallTime({ clock }));
    return answer;
  }
}

/** What memory says anyway; while the store is away, the call is told so. */
export function rememberNow<T>({ store }: Pick<Context, 'store'>, call: Pick<Call, 'stale'>, answer: T): T {
  const { unavailableSince } = store.health;
  if (unavailableSince !== undefined) call.stale(unavailableSince);
  return answer;
}

/** The wall-clock time now, for people. */
export function wallTime(context: Pick<Context, 'clock'>): WallTime {
  return context.clock.wallTime().getTime() as WallTime;
}

/** A new UUIDv7 (RFC 9562 §5.7): ids made one after another sort by time. */
export function newUid({ clock, entropy }: Pick<Context, 'clock' | 'entropy'>): Uid {
  const bytes = Buffer.from(entropy.bytes(16));
  bytes.writeUIntBE(clock.wallTime().getTime(), 0, 6);
  return uuid(bytes, 7);
}
