// How documents lie in the embedded store: JSON, because it can be read without this program and needs no schema of
// its own. Slots and tenures, of which there are millions, are arrays in a fixed order: a third smaller and twice as
// quick to read as objects. New fields are appended; a change of the order is a new schema.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../../domain/ids.js';
import type { DhcpOption, Labels } from '../../domain/network.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../../domain/slot.js';

type RequestRow = readonly [caller: string, rpc: RequestKey['rpc'], id: string, contentHash: string];

type TenureRow = readonly [
  reservationId: ReservationId,
  subnetId: SubnetId,
  subnetUid: Uid,
  mac: Mac,
  hostname: string,
  owner: string,
  labels: Labels,
  options: readonly DhcpOption[],
  createTime: WallTime,
  createdBy: string,
  request: RequestRow | 0,
  releaseTime: WallTime | 0,
  releasedBy: string | 0,
  releaseRequest: RequestRow | 0,
  vouched: 0 | 1,
];

type SlotRow = readonly [
  reserved: 0 | 1,
  chainCounter: number,
  reuseDelayS: number,
  leaseTimeCeilingS: number,
  revision: Revision,
  ...tenure: TenureRow,
];

type EndedRow = readonly [networkId: NetworkId, address: Ipv4, endTime: WallTime, ...tenure: TenureRow];

/** Prints a slot without what its key says. */
export function encodeSlot(slot: Slot): string {
  const row: SlotRow = [
    slot.state === 'reserved' ? 1 : 0,
    slot.chainCounter,
    slot.reuseDelayS,
    slot.leaseTimeCeilingS,
    slot.revision,
    ...tenureRow(slot),
  ];
  return JSON.stringify(row);
}

/** Reads a slot. */
export function decodeSlot(networkId: NetworkId, address: Ipv4, text: string): Slot {
  const [reserved, chainCounter, reuseDelayS, leaseTimeCeilingS, revision, ...tenure] = JSON.parse(text) as SlotRow;
  return {
    ...readTenure(networkId, address, tenure),
    state: reserved ? 'reserved' : 'quarantined',
    chainCounter,
    reuseDelayS,
    leaseTimeCeilingS,
    revision,
  };
}

/** Prints an ended tenure. */
export function encodeEnded(ended: EndedTenure): string {
  const row: EndedRow = [ended.networkId, ended.address, ended.endTime, ...tenureRow(ended)];
  return JSON.stringify(row);
}

/** Reads an ended tenure. */
export function decodeEnded(text: string): EndedTenure {
  const [networkId, address, endTime, ...tenure] = JSON.parse(text) as EndedRow;
  return { ...readTenure(networkId, address, tenure), endTime };
}

function tenureRow(tenure: Tenure): TenureRow {
  return [
    tenure.reservationId,
    tenure.subnetId,
    tenure.subnetUid,
    tenure.mac,
    tenure.hostname,
    tenure.owner,
    tenure.labels,
    tenure.options,
    tenure.createTime,
    tenure.createdBy,
    requestRow(tenure.request),
    tenure.releaseTime ?? 0,
    tenure.releasedBy ?? 0,
    requestRow(tenure.releaseRequest),
    tenure.vouched ? 1 : 0,
  ];
}

function readTenure(networkId: NetworkId, address: Ipv4, row: TenureRow): Tenure {
  const [request, releaseTime, releasedBy, releaseRequest] = [row[10], row[11], row[12], row[13]];
  return {
    reservationId: row[0],
    networkId,
    address,
    subnetId: row[1],
    subnetUid: row[2],
    mac: row[3],
    hostname: row[4],
    owner: row[5],
    labels: row[6],
    options: row[7],
    createTime: row[8],
    createdBy: row[9],
    vouched: row[14] === 1,
    ...(request !== 0 && { request: readRequest(request) }),
    ...(releaseTime !== 0 && { releaseTime }),
    ...(releasedBy !== 0 && { releasedBy }),
    ...(releaseRequest !== 0 && { releaseRequest: readRequest(releaseRequest) }),
  };
}

function requestRow(key: RequestKey | undefined): RequestRow | 0 {
  return key ? [key.caller, key.rpc, key.id, key.contentHash] : 0;
}

function readRequest([caller, rpc, id, contentHash]: RequestRow): RequestKey {
  return { caller, rpc, id, contentHash };
}

/** An address that a MAC has in a network, and whether it is reserved (else quarantined). */
export interface Held {
  readonly address: Ipv4;
  readonly reserved: boolean;
}

/** Prints what a MAC has in a network, in address order: address in 4 bytes, reserved in one. */
export function encodeHeld(held: readonly Held[]): Buffer {
  const bytes = Buffer.allocUnsafe(held.length * 5);
  held.forEach(({ address, reserved }, i) => {
    bytes.writeUInt32BE(address, i * 5);
    bytes[i * 5 + 4] = reserved ? 1 : 0;
  });
  return bytes;
}

/** Reads what a MAC has in a network. */
export function decodeHeld(bytes: Buffer | undefined): Held[] {
  const held: Held[] = [];
  for (let i = 0; bytes && i < bytes.length; i += 5) {
    held.push({ address: bytes.readUInt32BE(i) as Ipv4, reserved: bytes[i + 4] === 1 });
  }
  return held;
}
