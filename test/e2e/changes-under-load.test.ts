// Settings that change while 64 clients on two servers reserve: what was acknowledged fits what stands afterwards, or the
// change was refused.

import { type Leasehold, LeaseholdError, type ReserveResult } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { databaseOf, insertsUnderWay } from '../support/database-looks.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import type { MongoNode } from '../support/replica-set.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

const CLIENTS = 64;
// The change is asked for after so many of the reserves.
const AFTER = [0, 1, 4, 16, CLIENTS];
// The last quarter of the subnet.
const EXCLUDED = { first: '10.0.0.192', last: '10.0.0.254' };
const GATEWAY = '10.0.0.1';
// Who names an address may meet another one there, who is just giving it back.
const NAMED = ['INVALID_FIELD', 'ADDRESS_RESERVED', 'ADDRESS_QUARANTINED'];

/** A network with one subnet. */
interface Place {
  readonly networkId: string;
  readonly subnetId: string;
}

/** A change, and what may not be acknowledged any more once it is made. */
interface Change {
  readonly name: string;
  readonly make: (client: Leasehold, place: Place) => Promise<unknown>;
  /** Whether it stands. */
  readonly stands: (client: Leasehold, place: Place) => Promise<boolean>;
  /** The reason why it may be refused; undefined: it never is. */
  readonly refusal: string | undefined;
  /** Whether this address, acknowledged at any time, would be outside of what stands. */
  readonly forbids: (address: string) => boolean;
  /** Why nothing can be reserved afterwards; undefined: something can. */
  readonly closes: string | undefined;
  /** Why a reserve may be refused meanwhile. */
  readonly reasons: readonly string[];
  /** An address that it forbids, if it forbids only some. */
  readonly forbidden?: string;
}

const CHANGES: readonly Change[] = [
  {
    name: 'the subnet is deleted',
    make: (client, { subnetId }) => client.subnets.delete(subnetId),
    stands: async (client, { networkId }) => (await client.subnets.list({ networkId }).toArray()).length === 0,
    refusal: 'SUBNET_IN_USE',
    forbids: () => true,
    closes: 'SUBNET_NOT_FOUND',
    reasons: ['SUBNET_CLOSING', 'SUBNET_NOT_FOUND'],
  },
  {
    name: 'addresses of the subnet are excluded',
    make: (client, { subnetId }) => client.subnets.update(subnetId, { excludedRanges: [EXCLUDED] }),
    stands: async (client, { subnetId }) => (await client.subnets.get(subnetId)).excludedRanges.length > 0,
    refusal: 'RANGE_IN_USE',
    forbids: (address) => Number(address.split('.')[3]) >= 192,
    closes: undefined,
    reasons: NAMED,
    forbidden: EXCLUDED.first,
  },
  {
    name: 'the subnet gets a gateway',
    make: (client, { subnetId }) => client.subnets.update(subnetId, { gateway: GATEWAY }),
    stands: async (client, { subnetId }) => (await client.subnets.get(subnetId)).gateway === GATEWAY,
    refusal: 'RANGE_IN_USE',
    forbids: (address) => address === GATEWAY,
    closes: undefined,
    reasons: NAMED,
    forbidden: GATEWAY,
  },
  {
    name: 'the network is disabled',
    make: (client, { networkId }) => client.networks.update(networkId, { ipamEnabled: false }),
    stands: async (client, { networkId }) => !(await client.networks.get(networkId)).ipamEnabled,
    refusal: undefined,
    // What was acknowledged before stands.
    forbids: () => false,
    closes: 'IPAM_DISABLED',
    reasons: ['IPAM_DISABLED'],
  },
];

