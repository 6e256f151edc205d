// One change stream over networks, slots and hosts: whoever sees a slot of a newer placement epoch has first seen that
// epoch (protocol.md §2.7). By commands instead of the driver's class: the position of every event is needed, batches are
// taken in whole, and what breaks is opened again by us.
//
//   S1. Events are built from the change itself: the document as this write left it, and as it was before.
//   S2. A position is the resume token of an event, or of the moment between two; a later one is the greater string.

import type { ClientSession, Db, Document, Long, Timestamp } from 'mongodb';
import { MongoServerError } from 'mongodb';
import type { Change } from '../../domain/change.js';
import { type Position, type PositionedChange, PositionLostError } from '../../ports/store.js';
import { BsonReader, membersOf } from './bson-reader.js';
import { parseSlotId, readHost, readNetwork, readSlot, SLOT_FIELDS } from './documents.js';
import { type RawCursor, runForCursor } from './raw-cursor.js';
import { WATCHED } from './schema.js';

// The server answers at the first event; without one after this long.
const AWAIT_MS = 1_000;
const BATCH = 2_000;
// The position is not in the oplog any more, or is none; the collection is another.
const LOST_CODES: ReadonlySet<number> = new Set([286, 280, 260, 9, 14, 40_415, 50_811, 8_454_900, 26, 222]);

const READER = new BsonReader([
  ...['_id', '_data', 'operationType', 'clusterTime', 'wallTime', 'ns', 'db', 'coll', 'documentKey'],
  ...['fullDocument', 'fullDocumentBeforeChange'],
  ...SLOT_FIELDS,
]);

/** Where a stream begins: after a position, or at a cluster time. */
export type Begin = { readonly after: Position } | { readonly at: Timestamp };

/** What a batch of a stream holds. */
export interface Batch {
  readonly changes: readonly PositionedChange[];
  /** By collection, which writes made what is in it: the marks of documents. */
  readonly writes: readonly SeenWrite[];
  /** Right after everything in it, and everything before that is none of ours. */
  readonly position: Position;
  /** When the last change in it was made, by the clock of the store; undefined: there is none. */
  readonly madeAt: Date | undefined;
}

/** A write of a document; `mark` undefined: its removal. */
export interface SeenWrite {
  readonly collection: string;
  readonly id: string;
  readonly mark: string | undefined;
}

/** An open change stream. */
export class ChangeStream {
  readonly #db: Db;
  readonly #session: ClientSession;
  #cursor: Long;
  #first: Batch | undefined;

  private constructor(db: Db, session: ClientSession, cursor: Long, first: Batch) {
    this.#db = db;
    this.#session = session;
    this.#cursor = cursor;
    this.#first = first;
  }

  /** Opens a stream; rejects with PositionLostError when it cannot begin there. */
  static async open(db: Db, session: ClientSession, begin: Begin): Promise<ChangeStream> {
    const from = 'at' in begin ? { startAtOperationTime: begin.at } : { resumeAfter: { _data: tokenOf(begin.after) } };
    const stage = { ...from, fullDocument: 'whenAvailable', fullDocumentBeforeChange: 'whenAvailable' };
    const ours = { 'ns.coll': { $in: [...WATCHED] } };
    const command = {
      aggregate: 1,
      pipeline: [{ $changeStream: stage }, { $match: { $or: [ours, { operationType: { $in: ENDS } }] } }],
      cursor: { batchSize: 0 },
      readConcern: { level: 'majority' },
    };
    try {
      const cursor = await runForCursor(db, session, command);
      return new ChangeStream(db, session, cursor.id, toBatch(cursor));
    } catch (error) {
      throw asLost(error);
    }
  }

  /** Where the stream is when nothing was read from it yet. */
  get position(): Position {
    return this.#first?.position ?? ('' as Position);
  }

