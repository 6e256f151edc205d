// The state of the store at one moment: reads at one cluster time. MongoDB keeps it for minutes
// (minSnapshotHistoryWindowInSeconds, 300 unless set otherwise).

import { type ClientSession, type Db, type Document, type Long, type MongoClient, Timestamp } from 'mongodb';
import type { NetworkId } from '../../domain/ids.js';
import type { Slot, SlotSummary } from '../../domain/slot.js';
import type { Snapshot } from '../../ports/store.js';
import type { ChangeFeeds } from './change-feed.js';
import { cursorId } from './cursor-id.js';
import { readHost, readNetwork, readSlot, SUMMARY_FIELDS, slotId } from './documents.js';
import { asUnavailable } from './exchange.js';
import { rawScan } from './raw-scan.js';
import { SummaryReader } from './summary-reader.js';

const BATCH = 1_000;
const LAST_ADDRESS = 0xffffffff as never;

/** Takes a snapshot at a cluster time, which must have come. */
export async function takeSnapshot(
  client: MongoClient,
  db: Db,
  feeds: ChangeFeeds,
  time: Timestamp,
): Promise<Snapshot> {
  // What is done at this very time is in the snapshot.
  const position = await feeds.positionAt(new Timestamp({ t: time.t, i: time.i + 1 }));
  const session = client.startSession({ causalConsistency: false });
  const all = (find: string, filter: Document = {}) => findAt(time, find, filter);
  const scanned = (find: ReturnType<typeof all>) => faultsTold(scan(db, session, find));
  return {
    position,
    async *networks() {
      for await (const documents of scanned(all('networks'))) yield* documents.map(readNetwork);
    },
    async *hosts() {
      for await (const documents of scanned(all('hosts'))) yield* documents.map(readHost);
    },
    async *slots(networkId): AsyncGenerator<readonly Slot[]> {
      for await (const documents of scanned(all('slots', ofNetwork(networkId)))) yield documents.map(readSlot);
    },
    async *summaries(networkId): AsyncGenerator<readonly SlotSummary[]> {
      const find = { ...all('slots', ofNetwork(networkId)), projection: SUMMARY_FIELDS };
      const reader = new SummaryReader();
      yield* faultsTold(rawScan(db, session, find, (batch, at) => reader.read(batch, at)));
    },
    async close() {
      await session.endSession();
    },
  };
}

/** The same; but where the database goes away meanwhile, it says so in the words of the port. */
export async function* faultsTold<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* items;
  } catch (error) {
    throw asUnavailable(error);
  }
}

/** The find of a collection's documents, by `_id` unless told otherwise, as they were at a cluster time. */
export function findAt(
  time: Timestamp,
  find: string,
  filter: Document = {},
  sort: Document = { _id: 1 },
): Document & { readonly find: string } {
  return { find, filter, sort, readConcern: { level: 'snapshot', atClusterTime: time } };
}

function ofNetwork(networkId: NetworkId | undefined): Document {
  if (networkId === undefined) return {};
  const [first, last] = [0 as never, LAST_ADDRESS].map((address) => slotId({ networkId, address }));
  return { _id: { $gte: first, $lte: last } };
}

/** Runs a find and gives its documents in batches. */
export async function* scan(
  db: Db,
  session: ClientSession,
  find: Document & { readonly find: string },
): AsyncGenerator<readonly Document[]> {
  let cursor = (await db.command({ ...find, batchSize: BATCH }, { session }))['cursor'] as Cursor;
  for (let batch = cursor.firstBatch; ; batch = cursor.nextBatch) {
    if (batch && batch.length > 0) yield batch;
    const id = cursorId(cursor.id);
    if (id.isZero()) return;
    cursor = (await db.command({ getMore: id, collection: find.find, batchSize: BATCH }, { session }))[
      'cursor'
    ] as Cursor;
  }
}

interface Cursor {
  readonly id: Long | number;
  readonly firstBatch?: readonly Document[];
  readonly nextBatch?: readonly Document[];
}
