// A network's table on disk: an image of it, and a journal of the deliveries since.
//
//   I1. An image is whole or is no image: its records are counted in its header and each has its checksum.
//   I2. A journal names the image it continues. One that continues another image says nothing about this one.

import { Assignment, Delivery, SnapshotPart } from '@leasehold/proto/ipam/v1/session';
import type { Parsed } from '@leasehold/proto/values';
import { NetworkTable } from '../domain/table.js';
import { decodeRecords, encodeRecords } from './records.js';

const ENTRIES_PER_RECORD = 1_000;

/** What an image begins with. */
export interface ImageHeader {
  readonly format: 1;
  readonly networkId: string;
  readonly placementEpoch: string;
  /** The store and incarnation it came from: nobody may be answered from another store's table. */
  readonly storeUid: string;
  readonly incarnation: string;
  /** Random; the journal repeats it. */
  readonly imageId: string;
  /** How many records follow. */
  readonly records: number;
}

/** A table to write. */
export interface TableImage {
  readonly placementEpoch: bigint;
  readonly table: NetworkTable;
}

/** A table read back. */
export interface RestoredTable extends TableImage {
  readonly header: ImageHeader;
  /** `torn`: it ends in the middle of a record. `foreign`: it continues another image. */
  readonly journal: 'none' | 'whole' | 'torn' | 'foreign';
}

/** Encodes an image at this moment. */
export function encodeImage(header: Omit<ImageHeader, 'format' | 'records'>, table: NetworkTable): Buffer {
  if (!table.assignment) throw new Error('agent: a table without an assignment is not written');
  const payloads: Uint8Array[] = [Assignment.encode(table.assignment).finish()];
  const entries = [...table.entries()];
  for (let at = 0; at < entries.length; at += ENTRIES_PER_RECORD) {
    payloads.push(SnapshotPart.encode({ entries: entries.slice(at, at + ENTRIES_PER_RECORD) }).finish());
  }
  const full: ImageHeader = { format: 1, ...header, records: payloads.length };
  return encodeRecords([Buffer.from(JSON.stringify(full)), ...payloads]);
}

/** The first record of a journal. */
export function encodeJournalHead(imageId: string): Buffer {
  return encodeRecords([Buffer.from(imageId)]);
}

/** Encodes deliveries for a journal. */
export function encodeDeliveries(deliveries: readonly Delivery[]): Buffer {
  return encodeRecords(deliveries.map((delivery) => Delivery.encode(delivery).finish()));
}

/** Reads a table; a string says what is wrong with its files. */
export function decodeTable(image: Buffer, journal: Buffer | undefined): RestoredTable | string {
  try {
    return restore(image, journal);
  } catch (error) {
    // Only bytes with a right checksum get this far: an image of another version, or one that was tampered with.
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function restore(image: Buffer, journal: Buffer | undefined): RestoredTable | string {
  const { payloads, end } = decodeRecords(image);
  const [first, assignment, ...parts] = payloads;
  if (end !== 'whole' || !first || !assignment) return 'the image is damaged or cut short';
  const header = JSON.parse(first.toString('utf8')) as ImageHeader;
  if (header.format !== 1) return `the image has format ${header.format}, this agent reads 1`;
  if (header.records !== payloads.length - 1) return 'the image is damaged or cut short';
  const table = new NetworkTable();
  const assigned = table.assign(Assignment.decode(assignment));
  if (!assigned.ok) return assigned.problem;
  const replaced = table.replace(parts.flatMap((part) => SnapshotPart.decode(part).entries));
  if (!replaced.ok) return replaced.problem;
  const read = { header, table, placementEpoch: BigInt(header.placementEpoch), journal: 'none' as const };
  return journal ? replay(read, journal) : read;
}

function replay(read: RestoredTable, journal: Buffer): RestoredTable | string {
  const { payloads, end } = decodeRecords(journal);
  const [head, ...records] = payloads;
  if (head && head.toString('utf8') !== read.header.imageId) return { ...read, journal: 'foreign' };
  if (end === 'damaged') return 'the journal is damaged';
  let placementEpoch = read.placementEpoch;
  for (const record of records) {
    const delivery = Delivery.decode(record);
    placementEpoch = delivery.placementEpoch;
    const done = replayOne(read.table, delivery);
    if (done !== undefined && !done.ok) return done.problem;
  }
  return { ...read, placementEpoch, journal: end };
}

function replayOne(table: NetworkTable, { action }: Delivery): Parsed<void> | undefined {
  if (action?.$case === 'assignment') return table.assign(action.value);
  if (action?.$case === 'tableDelta') return table.apply(action.value);
  // A confirmation is written for its placement epoch alone.
  return undefined;
}
