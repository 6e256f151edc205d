// Looks into the database of servers under test, past them: what one node has, and what is under way on it.

import type { Document } from 'mongodb';
import type { MongoNode } from './replica-set.js';

/** The name of the database of a URI. */
export function databaseOf(uri: string): string {
  const name = /\/([^/?]+)\?/.exec(uri)?.[1];
  if (name === undefined) throw new Error(`${uri} names no database`);
  return name;
}

/** The slots that a node has, be they on a majority or not; undefined: none. */
export async function slotsOf(
  node: MongoNode,
  database: string,
  filter: Document,
): Promise<readonly Document[] | undefined> {
  const slots = await find(node, database, {
    find: 'slots',
    filter,
    batchSize: 1_000,
    readConcern: { level: 'local' },
  });
  return slots.length === 0 ? undefined : slots;
}

/** How many inserts of slots are under way on a node. */
export async function insertsUnderWay(node: MongoNode, database: string): Promise<number> {
  const match = { 'command.insert': 'slots', 'command.$db': database };
  const pipeline = [{ $currentOp: {} }, { $match: match }];
  return (await find(node, 'admin', { aggregate: 1, pipeline, cursor: { batchSize: 1_000 } })).length;
}

async function find(node: MongoNode, database: string, command: Document): Promise<readonly Document[]> {
  const { cursor } = await node.command(database, command);
  return (cursor as { readonly firstBatch: readonly Document[] }).firstBatch;
}
