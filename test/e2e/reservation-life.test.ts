// The whole life of reservations over the wire, restarts of the server included, on either store.

import type { Leasehold, WatchEvent, WatchOptions } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import { refusalOf } from '../support/refusal.js';
import { ReplicaSet } from '../support/replica-set.js';

const present = await hasMongod();

interface Place extends AsyncDisposable {
  /** Undefined: an embedded one of the cluster's own. */
  readonly store: string | undefined;
}

const EMBEDDED = { name: 'embedded', place: async (): Promise<Place> => embedded };
const MONGODB = { name: 'MongoDB', place: () => mongodb() };

const embedded: Place = { store: undefined, [Symbol.asyncDispose]: async () => undefined };

async function mongodb(): Promise<Place> {
  const set = await ReplicaSet.start({ nodes: 1 });
  return { store: set.uri('leasehold'), [Symbol.asyncDispose]: () => set[Symbol.asyncDispose]() };
}

describe.each(present ? [EMBEDDED, MONGODB] : [EMBEDDED])('on $name', ({ place }) => {
  let cluster: Cluster;
  let here: Place;
  let leasehold: Leasehold;

  beforeAll(async () => {
    here = await place();
    cluster = new Cluster(here.store === undefined ? undefined : { store: here.store, servers: 1 });
    await cluster.startServer();
    leasehold = cluster.client();
    await leasehold.networks.create({ networkId: 'red' });
    // What a test names lies outside: nobody else is offered it.
    const allocationRanges = [{ first: '10.0.0.10', last: '10.0.0.150' }];
    await leasehold.subnets.create({ networkId: 'red', subnetId: 'red-a', cidr: '10.0.0.0/24', allocationRanges });
    await leasehold.subnets.create({ networkId: 'red', subnetId: 'red-b', cidr: '10.0.1.0/29' });
  });

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await here[Symbol.asyncDispose]();
  });

  async function restart(): Promise<void> {
    await cluster.server.kill();
    await cluster.startServer();
  }

  test('a batch answers each item by itself, and repeated answers the same', async () => {
    const items = [1, 2, 1].map((n) => ({ subnetId: 'red-a', mac: `52:54:00:01:00:0${n}`, requestId: `batch-${n}` }));
    const wrong = { subnetId: 'nowhere', mac: '52:54:00:01:00:09' };
    const results = await leasehold.reservations.reserveMany([...items, wrong]);
    expect(results.map((each) => (each.ok ? each.created : each.error.reason))).toEqual([
      true,
      true,
      false,
      'SUBNET_NOT_FOUND',
    ]);
    await restart();
    const again = await leasehold.reservations.reserveMany(items);
    expect(again.map((each) => each.ok && each.reservation.reservationId)).toEqual(
      results.slice(0, 3).map((each) => each.ok && each.reservation.reservationId),
    );
    const releases = again.slice(0, 2).map((each) => {
      if (!each.ok) throw each.error;
      const { subnetId, address, reservationId } = each.reservation;
      return { subnetId, address, reservationId };
    });
    const released = await leasehold.reservations.releaseMany(releases);
    expect(released.map((each) => each.ok && each.reservation.state)).toEqual(['quarantined', 'quarantined']);
  });

  test('a request is remembered over a restart, and refused with other content', async () => {
    const request = { subnetId: 'red-a', mac: '52:54:00:02:00:01', requestId: 'start-vm-2' };
    const { reservation } = await leasehold.reservations.reserve(request);
    await restart();
    const again = await leasehold.reservations.reserve(request);
    expect(again).toMatchObject({ created: false, reservation: { reservationId: reservation.reservationId } });
    const refusal = await refusalOf(leasehold.reservations.reserve({ ...request, mac: '52:54:00:02:00:02' }));
    expect(refusal.reason).toBe('REQUEST_ID_REUSED');
  });

  test('by network, the next subnet is used when one is full', async () => {
    const macs = Array.from({ length: 8 }, (_, n) => `52:54:00:03:00:0${n}`);
    const results = await Promise.all(
      macs.map((mac, n) =>
        n < 6
          ? leasehold.reservations.reserve({ subnetId: 'red-b', mac })
          : leasehold.reservations.reserve({ networkId: 'red', mac }),
      ),
    );
    expect(results.slice(6).every(({ reservation }) => reservation.subnetId === 'red-a')).toBe(true);
    expect((await leasehold.subnets.get('red-b')).usage).toMatchObject({ reserved: 6, free: 0 });
  });

  test('a change is guarded, and history tells who had the address', async () => {
    const mac = '52:54:00:04:00:01';
    const { reservation } = await leasehold.reservations.reserve({
      subnetId: 'red-a',
      mac,
      address: '10.0.0.200',
      owner: 'vm-4',
    });
    const changed = await leasehold.reservations.update(
      { reservationId: reservation.reservationId },
      { hostname: 'web' },
      { etag: reservation.etag },
    );
    expect(changed).toMatchObject({ hostname: 'web', owner: 'vm-4' });
    const late = { reservationId: reservation.reservationId };
    const refusal = await refusalOf(
      leasehold.reservations.update(late, { hostname: 'db' }, { etag: reservation.etag }),
    );
    expect(refusal.reason).toBe('ETAG_MISMATCH');
    await leasehold.reservations.release({ subnetId: 'red-a', address: '10.0.0.200' });
    await leasehold.reservations.reserve({ subnetId: 'red-a', mac, owner: 'vm-5' });
    await restart();
    const tenures = await leasehold.reservations.history({ subnetId: 'red-a', address: '10.0.0.200' }).toArray();
    expect(tenures.map(({ state, owner }) => `${state} ${owner}`)).toEqual(['reserved vm-5', 'ended vm-4']);
    const byOwner = await leasehold.reservations.history({ owner: 'vm-4' }).toArray();
    expect(byOwner.map(({ reservationId }) => reservationId)).toEqual([reservation.reservationId]);
  });

  test('a watch tells each change once, in order, also of what happened while it was away and the server down', async () => {
    const reading = (options: WatchOptions) => new Reading(leasehold, { networkId: 'red', ...options });
    const first = reading({});
    await eventually('the beginning', async () => first.events.length > 0);
    const { reservation } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: '52:54:00:05:00:01' });
    await eventually('the reservation', async () => first.told.length > 0);
    const { token } = first;
    await first.stop();

    await leasehold.reservations.release({ subnetId: 'red-a', address: reservation.address });
    await restart();
    const { reservation: next } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: '52:54:00:05:00:01' });
    const second = reading({ resumeToken: token });
    await eventually('what was missed', async () => second.told.length >= 3);
    expect([...first.told, ...second.told]).toEqual([
      `created ${reservation.reservationId} reserved`,
      `updated ${reservation.reservationId} quarantined`,
      `deleted ${reservation.reservationId} ended`,
      `created ${next.reservationId} reserved`,
    ]);
    expect(next.address).toBe(reservation.address);
    await second.stop();

    const whole = reading({ snapshot: true });
    await eventually('the snapshot', async () => whole.events.some(({ kind }) => kind === 'snapshot-end'));
    const all = await leasehold.reservations.list({ networkId: 'red' }).toArray();
    const there = all.map(({ reservationId, state }) => `present ${reservationId} ${state}`);
    expect(new Set(whole.told)).toEqual(new Set(there));
    await whole.stop();
  });
});

/** Reads a watch until it is stopped. */
class Reading {
  readonly events: WatchEvent[] = [];
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  constructor(leasehold: Leasehold, options: WatchOptions) {
    this.#running = this.#read(leasehold, options);
  }

  /** What was heard of reservations. */
  get told(): readonly string[] {
    return this.events.flatMap((event) =>
      event.kind === 'reservation'
        ? [`${event.change} ${event.reservation.reservationId} ${event.reservation.state}`]
        : [],
    );
  }

  /** Where it is. */
  get token(): string {
    const last = this.events.at(-1);
    return last && 'resumeToken' in last ? last.resumeToken : '';
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('enough'));
    await this.#running;
  }

  async #read(leasehold: Leasehold, options: WatchOptions): Promise<void> {
    try {
      for await (const event of leasehold.watch({ ...options, signal: this.#abort.signal })) this.events.push(event);
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
    }
  }
}
