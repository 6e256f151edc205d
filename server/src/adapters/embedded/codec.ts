// How documents lie in the embedded store: JSON, because it can be read without this program and needs no schema of
// its own. Slots and tenures, of which there are millions, are arrays in a fixed order. A field that is added goes to
// the end; another order is a new schema.
//
//   C1. The first field of a slot's row is its head: a letter, the MAC, and the id's own part. A start reads that much
//       of millions of rows at fixed places, without parsing them: `r` promises that there is nothing else to know of a
//       RESERVED slot but its hostname and its subnet, which follow. The other letters promise nothing.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { Conflict, ConflictKind } from '../../domain/conflict.js';
import type { HostId, NetworkId, ReservationId, Revision, SubnetId, Uid, WallTime } from '../../domain/ids.js';
import type { DhcpOption, Labels } from '../../domain/network.js';
import { commonPart, OWN_LENGTH, ownPart } from '../../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot, SlotSummary, Tenure } from '../../domain/slot.js';
import type { Names } from './names.js';

type RequestRow = readonly [caller: number, rpc: RequestKey['rpc'], id: string, contentHash: string];

type TenureRow = readonly [
  head: string,
  hostname: string,
  subnet: number,
  owner: string,
  labels: Labels | 0,
  options: readonly DhcpOption[] | 0,
  createTime: WallTime,
  createdBy: number,
  /** 2: after the release. */
  vouched: 0 | 1 | 2,
  request: RequestRow | 0,
  releaseTime: WallTime | 0,
  /** One more than its number; 0: none. */
  releasedBy: number,
  releaseRequest: RequestRow | 0,
];

type ConflictRow = readonly [time: WallTime, kind: ConflictKind, sourceMac: Mac, hostId: HostId];

type SlotRow = readonly [
  ...tenure: TenureRow,
  chainCounter: number,
  reuseDelayS: number,
  leaseTimeCeilingS: number,
  revision: Revision,
  conflict?: ConflictRow | 0,
  chainSoFar?: 'vouched' | 'unvouched',
];

type EndedRow = readonly [
  ...tenure: TenureRow,
  networkId: NetworkId,
  address: Ipv4,
  endTime: WallTime,
  conflict?: ConflictRow,
];

const MAC_LENGTH = 17;
// Behind `["` and the letter.
const MAC_AT = 3;
const ID_AT = MAC_AT + MAC_LENGTH;
// Behind `","`.
const HOSTNAME_AT = ID_AT + OWN_LENGTH + 3;
// Behind `",`.
const SUBNET_AFTER_HOSTNAME = 2;
const NO_OPTIONS: readonly DhcpOption[] = [];
const NO_LABELS: Labels = {};

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Where a slot is, which its key says. */
type Place = Pick<Slot, 'networkId' | 'address'>;

/** Prints and reads slots and tenures. */
export class RowCodec {
  readonly #names: Names;
  readonly #commonParts = new Map<NetworkId, string>();
  /** By number, made when first asked for. */
  readonly #subnetUids: Uid[] = [];
  // Of slots that went to their places and not yet to the log of changes. No WeakMap: it costs more than printing twice.
  readonly #printed = new Map<Slot, string>();

  constructor(names: Names) {
    this.#names = names;
  }

  /** Prints a slot for its place, and keeps that for the log. */
  encodeForPlace(slot: Slot): string {
    const text = this.encodeSlot(slot);
    this.#printed.set(slot, text);
    return text;
  }

  /** Prints a slot for the log. */
  encodeForLog(slot: Slot): string {
    const known = this.#printed.get(slot);
    this.#printed.delete(slot);
    return known ?? this.encodeSlot(slot);
  }

  /** Prints a slot. */
  encodeSlot(slot: Slot): string {
    const { chainCounter, reuseDelayS, leaseTimeCeilingS, revision } = slot;
    const letter = slot.state === 'reserved' ? 'r' : 'q';
    const row: SlotRow = [
      ...this.#tenureRow(slot, letter),
      chainCounter,
      reuseDelayS,
      leaseTimeCeilingS,
      revision,
      ...conflictRow(slot),
    ];
    return JSON.stringify(slot.chainSoFar ? [...row.slice(0, 17), row[17] ?? 0, slot.chainSoFar] : row);
  }

  /** Reads a slot. */
  decodeSlot(place: Place, text: string): Slot {
    const row = JSON.parse(text) as SlotRow;
    const letter = row[0].charAt(0);
    // Field by field: by spreading one object into another this takes ten times as long.
    const slot = this.#readTenure(place, row) as Mutable<Slot>;
    slot.state = letter === 'r' || letter === 'R' ? 'reserved' : 'quarantined';
    slot.chainCounter = row[13];
    slot.reuseDelayS = row[14];
    slot.leaseTimeCeilingS = row[15];
    slot.revision = row[16];
    if (row[17]) slot.conflict = readConflict(row[17]);
    if (row[18]) slot.chainSoFar = row[18];
    return slot;
  }

