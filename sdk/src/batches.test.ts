import { describe, expect, test } from 'vitest';
import { type ConnectOptions, connectWith } from './connect.js';
import { ExhaustedError, LeaseholdError } from './errors.js';
import type { Status } from './gen/google/rpc/status.js';
import { BatchReserveAddressesRequest } from './gen/ipam/v1/ipam_service.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import { wireReservation } from './test-support/samples.js';
import {
  type Handlers,
  type RefusalDetails,
  refuse,
  startScriptedServer,
  statusOf,
} from './test-support/scripted-server.js';

const away = () => refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' });
const mac = (n: number) =>
  `52:54:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
const reserves = (count: number) => Array.from({ length: count }, (_, n) => ({ subnetId: 'red-a', mac: mac(n) }));

const reserved = (of: string) => ({
  result: {
    $case: 'response' as const,
    value: { reservation: { ...wireReservation, mac: of }, created: true, ready: false, readyServers: 1 },
  },
});
const released = {
  result: { $case: 'response' as const, value: { reservation: { ...wireReservation, state: 2 as const } } },
};
const refused = (code: Parameters<typeof refuse>[0], details: RefusalDetails) => ({
  result: { $case: 'status' as const, value: statusOf(refuse(code, details)) satisfies Status },
});

const EVERYTHING: Handlers = {
  batchReserveAddresses: ({ requests }) => ({ results: requests.map((request) => reserved(request.mac)) }),
  batchReleaseAddresses: ({ requests }) => ({ results: requests.map(() => released) }),
};

async function open(handlers: Handlers, options: ConnectOptions = {}) {
  const fake = await startScriptedServer(handlers);
  const leasehold = connectWith({ server: fake.server, ...options }, fakeRuntime());
  return {
    fake,
    reservations: leasehold.reservations,
    async [Symbol.asyncDispose]() {
      await leasehold.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

describe('a batch', () => {
  test('has one result for each item in their order, and one that is refused spoils no other', async () => {
    const full = { reason: 'SUBNET_EXHAUSTED', message: 'Full', metadata: { quarantined: '3' } };
    await using it = await open({
      batchReserveAddresses: ({ requests: [first, , third] }) => ({
        results: [reserved(first?.mac ?? ''), refused('RESOURCE_EXHAUSTED', full), reserved(third?.mac ?? '')],
      }),
    });
    const [first, second, third] = await it.reservations.reserveMany(reserves(3));
    expect(first).toMatchObject({
      ok: true,
      created: true,
      ready: false,
      readyServers: 1,
      reservation: { mac: mac(0) },
    });
    expect(third).toMatchObject({ ok: true, reservation: { mac: mac(2), state: 'reserved' } });
    expect(second).toMatchObject({ ok: false, error: full });
    expect(second?.ok === false && second.error).toBeInstanceOf(ExhaustedError);
  });

  test('of releases answers what was released', async () => {
    await using it = await open(EVERYTHING);
    const results = await it.reservations.releaseMany([
      { subnetId: 'red-a', address: '10.0.0.7', guestStopped: true },
      { reservationId: 'r-1', mac: wireReservation.mac },
    ]);
    expect(results).toMatchObject([
      { ok: true, reservation: { state: 'quarantined' } },
      { ok: true, reservation: { state: 'quarantined' } },
    ]);
    expect(it.fake.requests('batchReleaseAddresses')[0]?.requests).toMatchObject([
      { subnetId: 'red-a', address: '10.0.0.7', guestStopped: true },
      { key: { key: { $case: 'reservationId', value: 'r-1' } }, mac: wireReservation.mac },
    ]);
  });

  test('of nothing asks nobody', async () => {
    await using it = await open({});
    expect(await it.reservations.reserveMany([])).toEqual([]);
    expect(await it.reservations.releaseMany([])).toEqual([]);
  });

  test('of more than 1,000 is sent in several calls, one after another', async () => {
    await using it = await open(EVERYTHING);
    const results = await it.reservations.reserveMany(reserves(2_001));
    expect(results.map((result) => result.ok && result.reservation.mac)).toEqual(reserves(2_001).map((one) => one.mac));
    expect(it.fake.requests('batchReserveAddresses').map(({ requests }) => requests.length)).toEqual([1_000, 1_000, 1]);
  });

  test('of what is large is sent in several calls, too, each of which a server has room for', async () => {
    await using it = await open(EVERYTHING);
    const labels = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`note-${n}`, 'x'.repeat(100)]));
    const results = await it.reservations.reserveMany(reserves(1_000).map((item) => ({ ...item, labels })));
    expect(results.map((result) => result.ok && result.reservation.mac)).toEqual(reserves(1_000).map((one) => one.mac));
    const requests = it.fake.requests('batchReserveAddresses');
    const bytes = requests.map((request) => BatchReserveAddressesRequest.encode(request).finish().length);
    expect(Math.max(...bytes)).toBeLessThan(1_024 * 1_024);
    const requestId = 'é'.repeat(128);
    await it.reservations.releaseMany(reserves(1_000).map(({ mac }) => ({ networkId: 'red', mac, requestId })));
    expect(it.fake.requests('batchReleaseAddresses').map((request) => request.requests.length)).toEqual([963, 37]);
  });

  test('waits for servers as a whole, and gets that time on top of the default timeout', async () => {
    await using it = await open({ batchReserveAddresses: () => 'never' }, { timeoutMs: 300 });
    const waiting = it.reservations.reserveMany(reserves(1), { waitReady: { servers: 2, timeoutMs: 35 } });
    await expect(waiting).rejects.toThrow(/within 335 ms$/);
    expect(it.fake.requests('batchReserveAddresses')[0]).toMatchObject({
      requests: [{ mac: mac(0), waitReady: undefined }],
      waitReady: { servers: 2, timeout: { nanos: 35_000_000 } },
    });
  });

  test('that was answered with too few results is the server’s fault', async () => {
    await using it = await open({
      batchReserveAddresses: (_, attempt) => ({ results: attempt === 1 ? [] : [{ result: undefined }] }),
    });
    for (const lacks of [/one result for each request/, /results\[0\]/])
      await expect(it.reservations.reserveMany(reserves(1))).rejects.toThrow(lacks);
  });
});

describe('a batch that fails as a whole', () => {
  test('rejects, when nothing is known yet', async () => {
    await using it = await open({
      batchReserveAddresses: () => refuse('INVALID_ARGUMENT', { reason: 'INVALID_FIELD' }),
    });
    await expect(it.reservations.reserveMany(reserves(1_001))).rejects.toMatchObject({ reason: 'INVALID_FIELD' });
    expect(it.fake.calls).toHaveLength(1);
  });

  test('after its first call keeps what is known; the failure is the result of all that are left', async () => {
    const handler = EVERYTHING.batchReserveAddresses;
    await using it = await open({
      batchReserveAddresses: (request, attempt) =>
        attempt === 1 && handler
          ? handler(request, attempt)
          : refuse('PERMISSION_DENIED', { reason: 'PERMISSION_DENIED' }),
    });
    const results = await it.reservations.reserveMany(reserves(2_001));
    expect(results.filter(({ ok }) => ok)).toHaveLength(1_000);
    expect(results).toHaveLength(2_001);
    for (const result of results.slice(1_000)) {
      expect(result.ok === false && result.error).toBeInstanceOf(LeaseholdError);
      expect(result).toMatchObject({ ok: false, error: { reason: 'PERMISSION_DENIED' } });
    }
    expect(it.fake.calls).toHaveLength(2);
  });

  test('by its signal rejects with the reason, also after its first call', async () => {
    const abort = new AbortController();
    const handler = EVERYTHING.batchReserveAddresses;
    await using it = await open({
      batchReserveAddresses: (request, attempt) => {
        if (attempt === 2) abort.abort(new RangeError('enough'));
        return handler && attempt === 1 ? handler(request, attempt) : 'never';
      },
    });
    const aborted = it.reservations.reserveMany(reserves(1_001), { signal: abort.signal });
    await expect(aborted).rejects.toThrow(RangeError);
  });
});

describe('a batch is repeated', () => {
  test('when it reserves: each MAC names its item', async () => {
    const handler = EVERYTHING.batchReserveAddresses;
    await using it = await open({
      batchReserveAddresses: (request, attempt) => (attempt > 1 && handler ? handler(request, attempt) : away()),
    });
    expect(await it.reservations.reserveMany(reserves(2))).toMatchObject([{ ok: true }, { ok: true }]);
    expect(it.fake.calls).toHaveLength(2);
  });

  test('when it releases, only if each item names its tenure or itself', async () => {
    const handler = EVERYTHING.batchReleaseAddresses;
    await using it = await open({
      batchReleaseAddresses: (request, attempt) => (attempt % 2 === 0 && handler ? handler(request, attempt) : away()),
    });
    const byAddress = { subnetId: 'red-a', address: '10.0.0.7' };
    const named = [{ reservationId: 'r-1' }, { ...byAddress, requestId: 'stop-42' }];
    expect(await it.reservations.releaseMany(named)).toHaveLength(2);
    expect(it.fake.calls).toHaveLength(2);
    const failed = it.reservations.releaseMany([...named, byAddress]);
    await expect(failed).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE', retryable: false });
    expect(it.fake.calls).toHaveLength(3);
  });

  test('but no single item of it: that one the caller may repeat, if it says so', async () => {
    const unknown = refused('UNAVAILABLE', { reason: 'OUTCOME_UNKNOWN', message: 'The store did not answer in time' });
    await using it = await open({
      batchReserveAddresses: () => ({ results: [unknown] }),
      batchReleaseAddresses: () => ({ results: [unknown, unknown] }),
    });
    const retryable = { ok: false, error: { reason: 'OUTCOME_UNKNOWN', retryable: true } };
    expect(await it.reservations.reserveMany(reserves(1))).toMatchObject([retryable]);
    const releases = [{ reservationId: 'r-1' }, { subnetId: 'red-a', address: '10.0.0.7' }];
    expect(await it.reservations.releaseMany(releases)).toMatchObject([retryable, { error: { retryable: false } }]);
    expect(it.fake.calls).toHaveLength(2);
  });
});
