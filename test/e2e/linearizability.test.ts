// What clients are told while servers and nodes are killed could have happened one operation after another, for every
// address and every MAC of a network (test/support/reservation-history.ts).
//
// Nothing is repeated: each attempt is recorded as what it came to. With `SEED=n` clients and faults choose the same
// again, but not at the same moments.

import { type CallOptions, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { systemClock } from '@leasehold/program/system-clock';
import { ErrorInfo } from '@leasehold/proto/google/rpc/error_details';
import { Status } from '@leasehold/proto/google/rpc/status';
import {
  GetReservationRequest,
  ReleaseAddressRequest,
  ReserveAddressRequest,
} from '@leasehold/proto/ipam/v1/ipam_service';
import { ReservationState } from '@leasehold/proto/ipam/v1/reservation';
import { formatIpv4 } from '@leasehold/proto/values';
import type { Leasehold } from '@leasehold/sdk';
import { endedNow } from '@leasehold/server/app/tenure';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Store } from '@leasehold/server/ports/store';
import { describe, expect, test } from 'vitest';
import { mongodbPlace } from '../conformance/mongodb-place.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { hasMongod } from '../support/mongod-binary.js';
import type { MongoNode, ReplicaSet } from '../support/replica-set.js';
import {
  contradictions,
  type ReservationInput,
  type ReservationOperation,
  type ReservationOutput,
  type Tenure,
} from '../support/reservation-history.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';
import type { TestServer } from '../support/test-server.js';

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
const WITHIN_MS = 120_000;

// More MACs than addresses, and more clients than either.
const ADDRESSES = Array.from({ length: 6 }, (_, n) => `10.0.0.${n + 1}`);
const MACS = Array.from({ length: 8 }, (_, n) => `52:54:00:00:0d:0${n}`);
const CLIENTS = 12;
// One after another: where quarantines do not end, a network is worn out when every address rests for some MAC.
const NETWORKS = Array.from({ length: 10 }, (_, n) => `net-${n}`);
const OPERATIONS_PER_NETWORK = 500;
const DEADLINE_MS = 8_000;
const PAUSE_MS = 20;
/** How long a primary takes writes that no other node has, before it is killed. */
const ALONE_MS = 300;

describe.skipIf(!(await hasMongod()))('two servers on a replica set', () => {
  const mongo = sharedReplicaSet({ nodes: 3 });

  test(`are as one, while they and the primaries die under their load (SEED=${SEED})`, {
    timeout: WITHIN_MS,
  }, async () => {
    const uri = mongo.freshUri();
    await using cluster = await Cluster.startSeveral({ store: uri, servers: 2 });
    const store = await mongodbPlace(uri, { clock: systemClock() }).open();
    await using _store = { [Symbol.asyncDispose]: () => store.close() };
    await using load = await Load.start(cluster, store);
    const [one, two = one] = cluster.servers;
    const faults = [
      () => killServers(load, one),
      () => killServers(load, one, two),
      () => killPrimary(load, mongo.set),
      () => killPrimary(load, mongo.set, two),
      () => freezePrimary(load, mongo.set),
    ];
    for (const fault of shuffled(faults, sequence(SEED))) {
      await load.progress();
      await fault();
    }
    await load.progress();
    expect(await load.end()).toEqual([]);
  });
});

test(`a server on the embedded store is as one that never dies (SEED=${SEED})`, { timeout: WITHIN_MS }, async () => {
  await using cluster = await Cluster.start();
  await using load = await Load.start(cluster);
  for (let round = 0; round < 5; round++) {
    await load.progress(400);
    await killServers(load, ...cluster.servers);
  }
  await load.progress(400);
  expect(await load.end()).toEqual([]);
});

async function killServers(load: Load, ...servers: readonly TestServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.kill()));
  if (servers.length < load.servers) await load.progress();
  await Promise.all(servers.map((server) => server.start()));
}

/** Kills the primary, and servers, when it has writes that no majority has: they are lost. */
async function killPrimary(load: Load, set: ReplicaSet, ...servers: readonly TestServer[]): Promise<void> {
  const primary = await set.waitForPrimary();
  const secondaries = await set.secondaries();
  using _ = load.storeFails();
  for (const node of secondaries) await replicates(node, false);
  await pause(ALONE_MS);
  await Promise.all([primary.kill(), ...servers.map((server) => server.kill())]);
  for (const node of secondaries) await replicates(node, true);
  await set.waitForPrimary(primary);
  await Promise.all(servers.map((server) => server.start()));
  await load.progress();
  await primary.restart();
  await isSecondary(set, primary);
}