  /** Reads what servers keep of a slot. */
  summarize(place: Place, text: string): SlotSummary {
    if (text.charAt(2) !== 'r') return this.decodeSlot(place, text);
    const hostnameEnd = text.indexOf('"', HOSTNAME_AT);
    const subnetAt = hostnameEnd + SUBNET_AFTER_HOSTNAME;
    return {
      networkId: place.networkId,
      address: place.address,
      subnetUid: this.#subnetUid(Number(text.slice(subnetAt, text.indexOf(',', subnetAt)))),
      state: 'reserved',
      mac: text.slice(MAC_AT, ID_AT) as Mac,
      reservationId: `${text.slice(ID_AT, ID_AT + OWN_LENGTH)}${this.#commonPart(place.networkId)}` as ReservationId,
      hostname: text.slice(HOSTNAME_AT, hostnameEnd),
      options: NO_OPTIONS,
      reuseDelayS: 0,
      leaseTimeCeilingS: 0,
    };
  }

  /** Prints an ended tenure. */
  encodeEnded(ended: EndedTenure): string {
    const { networkId, address, endTime } = ended;
    const row: EndedRow = [...this.#tenureRow(ended, 'q'), networkId, address, endTime, ...conflictRow(ended)];
    return JSON.stringify(row);
  }

  /** Reads an ended tenure. */
  decodeEnded(text: string): EndedTenure {
    const row = JSON.parse(text) as EndedRow;
    const ended = this.#readTenure({ networkId: row[13], address: row[14] }, row) as Mutable<EndedTenure>;
    ended.endTime = row[15];
    if (row[16]) ended.conflict = readConflict(row[16]);
    return ended;
  }

  #tenureRow(tenure: Tenure, letter: 'r' | 'q'): TenureRow {
    const own = ownPart(tenure.reservationId, this.#commonPart(tenure.networkId));
    const isPlain = own !== undefined && tenure.options.length === 0;
    return [
      `${isPlain ? letter : letter.toUpperCase()}${tenure.mac}${own ?? `.${tenure.reservationId}`}`,
      tenure.hostname,
      this.#names.number(`${tenure.subnetId} ${tenure.subnetUid}`),
      tenure.owner,
      isEmpty(tenure.labels) ? 0 : tenure.labels,
      tenure.options.length === 0 ? 0 : tenure.options,
      tenure.createTime,
      this.#names.number(tenure.createdBy),
      tenure.vouched ? (tenure.vouchedLater ? 2 : 1) : 0,
      this.#requestRow(tenure.request),
      tenure.releaseTime ?? 0,
      tenure.releasedBy === undefined ? 0 : 1 + this.#names.number(tenure.releasedBy),
      this.#requestRow(tenure.releaseRequest),
    ];
  }

  #readTenure({ networkId, address }: Place, row: TenureRow | SlotRow | EndedRow): Mutable<Tenure> {
    const [head, hostname, subnet, owner, labels, options, createTime, createdBy, vouched] = row;
    const id = head.slice(1 + MAC_LENGTH);
    const subnetName = this.#names.text(subnet);
    const space = subnetName.indexOf(' ');
    const tenure: Mutable<Tenure> = {
      reservationId: (id.startsWith('.') ? id.slice(1) : `${id}${this.#commonPart(networkId)}`) as ReservationId,
      networkId,
      address,
      subnetId: subnetName.slice(0, space) as SubnetId,
      subnetUid: subnetName.slice(space + 1) as Uid,
      mac: head.slice(1, 1 + MAC_LENGTH) as Mac,
      hostname,
      owner,
      labels: labels === 0 ? NO_LABELS : labels,
      options: options === 0 ? NO_OPTIONS : options,
      createTime,
      createdBy: this.#names.text(createdBy),
      vouched: vouched !== 0,
    };
    if (vouched === 2) tenure.vouchedLater = true;
    if (row[9] !== 0) tenure.request = this.#readRequest(row[9]);
    if (row[10] !== 0) tenure.releaseTime = row[10];
    if (row[11] !== 0) tenure.releasedBy = this.#names.text(row[11] - 1);
    if (row[12] !== 0) tenure.releaseRequest = this.#readRequest(row[12]);
    return tenure;
  }

  #requestRow(key: RequestKey | undefined): RequestRow | 0 {
    return key ? [this.#names.number(key.caller), key.rpc, key.id, key.contentHash] : 0;
  }

  #readRequest([caller, rpc, id, contentHash]: RequestRow): RequestKey {
    return { caller: this.#names.text(caller), rpc, id, contentHash };
  }

  #subnetUid(number: number): Uid {
    let uid = this.#subnetUids[number];
    if (uid === undefined) {
      const name = this.#names.text(number);
      uid = name.slice(name.indexOf(' ') + 1) as Uid;
      this.#subnetUids[number] = uid;
    }
    return uid;
  }

  #commonPart(networkId: NetworkId): string {
    let common = this.#commonParts.get(networkId);
    if (common === undefined) {
      common = commonPart(networkId);
      this.#commonParts.set(networkId, common);
    }
    return common;
  }
}

function conflictRow({ conflict }: Tenure): readonly [] | readonly [ConflictRow] {
  return conflict ? [[conflict.time, conflict.kind, conflict.sourceMac, conflict.hostId]] : [];
}

function readConflict([time, kind, sourceMac, hostId]: ConflictRow): Conflict {
  return { time, kind, sourceMac, hostId };
}

function isEmpty(labels: Labels): boolean {
  for (const _ in labels) return false;
  return true;
}

/** Whether the row of a slot is of a RESERVED one, without parsing it. */
export function isReservedRow(text: string): boolean {
  const letter = text.charAt(2);
  return letter === 'r' || letter === 'R';
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
