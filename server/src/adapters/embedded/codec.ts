// How documents lie in the embedded store: JSON, because it can be read without this program and needs no schema of
// its own. Slots and tenures, of which there are millions, are arrays in a fixed order: a third smaller and twice as
// quick to read as objects. A field that is added goes to the end; another order is a new schema.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../../domain/ids.js';
import type { DhcpOption, Labels } from '../../domain/network.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../../domain/slot.js';

type RequestRow = readonly [caller: string, rpc: RequestKey['rpc'], id: string, contentHash: string];

type TenureRow = readonly [
  reservationId: ReservationId,
  networkId: NetworkId,
  address: Ipv4,
  subnetId: SubnetId,
  subnetUid: Uid,
  mac: Mac,
  hostname: string,
  owner: string,
  labels: Labels,
  options: readonly DhcpOption[],
  createTime: WallTime,
  createdBy: string,
  vouched: 0 | 1,
  request: RequestRow | 0,
  releaseTime: WallTime | 0,
  releasedBy: string | 0,
  releaseRequest: RequestRow | 0,
];

type SlotRow = readonly [
  tenure: TenureRow,
  reserved: 0 | 1,
  chainCounter: number,
  reuseDelayS: number,
  leaseTimeCeilingS: number,
  revision: Revision,
];

type EndedRow = readonly [tenure: TenureRow, endTime: WallTime];

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Prints a slot. */
export function encodeSlot(slot: Slot): string {
  const reserved = slot.state === 'reserved' ? 1 : 0;
  const { chainCounter, reuseDelayS, leaseTimeCeilingS, revision } = slot;
  const row: SlotRow = [tenureRow(slot), reserved, chainCounter, reuseDelayS, leaseTimeCeilingS, revision];
  return JSON.stringify(row);
}

/** Reads a slot. */
export function decodeSlot(text: string): Slot {
  const row = JSON.parse(text) as SlotRow;
  const slot = readTenure(row[0]) as Draft<Slot>;
  slot.state = row[1] === 1 ? 'reserved' : 'quarantined';
  slot.chainCounter = row[2];
  slot.reuseDelayS = row[3];
  slot.leaseTimeCeilingS = row[4];
  slot.revision = row[5];
  return slot;
}

/** Prints an ended tenure. */
export function encodeEnded(ended: EndedTenure): string {
  const row: EndedRow = [tenureRow(ended), ended.endTime];
  return JSON.stringify(row);
}

/** Reads an ended tenure. */
export function decodeEnded(text: string): EndedTenure {
  const row = JSON.parse(text) as EndedRow;
  const ended = readTenure(row[0]) as Draft<EndedTenure>;
  ended.endTime = row[1];
  return ended;
}

function tenureRow(tenure: Tenure): TenureRow {
  return [
    tenure.reservationId,
    tenure.networkId,
    tenure.address,
    tenure.subnetId,
    tenure.subnetUid,
    tenure.mac,
    tenure.hostname,
    tenure.owner,
    tenure.labels,
    tenure.options,
    tenure.createTime,
    tenure.createdBy,
    tenure.vouched ? 1 : 0,
    requestRow(tenure.request),
    tenure.releaseTime ?? 0,
    tenure.releasedBy ?? 0,
    requestRow(tenure.releaseRequest),
  ];
}

// By index and without spreading: a start reads millions of them.
function readTenure(row: TenureRow): Draft<Tenure> {
  const tenure: Draft<Tenure> = {
    reservationId: row[0],
    networkId: row[1],
    address: row[2],
    subnetId: row[3],
    subnetUid: row[4],
    mac: row[5],
    hostname: row[6],
    owner: row[7],
    labels: row[8],
    options: row[9],
    createTime: row[10],
    createdBy: row[11],
    vouched: row[12] === 1,
  };
  if (row[13] !== 0) tenure.request = readRequest(row[13]);
  if (row[14] !== 0) tenure.releaseTime = row[14];
  if (row[15] !== 0) tenure.releasedBy = row[15];
  if (row[16] !== 0) tenure.releaseRequest = readRequest(row[16]);
  return tenure;
}

function requestRow(key: RequestKey | undefined): RequestRow | 0 {
  return key ? [key.caller, key.rpc, key.id, key.contentHash] : 0;
}

function readRequest(row: RequestRow): RequestKey {
  return { caller: row[0], rpc: row[1], id: row[2], contentHash: row[3] };
}

/** An address that a MAC has in a network, and whether it is reserved (else quarantined). */
export interface Held {
  readonly address: Ipv4;
  readonly reserved: boolean;
}

const HELD_LENGTH = 9;

/** Prints what a MAC has in a network: of each address 8 hexadecimal digits and `r` or `q`, in address order. */
export function encodeHeld(held: readonly Held[]): string {
  const sorted = held.toSorted((a, b) => a.address - b.address);
  return sorted.map((each) => each.address.toString(16).padStart(8, '0') + (each.reserved ? 'r' : 'q')).join('');
}

/** Reads what a MAC has in a network. */
export function decodeHeld(text = ''): Held[] {
  const held: Held[] = [];
  for (let i = 0; i < text.length; i += HELD_LENGTH) {
    held.push({ address: Number.parseInt(text.slice(i, i + 8), 16) as Ipv4, reserved: text[i + 8] === 'r' });
  }
  return held;
}