async function replicates(node: MongoNode, does: boolean): Promise<void> {
  await node.command('admin', { configureFailPoint: 'stopReplProducer', mode: does ? 'off' : 'alwaysOn' });
}

/** When it goes on it believes for a moment that it still is the primary. */
async function freezePrimary(load: Load, set: ReplicaSet): Promise<void> {
  const primary = await set.waitForPrimary();
  using _ = load.storeFails();
  primary.freeze();
  await set.waitForPrimary(primary);
  await load.progress(20);
  primary.thaw();
  await load.progress();
  await isSecondary(set, primary);
}

function isSecondary(set: ReplicaSet, node: MongoNode): Promise<boolean> {
  return eventually('the node follows', async () => (await set.secondaries()).includes(node));
}

/** Clients that ask whichever server for the same few addresses, and somebody who ends quarantines. */
class Load implements AsyncDisposable {
  readonly #clients: readonly Leasehold[];
  readonly #refusesForSure: boolean;
  readonly #operations: ReservationOperation[] = [];
  readonly #told = new Map<string, Tenure[]>();
  readonly #created = new Set<string>();
  readonly #lanes: Promise<void>[] = [];
  #isOver = false;
  #failures = 0;
  #isFailing = false;
  readonly #startMs = performance.now();
  #lastUs = 0;
  #answers = 0;

  private constructor(cluster: Cluster, refusesForSure: boolean) {
    this.#clients = cluster.servers.map((server) => server.client());
    this.#refusesForSure = refusesForSure;
  }

  /** `store`: that of the cluster if it can be shared, to end quarantines, which takes servers minutes. */
  static async start(cluster: Cluster, store?: Store): Promise<Load> {
    const { networks, subnets } = cluster.client();
    for (const networkId of NETWORKS) {
      await networks.create({ networkId });
      await subnets.create({ subnetId: networkId, networkId, cidr: '10.0.0.0/29' });
    }
    const load = new Load(cluster, store !== undefined);
    for (let n = 0; n < CLIENTS; n++) load.#lanes.push(load.#runClient(n));
    if (store) load.#lanes.push(load.#runFreeing(store));
    return load;
  }

  get servers(): number {
    return this.#clients.length;
  }

