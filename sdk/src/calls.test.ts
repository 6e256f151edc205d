import { getEventListeners } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ConnectOptions, connectWith } from './connect.js';
import { LeaseholdError, UnavailableError } from './errors.js';
import { type Runtime, system } from './system.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import { startProxy } from './test-support/proxy.js';
import { wireNetwork, wireReservation, wireStatus } from './test-support/samples.js';
import {
  FromMemory,
  type Handlers,
  refuse,
  type ScriptedServer,
  startScriptedServer,
} from './test-support/scripted-server.js';

const away = () => refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' });

async function open(handlers: Handlers, options: ConnectOptions = {}, runtime = fakeRuntime()) {
  const fake = await startScriptedServer(handlers);
  const leasehold = connectWith({ server: fake.server, ...options }, runtime);
  return {
    fake,
    leasehold,
    runtime,
    async [Symbol.asyncDispose]() {
      await leasehold.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

const failure = async (promise: Promise<unknown>): Promise<LeaseholdError> => {
  const error = await promise.then(
    () => new Error('the call succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof LeaseholdError) return error;
  throw error;
};

describe('connecting', () => {
  test('the server comes from the option, then LEASEHOLD_SERVER, and may be a unix socket', async () => {
    const path = `unix:${join(tmpdir(), `leasehold-sdk-${process.pid}.sock`)}`;
    await using fake = await startScriptedServer({ getStatus: () => wireStatus }, path);
    await using byEnvironment = connectWith({}, fakeRuntime({ LEASEHOLD_SERVER: fake.server }));
    expect((await byEnvironment.status()).server).toBe('s1');
    await using byOption = connectWith({ server: fake.server }, fakeRuntime({ LEASEHOLD_SERVER: '127.0.0.1:1' }));
    expect((await byOption.status()).version).toBe('0.1.0');
  });

  test('plaintext to another machine needs insecureNetwork', () => {
    expect(() => connectWith({ server: '10.0.0.1:7067' }, fakeRuntime())).toThrow(/another machine/);
    expect(() => connectWith({ server: '10.0.0.1:7067', insecureNetwork: true }, fakeRuntime())).not.toThrow();
    for (const server of ['localhost:1', '127.9.9.9:1', '[::1]:1', 'unix:/run/x']) {
      expect(() => connectWith({ server }, fakeRuntime())).not.toThrow();
    }
    for (const server of ['127.0.0.1.example.org:1', '127.a:1', 'localhost.example.org:1']) {
      expect(() => connectWith({ server }, fakeRuntime())).toThrow(/another machine/);
    }
  });

  test('what is no server address is refused', () => {
    for (const server of [
      'localhost',
      'localhost:0',
      'localhost:65536',
      'dns:localhost:1',
      'unix:',
      'http://a:1',
      'unix:/a,unix:/b',
    ]) {
      expect(() => connectWith({ server }, fakeRuntime())).toThrow(/expected one server like/);
    }
  });

  test('a timeout that there cannot be is refused', () => {
    for (const timeoutMs of [0, -1, Number.NaN, Infinity, 2 ** 31])
      expect(() => connectWith({ timeoutMs }, fakeRuntime())).toThrow(TypeError);
  });

  test('nobody there is UNAVAILABLE/NO_CONNECTION, said without the insides of gRPC', async () => {
    await using leasehold = connectWith({ server: '127.0.0.1:1' }, fakeRuntime());
    const error = await failure(leasehold.status());
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ reason: 'NO_CONNECTION', message: 'No connection to 127.0.0.1:1 (ECONNREFUSED)' });
  });
});

test('calls that are made before there is a connection leave in their order', async () => {
  await using it = await open({ getNetwork: () => ({ network: wireNetwork }) });
  const ids = ['a', 'b', 'c', 'd', 'e'];
  await Promise.all(ids.map((id) => it.leasehold.networks.get(id)));
  expect(it.fake.requests('getNetwork').map(({ networkId }) => networkId)).toEqual(ids);
});

describe('deadlines and aborts', () => {
  test('a call without an answer ends at the default timeout', async () => {
    await using it = await open({ getNetwork: () => 'never' }, { timeoutMs: 40 });
    const error = await failure(it.leasehold.networks.get('red'));
    expect(error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'DEADLINE_EXCEEDED',
      message: `GetNetwork got no answer from ${it.fake.server} within 40 ms`,
    });
  });

  test('a timeout of the call wins over the default', async () => {
    await using it = await open({ getNetwork: () => 'never' });
    const error = await failure(it.leasehold.networks.get('red', { timeoutMs: 30 }));
    expect(error.message).toContain('within 30 ms');
    await expect(it.leasehold.networks.get('red', { timeoutMs: 0 })).rejects.toThrow(TypeError);
  });

  test('a reserve that waits for servers gets that time on top of the default timeout', async () => {
    await using it = await open({ reserveAddress: () => 'never' }, { timeoutMs: 300 });
    const waitReady = { servers: 1, timeoutMs: 35 };
    const error = await failure(
      it.leasehold.reservations.reserve({ subnetId: 'a', mac: wireReservation.mac, waitReady }),
    );
    expect(error.message).toContain('within 335 ms');
    expect(it.fake.requests('reserveAddress')[0]?.waitReady?.timeout).toEqual({ seconds: 0n, nanos: 35_000_000 });
  });

  test('an aborted call rejects with the reason of its signal', async () => {
    const abort = new AbortController();
    await using it = await open({
      getNetwork: () => {
        abort.abort(new RangeError('enough'));
        return 'never';
      },
    });
    await expect(it.leasehold.networks.get('red', { signal: abort.signal })).rejects.toThrow(RangeError);
    await expect(it.leasehold.networks.get('red', { signal: abort.signal })).rejects.toThrow('enough');
    expect(it.fake.calls).toHaveLength(1);
  });

  test('an abort ends the pause before a retry', async () => {
    const abort = new AbortController();
    const runtime = fakeRuntime({}, () => abort.abort());
    await using it = await open({ getNetwork: away }, {}, runtime);
    await expect(it.leasehold.networks.get('red', { signal: abort.signal })).rejects.toThrow(/aborted/);
    expect(it.fake.calls).toHaveLength(1);
  });

  test('close() ends calls under way and refuses new ones', async () => {
    let called = () => {};
    const arrived = new Promise<void>((resolve) => {
      called = resolve;
    });
    await using it = await open({
      getNetwork: () => {
        called();
        return 'never';
      },
    });
    const pending = failure(it.leasehold.networks.get('red'));
    await arrived;
    await it.leasehold.close();
    expect((await pending).reason).toBe('CLIENT_CLOSED');
    expect((await failure(it.leasehold.networks.get('red'))).reason).toBe('CLIENT_CLOSED');
  });
});

describe('a signal that many share', () => {
  test('has one listener for all, and none when they are over', async () => {
    const { signal } = new AbortController();
    const listeners = new Set<number>();
    const note = () => listeners.add(getEventListeners(signal, 'abort').length);
    await using it = await open({
      getNetwork: () => {
        note();
        return { network: wireNetwork };
      },
      batchReserveAddresses: ({ requests }) => {
        note();
        const value = { reservation: wireReservation, created: true };
        return { results: requests.map(() => ({ result: { $case: 'response', value } })) };
      },
    });
    const { networks, reservations } = it.leasehold;
    const many = Array.from({ length: 12 }, (_, n) => n);
    await Promise.all(many.map(() => networks.get('red', { signal })));
    const reserves = many.map((n) =>
      reservations.reserve({ subnetId: 'a', mac: `52:54:00:00:00:1${n % 10}` }, { signal }),
    );
    await Promise.all(reserves);
    expect([...listeners]).toEqual([1]);
    expect(it.fake.calls).toEqual([...Array(12).fill('getNetwork'), 'batchReserveAddresses']);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('ends all of them', async () => {
    const abort = new AbortController();
    let asked = 0;
    await using it = await open({
      getNetwork: () => {
        if (++asked === 12) abort.abort(new RangeError('enough'));
        return 'never';
      },
    });
    const calls = Array.from({ length: 12 }, () => it.leasehold.networks.get('red', { signal: abort.signal }));
    for (const call of await Promise.allSettled(calls)) expect(call).toMatchObject({ reason: { message: 'enough' } });
  });
});

describe('retries', () => {
  test('a read is repeated while the server is unavailable, with growing pauses', async () => {
    await using it = await open({ getNetwork: (_, attempt) => (attempt < 4 ? away() : { network: wireNetwork }) });
    expect((await it.leasehold.networks.get('red')).networkId).toBe('red');
    expect(it.runtime.waits).toEqual([50, 100, 200]);
  });

  test('a read is repeated until its deadline, with pauses up to a second', async () => {
    const runtime = { ...fakeRuntime(), random: () => 1 };
    await using it = await open({ getNetwork: away }, { timeoutMs: 10_000 }, runtime);
    const error = await failure(it.leasehold.networks.get('red'));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryable: true });
    expect(runtime.waits).toEqual([100, 200, 400, 800, ...Array(8).fill(1_000)]);
    expect(it.fake.calls).toHaveLength(13);
  });

  test('a reserve outlasts the restart of its server', async () => {
    const handlers: Handlers = {
      listNetworks: () => ({}),
      reserveAddress: () => ({ reservation: wireReservation, created: true }),
    };
    const before = await startScriptedServer(handlers);
    let waits = 0;
    let after: Promise<ScriptedServer> | undefined;
    const wait: Runtime['wait'] = (delayMs, signal) => {
      if (++waits === 8) after = startScriptedServer(handlers, before.server);
      return system.wait(delayMs, signal);
    };
    await using leasehold = connectWith({ server: before.server }, { ...system, wait, random: () => 0.2 });
    await leasehold.networks.list().toArray();
    await before[Symbol.asyncDispose]();
    const { created } = await leasehold.reservations.reserve({ subnetId: 'red-a', mac: wireReservation.mac });
    expect(created).toBe(true);
    await (await after)?.[Symbol.asyncDispose]();
  });

  test('the pause the server asks for is kept, and one that outlasts the deadline is not begun', async () => {
    const pushback = (ms: string) => refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE', pushback: ms });
    await using it = await open({ getNetwork: (_, attempt) => pushback(attempt === 1 ? '750' : '60000') });
    const error = await failure(it.leasehold.networks.get('red'));
    expect(it.runtime.waits).toEqual([750]);
    expect(error).toMatchObject({ reason: 'STORE_UNAVAILABLE', retryAfterMs: 60_000 });
  });

  test('a call that was one too many is repeated when the server says so, whatever it is, and not where it says nothing', async () => {
    const limited = (pushback?: string) =>
      refuse('RESOURCE_EXHAUSTED', { reason: 'RATE_LIMITED', ...(pushback === undefined ? {} : { pushback }) });
    await using it = await open({
      deleteNetwork: (_, attempt) => (attempt < 3 ? limited('40') : {}),
      getNetwork: () => limited(),
    });
    await it.leasehold.networks.delete('red');
    expect(it.runtime.waits).toEqual([40, 40]);
    expect(await failure(it.leasehold.networks.get('red'))).toMatchObject({ reason: 'RATE_LIMITED', retryable: true });
    expect(it.runtime.waits).toHaveLength(2);
  });

  test('a negative pushback forbids a repetition', async () => {
    await using it = await open({ getNetwork: () => refuse('UNAVAILABLE', { pushback: '-1' }) });
    expect(await failure(it.leasehold.networks.get('red'))).toMatchObject({ retryable: false });
    expect(it.fake.calls).toHaveLength(1);
  });

  test('a full subnet is never asked again', async () => {
    await using it = await open({
      reserveAddress: () => refuse('RESOURCE_EXHAUSTED', { reason: 'SUBNET_EXHAUSTED', pushback: '5' }),
    });
    const error = await failure(it.leasehold.reservations.reserve({ subnetId: 'a', mac: wireReservation.mac }));
    expect(error).toMatchObject({ reason: 'SUBNET_EXHAUSTED', retryable: false });
    expect(it.fake.calls).toHaveLength(1);
  });

  test('a reserve is repeated: its MAC names it', async () => {
    await using it = await open({
      reserveAddress: (_, attempt) => (attempt === 1 ? away() : { reservation: wireReservation, created: true }),
    });
    const { created } = await it.leasehold.reservations.reserve({ subnetId: 'red-a', mac: wireReservation.mac });
    expect(created).toBe(true);
    expect(it.fake.requests('reserveAddress').map(({ requestId }) => requestId)).toEqual(['', '']);
  });

  test('a release that names no tenure is never repeated', async () => {
    await using it = await open({ releaseAddress: away });
    const byAddress = { subnetId: 'red-a', address: '10.0.0.7' };
    const guarded = { ...byAddress, mac: wireReservation.mac };
    for (const release of [byAddress, guarded, { networkId: 'red', mac: wireReservation.mac }]) {
      expect((await failure(it.leasehold.reservations.release(release))).retryable).toBe(false);
    }
    expect(it.fake.calls).toHaveLength(3);
  });

  test.each(['the server stops', 'the connection breaks'])(
    'when %s before the answer, a delete has an unknown outcome and is not repeated',
    async (what) => {
      const fake = await startScriptedServer({
        deleteNetwork: () => {
          if (what === 'the server stops') void fake[Symbol.asyncDispose]();
          else proxy.breakConnections();
          return 'never';
        },
      });
      await using proxy = await startProxy(fake.server);
      await using leasehold = connectWith({ server: proxy.server }, fakeRuntime());
      const error = await failure(leasehold.networks.delete('red'));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error).toMatchObject({ reason: 'OUTCOME_UNKNOWN', retryable: false });
      expect(error.message).toBe(
        `The connection to ${proxy.server} broke before DeleteNetwork was answered, so it may have been done or not: look at what is there before you repeat it`,
      );
      expect(fake.calls).toEqual(['deleteNetwork']);
      await fake[Symbol.asyncDispose]();
    },
  );

  test('a delete that no server ever saw is repeated', async () => {
    let waits = 0;
    let fake: Promise<ScriptedServer> | undefined;
    const path = `unix:${join(tmpdir(), `leasehold-sdk-late-${process.pid}.sock`)}`;
    const wait: Runtime['wait'] = (delayMs, signal) => {
      if (++waits === 2) fake = startScriptedServer({ deleteNetwork: () => ({}) }, path);
      return system.wait(delayMs, signal);
    };
    await using leasehold = connectWith({ server: path }, { ...system, wait });
    await leasehold.networks.delete('red');
    expect((await fake)?.calls).toEqual(['deleteNetwork']);
    await (await fake)?.[Symbol.asyncDispose]();
  });

  test('a release that names its tenure or itself is repeated', async () => {
    await using it = await open({
      releaseAddress: (_, attempt) => (attempt % 2 === 1 ? away() : { reservation: wireReservation }),
    });
    const byAddress = { subnetId: 'red-a', address: '10.0.0.7' };
    await it.leasehold.reservations.release({ reservationId: 'r-1' });
    await it.leasehold.reservations.release({ ...byAddress, reservationId: 'r-1' });
    await it.leasehold.reservations.release({ ...byAddress, requestId: 'stop-42' });
    expect(it.fake.calls).toHaveLength(6);
  });

  test('an update is repeated without an etag only, a delete never', async () => {
    await using it = await open({ updateNetwork: away, deleteNetwork: away, updateReservation: away });
    const { networks, reservations } = it.leasehold;
    await failure(networks.update('red', { displayName: 'x' }, { etag: 'n1' }));
    await failure(reservations.update({ reservationId: 'r-1' }, { owner: 'x' }, { etag: 'r1' }));
    await failure(networks.delete('red'));
    expect(it.fake.calls).toEqual(['updateNetwork', 'updateReservation', 'deleteNetwork']);
    await failure(networks.update('red', { displayName: 'x' }));
    expect(it.fake.requests('updateNetwork').length).toBeGreaterThan(7);
    await failure(reservations.update({ reservationId: 'r-1' }, { owner: 'x' }));
    expect(it.fake.requests('updateReservation').length).toBeGreaterThan(7);
  });

  test.each(['OUTCOME_UNKNOWN', 'NO_HOLDER'])(
    'what the server answers with %s is repeated, if it may be',
    async (reason) => {
      const refusal = refuse('UNAVAILABLE', { reason });
      await using it = await open({
        reserveAddress: (_, attempt) => (attempt === 1 ? refusal : { reservation: wireReservation }),
        deleteNetwork: () => refusal,
      });
      await it.leasehold.reservations.reserve({ subnetId: 'red-a', mac: wireReservation.mac });
      expect(await failure(it.leasehold.networks.delete('red'))).toMatchObject({ reason, retryable: false });
      expect(it.fake.calls).toEqual(['reserveAddress', 'reserveAddress', 'deleteNetwork']);
    },
  );

  test('a create without an id is one request, however often it is sent', async () => {
    await using it = await open({
      createNetwork: (_, attempt) => (attempt === 1 ? away() : { network: wireNetwork }),
    });
    await it.leasehold.networks.create({ displayName: 'x' });
    await it.leasehold.networks.create({ networkId: 'red' });
    await it.leasehold.networks.create({}, { requestId: 'mine' });
    const ids = it.fake.requests('createNetwork').map(({ requestId }) => requestId);
    expect(ids).toEqual(['request-1', 'request-1', '', 'mine']);
  });
});

describe('an answer from memory', () => {
  const since = new Date('2026-01-02T11:59:30.500Z');
  const stale = (text = since.toISOString()) => new FromMemory({ networks: [wireNetwork] }, text);

  test('tells its call since when the store is away, and none if it is not', async () => {
    await using it = await open({ listNetworks: (_, attempt) => (attempt === 1 ? stale() : {}) });
    const told: Date[] = [];
    const onStale = (when: Date) => void told.push(when);
    const { items } = await it.leasehold.networks.list({ onStale }).page();
    await it.leasehold.networks.list({ onStale }).page();
    expect(items).toHaveLength(1);
    expect(told).toEqual([since]);
  });

  test('tells the connection if its call does not want to know', async () => {
    const told: string[] = [];
    await using it = await open({ listNetworks: () => stale() }, { onStale: () => void told.push('connection') });
    await it.leasehold.networks.list().page();
    await it.leasehold.networks.list({ onStale: () => void told.push('call') }).page();
    expect(told).toEqual(['connection', 'call']);
  });

  test('is an answer also when nobody can read since when', async () => {
    await using it = await open({ listNetworks: () => stale('of old') }, { onStale: () => expect.unreachable() });
    expect((await it.leasehold.networks.list().page()).items).toHaveLength(1);
  });
});

test('a list fetches page by page, and only as far as it is read', async () => {
  const page = (token: string) => ({
    networks: [
      { ...wireNetwork, networkId: `${token}a` },
      { ...wireNetwork, networkId: `${token}b` },
    ],
    nextPageToken: token.length < 2 ? `${token}x` : '',
  });
  await using it = await open({ listNetworks: ({ pageToken }) => page(pageToken) });
  const all = await it.leasehold.networks.list({ pageSize: 2 }).toArray();
  expect(all.map(({ networkId }) => networkId)).toEqual(['a', 'b', 'xa', 'xb', 'xxa', 'xxb']);
  expect(it.fake.requests('listNetworks').map(({ pageSize }) => pageSize)).toEqual([2, 2, 2]);

  for await (const { networkId } of it.leasehold.networks.list()) if (networkId === 'b') break;
  expect(it.fake.calls).toHaveLength(4);

  const { items, nextPageToken } = await it.leasehold.networks.list().page('x');
  expect(items.map(({ networkId }) => networkId)).toEqual(['xa', 'xb']);
  expect(nextPageToken).toBe('xx');
});

test('a server that never ends a list is found out', async () => {
  await using it = await open({ listNetworks: () => ({ networks: [wireNetwork], nextPageToken: 'same' }) });
  const error = await failure(it.leasehold.networks.list().toArray());
  expect(error.reason).toBe('MALFORMED_RESPONSE');
});

test('the generated client is reachable on the same connection', async () => {
  await using it = await open({ getStatus: () => wireStatus });
  const answer = await new Promise((resolve, reject) => {
    it.leasehold.raw.getStatus({}, (error, response) => (error ? reject(error) : resolve(response.holder?.epoch)));
  });
  expect(answer).toBe(3n);
});
