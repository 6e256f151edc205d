// What a change of the store means to those who watch: a pure function of the change itself, never of what is stored
// later, so that every server and every resumed watch tells the same.
//
//   V1. A change always gives the same events, in the same order: a watch can be resumed between two of them.
//   V2. Of a network whose state before the change is not known, everything in it counts as updated.

import type { Ipv4 } from '@leasehold/proto/values';
import type { Change } from './change.js';
import { hostEtag, networkEtag, subnetEtag } from './etag.js';
import type { Host } from './host.js';
import type { HostId, NetworkId, WallTime } from './ids.js';
import type { FormerServer, Network, Placement, Subnet } from './network.js';
import type { Slot, Tenure } from './slot.js';

/** What became of a resource. `present`: it was there when the watch began. */
export type ChangeKind = 'present' | 'created' | 'updated' | 'deleted';

/** A placement as it is stored. */
export interface StoredPlacement {
  readonly networkId: NetworkId;
  readonly hostId: HostId;
  readonly epoch: number;
  readonly state: 'assigned' | 'former';
  readonly since: WallTime;
}

/** One thing that happened to one resource. */
export type Event =
  | { readonly kind: 'reservation'; readonly change: ChangeKind; readonly reservation: WatchedReservation }
  | { readonly kind: 'network'; readonly change: ChangeKind; readonly network: Network }
  | { readonly kind: 'subnet'; readonly change: ChangeKind; readonly networkId: NetworkId; readonly subnet: Subnet }
  | { readonly kind: 'host'; readonly change: ChangeKind; readonly host: Host }
  | { readonly kind: 'placement'; readonly change: ChangeKind; readonly placement: StoredPlacement };

/** A reservation as a change left it; of one that is gone, and whose last state the store did not keep, only its place. */
export type WatchedReservation =
  | { readonly state: Slot['state'] | 'ended'; readonly tenure: Tenure }
  | { readonly state: 'ended'; readonly networkId: NetworkId; readonly address: Ipv4 };

/** The events of a change. */
export function eventsOf(change: Change): readonly Event[] {
  switch (change.kind) {
    case 'slot':
      return ofSlot(change.slot, change.before);
    case 'slot-gone':
      return [reservation('deleted', change.before ? { state: 'ended', tenure: change.before } : goneFrom(change))];
    case 'network':
      return ofNetwork(change.network, change.before);
    case 'network-gone':
      return change.before ? placementEvents(undefined, change.before) : [];
    case 'host':
      return ofHost(change.host, change.before);
    case 'host-gone':
      return change.before ? [{ kind: 'host', change: 'deleted', host: change.before }] : [];
  }
}

/** The events of all that is there of a network, but its reservations. */
export function presentNetwork(network: Network): readonly Event[] {
  const present = (event: Event): Event => ({ ...event, change: 'present' });
  return ofNetwork(network, undefined).map(present);
}

/** The event of a slot that is there. */
export function presentSlot(slot: Slot): Event {
  return reservation('present', { state: slot.state, tenure: slot });
}

/** The event of a host that is there. */
export function presentHost(host: Host): Event {
  return { kind: 'host', change: 'present', host };
}

/** The network that an event is about; undefined for those of hosts. */
export function networkOf(event: Event): NetworkId | undefined {
  switch (event.kind) {
    case 'reservation':
      return 'tenure' in event.reservation ? event.reservation.tenure.networkId : event.reservation.networkId;
    case 'network':
      return event.network.networkId;
    case 'subnet':
      return event.networkId;
    case 'placement':
      return event.placement.networkId;
    case 'host':
      return undefined;
  }
}

function reservation(change: ChangeKind, what: WatchedReservation): Event {
  return { kind: 'reservation', change, reservation: what };
}

function goneFrom({
  networkId,
  address,
}: {
  readonly networkId: NetworkId;
  readonly address: Ipv4;
}): WatchedReservation {
  return { state: 'ended', networkId, address };
}