  /** Resolves when so many more operations were answered. */
  async progress(count = 120): Promise<void> {
    const goal = this.#answers + count;
    const lanes = Promise.all(this.#lanes).then(() => true);
    await Promise.race([eventually(`${count} answers`, async () => this.#answers >= goal), lanes]);
  }

  /** From now until disposed, servers may repeat what they ask of their store. */
  storeFails(): Disposable {
    this.#failures++;
    this.#isFailing = true;
    return {
      [Symbol.dispose]: () => {
        this.#isFailing = false;
      },
    };
  }

  /** Ends, looks at everything once more, and answers what cannot be true. */
  async end(): Promise<readonly string[]> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
    for (const networkId of NETWORKS.slice(0, NETWORKS.indexOf(this.#network()) + 1)) {
      const looks: ReservationInput[] = [
        ...ADDRESSES.map((address) => ({ kind: 'get-by-address', networkId, address }) as const),
        ...MACS.map((mac) => ({ kind: 'get-by-mac', networkId, mac }) as const),
      ];
      for (const client of this.#clients) for (const look of looks) await this.#ask('the last', client, look);
    }
    const wrong = contradictions(this.#operations, { mayFree: false });
    console.log(this.#summary());
    return wrong;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.allSettled(this.#lanes);
  }

  #summary(): string {
    const counts = new Map<string, number>();
    for (const { input, output } of this.#operations) {
      const what = `${input.kind} ${output?.kind ?? 'unknown'}`;
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    const each = [...counts].map(([what, count]) => `${what} ${count}`).sort((a, b) => a.localeCompare(b));
    return `${this.#operations.length} operations in ${(this.#now() / 1_000).toFixed(1)} s: ${each.join(', ')}`;
  }

  #network(): string {
    const n = Math.floor(this.#operations.length / OPERATIONS_PER_NETWORK);
    return NETWORKS[Math.min(n, NETWORKS.length - 1)] as string;
  }

  async #runClient(n: number): Promise<void> {
    const random = sequence(SEED + n);
    while (!this.#isOver) {
      const client = pick(this.#clients, random);
      const answered = await this.#ask(`client ${n}`, client, this.#choose(random));
      if (!answered) await pause();
    }
  }

  #choose(random: Random): ReservationInput {
    const networkId = this.#network();
    const mac = pick(MACS, random);
    const address = pick(ADDRESSES, random);
    switch (random(8)) {
      case 0:
      case 1:
        return { kind: 'reserve', networkId, mac, address: undefined };
      case 2:
      case 3:
        return { kind: 'reserve', networkId, mac, address };
      case 4:
        return { kind: 'release', networkId, address, reservationId: undefined };
      case 5: {
        // The newest that somebody was told of, or an older one.
        const told = this.#told.get(`${networkId} ${address}`)?.at(-1 - random(2));
        return { kind: 'release', networkId, address, reservationId: told?.reservationId };
      }
      case 6:
        return { kind: 'get-by-mac', networkId, mac };
      default:
        return { kind: 'get-by-address', networkId, address };
    }
  }

  #ask(process: string, client: Leasehold, input: ReservationInput): Promise<boolean> {
    return this.#record(process, input, () => ask(client, input, this.#refusesForSure));
  }

  /**
   * Ends quarantines in the store, as the server that leads does, and sooner: not before the reserve was answered, because
   * its insert may be repeated until then (for less than the shortest reuse delay).
   */
  async #runFreeing(store: Store): Promise<void> {
    const random = sequence(SEED - 1);
    while (!this.#isOver) {
      await pause();
      const networkId = this.#network() as NetworkId;
      const page = await store.slots.list({ networkId, state: 'quarantined' }, undefined, 100).catch(() => undefined);
      const answered = page?.slots.filter(({ reservationId }) => this.#created.has(reservationId)) ?? [];
      if (answered.length === 0) continue;
      const slot = pick(answered, random);
      const { reservationId, mac } = slot;
      const address = formatIpv4(slot.address);
      await this.#record('freeing', { kind: 'free', networkId, address, reservationId }, async () => {
        const ended = endedNow({ clock: systemClock() }, slot);
        const outcome = await store.slots.free(ended, slot.revision).catch(() => 'unknown');
        // Somebody else may have the address already.
        if (outcome === 'conflict') return 'over';
        return outcome === 'freed' ? output('freed', { reservationId, address, mac }) : 'unknown';
      });
    }
  }

  /** Records an operation, unless it did nothing; whether it was answered. */
  async #record(process: string, input: ReservationInput, run: () => Promise<Told>): Promise<boolean> {
    const calledMs = this.#now();
    const before = this.#isFailing ? 0 : this.#failures;
    const told = await run();
    if (told === 'undone') return false;
    const output = typeof told === 'string' ? undefined : told;
    const operation = { process, calledMs, returnedMs: told === 'unknown' ? Infinity : this.#now(), input };
    this.#operations.push({ ...operation, output });
    // What the server did first, others may have undone before it asked again and answered.
    const changes = input.kind === 'reserve' || input.kind === 'release';
    if (output && changes && this.#failures > before) this.#operations.push({ ...operation, output: undefined });
    if (!output) return false;
    this.#answers++;
    if (output.kind === 'none') return true;
    if (output.kind === 'created') this.#created.add(output.tenure.reservationId);
    const key = `${input.networkId} ${output.tenure.address}`;
    const tenures = this.#told.get(key) ?? [];
    if (tenures.every(({ reservationId }) => reservationId !== output.tenure.reservationId))
      tenures.push(output.tenure);
    this.#told.set(key, tenures);
    return true;
  }

  /** No two moments are the same. */
  #now(): number {
    this.#lastUs = Math.max(Math.round((performance.now() - this.#startMs) * 1_000), this.#lastUs + 1);
    return this.#lastUs / 1_000;
  }
}

/** What an attempt came to: `undone` for sure; or perhaps done, now or later; or perhaps done, but not later (`over`). */
type Told = ReservationOutput | 'undone' | 'unknown' | 'over';

/** Asks once. */
async function ask(client: Leasehold, input: ReservationInput, refusesForSure: boolean): Promise<Told> {
  try {
    return await answer(client, input);
  } catch (error) {
    return refusal(error as ServiceError, refusesForSure);
  }
}

async function answer({ raw }: Leasehold, input: ReservationInput): Promise<ReservationOutput> {
  const { networkId } = input;
  switch (input.kind) {
    case 'reserve': {
      const { mac, address = '' } = input;
      const request = ReserveAddressRequest.fromPartial({ subnetId: networkId, mac, address });
      const { reservation, created } = await call(raw.reserveAddress.bind(raw), request);
      // Perhaps somebody released it before its maker was answered.
      if (created && reservation) return output('created', reservation);
      return told(reservation, { [ReservationState.RESERVED]: 'reserved' });
    }
    case 'release': {
      const { address, reservationId = '' } = input;
      const request = ReleaseAddressRequest.fromPartial({ subnetId: networkId, address, reservationId });
      const { reservation } = await call(raw.releaseAddress.bind(raw), request);
      return told(reservation, { [ReservationState.QUARANTINED]: 'released', [ReservationState.ENDED]: 'ended' });
    }
    default: {
      const key =
        'mac' in input
          ? { $case: 'mac' as const, value: { networkId, mac: input.mac } }
          : { $case: 'address' as const, value: { subnetId: networkId, address: input.address } };
      const { reservation } = await call(raw.getReservation.bind(raw), GetReservationRequest.fromPartial({ key }));
      return told(reservation, {
        [ReservationState.RESERVED]: 'reserved',
        [ReservationState.QUARANTINED]: 'quarantined',
      });
    }
  }
}

type TenureKind = Exclude<ReservationOutput['kind'], 'none'>;

function told(
  reservation: (Tenure & { readonly state: ReservationState }) | undefined,
  kinds: Partial<Record<ReservationState, TenureKind>>,
): ReservationOutput {
  const kind = reservation && kinds[reservation.state];
  if (!kind) throw new Error(`That is no answer: ${JSON.stringify(reservation)}`);
  return output(kind, reservation);
}

function output(kind: TenureKind, { reservationId, address, mac }: Tenure): ReservationOutput {
  return { kind, tenure: { reservationId, address, mac } };
}

const NEVER_SENT = /^(?:No connection established|Name resolution failed)/;
const BROKEN = [status.UNAVAILABLE, status.CANCELLED, status.DEADLINE_EXCEEDED];

/** What a refusal says; throws what is no refusal. */
function refusal(error: ServiceError, refusesForSure: boolean): Told {
  const { reason, metadata } = infoOf(error);
  const { reservation_id: reservationId = '', address = '', mac = '' } = metadata;
  switch (reason) {
    case 'ADDRESS_RESERVED':
    case 'MAC_RESERVED':
      return output('reserved', { reservationId, address, mac });
    case 'ADDRESS_QUARANTINED':
      return output('quarantined', { reservationId, address, mac });
    case 'SUBNET_EXHAUSTED':
    case 'RESERVATION_NOT_FOUND':
    // Nobody was told of a tenure that is not there.
    case 'RESERVATION_MISMATCH':
      return { kind: 'none' };
    case 'TOO_BUSY':
      return 'undone';
    case 'STORE_UNAVAILABLE':
      return refusesForSure ? 'undone' : 'unknown';
    default:
      if (NEVER_SENT.test(error.details ?? '')) return 'undone';
      if (BROKEN.includes(error.code) || error.details?.includes('internal client error')) return 'unknown';
      throw error;
  }
}

function infoOf({ metadata }: ServiceError): Pick<ErrorInfo, 'reason' | 'metadata'> {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? [];
  const details = bytes instanceof Uint8Array ? Status.decode(bytes).details : [];
  const info = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'));
  return info ? ErrorInfo.decode(info.value) : { reason: '', metadata: {} };
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

function call<Request, Response>(
  method: (request: Request, metadata: Metadata, options: CallOptions, callback: Callback<Response>) => unknown,
  request: Request,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    method(request, new Metadata(), { deadline: Date.now() + DEADLINE_MS }, (error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}

function pause(ms = PAUSE_MS): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Numbers from 0 below a bound. */
type Random = (below: number) => number;

function sequence(seed: number): Random {
  let state = (Math.abs(seed) % 2_147_483_646) + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * below);
  };
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random(items.length)] as T;
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => ({ item, rank: random(1e9) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
