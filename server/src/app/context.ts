// What every use case works with.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { Uid, WallTime } from '../domain/ids.js';
import type { HostObserver } from '../ports/dhcp-provider.js';
import type { Store } from '../ports/store.js';
import type { View } from './view.js';

/** The store, what is known of it, the hosts, and time and chance. */
export interface Context {
  readonly store: Store;
  readonly view: View;
  readonly hosts: HostObserver;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** Who asks, and until when the answer matters. */
export interface Call {
  /** The caller's name, `insecure` on a plaintext listener. */
  readonly caller: string;
  readonly signal: AbortSignal;
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

/** Lays 16 bytes out as a UUID of the given version. */
export function uuid(bytes: Buffer, version: 7 | 8): Uid {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | (version << 4), 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') as Uid;
}
