import { systemClock } from '@leasehold/program/system-clock';
import { describe, test } from 'vitest';
import { hasMongod } from '../support/mongod-binary.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import { MONGODB_CHECKS, Wire } from './mongodb-checks.js';
import { mongodbPlace } from './mongodb-place.js';

describe.skipIf(!(await hasMongod()))('the store on MongoDB', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });

  test.each(MONGODB_CHECKS)('$name', async (check) => {
    const wire = new Wire();
    const place = mongodbPlace(mongo.freshUri(), { clock: systemClock(), connect: wire.connect });
    const store = await place.open();
    try {
      await check.run({ store, wire, primary: await mongo.set.waitForPrimary() });
    } finally {
      await store.close();
      await place.remove();
    }
  });
});
