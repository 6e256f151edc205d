import { systemClock } from '@leasehold/program/system-clock';
import { describe } from 'vitest';
import { hasMongod } from '../support/mongod-binary.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import { mongodbPlace } from './mongodb-place.js';
import { storeConformance } from './store-conformance.js';

const present = await hasMongod();

describe.skipIf(!present).each([{ nodes: 1 }, { nodes: 3 }] as const)('MongoDB with $nodes nodes', ({ nodes }) => {
  const mongo = sharedReplicaSet({ nodes });
  const place = async () => mongodbPlace(mongo.freshUri(), { clock: systemClock() });
  storeConformance(`mongodb (${nodes})`, place, { features: { shared: true, tellsFirst: false }, runs: 3 });
});
