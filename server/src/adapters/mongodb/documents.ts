// The documents as they lie in MongoDB: the fields' names of protocol.md §1, times as dates, addresses as numbers, so
// that a person with a shell can read them, and that they sort.
//
//   Z1. A slot's `_id` names its network and address, and sorts by both: a bare delete says which address it was.
//   Z2. What is empty is left out, so that a document is small and partial indexes hold only what has the field.

import { createHash } from 'node:crypto';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Document } from 'mongodb';
import type { Host } from '../../domain/host.js';
import type { NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../../domain/ids.js';
import type { DhcpOption, Labels, Network } from '../../domain/network.js';
import type { SlotKey } from '../../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot, SlotSummary, Tenure } from '../../domain/slot.js';

// Sorts before every character of an id: `a` and `a-b` do not mix.
const SEPARATOR = ' ';

/** The `_id` of a slot. */
export function slotId({ networkId, address }: SlotKey): string {
  return `${networkId}${SEPARATOR}${address.toString(16).padStart(8, '0')}`;
}

/** Reads the `_id` of a slot. */
export function parseSlotId(id: string): SlotKey {
  const at = id.indexOf(SEPARATOR);
  return { networkId: id.slice(0, at) as NetworkId, address: Number.parseInt(id.slice(at + 1), 16) as Ipv4 };
}

/** What a request is found by: short, whatever its id. */
export function requestHash({ caller, rpc, id }: RequestKey): string {
  return createHash('sha256')
    .update(JSON.stringify([rpc, caller, id]))
    .digest('base64url')
    .slice(0, 22);
}

/** What the requests of a tenure are found by. */
export function requestHashes({ request, releaseRequest }: Tenure): readonly string[] {
  return [request, releaseRequest].filter((key) => key !== undefined).map(requestHash);
}

const FAMILY = 4;
const NO_LABELS: Labels = {};
const NO_OPTIONS: readonly DhcpOption[] = [];

/** A slot as a document. `write` tells this write from every other. */
export function slotDocument(slot: Slot, write?: string): Document {
  return {
    _id: slotId(slot),
    ...tenureFields(slot),
    family: FAMILY,
    state: slot.state === 'reserved' ? 'RESERVED' : 'QUARANTINED',
    chain_counter: slot.chainCounter,
    ...(slot.reuseDelayS === 0 ? {} : { reuse_delay: slot.reuseDelayS }),
    ...(slot.leaseTimeCeilingS === 0 ? {} : { lease_time_ceiling: slot.leaseTimeCeilingS }),
    revision: slot.revision,
    ...(write === undefined ? {} : { write }),
  };
}

/** An ended tenure as a document. */
export function endedDocument(ended: EndedTenure): Document {
  const { reservation_id: id, ...fields } = tenureFields(ended);
  return { _id: id as string, ...fields, end_time: new Date(ended.endTime) };
}

function tenureFields(tenure: Tenure): Document {
  const { hostname, owner, labels, options, request, releaseTime, releasedBy, releaseRequest } = tenure;
  return {
    network_id: tenure.networkId,
    address: tenure.address,
    subnet_id: tenure.subnetId,
    subnet_uid: tenure.subnetUid,
    reservation_id: tenure.reservationId,
    mac: tenure.mac,
    ...(hostname === '' ? {} : { hostname }),
    ...(owner === '' ? {} : { owner }),
    ...(isEmpty(labels) ? {} : { labels }),
    ...(options.length === 0 ? {} : { options }),
    create_time: new Date(tenure.createTime),
    created_by: tenure.createdBy,
    vouched: tenure.vouched,
    ...(request ? { request: toSnake(request) } : {}),
    ...(releaseTime === undefined ? {} : { release_time: new Date(releaseTime) }),
    ...(releasedBy === undefined ? {} : { released_by: releasedBy }),
    ...(releaseRequest ? { release_request: toSnake(releaseRequest) } : {}),
    ...(request || releaseRequest ? { request_keys: requestHashes(tenure) } : {}),
  };
}

function isEmpty(labels: Labels): boolean {
  for (const _ in labels) return false;
  return true;
}

/** Reads a slot. */
export function readSlot(document: Document): Slot {
  return {
    ...readTenure(document, document['reservation_id'] as ReservationId),
    state: document['state'] === 'RESERVED' ? 'reserved' : 'quarantined',
    chainCounter: document['chain_counter'] as number,
    reuseDelayS: (document['reuse_delay'] as number | undefined) ?? 0,
    leaseTimeCeilingS: (document['lease_time_ceiling'] as number | undefined) ?? 0,
    revision: document['revision'] as Revision,
  };
}

/** Reads an ended tenure. */
export function readEnded(document: Document): EndedTenure {
  return {
    ...readTenure(document, document['_id'] as ReservationId),
    endTime: (document['end_time'] as Date).getTime() as WallTime,
  };
}

function readTenure(document: Document, reservationId: ReservationId): Tenure {
  const releaseTime = document['release_time'] as Date | undefined;
  const releasedBy = document['released_by'] as string | undefined;
  const request = document['request'] as Document | undefined;
  const releaseRequest = document['release_request'] as Document | undefined;
  return {
    reservationId,
    networkId: document['network_id'] as NetworkId,
    address: document['address'] as Ipv4,
    subnetId: document['subnet_id'] as SubnetId,
    subnetUid: document['subnet_uid'] as Uid,
    mac: document['mac'] as Mac,
    hostname: (document['hostname'] as string | undefined) ?? '',
    owner: (document['owner'] as string | undefined) ?? '',
    labels: (document['labels'] as Labels | undefined) ?? NO_LABELS,
    options: (document['options'] as readonly DhcpOption[] | undefined) ?? NO_OPTIONS,
    createTime: (document['create_time'] as Date).getTime() as WallTime,
    createdBy: document['created_by'] as string,
    vouched: document['vouched'] as boolean,
    ...(request ? { request: toCamel(request) as RequestKey } : {}),
    ...(releaseTime ? { releaseTime: releaseTime.getTime() as WallTime } : {}),
    ...(releasedBy === undefined ? {} : { releasedBy }),
    ...(releaseRequest ? { releaseRequest: toCamel(releaseRequest) as RequestKey } : {}),
  };
}

/** The fields that a summary is read from. */
export const SUMMARY_FIELDS = {
  mac: 1,
  state: 1,
  reservation_id: 1,
  hostname: 1,
  options: 1,
  reuse_delay: 1,
  lease_time_ceiling: 1,
} as const;

/** Reads a summary of these fields. */
export function readSummary(
  document: Readonly<Record<string, unknown>>,
  networkId: NetworkId,
  address: Ipv4,
): SlotSummary {
  return {
    networkId,
    address,
    state: document['state'] === 'RESERVED' ? 'reserved' : 'quarantined',
    mac: document['mac'] as Mac,
    reservationId: document['reservation_id'] as ReservationId,
    hostname: (document['hostname'] as string | undefined) ?? '',
    options: (document['options'] as readonly DhcpOption[] | undefined) ?? NO_OPTIONS,
    reuseDelayS: (document['reuse_delay'] as number | undefined) ?? 0,
    leaseTimeCeilingS: (document['lease_time_ceiling'] as number | undefined) ?? 0,
  };
}

/** A network as a document. */
export function networkDocument({ networkId, ...network }: Network, write: string): Document {
  return { _id: networkId, ...toSnake(network), write };
}

/** Reads a network. */
export function readNetwork({ _id, write: _, ...document }: Document): Network {
  return { networkId: _id as NetworkId, ...toCamel(document) } as Network;
}

/** A host as a document. */
export function hostDocument({ hostId, ...host }: Host, write: string): Document {
  return { _id: hostId, ...toSnake(host), write };
}

/** Reads a host. */
export function readHost({ _id, write: _, ...document }: Document): Host {
  return { hostId: _id as string, ...toCamel(document) } as unknown as Host;
}

// Times are numbers inside and dates in the store; their names tell which fields they are.
const TIMES: ReadonlySet<string> = new Set(['createTime', 'updateTime', 'since']);
// Its keys are the callers'.
const LABELS = 'labels';

function toSnake(value: object): Document {
  const fields = Object.entries(value).map(([name, field]): readonly [string, unknown] => {
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (TIMES.has(name)) return [snake, new Date(field as number)];
    return [snake, name === LABELS ? field : mapped(field, toSnake)];
  });
  return Object.fromEntries(fields);
}

function toCamel(document: object): object {
  const fields = Object.entries(document).map(([name, field]): readonly [string, unknown] => {
    const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (field instanceof Date) return [camel, field.getTime()];
    return [camel, name === LABELS ? field : mapped(field, toCamel)];
  });
  return Object.fromEntries(fields) as object;
}

function mapped(value: unknown, each: (value: object) => object): unknown {
  if (Array.isArray(value)) return value.map((item) => mapped(item, each));
  return typeof value === 'object' && value !== null ? each(value) : value;
}
