// One client of two servers on one MongoDB, of which one dies: no reserve fails, none is made twice, and a watch misses nothing.

import { connect, type Leasehold, type WatchEvent } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { hasMongod } from '../support/mongod-binary.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

const ROUNDS = 12;
const AT_A_TIME = 20;
const KILLED_AFTER = 4;
// Far more than a server needs to notice that the other one is gone.
const TIMEOUT_MS = 30_000;

const macOf = (n: number) =>
  `52:54:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;

/** Collects the ids of new reservations until so many have come. */
async function collectCreated(watch: AsyncIterator<WatchEvent>, count: number): Promise<readonly string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const { value, done } = await watch.next();
    if (done) break;
    if (value.kind === 'reservation' && value.change === 'created') ids.push(value.reservation.reservationId);
  }
  return ids;
}

describe.skipIf(!(await hasMongod()))('a client of two servers', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  let cluster: Cluster;
  let leasehold: Leasehold;
  const left: string[] = [];

  beforeAll(async () => {
    cluster = await Cluster.startSeveral({ store: mongo.freshUri(), servers: 2 });
    const servers = cluster.servers.map(({ apiEndpoint }) => apiEndpoint);
    const logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: (_: string, fields: Readonly<Record<string, unknown>>) => void left.push(String(fields['left'])),
    };
    leasehold = connect({ servers, timeoutMs: TIMEOUT_MS, logger });
    await leasehold.networks.create({ networkId: 'red' });
    await leasehold.network('red').createSubnet({ subnetId: 'red-a', cidr: '10.0.0.0/16' });
  });

  afterAll(async () => {
    await leasehold.close();
    await cluster[Symbol.asyncDispose]();
  });

  test('goes on with the other when the first is killed', async () => {
    const [first] = cluster.servers;
    const watch = leasehold.network('red').watch()[Symbol.asyncIterator]();
    // The bookmark: from here on nothing is missed.
    await watch.next();
    const seen = collectCreated(watch, ROUNDS * AT_A_TIME);
    const subnet = leasehold.subnet('red-a');
    const ids: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const macs = Array.from({ length: AT_A_TIME }, (_, n) => macOf(round * AT_A_TIME + n));
      const asked = macs.map((mac) => subnet.reserve(mac));
      if (round === KILLED_AFTER) await first.kill();
      for (const { reservation } of await Promise.all(asked)) ids.push(reservation.reservationId);
    }
    expect(left).toEqual([first.apiEndpoint]);
    const kept = await subnet.reservations().toArray();
    expect(kept.map(({ reservationId }) => reservationId).toSorted()).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(ROUNDS * AT_A_TIME);
    expect((await seen).toSorted()).toEqual(ids.toSorted());
    await watch.return?.();
  });
});