function ofSlot(slot: Slot, before: Slot | undefined): readonly Event[] {
  const now: WatchedReservation = { state: slot.state, tenure: slot };
  if (before && before.reservationId !== slot.reservationId) {
    return [reservation('deleted', { state: 'ended', tenure: before }), reservation('created', now)];
  }
  return [reservation(slot.revision === 1 ? 'created' : 'updated', now)];
}

function ofHost(host: Host, before: Host | undefined): readonly Event[] {
  const isSame = before !== undefined && hostEtag(before) === hostEtag(host) && sameReport(before, host);
  return isSame ? [] : [{ kind: 'host', change: host.revision === 1 ? 'created' : 'updated', host }];
}

/** Whether what users see is the same; how long it is silent they do not. */
function sameReport(a: Host, b: Host): boolean {
  const reportOf = ({ failureDomain, backend, agentVersion, attachments, fence }: Host) =>
    JSON.stringify([failureDomain, backend, agentVersion, attachments, fence]);
  return reportOf(a) === reportOf(b);
}

/** A deleted network is gone for those who watch, though its document stays while hosts may answer for it. */
function ofNetwork(network: Network, before: Network | undefined): readonly Event[] {
  const isNew = network.revision === 1;
  const then = before?.deleted ? undefined : before;
  const now = network.deleted ? undefined : network;
  const events: Event[] = [];
  if (now && isNew) events.push({ kind: 'network', change: 'created', network: now });
  else if (now && before?.deleted) events.push({ kind: 'network', change: 'created', network: now });
  else if (now && (!then || networkEtag(then) !== networkEtag(now))) {
    events.push({ kind: 'network', change: 'updated', network: now });
  }
  events.push(...subnetEvents(network, then, isNew), ...placementEvents(network, before));
  if (!now && then) events.push({ kind: 'network', change: 'deleted', network: then });
  return events;
}

function subnetEvents(network: Network, before: Network | undefined, isNew: boolean): readonly Event[] {
  const { networkId, subnets } = network;
  const event = (change: ChangeKind, subnet: Subnet): Event => ({ kind: 'subnet', change, networkId, subnet });
  const gone = (before?.subnets ?? []).filter(({ uid }) => !subnets.some((each) => each.uid === uid));
  const here = subnets.flatMap((subnet): readonly Event[] => {
    const known = before?.subnets.find(({ uid }) => uid === subnet.uid);
    if (known) return subnetEtag(known) === subnetEtag(subnet) ? [] : [event('updated', subnet)];
    return [event(before || isNew ? 'created' : 'updated', subnet)];
  });
  return [...gone.map((subnet) => event('deleted', subnet)), ...here];
}

function placementEvents(network: Network | undefined, before: Network | undefined): readonly Event[] {
  const then = before ? placementsOf(before) : [];
  const now = network ? placementsOf(network) : [];
  const find = (list: readonly StoredPlacement[], { hostId, epoch }: StoredPlacement) =>
    list.find((each) => each.hostId === hostId && each.epoch === epoch);
  const event = (change: ChangeKind, placement: StoredPlacement): Event => ({ kind: 'placement', change, placement });
  return [
    ...then.filter((each) => !find(now, each)).map((each) => event('deleted', each)),
    ...now.flatMap((each) => {
      const known = find(then, each);
      if (!known) return [event(before ? 'created' : 'updated', each)];
      return known.state === each.state ? [] : [event('updated', each)];
    }),
  ];
}

function placementsOf({ networkId, placements, formerServers }: Network): readonly StoredPlacement[] {
  const stored = (state: StoredPlacement['state']) => (each: Placement | FormerServer) => {
    const { hostId, epoch, since } = each;
    return { networkId, hostId, epoch, state, since };
  };
  return [...placements.map(stored('assigned')), ...formerServers.map(stored('former'))];
}
