// A store on MongoDB as the source of an export: everything as of one cluster time.
//
//   O1. It is refused while a server leads. Where servers run one of them leads, within seconds (protocol.md §5): so the
//       holder's record is watched for longer than that before, and looked at once more in the end.

import { type Clock, delay } from '@leasehold/program/clock';
import { type Db, type Document, type MongoClient, MongoServerError, type Timestamp } from 'mongodb';
import type { Documents, ExportSource } from '../../ports/transfer.js';
import { readAudit, readEnded, readHost, readNetwork, readSlot } from './documents.js';
import { toHoldStill } from './hold-still.js';
import { connectMongodb } from './mongodb-store.js';
import { checkDeployment, readSettings, settingsOf, toSettings } from './schema.js';
import { findAt, scan } from './snapshot.js';

// A server that runs looks at the record every second, takes the lead at once where it was given up, and after 5 s where
// its holder is gone.
const GIVEN_UP_MS = 2_500;
const ABANDONED_MS = 7_000;
const LOOK_EVERY_MS = 250;
// SnapshotTooOld, SnapshotUnavailable.
const MOMENT_GONE: ReadonlySet<number> = new Set([239, 246]);

/** Opens a store to be exported; rejects with what to do when there is none, or a server serves it. */
export async function openMongodbSource(uri: string, clock: Clock): Promise<ExportSource> {
  const client = await connectMongodb(uri);
  try {
    const db = client.db();
    await checkDeployment(db);
    const settings = await readSettings(db);
    if (!settings) throw new Error(`database ${db.databaseName} holds no store`);
    const holder = await waitForQuiet(db, clock);
    const { storeUid, incarnation: own, authorityS, authorityCeilingS } = toSettings(settings);
    // The next one is higher than any that a host knows.
    const incarnation = Math.max(own, toHoldStill(settings)?.incarnation ?? 0);
    const holderEpoch = (holder?.['epoch'] as number | undefined) ?? 0;
    return {
      identity: { storeUid, incarnation, authorityS, authorityCeilingS, holderEpoch },
      documents: () => documentsOf(client, db),
      confirm: async () => refuseServed(db, holder, await readHolder(db)),
      close: () => client.close(),
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** The record of the last holder, once it is certain that nobody leads. */
async function waitForQuiet(db: Db, clock: Clock): Promise<Document | undefined> {
  const holder = await readHolder(db);
  const waitMs = !holder || holder['instance'] === '' ? GIVEN_UP_MS : ABANDONED_MS;
  for (const startMs = clock.now(); clock.now() - startMs < waitMs; ) {
    await delay(clock, LOOK_EVERY_MS);
    refuseServed(db, holder, await readHolder(db));
  }
  return holder;
}

function refuseServed(db: Db, before: Document | undefined, now: Document | undefined): void {
  const same = ['instance', 'epoch', 'beat'].every((field) => before?.[field] === now?.[field]);
  if (same) return;
  const server = (now?.['server'] as string | undefined) ?? 'a server';
  throw new Error(`database ${db.databaseName} is served by ${server}: stop all servers of it, and export again`);
}

async function readHolder(db: Db): Promise<Document | undefined> {
  return (await settingsOf(db).findOne({ _id: 'holder' }, { readConcern: { level: 'majority' } })) ?? undefined;
}

async function* documentsOf(client: MongoClient, db: Db): AsyncGenerator<Documents> {
  const time = await presentTime(client, db);
  await using session = client.startSession({ causalConsistency: false });
  const all = (collection: string) => scan(db, session, findAt(time, collection));
  try {
    for await (const found of all('networks')) yield { kind: 'networks', documents: found.map(readNetwork) };
    for await (const found of all('hosts')) yield { kind: 'hosts', documents: found.map(readHost) };
    for await (const found of all('slots')) yield { kind: 'slots', documents: found.map(readSlot) };
    for await (const found of all('history')) yield { kind: 'history', documents: found.map(readEnded) };
    const newestFirst = scan(db, session, findAt(time, 'audit', {}, { time: -1, _id: 1 }));
    for await (const found of newestFirst) yield { kind: 'audit', documents: found.map(readAudit) };
  } catch (error) {
    if (!(error instanceof MongoServerError) || !MOMENT_GONE.has(Number(error.code))) throw error;
    const longer = 'db.adminCommand({ setParameter: 1, minSnapshotHistoryWindowInSeconds: 3600 })';
    const what = 'the export took longer than MongoDB keeps the state of a moment';
    throw new Error(`${what}: run ${longer} on its nodes, and export again`, { cause: error });
  }
}

async function presentTime(client: MongoClient, db: Db): Promise<Timestamp> {
  await using session = client.startSession({ causalConsistency: true });
  await settingsOf(db).findOne({}, { session, readConcern: { level: 'majority' } });
  if (!session.operationTime) throw new Error('MongoDB answered without a time');
  return session.operationTime;
}
