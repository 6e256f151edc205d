// The MongoDB driver alone: inserts documents like those of reservations, journaled by a majority.

import { systemEntropy } from '@leasehold/program/system-entropy';
import type { Ipv4 } from '@leasehold/proto/values';
import { slotDocument } from '@leasehold/server/adapters/mongodb/documents';
import type { NetworkId, Revision, SubnetId, Uid, WallTime } from '@leasehold/server/domain/ids';
import { makeReservationId } from '@leasehold/server/domain/reservation-id';
import { type Collection, type Document, MongoClient } from 'mongodb';
import { percentile } from './benchmark.js';
import { doTasks } from './child.js';
import { macOf } from './load.js';

/** What to insert. */
export type RawInserts =
  | { readonly kind: 'connect'; readonly uri: string }
  | { readonly kind: 'batches'; readonly count: number; readonly batch: number; readonly inFlight: number }
  /** One after the other. */
  | { readonly kind: 'single'; readonly count: number };

/** How it went. */
export interface RawResult {
  readonly seconds: number;
  /** Of one insert. */
  readonly p50Ms: number;
}

const NETWORK = 'raw' as NetworkId;
const FIRST = 0x0a000000;
const DURABLE = { writeConcern: { w: 'majority', journal: true } } as const;

const entropy = systemEntropy();
let slots: Collection | undefined;
let made = 0;

doTasks(async (task: RawInserts): Promise<RawResult> => {
  if (task.kind === 'connect') {
    const client = new MongoClient(task.uri);
    await client.connect();
    slots = client.db().collection('slots');
    return { seconds: 0, p50Ms: 0 };
  }
  if (!slots) throw new Error('Not connected yet');
  const documents = Array.from({ length: task.count }, nextDocument);
  const startMs = performance.now();
  const latencies =
    task.kind === 'single' ? await insertEach(slots, documents) : await insertAll(slots, documents, task);
  return { seconds: (performance.now() - startMs) / 1_000, p50Ms: percentile(latencies, 0.5) };
});

async function insertEach(collection: Collection, documents: readonly Document[]): Promise<readonly number[]> {
  const latencies: number[] = [];
  for (const document of documents) {
    const askedMs = performance.now();
    await collection.insertOne(document, DURABLE);
    latencies.push(performance.now() - askedMs);
  }
  return latencies;
}

async function insertAll(
  collection: Collection,
  documents: Document[],
  { batch, inFlight }: { readonly batch: number; readonly inFlight: number },
): Promise<readonly number[]> {
  const insertSome = async () => {
    for (let some = documents.splice(0, batch); some.length > 0; some = documents.splice(0, batch)) {
      await collection.insertMany(some, { ordered: false, ...DURABLE });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, insertSome));
  return [];
}

function nextDocument(): Document {
  const n = made++;
  const address = (FIRST + n) as Ipv4;
  return slotDocument({
    reservationId: makeReservationId(NETWORK, address, entropy),
    networkId: NETWORK,
    address,
    subnetId: 'bench-1' as SubnetId,
    subnetUid: '3f0c2b1a-0000-4000-8000-000000000001' as Uid,
    mac: macOf(n) as never,
    hostname: '',
    owner: '',
    labels: {},
    options: [],
    createTime: Date.now() as WallTime,
    createdBy: 'insecure',
    vouched: false,
    state: 'reserved',
    chainCounter: 0,
    reuseDelayS: 0,
    leaseTimeCeilingS: 0,
    revision: 1 as Revision,
  });
}
