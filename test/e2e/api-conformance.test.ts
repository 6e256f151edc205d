// The API's promises, of the built server: on every store that it has.

import { describe } from 'vitest';
import { apiConformance } from '../conformance/api/conformance.js';
import { serverPlace } from '../conformance/api/server-place.js';
import { hasMongod } from '../support/mongod-binary.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

// Nobody waits for minutes.
const FEATURES = { time: false };

apiConformance('a server on the embedded store', () => serverPlace(), FEATURES);

describe.skipIf(!(await hasMongod()))('MongoDB', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  apiConformance('a server on MongoDB', () => serverPlace(mongo.freshUri()), FEATURES);
});