describe.skipIf(!(await hasMongod()))('while 64 clients on two servers reserve in it', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });
  let cluster: Cluster;
  let node: MongoNode;
  let database: string;
  const clients: Leasehold[] = [];
  /** A client of the first server, and one of the second. */
  const operator = () => clientOf(0);
  const other = () => clientOf(1);
  const clientOf = (n: number) => clients[n] ?? cluster.client();

  beforeAll(async () => {
    const uri = mongo.freshUri();
    database = databaseOf(uri);
    node = await mongo.set.waitForPrimary();
    cluster = await Cluster.startSeveral({ store: uri, servers: 2 });
    for (let i = 0; i < CLIENTS; i++) clients.push(cluster.servers[i % 2]?.client() ?? cluster.client());
  });

  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each(CHANGES)('$name: everything acknowledged fits, or the change is refused', async (change) => {
    for (const after of AFTER) {
      const place = await makePlace(operator());
      const early = clients.slice(0, after).map((client) => reserve(client, place));
      const changed = made(change, place);
      const late = clients.slice(after).map((client) => reserve(client, place));
      await expectFitting(change, place, await changed, await Promise.all([...early, ...late]));
    }
  });

  test.each(CHANGES)(
    '$name between the look and the write of a reserve, which is refused and given back',
    async (change) => {
      const place = await makePlace(operator());
      for (const client of [operator(), other()]) await reserveAndRelease(client, place);
      // Both inserts that a server may have under way at once are late, on both servers.
      const slots = { failCommands: ['insert'], namespace: `${database}.slots` };
      const late = { ...slots, times: 4, blockConnection: true, blockTimeMS: 700 };
      await using _ = await node.failCommand(late);
      const [first = operator(), ...others] = clients;
      const reserves = [reserve(first, place, change.forbidden), ...others.map((client) => reserve(client, place))];
      await eventually('the inserts are under way', async () => (await insertsUnderWay(node, database)) >= 2);
      expect(await made(change, place)).toBe(true);
      const outcomes = await Promise.all(reserves);
      await expectFitting(change, place, true, outcomes);
      if (change.closes !== undefined)
        expect(outcomes.every((outcome) => outcome instanceof LeaseholdError)).toBe(true);
    },
  );

  /** Whether it is made, and not refused. */
  async function made(change: Change, place: Place): Promise<boolean> {
    const outcome = await change.make(operator(), place).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) return true;
    expect(outcome).toMatchObject({ reason: change.refusal ?? 'none' });
    return false;
  }

  async function expectFitting(
    change: Change,
    place: Place,
    isMade: boolean,
    outcomes: readonly (ReserveResult | LeaseholdError)[],
  ): Promise<void> {
    expect(await change.stands(other(), place)).toBe(isMade);
    const got = outcomes.flatMap((outcome) => (outcome instanceof LeaseholdError ? [] : [outcome.reservation]));
    for (const outcome of outcomes) {
      if (outcome instanceof LeaseholdError) expect(change.reasons).toContain(outcome.reason);
    }
    // All that was acknowledged is there, and whoever was refused holds nothing.
    const list = await other()
      .reservations.list({ ...place, state: 'reserved' })
      .toArray();
    const sorted = (ids: readonly { readonly reservationId: string }[]) => ids.map((it) => it.reservationId).sort();
    expect(sorted(list)).toEqual(sorted(got));
    if (!isMade) return;
    expect(got.filter(({ address }) => change.forbids(address))).toEqual([]);
    for (const client of [operator(), other()]) expect(await refusalOrUndefined(client, place)).toBe(change.closes);
  }
});

let places = 0;
let macs = 0;

async function makePlace(client: Leasehold): Promise<Place> {
  const networkId = `red-${++places}`;
  await client.networks.create({ networkId });
  const { subnetId } = await client.subnets.create({ networkId, cidr: '10.0.0.0/24' });
  return { networkId, subnetId };
}

/** Reserves for a MAC that nobody had before. */
async function reserve(
  client: Leasehold,
  { subnetId }: Place,
  address?: string,
): Promise<ReserveResult | LeaseholdError> {
  const n = macs++;
  const mac = `52:54:00:0e:${[n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
  return client.reservations.reserve({ subnetId, mac, address }).catch((error: unknown) => {
    if (error instanceof LeaseholdError) return error;
    throw error;
  });
}

/** A server that wrote here before knows the network's document. */
async function reserveAndRelease(client: Leasehold, place: Place): Promise<void> {
  const outcome = await reserve(client, place, `10.0.0.${100 + (macs % 50)}`);
  if (outcome instanceof LeaseholdError) throw outcome;
  await client.reservations.release({ reservationId: outcome.reservation.reservationId });
}

async function refusalOrUndefined(client: Leasehold, place: Place): Promise<string | undefined> {
  const outcome = await reserve(client, place);
  return outcome instanceof LeaseholdError ? outcome.reason : undefined;
}
