// One MongoDB for all tests of a file or `describe`: starting one for each is too slow, so each gets a database of its own.
//
//   const mongo = sharedReplicaSet({ nodes: 1 });
//   test('…', async () => connect(mongo.freshUri()));

import { afterAll, beforeAll } from 'vitest';
import { ReplicaSet, type ReplicaSetOptions } from './replica-set.js';

/** A replica set of our own, to kill and stop. */
export interface SharedReplicaSet {
  readonly set: ReplicaSet;
  /** The URI of a database that nobody used before. */
  freshUri(): string;
}

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

let databases = 0;

function freshName(): string {
  return `leasehold-test-${process.pid}-${++databases}-${Date.now()}`;
}
