// The primary of three nodes dies, or stands still, under the load of engines: they are told nothing but that the store is
// away or that nobody knows yet, another primary is elected, and all goes on with what was acknowledged.

import type { ServiceError } from '@grpc/grpc-js';
import type { ReserveAddressResponse } from '@leasehold/proto/ipam/v1/ipam_service';
import { ReserveAddressRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import type { Leasehold } from '@leasehold/sdk';
import { reasonOf } from '@leasehold/server/transport/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { traceLines } from '../support/processes.js';
import type { MongoNode } from '../support/replica-set.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

const CALLERS = 16;
const ROUNDS = 5;

describe.skipIf(!(await hasMongod()))('under load', () => {
  const mongo = sharedReplicaSet({ nodes: 3 });
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.startSeveral({ store: mongo.freshUri(), servers: 2 });
    await cluster.client().networks.create({ networkId: 'red' });
    await cluster.client().subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.0.0.0/16' });
  });

  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each([
    { name: 'dies', end: (node: MongoNode) => node.kill(), back: (node: MongoNode) => node.restart() },
    {
      name: 'stands still',
      end: async (node: MongoNode) => node.freeze(),
      back: async (node: MongoNode) => node.thaw(),
    },
  ])('when the primary $name engines are told so, and go on with another one', async ({ end, back }) => {
    await using load = new Load(cluster);
    await load.progress();
    const primary = await mongo.set.waitForPrimary();
    await end(primary);
    await mongo.set.waitForPrimary(primary);
    await load.progress();
    await back(primary);
    await eventually('it is a secondary', async () => (await mongo.set.secondaries()).includes(primary));
    await load.progress();
    const { promised, refusals } = await load.over();

    console.log('Refused meanwhile:', Object.fromEntries(refusals));
    for (const [refusal] of refusals) {
      expect(['UNAVAILABLE STORE_UNAVAILABLE', 'UNAVAILABLE OUTCOME_UNKNOWN']).toContain(refusal);
    }
    for (const server of cluster.servers) {
      const client = server.client({ timeoutMs: 30_000 });
      const found = await client.reservations.list({ networkId: 'red' }).toArray();
      const there = new Map(found.map(({ mac, address }) => [mac, address]));
      for (const [mac, address] of promised) expect(there.get(mac)).toBe(address);
      expect(new Set(found.map(({ address }) => address)).size).toBe(found.length);
      const { lines } = server.process;
      expect(lines.filter(({ fields }) => fields['level'] === 'error')).toEqual([]);
      expect(traceLines(lines)).toEqual([]);
      const said = (message: string) => lines.filter(({ fields }) => fields['msg'] === message).length;
      expect(said('the store can be used again')).toBe(said('the store cannot be used'));
      expect((await client.status()).store).toMatchObject({ breaker: 'closed', unavailableSince: undefined });
    }
  });
});

let macs = 0;

/** Callers who reserve one address after another, at both servers; each attempt is made once. */
class Load implements AsyncDisposable {
  readonly #callers: readonly Promise<void>[];
  readonly #rounds = new Array<number>(CALLERS).fill(0);
  readonly #promised = new Map<string, string>();
  readonly #refusals = new Map<string, number>();
  #isOver = false;

  constructor({ servers }: Cluster) {
    this.#callers = this.#rounds.map((_, n) => this.#call(n, (servers[n % servers.length] ?? servers[0]).client()));
  }

  /** Resolves when every caller was promised some more addresses. */
  async progress(): Promise<void> {
    const goal = this.#rounds.map((rounds) => rounds + ROUNDS);
    const done = eventually('every caller goes on', async () => this.#rounds.every((n, i) => n >= (goal[i] ?? 0)));
    await Promise.race([done, Promise.all(this.#callers)]);
  }

  /** Ends it: what was promised, address by MAC, and how often what was told instead. */
  async over(): Promise<{ promised: ReadonlyMap<string, string>; refusals: ReadonlyMap<string, number> }> {
    this.#isOver = true;
    await Promise.all(this.#callers);
    return { promised: this.#promised, refusals: this.#refusals };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.allSettled(this.#callers);
  }

  async #call(n: number, client: Leasehold): Promise<void> {
    while (!this.#isOver) {
      const mac = `52:54:01:${[macs >> 8, macs & 255, n].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
      macs++;
      try {
        const { reservation } = await reserveOnce(client, mac);
        this.#promised.set(mac, reservation?.address ?? '');
        this.#rounds[n] = (this.#rounds[n] ?? 0) + 1;
      } catch (error) {
        const { code, metadata, details } = error as ServiceError;
        const told = `${code === 14 ? 'UNAVAILABLE' : code} ${reasonOf({ code, metadata, details }) ?? details}`;
        this.#refusals.set(told, (this.#refusals.get(told) ?? 0) + 1);
        await eventually('the store is back', async () => (await client.status()).store?.breaker === 'closed');
      }
    }
  }
}

function reserveOnce({ raw }: Leasehold, mac: string): Promise<ReserveAddressResponse> {
  const request = ReserveAddressRequest.fromPartial({ subnetId: 'red-a', mac });
  return new Promise((resolve, reject) => {
    raw.reserveAddress(request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}
