// One MongoDB for all tests of a file or `describe`: starting one for each is too slow, so each gets a database of its own.
//
//   const mongo = sharedReplicaSet({ nodes: 1 });
//   test('…', async () => connect(mongo.freshUri()));

import { MongoClient } from 'mongodb';
import { afterAll, beforeAll } from 'vitest';
import { hasMongod } from './mongod-binary.js';
import { ReplicaSet, type ReplicaSetOptions } from './replica-set.js';
import { SANDBOX_VARIABLE } from './sandbox.js';

/** Databases that nobody used before. */
export interface SharedDatabases {
  /** The URI of one. */
  freshUri(): string;
}

/** A replica set of our own, to kill and stop. */
export interface SharedReplicaSet extends SharedDatabases {
  readonly set: ReplicaSet;
}

/** Names a replica set that runs already. */
const URI_VARIABLE = 'MONGODB_URI';
// Far beyond what is ever needed, also on a busy machine.
const START_WITHIN_MS = 60_000;

/** A replica set from before the first test until after the last. Skip the tests unless `hasMongod()`. */
export function sharedReplicaSet(options: ReplicaSetOptions): SharedReplicaSet {
  let set: ReplicaSet | undefined;
  const started = () => {
    if (!set) throw new Error('The replica set is there only while tests run');
    return set;
  };
  beforeAll(async () => {
    set = await ReplicaSet.start(options);
  }, START_WITHIN_MS);
  afterAll(async () => {
    await set?.[Symbol.asyncDispose]();
  }, START_WITHIN_MS);
  return {
    get set() {
      return started();
    },
    freshUri: () => started().uri(freshName()),
  };
}

/**
 * Databases on the replica set that MONGODB_URI names, else on one of our own. For tests that need no hand on the
 * processes. Skip them unless `hasDatabases()`.
 */
export function sharedDatabases(): SharedDatabases {
  const uri = givenUri();
  if (uri === undefined) return sharedReplicaSet({ nodes: 1 });
  const used: string[] = [];
  afterAll(async () => {
    await using client = new MongoClient(uri);
    for (const name of used) await client.db(name).dropDatabase();
  });
  return {
    freshUri: () => {
      const name = freshName();
      used.push(name);
      return uri.replace(/^([a-z+]+:\/\/[^/?]+)(\/[^?]*)?/, `$1/${name}`);
    },
  };
}

/** Whether `sharedDatabases` has any; where not, says why. */
export async function hasDatabases(): Promise<boolean> {
  return givenUri() !== undefined || hasMongod();
}

// There is no way out of the sandbox.
function givenUri(): string | undefined {
  return process.env[SANDBOX_VARIABLE] === '1' ? undefined : process.env[URI_VARIABLE] || undefined;
}

let databases = 0;

function freshName(): string {
  return `leasehold-test-${process.pid}-${++databases}-${Date.now()}`;
}
