// A watch: what its events look like to people, how they travel, and how it outlives its streams.
//
//   W1. No gap, no double: a broken stream is resumed after the last event that was handed over, not that arrived.
//   W2. There is no position within a snapshot. A broken one is begun again, and a reader that holds a part of it is
//       told by `restart` that this part is void; one that is too slow for it several times is told so.
//   W3. A position that is not known any more (WATCH_COMPACTED) is thrown: what a gap means only the reader knows.

import type { Calls } from './calls.js';
import { malformedResponse } from './errors.js';
import { IpamServiceService as rpc, WatchEventsRequest, type WatchEventsResponse } from './gen/ipam/v1/ipam_service.js';
import { type Host, toHost } from './hosts.js';
import { type Network, toNetwork } from './networks.js';
import { type Placement, toPlacement } from './placements.js';
import { type Reservation, toReservation } from './reservations.js';
import { type Subnet, toSubnet } from './subnets.js';
import { message, nameOf, required } from './values.js';

/** What to watch, and from where on. */
export interface WatchOptions {
  /** Only this network with its subnets, reservations and placements, and no hosts. Absent: everything. */
  readonly networkId?: string | undefined;
  /** First all that is there, as `present`, then `snapshot-end`, then changes. */
  readonly snapshot?: boolean | undefined;
  /**
   * Go on after this position, of an event of the same network. Absent, without `snapshot`: from now on. The first
   * event is then a bookmark, sent at once: nothing after it is missed.
   */
  readonly resumeToken?: string | undefined;
  /** Ends the watch when aborted: it throws the signal's `reason`. */
  readonly signal?: AbortSignal | undefined;
}

const CHANGES = { 1: 'present', 2: 'created', 3: 'updated', 4: 'deleted' } as const;

/** What became of a resource: it was there when the watch began, is new, is another than before, or is gone. */
export type Change = (typeof CHANGES)[keyof typeof CHANGES] | 'unknown';

/** Where in the order of changes an event stands. */
interface Positioned {
  /** The position after this event, for `resumeToken`. Empty within a snapshot. */
  readonly resumeToken: string;
}

/** A change of one resource, which is as the change left it. */
interface Changed extends Positioned {
  readonly change: Change;
}

/** One event of a watch. */
export type WatchEvent =
  /** Without its estimates: `reusableTime` is undefined, `readyServers` is 0. Deleted: its tenure is over. */
  | (Changed & { readonly kind: 'reservation'; readonly reservation: Reservation })
  /** Its settings, without `status`. */
  | (Changed & { readonly kind: 'network'; readonly network: Network })
  /** Its settings, without `usage`. */
  | (Changed & { readonly kind: 'subnet'; readonly subnet: Subnet })
  /** What is stored of it: `liveness` and `breaker` are unknown, and that it falls silent is no event. */
  | (Changed & { readonly kind: 'host'; readonly host: Host })
  /** Assigned or former: that its host confirmed it is no event. Deleted: it cannot answer any more. */
  | (Changed & { readonly kind: 'placement'; readonly placement: Placement })
  /** The snapshot is complete; changes follow. */
  | (Positioned & { readonly kind: 'snapshot-end' })
  /** Nothing happened that this version knows; the position moved on. */
  | (Positioned & { readonly kind: 'bookmark' })
  /** The stream broke within the snapshot, which begins again: forget what came of it so far. */
  | { readonly kind: 'restart' };

/** From where on the next stream is asked for. */
type Position =
  | { readonly kind: 'now' }
  | { readonly kind: 'snapshot'; readonly begun: boolean }
  | { readonly kind: 'after'; readonly resumeToken: string };

/** Changes as they happen; nothing is asked for before it is iterated. */
export function watchEvents(calls: Calls, options: WatchOptions = {}): AsyncIterable<WatchEvent> {
  if (options.snapshot && options.resumeToken) throw new TypeError('snapshot and resumeToken exclude each other');
  return { [Symbol.asyncIterator]: () => follow(calls, options) };
}

// Who reads a snapshot too slowly again and again would never see its end, and the server would send it for ever.
const MAX_SLOW_SNAPSHOTS = 3;

async function* follow(calls: Calls, options: WatchOptions): AsyncGenerator<WatchEvent, void> {
  let position = startOf(options);
  let slow = 0;
  const request = () => toRequest(position, options.networkId);
  // After a position a quiet network has nothing to send for long.
  const isPrompt = () => position.kind !== 'after';
  for await (const part of calls.stream({ method: rpc.watchEvents, request, isPrompt }, options.signal)) {
    if (part.kind === 'message') {
      position = advance(position, part.message);
      yield toEvent(part.message);
    } else if (position.kind === 'snapshot') {
      if (part.error.reason === 'WATCH_TOO_SLOW' && ++slow === MAX_SLOW_SNAPSHOTS) throw part.error;
      if (!position.begun) continue;
      position = { kind: 'snapshot', begun: false };
      yield { kind: 'restart' };
    }
  }
}

function startOf({ snapshot, resumeToken }: WatchOptions): Position {
  if (resumeToken) return { kind: 'after', resumeToken };
  return snapshot ? { kind: 'snapshot', begun: false } : { kind: 'now' };
}

function toRequest(position: Position, networkId: string | undefined): WatchEventsRequest {
  const resumeToken = position.kind === 'after' ? position.resumeToken : '';
  return message(WatchEventsRequest, { networkId, resumeToken, snapshot: position.kind === 'snapshot' });
}

function advance(position: Position, { resumeToken, event }: WatchEventsResponse): Position {
  if (resumeToken !== '') return { kind: 'after', resumeToken };
  // Resumed from an older position, the watch would hand this event over twice.
  if (position.kind !== 'snapshot' || event?.$case === 'snapshotEnd') throw malformedResponse('resume_token');
  return { kind: 'snapshot', begun: true };
}

function toEvent({ event, resumeToken }: WatchEventsResponse): WatchEvent {
  switch (event?.$case) {
    case 'reservation': {
      const reservation = toReservation(event.value.reservation);
      return { kind: 'reservation', change: toChange(event.value), reservation, resumeToken };
    }
    case 'network':
      return { kind: 'network', change: toChange(event.value), network: toNetwork(event.value.network), resumeToken };
    case 'subnet':
      return { kind: 'subnet', change: toChange(event.value), subnet: toSubnet(event.value.subnet), resumeToken };
    case 'host':
      return { kind: 'host', change: toChange(event.value), host: toHost(event.value.host), resumeToken };
    case 'placement': {
      const placement = toPlacement(required(event.value.placement, 'placement'));
      return { kind: 'placement', change: toChange(event.value), placement, resumeToken };
    }
    case 'snapshotEnd':
      return { kind: 'snapshot-end', resumeToken };
    case 'bookmark':
    // A newer server's kind of event: of what happened only the position can be told.
    case undefined:
      return { kind: 'bookmark', resumeToken };
  }
}

function toChange({ change }: { readonly change: number }): Change {
  return nameOf(CHANGES, change);
}
