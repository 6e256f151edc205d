import { describe, expect, test } from 'vitest';
import type { ItemResult } from './batches.js';
import { type Batch, Batcher, type Sender } from './batching.js';
import { type ConnectOptions, connectWith } from './connect.js';
import { type LeaseholdError, makeError } from './errors.js';
import type { ReserveResult } from './reservations.js';
import { type Runtime, system } from './system.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import { startProxy } from './test-support/proxy.js';
import { wireReservation, wireSubnet } from './test-support/samples.js';
import { type Handlers, refuse, startScriptedServer, statusOf } from './test-support/scripted-server.js';

/** A call that the test answers. */
interface Sent {
  readonly requests: readonly string[];
  readonly endMs: number;
  readonly signal: AbortSignal;
  /** What is asked in the next attempt of the call, which is of another server. */
  again(): readonly string[];
  answer(results?: readonly ItemResult<{ of: string }>[]): void;
  fail(error: Error): void;
}

const away = makeError({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', message: 'away', retryable: true });
const full = makeError({ code: 'RESOURCE_EXHAUSTED', reason: 'SUBNET_EXHAUSTED', message: 'full' });
const late = (server: string) =>
  makeError({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE_EXCEEDED', message: `late at ${server}` });
const ok = (of: string) => ({ ok: true as const, of });

/** A batcher whose calls and time the test holds. */
function play() {
  const sent: Sent[] = [];
  const timers = new Set<{ readonly atMs: number; readonly over: () => void }>();
  let nowMs = 0;
  let waits = 0;
  const wait = (delayMs: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      waits++;
      const timer = {
        atMs: nowMs + delayMs,
        over() {
          timers.delete(timer);
          resolve();
        },
      };
      timers.add(timer);
      signal?.addEventListener('abort', timer.over, { once: true });
    });
  const send = (batch: Batch<string>, endMs: number, signal: AbortSignal) =>
    new Promise<readonly ItemResult<{ of: string }>[]>((resolve, reject) => {
      const answer: Sent['answer'] = (results) => resolve(results ?? batch.asked.map(ok));
      sent.push({ requests: batch.ask('s1'), endMs, signal, again: () => batch.ask('s2'), answer, fail: reject });
    });
  const sender: Sender<string, { of: string }> = {
    one: async (request, endMs, signal) => {
      const asked = [request];
      const [result] = await send({ ask: () => asked, asked }, endMs, signal);
      if (!result?.ok) throw result?.error as Error;
      return result;
    },
    many: send,
    usualEndMs: () => nowMs + 10_000,
    unanswered: (_, server) => late(String(server)),
    wait: async (delayMs, signal) => {
      await wait(delayMs, signal);
      signal?.throwIfAborted();
    },
  };
  const runtime: Runtime = { ...fakeRuntime(), monotonicMs: () => nowMs, wait, random: () => 0.5 };
  const batcher = new Batcher(sender, runtime);
  return {
    sent,
    ask: (request: string, lane = 'a', bytes = 200, signal?: AbortSignal) =>
      batcher.ask({ request, lane, bytes, signal }),
    /** Asks for so many items, each in a turn of its own. */
    async askAlone(count: number) {
      for (let n = 0; n < count; n++) {
        void batcher.ask({ request: String(n), lane: 'a', bytes: 200, signal: undefined });
        await turn();
      }
    },
    /** How many timers run, and how many were made. */
    timers: () => ({ running: timers.size, made: waits }),
    requests: () => sent.map(({ requests }) => requests),
    async advance(ms: number) {
      nowMs += ms;
      for (const { atMs, over } of timers) if (atMs <= nowMs) over();
      await turn();
    },
  };
}

/** All that one turn of the event loop asked for has left when it is over, and what came of answers, too. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

const failure = (promise: Promise<unknown>): Promise<LeaseholdError> =>
  promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (reason: unknown) => reason as LeaseholdError,
  );

describe('calls of one turn', () => {
  test('leave together, and each gets its own result', async () => {
    const it = play();
    const asked = ['x', 'y', 'z'].map((request) => it.ask(request));
    await turn();
    expect(it.requests()).toEqual([['x', 'y', 'z']]);
    it.sent[0]?.answer([ok('x'), { ok: false, error: full }, ok('z')]);
    expect(await asked[0]).toEqual({ of: 'x' });
    expect(await failure(asked[1] as Promise<unknown>)).toBe(full);
    expect(await asked[2]).toMatchObject({ of: 'z' });
  });

  test('of which there is one leave as themselves, at the end of it', async () => {
    const it = play();
    for (const request of ['x', 'y']) {
      void it.ask(request);
      await turn();
    }
    expect(it.requests()).toEqual([['x'], ['y']]);
  });

  test('wait while eight calls are under way, and leave when the first of them ends', async () => {
    const it = play();
    await it.askAlone(10);
    expect(it.requests()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'].map((request) => [request]));
    it.sent[2]?.answer();
    await turn();
    expect(it.requests().slice(8)).toEqual([['8', '9']]);
  });

  test('of another lane do not wait', async () => {
    const it = play();
    await it.askAlone(9);
    void it.ask('other', 'b');
    await turn();
    expect(it.requests().slice(8)).toEqual([['other']]);
  });

  test('of many lanes are no more than a connection has room for; then lanes take turns', async () => {
    const it = play();
    for (let n = 0; n < 8; n++) {
      for (let lane = 0; lane < 8; lane++) void it.ask(`${lane}`, `lane ${lane}`);
      await turn();
    }
    expect(it.sent).toHaveLength(64);
    for (const request of ['a', 'a', 'b']) void it.ask(request, request, 300 * 1_024);
    await turn();
    expect(it.sent).toHaveLength(64);
    for (const n of [0, 1, 2]) {
      it.sent[n]?.answer();
      await turn();
    }
    expect(it.requests().slice(64)).toEqual([['a'], ['b'], ['a']]);
    void it.ask('c', 'c');
    for (const n of [3, 4]) it.sent[n]?.answer();
    await turn();
    expect(it.requests().slice(67)).toEqual([['c']]);
  });

  test('are no more than a server takes at once', async () => {
    const it = play();
    for (let n = 0; n < 1_001; n++) void it.ask(String(n));
    for (let n = 0; n < 3; n++) void it.ask(`large ${n}`, 'b', 200 * 1_024);
    await turn();
    expect(it.requests().map(({ length }) => length)).toEqual([1_000, 2, 1, 1]);
  });
});

describe('who gives up', () => {
  test('before it is sent is not sent', async () => {
    const it = play();
    const abort = new AbortController();
    const gone = failure(it.ask('x', 'a', 200, abort.signal));
    void it.ask('y');
    abort.abort(new RangeError('enough'));
    expect(await gone).toBeInstanceOf(RangeError);
    await turn();
    expect(it.requests()).toEqual([['y']]);
    await expect(it.ask('z', 'a', 200, abort.signal)).rejects.toThrow('enough');
  });

  test('after that takes nobody along; when all have, the call is cancelled', async () => {
    const it = play();
    const aborts = [new AbortController(), new AbortController()];
    const asked = aborts.map(({ signal }, n) => failure(it.ask(String(n), 'a', 200, signal)));
    await turn();
    aborts[0]?.abort(new RangeError('enough'));
    expect(await asked[0]).toBeInstanceOf(RangeError);
    expect(it.sent[0]?.signal.aborted).toBe(false);
    aborts[1]?.abort();
    await asked[1];
    expect(it.sent[0]?.signal.aborted).toBe(true);
  });

  test('is in no attempt that is made afterwards; the others get their own results', async () => {
    const it = play();
    const abort = new AbortController();
    const gone = failure(it.ask('x', 'a', 200, abort.signal));
    const others = ['y', 'z'].map((request) => it.ask(request));
    await turn();
    abort.abort(new RangeError('enough'));
    await gone;
    expect(it.sent[0]?.again()).toEqual(['y', 'z']);
    it.sent[0]?.answer();
    expect(await Promise.all(others)).toEqual([{ of: 'y' }, { of: 'z' }]);
  });

  test('does so at their own deadline, also in a call that goes on for others', async () => {
    const it = play();
    await it.askAlone(8);
    const early = failure(it.ask('early'));
    await it.advance(4_000);
    const later = it.ask('later');
    it.sent[0]?.answer();
    await turn();
    expect(it.sent[8]).toMatchObject({ requests: ['early', 'later'], endMs: 14_000 });
    expect(it.sent[8]?.again()).toEqual(['early', 'later']);
    await it.advance(6_000);
    expect(await early).toMatchObject({ message: 'late at s2' });
    it.sent[8]?.answer();
    expect(await later).toMatchObject({ of: 'later' });
  });
});

describe('who waits behind calls that last', () => {
  test('is told at their own deadline, and is not sent any more', async () => {
    const it = play();
    await it.askAlone(8);
    await it.advance(3_000);
    const early = [it.ask('x'), it.ask('y', 'b')].map(failure);
    await it.advance(3_000);
    const later = it.ask('z');
    for (let n = 0; n < 8; n++) void it.ask(String(n), 'b');
    await turn();
    await it.advance(6_999);
    expect(it.requests().slice(8)).toEqual([['y'], ['0', '1', '2', '3', '4', '5', '6', '7']]);
    await it.advance(1);
    expect(await early[0]).toMatchObject({ message: 'late at undefined' });
    it.sent[0]?.answer();
    await turn();
    expect(it.requests().slice(10)).toEqual([['z']]);
    it.sent[10]?.answer();
    expect(await later).toMatchObject({ of: 'z' });
  });

  test('is told so whatever the deadlines of the others are', async () => {
    const it = play();
    await it.askAlone(8);
    const told: string[] = [];
    for (let n = 0; n < 5; n++) {
      await it.advance(100);
      void failure(it.ask(`x${n}`)).then(() => told.push(`x${n}`));
    }
    for (let n = 0; n < 5; n++) {
      await it.advance(n === 0 ? 9_600 : 100);
      expect(told).toHaveLength(n + 1);
    }
  });

  test('has one timer with all the others, and none when nobody waits', async () => {
    const it = play();
    await it.askAlone(8);
    expect(it.timers()).toEqual({ running: 0, made: 0 });
    const asked = Array.from({ length: 100 }, (_, n) => it.ask(`x${n}`));
    await turn();
    expect(it.timers()).toEqual({ running: 1, made: 1 });
    it.sent[0]?.answer();
    await turn();
    expect(it.timers()).toEqual({ running: 0, made: 1 });
    it.sent[8]?.answer();
    await Promise.all(asked);
  });
});

describe('a failure', () => {
  test('of the call is that of all in it', async () => {
    const it = play();
    const asked = ['x', 'y'].map((request) => failure(it.ask(request)));
    await turn();
    it.sent[0]?.fail(away);
    expect(await Promise.all(asked)).toEqual([away, away]);
  });

  test('of an item is repeated as that of a call is, with others', async () => {
    const it = play();
    const asked = ['x', 'y', 'z'].map((request) => it.ask(request));
    await turn();
    it.sent[0]?.answer([ok('x'), { ok: false, error: away }, { ok: false, error: away }]);
    await turn();
    expect(it.sent).toHaveLength(1);
    await it.advance(50);
    expect(it.requests().slice(1)).toEqual([['y', 'z']]);
    it.sent[1]?.answer([{ ok: false, error: away }, ok('z')]);
    await turn();
    await it.advance(100);
    it.sent[2]?.answer();
    expect(await Promise.all(asked)).toMatchObject([{ of: 'x' }, { of: 'y' }, { of: 'z' }]);
  });

  test('of an item is told at its deadline when it waits for its turn again', async () => {
    const it = play();
    const asked = failure(it.ask('x'));
    const other = it.ask('y');
    await turn();
    await it.advance(5_000);
    it.sent[0]?.answer([{ ok: false, error: away }, ok('y')]);
    await other;
    await it.askAlone(8);
    await it.advance(50);
    expect(it.sent).toHaveLength(9);
    await it.advance(4_950);
    expect(await asked).toBe(away);
    it.sent[1]?.answer();
    await turn();
    expect(it.sent).toHaveLength(9);
  });

  test('of an item is told when there is no time left, or its caller gives up', async () => {
    const it = play();
    const abort = new AbortController();
    const asked = failure(it.ask('x'));
    const other = failure(it.ask('y', 'a', 200, abort.signal));
    await turn();
    await it.advance(9_990);
    it.sent[0]?.answer(['x', 'y'].map(() => ({ ok: false, error: away })));
    expect(await asked).toBe(away);
    expect(await other).toBe(away);
    const third = failure(it.ask('z', 'a', 200, abort.signal));
    const fourth = it.ask('w');
    await turn();
    it.sent[1]?.answer([{ ok: false, error: away }, ok('w')]);
    await fourth;
    abort.abort(new RangeError('enough'));
    expect(await third).toBeInstanceOf(RangeError);
  });
});

describe('through the client', () => {
  const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, '0')}`;
  const reserved = (of: string) => ({ reservation: { ...wireReservation, mac: of }, created: true });
  const response = <T>(value: T) => ({ result: { $case: 'response' as const, value } });
  const EVERYTHING: Handlers = {
    reserveAddress: (request) => reserved(request.mac),
    batchReserveAddresses: ({ requests }) => ({ results: requests.map((request) => response(reserved(request.mac))) }),
    releaseAddress: () => ({ reservation: wireReservation }),
    batchReleaseAddresses: ({ requests }) => ({
      results: requests.map((request) =>
        response({ reservation: { ...wireReservation, reservationId: request.reservationId } }),
      ),
    }),
    getSubnet: () => ({ subnet: wireSubnet }),
  };

  async function open(handlers: Handlers, options: ConnectOptions = {}) {
    const fake = await startScriptedServer({ ...EVERYTHING, ...handlers });
    const runtime = fakeRuntime();
    const leasehold = connectWith({ server: fake.server, ...options }, runtime);
    return {
      fake,
      leasehold,
      runtime,
      reservations: leasehold.reservations,
      async [Symbol.asyncDispose]() {
        await leasehold.close();
        await fake[Symbol.asyncDispose]();
      },
    };
  }

  const reserve = (n: number) => ({ subnetId: 'red-a', mac: mac(n) });

  test('reserves of one turn are one batch, in which each has its answer', async () => {
    await using it = await open({});
    const answers = await Promise.all([1, 2, 3].map((n) => it.reservations.reserve(reserve(n))));
    expect(answers.map(({ reservation }) => reservation.mac)).toEqual([1, 2, 3].map(mac));
    expect(it.fake.calls).toEqual(['batchReserveAddresses']);
    expect(it.fake.requests('batchReserveAddresses')[0]?.waitReady).toBeUndefined();
  });

  test('who waits for servers, has a timeout, or is large goes alone', async () => {
    await using it = await open({});
    const labels = { note: 'x'.repeat(6_000) };
    await Promise.all([
      it.reservations.reserve({ ...reserve(1), waitReady: {} }),
      it.reservations.reserve(reserve(2), { timeoutMs: 5_000 }),
      it.reservations.reserve({ ...reserve(3), labels }),
      it.reservations.reserve(reserve(4)),
      it.reservations.reserve(reserve(5)),
    ]);
    expect(it.fake.calls.toSorted()).toEqual(['batchReserveAddresses', ...Array<string>(3).fill('reserveAddress')]);
  });

  test('what is large by its ids alone goes alone, too', async () => {
    await using it = await open({});
    const huge = 'x'.repeat(6_000);
    await Promise.all([
      it.reservations.release({ subnetId: 'red-a', address: '10.0.0.1', requestId: huge }),
      it.reservations.release({ reservationId: huge }),
      it.reservations.release({ networkId: huge, mac: mac(1), requestId: 'r' }),
      it.reservations.release({ subnetId: huge, address: '10.0.0.1', requestId: 'r' }),
      it.reservations.release({ reservationId: 'a' }),
      it.reservations.release({ reservationId: 'b' }),
      it.reservations.reserve({ ...reserve(0), networkId: huge }),
      it.reservations.reserve({ ...reserve(1), networkId: huge }),
      it.reservations.reserve(reserve(2)),
      it.reservations.reserve(reserve(3)),
    ]);
    expect(it.fake.calls.toSorted()).toEqual([
      'batchReleaseAddresses',
      'batchReserveAddresses',
      ...Array<string>(4).fill('releaseAddress'),
      ...Array<string>(2).fill('reserveAddress'),
    ]);
  });

  test('nobody leaves together with batching: false', async () => {
    await using it = await open({}, { batching: false });
    await Promise.all([1, 2].map((n) => it.reservations.reserve(reserve(n))));
    expect(it.fake.calls).toEqual(['reserveAddress', 'reserveAddress']);
  });

  test('releases that may be repeated leave together, and apart from those that must not', async () => {
    const away = refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' });
    await using it = await open({
      batchReleaseAddresses: ({ requests }, attempt) => (attempt <= 2 ? away : EVERY(requests)),
    });
    const EVERY = (requests: readonly { reservationId: string }[]) => ({
      results: requests.map(() => response({ reservation: wireReservation })),
    });
    const guarded = ['10.0.0.1', '10.0.0.2'].map((address) =>
      it.reservations.release({ subnetId: 'red-a', address, reservationId: 'r' }),
    );
    const bare = ['10.0.0.3', '10.0.0.4'].map((address) => it.reservations.release({ subnetId: 'red-a', address }));
    const outcomes = await Promise.allSettled([...guarded, ...bare]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
    const addresses = it.fake
      .requests('batchReleaseAddresses')
      .map(({ requests }) => requests.map((r) => r.address).join());
    expect(addresses.toSorted()).toEqual(['10.0.0.1,10.0.0.2', '10.0.0.1,10.0.0.2', '10.0.0.3,10.0.0.4']);
  });

  test('who gives up while a batch waits for a server is not acted for afterwards', async () => {
    const abort = new AbortController();
    const runtime = fakeRuntime({}, () => abort.abort(new RangeError('enough')));
    await using fake = await startScriptedServer({
      ...EVERYTHING,
      batchReserveAddresses: (request, attempt) =>
        attempt === 1
          ? refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' })
          : { results: request.requests.map((each) => response(reserved(each.mac))) },
    });
    await using leasehold = connectWith({ server: fake.server }, runtime);
    const [gone, stays] = await Promise.allSettled([
      leasehold.reservations.reserve(reserve(1), { signal: abort.signal }),
      leasehold.reservations.reserve(reserve(2)),
    ]);
    expect(gone.status).toBe('rejected');
    expect(stays).toMatchObject({ status: 'fulfilled', value: { reservation: { mac: mac(2) } } });
    const macs = fake.requests('batchReserveAddresses').map(({ requests }) => requests.map((each) => each.mac));
    expect(macs).toEqual([[mac(1), mac(2)], [mac(2)]]);
  });

  test('nor who gives up while the only server is being dialled', async () => {
    await using fake = await startScriptedServer(EVERYTHING);
    let letThrough = () => {};
    const open = new Promise<void>((resolve) => {
      letThrough = resolve;
    });
    await using proxy = await startProxy(fake.server, open);
    await using leasehold = connectWith({ server: proxy.server }, fakeRuntime());
    const abort = new AbortController();
    const gone = failure(leasehold.reservations.reserve(reserve(1), { signal: abort.signal }));
    const others = [2, 3].map((n) => leasehold.reservations.reserve(reserve(n)));
    await proxy.connected;
    abort.abort(new RangeError('enough'));
    expect(await gone).toBeInstanceOf(RangeError);
    letThrough();
    await Promise.all(others);
    const macs = fake.requests('batchReserveAddresses').map(({ requests }) => requests.map((each) => each.mac));
    expect(macs).toEqual([[mac(2), mac(3)]]);
  });

  test('a batch of which all was refused because the server cannot now is asked of the next one', async () => {
    const status = statusOf(refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' }));
    const refused = ({ requests }: { requests: readonly unknown[] }) => ({
      results: requests.map(() => ({ result: { $case: 'status' as const, value: status } })),
    });
    await using first = await startScriptedServer({ batchReserveAddresses: refused });
    await using second = await startScriptedServer(EVERYTHING);
    const runtime = fakeRuntime();
    await using leasehold = connectWith({ servers: [first.server, second.server] }, runtime);
    const answers = await Promise.all([1, 2].map((n) => leasehold.reservations.reserve(reserve(n))));
    expect(answers.map(({ created }) => created)).toEqual([true, true]);
    expect(runtime.waits).toEqual([]);
    expect(second.calls).toEqual(['batchReserveAddresses']);
  });

  test('close() ends those that wait and those that left', async () => {
    await using fake = await startScriptedServer({ batchReserveAddresses: () => 'never' });
    const leasehold = connectWith({ server: fake.server }, system);
    const asked: Promise<ReserveResult>[] = [];
    for (let n = 0; n < 20; n++) {
      asked.push(leasehold.reservations.reserve(reserve(2 * n)), leasehold.reservations.reserve(reserve(2 * n + 1)));
      await turn();
    }
    await leasehold.close();
    const outcomes = await Promise.allSettled(asked);
    const reasons = outcomes.map((each) => each.status === 'rejected' && (each.reason as LeaseholdError).reason);
    expect(new Set(reasons)).toEqual(new Set(['CLIENT_CLOSED']));
  });
});