  /** The next batch; an empty one when nothing happened for a while. */
  async next(awaitMs = AWAIT_MS): Promise<Batch> {
    if (this.#first && this.#first.changes.length > 0) {
      const first = this.#first;
      this.#first = undefined;
      return first;
    }
    this.#first = undefined;
    const command = { getMore: this.#cursor, collection: '$cmd.aggregate', batchSize: BATCH, maxTimeMS: awaitMs };
    try {
      const cursor = await runForCursor(this.#db, this.#session, command);
      this.#cursor = cursor.id;
      return toBatch(cursor);
    } catch (error) {
      throw asLost(error);
    }
  }

  /** Closes it on the server, too. */
  async close(): Promise<void> {
    if (this.#cursor.isZero()) return;
    const command = { killCursors: '$cmd.aggregate', cursors: [this.#cursor] };
    await this.#db.command(command, { session: this.#session }).catch(() => undefined);
  }
}

const ENDS = ['dropDatabase', 'invalidate'];

function tokenOf(position: Position): string {
  if (!/^[0-9A-F]{20,}$/.test(position)) throw new PositionLostError('No position of this store');
  return position;
}

function asLost(error: unknown): unknown {
  if (!(error instanceof MongoServerError) || !LOST_CODES.has(Number(error.code))) return error;
  return new PositionLostError(error.message, { cause: error });
}

function toBatch({ batch, resumeToken }: RawCursor): Batch {
  const changes: PositionedChange[] = [];
  const writes: SeenWrite[] = [];
  let madeAt: Date | undefined;
  for (const at of membersOf(batch)) {
    const event = READER.read(batch, at);
    madeAt = event['wallTime'] as Date | undefined;
    const change = toChange(event);
    if (!change) continue;
    const position = (event['_id'] as { _data: string })._data as Position;
    changes.push({ ...change, position });
    const collection = (event['ns'] as { coll: string }).coll;
    if (collection === 'slots') continue;
    const id = (event['documentKey'] as { _id: string })._id;
    const mark = (event['fullDocument'] as Document | undefined)?.['write'] as string | undefined;
    writes.push({ collection, id, mark });
  }
  return { changes, writes, position: (resumeToken ?? '') as Position, madeAt };
}

/** The change that an event tells; undefined when it changes none of our documents. */
function toChange(event: Document): Change | undefined {
  const type = event['operationType'] as string;
  if (ENDS.includes(type)) throw new PositionLostError(`The database was dropped (${type})`);
  const collection = (event['ns'] as { coll: string }).coll;
  if (type === 'drop' || type === 'rename') throw new PositionLostError(`Collection ${collection} was dropped`);
  const { _id: id } = (event['documentKey'] ?? {}) as { _id?: string };
  if (id === undefined) return undefined;
  const document = event['fullDocument'] as Document | undefined;
  const before = (event['fullDocumentBeforeChange'] as Document | null | undefined) ?? undefined;
  if (type === 'delete') return gone(collection, id, before);
  // Somebody changed a single field by hand, and its image is not there any more.
  if (!document) throw new PositionLostError(`A change of ${collection} ${id} came without its document`);
  return present(collection, document, before);
}

function present(collection: string, document: Document, before: Document | undefined): Change {
  switch (collection) {
    case 'slots':
      return { kind: 'slot', slot: readSlot(document), ...(before && { before: readSlot(before) }) };
    case 'networks':
      return { kind: 'network', network: readNetwork(document), ...(before && { before: readNetwork(before) }) };
    default:
      return { kind: 'host', host: readHost(document), ...(before && { before: readHost(before) }) };
  }
}

function gone(collection: string, id: string, before: Document | undefined): Change {
  switch (collection) {
    case 'slots':
      return { kind: 'slot-gone', ...parseSlotId(id), ...(before && { before: readSlot(before) }) };
    case 'networks':
      return { kind: 'network-gone', networkId: id as never, ...(before && { before: readNetwork(before) }) };
    default:
      return { kind: 'host-gone', hostId: id as never, ...(before && { before: readHost(before) }) };
  }
}
