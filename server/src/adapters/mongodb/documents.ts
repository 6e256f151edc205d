// The documents as they lie in MongoDB: the fields' names of protocol.md §1, times as dates, addresses as numbers, so
// that a person with a shell can read them, and that they sort.
//
//   Z1. A slot's `_id` names its network and address, and sorts by both: a bare delete says which address it was.
//   Z2. What is empty is left out, so that a document is small and partial indexes hold only what has the field.

import { createHash } from 'node:crypto';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Document } from 'mongodb';
import type { AuditEvent } from '../../domain/audit.js';
import type { Conflict } from '../../domain/conflict.js';
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

// Field by field, here and where slots are read: by spreading objects this takes ten times as long, and then as long as
// everything else about a reservation in this process.
/** A slot as a document. `write` tells this write from every other. */
export function slotDocument(slot: Slot, write?: string): Document {
  const document = tenureFields({ _id: slotId(slot), reservation_id: slot.reservationId }, slot);
  document['family'] = FAMILY;
  document['state'] = slot.state === 'reserved' ? 'RESERVED' : 'QUARANTINED';
  document['chain_counter'] = slot.chainCounter;
  if (slot.chainSoFar) document['chain_so_far'] = slot.chainSoFar;
  if (slot.reuseDelayS !== 0) document['reuse_delay'] = slot.reuseDelayS;
  if (slot.leaseTimeCeilingS !== 0) document['lease_time_ceiling'] = slot.leaseTimeCeilingS;
  document['revision'] = slot.revision;
  if (write !== undefined) document['write'] = write;
  return document;
}

/** An ended tenure as a document. */
export function endedDocument(ended: EndedTenure): Document {
  const document = tenureFields({ _id: ended.reservationId }, ended);
  document['end_time'] = new Date(ended.endTime);
  return document;
}

/** Adds what documents of slots and of ended tenures have in common, all but their id. */
function tenureFields(document: Document, tenure: Tenure): Document {
  const { hostname, owner, labels, options, request, releaseTime, releasedBy, releaseRequest, conflict } = tenure;
  document['network_id'] = tenure.networkId;
  document['address'] = tenure.address;
  document['subnet_id'] = tenure.subnetId;
  document['subnet_uid'] = tenure.subnetUid;
  document['mac'] = tenure.mac;
  if (hostname !== '') document['hostname'] = hostname;
  if (owner !== '') document['owner'] = owner;
  if (!isEmpty(labels)) document['labels'] = labels;
  if (options.length > 0) document['options'] = options;
  document['create_time'] = new Date(tenure.createTime);
  document['created_by'] = tenure.createdBy;
  document['vouched'] = tenure.vouched;
  if (tenure.vouchedLater) document['vouched_later'] = true;
  if (request) document['request'] = toSnake(request);
  if (releaseTime !== undefined) document['release_time'] = new Date(releaseTime);
  if (releasedBy !== undefined) document['released_by'] = releasedBy;
  if (releaseRequest) document['release_request'] = toSnake(releaseRequest);
  if (request || releaseRequest) document['request_keys'] = requestHashes(tenure);
  if (conflict) document['conflict'] = toSnake(conflict);
  return document;
}

function isEmpty(labels: Labels): boolean {
  for (const _ in labels) return false;
  return true;
}

/** Reads a slot. */
export function readSlot(document: Document): Slot {
  const slot = readTenure(document, document['reservation_id'] as ReservationId) as Mutable<Slot>;
  slot.state = document['state'] === 'RESERVED' ? 'reserved' : 'quarantined';
  slot.chainCounter = document['chain_counter'] as number;
  const chainSoFar = document['chain_so_far'] as Slot['chainSoFar'];
  if (chainSoFar) slot.chainSoFar = chainSoFar;
  slot.reuseDelayS = (document['reuse_delay'] as number | undefined) ?? 0;
  slot.leaseTimeCeilingS = (document['lease_time_ceiling'] as number | undefined) ?? 0;
  slot.revision = document['revision'] as Revision;
  return slot;
}

/** Reads an ended tenure. */
export function readEnded(document: Document): EndedTenure {
  const ended = readTenure(document, document['_id'] as ReservationId) as Mutable<EndedTenure>;
  ended.endTime = (document['end_time'] as Date).getTime() as WallTime;
  return ended;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function readTenure(document: Document, reservationId: ReservationId): Mutable<Tenure> {
  const releaseTime = document['release_time'] as Date | undefined;
  const releasedBy = document['released_by'] as string | undefined;
  const request = document['request'] as Document | undefined;
  const releaseRequest = document['release_request'] as Document | undefined;
  const conflict = document['conflict'] as Document | undefined;
  const tenure: Mutable<Tenure> = {
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
  };
  if (document['vouched_later']) tenure.vouchedLater = true;
  if (request) tenure.request = toCamel(request) as RequestKey;
  if (releaseTime) tenure.releaseTime = releaseTime.getTime() as WallTime;
  if (releasedBy !== undefined) tenure.releasedBy = releasedBy;
  if (releaseRequest) tenure.releaseRequest = toCamel(releaseRequest) as RequestKey;
  if (conflict) tenure.conflict = toCamel(conflict) as Conflict;
  return tenure;
}

/** The fields of slots. */
export const SLOT_FIELDS: readonly string[] = [
  ...[
    '_id',
    'reservation_id',
    'network_id',
    'address',
    'subnet_id',
    'subnet_uid',
    'mac',
    'hostname',
    'owner',
    'labels',
  ],
  ...[
    'options',
    'create_time',
    'created_by',
    'vouched',
    'vouched_later',
    'request',
    'release_time',
    'released_by',
    'release_request',
  ],
  ...['request_keys', 'conflict', 'family', 'state', 'chain_counter', 'chain_so_far', 'reuse_delay'],
  ...['lease_time_ceiling', 'revision', 'write'],
];

/** The fields that a summary is read from. */
export const SUMMARY_FIELDS = {
  subnet_uid: 1,
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
    subnetUid: document['subnet_uid'] as Uid,
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

/** An audit event as a document. */
export function auditDocument({ eventId, ...event }: AuditEvent, write?: string): Document {
  return { _id: eventId, ...toSnake(event), ...(write !== undefined && { write }) };
}

/** Reads an audit event. */
export function readAudit({ _id, write: _, ...document }: Document): AuditEvent {
  return { eventId: _id as string, ...toCamel(document) } as unknown as AuditEvent;
}

// Times are numbers inside and dates in the store; their names tell which fields they are.
const TIMES: ReadonlySet<string> = new Set(['createTime', 'updateTime', 'releaseTime', 'since', 'time']);
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
