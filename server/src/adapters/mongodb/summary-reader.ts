// Reads what servers keep of millions of slots, as a find with `SUMMARY_FIELDS` answers them.
//
//   U1. Nearly all are RESERVED slots without options, whose few fields come in the order in which they are written: those
//       are told by their bytes, and their texts made in one go. Whatever looks otherwise is read field by field.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId, ReservationId, Uid } from '../../domain/ids.js';
import type { DhcpOption } from '../../domain/network.js';
import type { SlotSummary } from '../../domain/slot.js';
import { BsonReader, isThere } from './bson-reader.js';
import { parseSlotId, readSummary, SUMMARY_FIELDS } from './documents.js';

// https://bsonspec.org/spec.html: the type of a string, its name, a zero; then come its length in 4 bytes, itself, a zero.
const ID = Buffer.from('\x02_id\0');
const RESERVATION_ID = Buffer.from('\x02reservation_id\0');
const SUBNET_UID = Buffer.from('\x02subnet_uid\0');
const MAC = Buffer.from('\x02mac\0');
const HOSTNAME = Buffer.from('\x02hostname\0');
const RESERVED = Buffer.from('\x02state\0\x09\0\0\0RESERVED\0');
const LENGTH_BYTES = 4;
const ADDRESS_DIGITS = 8;
const SPACE = 0x20;
const NO_OPTIONS: readonly DhcpOption[] = [];

/** Reads the summaries of one find. */
export class SummaryReader {
  readonly #reader = new BsonReader(['_id', ...Object.keys(SUMMARY_FIELDS)]);
  // One string for all slots of a network: they come one network after another.
  #network = '' as NetworkId;
  /** The same, with the separator behind it. */
  #networkBytes = Buffer.alloc(0);
  // So do those of a subnet.
  #subnetUid = '' as Uid;
  #subnetUidBytes = Buffer.alloc(0);

  /** Reads the summary of the document that begins there. */
  read(buffer: Buffer, start: number): SlotSummary {
    return this.#readPlain(buffer, start) ?? this.#readAny(buffer, start);
  }

  #readAny(buffer: Buffer, start: number): SlotSummary {
    const document = this.#reader.read(buffer, start);
    const { networkId, address } = parseSlotId(document['_id'] as string);
    if (networkId !== this.#network) {
      this.#network = networkId;
      this.#networkBytes = Buffer.from(`${networkId} `);
    }
    return readSummary(document, this.#network, address);
  }

  #readPlain(buffer: Buffer, start: number): SlotSummary | undefined {
    const last = start + buffer.readInt32LE(start) - 1;
    const id = valueAt(ID, buffer, start + LENGTH_BYTES);
    if (id === undefined) return undefined;
    const idEnd = endOf(buffer, id);
    const address = this.#addressIn(buffer, id, idEnd);
    const first = valueAt(RESERVATION_ID, buffer, idEnd + 1);
    if (address === undefined || first === undefined) return undefined;
    const firstEnd = endOf(buffer, first);
    const subnetUid = valueAt(SUBNET_UID, buffer, firstEnd + 1);
    if (subnetUid === undefined) return undefined;
    const subnetUidEnd = endOf(buffer, subnetUid);
    const mac = valueAt(MAC, buffer, subnetUidEnd + 1);
    if (mac === undefined) return undefined;
    const macEnd = endOf(buffer, mac);
    const hostname = valueAt(HOSTNAME, buffer, macEnd + 1);
    const end = hostname === undefined ? macEnd : endOf(buffer, hostname);
    if (end + 1 + RESERVED.length !== last || !isThere(RESERVED, buffer, end + 1)) return undefined;
    const texts = buffer.toString('utf8', first, end);
    // Otherwise places in the text are not places in the bytes.
    if (texts.length !== end - first) return undefined;
    return {
      networkId: this.#network,
      address,
      subnetUid: this.#subnetUidIn(buffer, subnetUid, subnetUidEnd),
      state: 'reserved',
      mac: texts.slice(mac - first, macEnd - first) as Mac,
      reservationId: texts.slice(0, firstEnd - first) as ReservationId,
      hostname: hostname === undefined ? '' : texts.slice(hostname - first),
      options: NO_OPTIONS,
      reuseDelayS: 0,
      leaseTimeCeilingS: 0,
    };
  }

  #subnetUidIn(buffer: Buffer, start: number, end: number): Uid {
    const bytes = this.#subnetUidBytes;
    if (bytes.length !== end - start || !isThere(bytes, buffer, start)) {
      this.#subnetUidBytes = Buffer.from(buffer.subarray(start, end));
      this.#subnetUid = this.#subnetUidBytes.toString() as Uid;
    }
    return this.#subnetUid;
  }

  /** The address in an `_id` of the network that is known. */
  #addressIn(buffer: Buffer, start: number, end: number): Ipv4 | undefined {
    const bytes = this.#networkBytes;
    const at = start + bytes.length;
    if (end - at !== ADDRESS_DIGITS || buffer[at - 1] !== SPACE || !isThere(bytes, buffer, start)) return undefined;
    let address = 0;
    for (let i = at; i < end; i++) {
      const value = digit(buffer[i] as number);
      if (value === undefined) return undefined;
      address = address * 16 + value;
    }
    return address as Ipv4;
  }
}

/** Where the value of a field begins, behind its length; undefined when there is another field. */
function valueAt(field: Buffer, buffer: Buffer, at: number): number | undefined {
  return isThere(field, buffer, at) ? at + field.length + LENGTH_BYTES : undefined;
}

/** Where the zero is after a string. */
function endOf(buffer: Buffer, value: number): number {
  return value + buffer.readInt32LE(value - LENGTH_BYTES) - 1;
}

/** The value of a hexadecimal digit in lower case; undefined of anything else. */
function digit(code: number): number | undefined {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : undefined;
}
