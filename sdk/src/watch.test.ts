import { describe, expect, test } from 'vitest';
import { type ConnectOptions, connectWith } from './connect.js';
import { LeaseholdError, OutOfRangeError } from './errors.js';
import type { WatchEventsResponse } from './gen/ipam/v1/ipam_service.js';
import { type Runtime, system } from './system.js';
import { fakeRuntime } from './test-support/fake-runtime.js';
import { startProxy } from './test-support/proxy.js';
import { NOON, wireChanges, wireNetwork, wireReservation, wireSnapshot } from './test-support/samples.js';
import {
  aborted,
  type Handlers,
  refuse,
  type ScriptedServer,
  startScriptedServer,
} from './test-support/scripted-server.js';
import type { Loose } from './values.js';
import type { WatchEvent } from './watch.js';

type Wire = Loose<WatchEventsResponse>;

const away = () => refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE' });
const tooSlow = () => refuse('RESOURCE_EXHAUSTED', { reason: 'WATCH_TOO_SLOW' });

const bookmark = (n: number): Wire => ({ resumeToken: `t${n}`, event: { $case: 'bookmark', value: {} } });
const snapshotEnd = (n: number): Wire => ({ resumeToken: `t${n}`, event: { $case: 'snapshotEnd', value: {} } });
const about = (n: number, change: 1 | 2): Pick<Wire, 'event'> => ({
  event: { $case: 'reservation', value: { change, reservation: { ...wireReservation, address: `10.0.0.${n}` } } },
});
const present = (n: number): Wire => about(n, 1);
const created = (n: number): Wire => ({ resumeToken: `t${n}`, ...about(n, 2) });
const createdAfter = (token: string, last: number): Wire[] =>
  Array.from({ length: last }, (_, n) => created(n + 1)).slice(Number(token.slice(1)));

/** A runtime whose alarms ring when the test says so. */
function alarms() {
  const set = new Set<() => void>();
  const after: Runtime['after'] = (_, work) => {
    set.add(work);
    return () => void set.delete(work);
  };
  const ring = () => {
    for (const work of set) work();
  };
  return { runtime: { ...fakeRuntime(), after }, ring };
}

/** Sends nothing to anybody who is there. */
async function* silent(ended: AbortSignal): AsyncGenerator<Wire, void> {
  await aborted(ended);
  yield bookmark(0);
}

async function open(handlers: Handlers, options: ConnectOptions = {}, runtime = fakeRuntime()) {
  const fake = await startScriptedServer(handlers);
  const proxy = await startProxy(fake.server);
  const leasehold = connectWith({ server: proxy.server, ...options }, runtime);
  return {
    fake,
    proxy,
    leasehold,
    runtime,
    /** What each stream was asked for, in order. */
    asked: () => fake.requests('watchEvents').map(({ resumeToken, snapshot }) => (snapshot ? 'snapshot' : resumeToken)),
    async [Symbol.asyncDispose]() {
      await leasehold.close();
      await proxy[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** An event in a word: its kind, or of which address it is. */
const wordOf = (event: WatchEvent): string =>
  event.kind === 'reservation' ? `${event.change} ${event.reservation.address.slice('10.0.0.'.length)}` : event.kind;

/** Reads so many events and leaves; `meanwhile` is called after each one. */
async function read(watch: AsyncIterable<WatchEvent>, count: number, meanwhile = (_: number) => {}): Promise<string[]> {
  const words: string[] = [];
  for await (const event of watch) {
    meanwhile(words.push(wordOf(event)));
    if (words.length === count) break;
  }
  return words;
}

const failure = async (watch: AsyncIterable<WatchEvent>): Promise<unknown> =>
  read(watch, 1_000).then(
    () => new Error('the watch succeeded'),
    (reason: unknown) => reason,
  );

describe('a watch', () => {
  test('brings events as people see them', async () => {
    await using it = await open({
      async *watchEvents(_, __, ended) {
        yield* [...wireSnapshot, ...wireChanges];
        yield {
          resumeToken: 't7',
          event: { $case: 'network', value: { change: 9 as 1, network: wireNetwork } },
        };
        await aborted(ended);
      },
    });
    const events: WatchEvent[] = [];
    for await (const event of it.leasehold.watch({ networkId: 'red', snapshot: true })) {
      events.push(event);
      if (events.length === 8) break;
    }
    expect(events).toMatchObject([
      { kind: 'network', change: 'present', network: { networkId: 'red', status: undefined }, resumeToken: '' },
      { kind: 'snapshot-end', resumeToken: 't1' },
      { kind: 'bookmark', resumeToken: 't2' },
      { kind: 'subnet', change: 'created', subnet: { subnetId: 'red-a', usage: undefined }, resumeToken: 't3' },
      {
        kind: 'reservation',
        change: 'updated',
        reservation: { state: 'reserved', createTime: NOON },
        resumeToken: 't4',
      },
      { kind: 'host', change: 'deleted', host: { hostId: 'h1', liveness: 'unknown' }, resumeToken: 't5' },
      { kind: 'placement', change: 'created', placement: { epoch: 7, state: 'serving' }, resumeToken: 't6' },
      { kind: 'network', change: 'unknown' },
    ]);
    expect(it.fake.requests('watchEvents')).toEqual([{ networkId: 'red', resumeToken: '', snapshot: true }]);
  });

  test('asks for nothing before it is iterated, and each iteration is a watch of its own', async () => {
    await using it = await open({
      async *watchEvents({ resumeToken }, _, ended) {
        yield* createdAfter(resumeToken, 4);
        await aborted(ended);
      },
    });
    const watch = it.leasehold.watch({ resumeToken: 't2' });
    expect(it.fake.calls).toEqual([]);
    expect(await read(watch, 2)).toEqual(['created 3', 'created 4']);
    expect(await read(watch, 1)).toEqual(['created 3']);
    expect(it.asked()).toEqual(['t2', 't2']);
  });

  test('takes an event of a kind it does not know for a bookmark: its position is known', async () => {
    await using it = await open({
      async *watchEvents(_, attempt) {
        yield attempt === 1 ? { resumeToken: 't1' } : created(2);
        return away();
      },
    });
    expect(await read(it.leasehold.watch(), 2)).toEqual(['bookmark', 'created 2']);
    expect(it.asked()).toEqual(['', 't1']);
  });

  test.each([
    ['a change', created(2), {}],
    ['the end of a snapshot', snapshotEnd(2), { snapshot: true }],
  ])('finds a server out that sends %s without its position', async (_, event, options) => {
    await using it = await open({
      async *watchEvents() {
        yield { ...event, resumeToken: '' };
      },
    });
    expect(await failure(it.leasehold.watch(options))).toMatchObject({ reason: 'MALFORMED_RESPONSE' });
  });

  test('cannot begin with a snapshot and after a position', async () => {
    await using it = await open({});
    expect(() => it.leasehold.watch({ snapshot: true, resumeToken: 't1' })).toThrow(TypeError);
  });
});

describe('a watch whose stream breaks', () => {
  test.each([
    ['its store is away', away],
    ['the reader was too slow', tooSlow],
    ['the server ends it', () => undefined],
    ['the connection breaks', () => 'break' as const],
  ])('because %s goes on without a gap and without a double', async (_, how) => {
    const readTwo = new AbortController();
    await using it = await open({
      async *watchEvents({ resumeToken }, attempt, ended) {
        yield* createdAfter(resumeToken, attempt === 1 ? 6 : 12);
        if (attempt > 1) return aborted(ended);
        // More than was read is on its way or waits for the reader now.
        await aborted(readTwo.signal);
        const end = how();
        return end === 'break' ? it.proxy.breakConnections() : end;
      },
    });
    const words = await read(it.leasehold.watch({ resumeToken: 't0' }), 12, (count) => {
      if (count === 2) readTwo.abort();
    });
    expect(words).toEqual(createdAfter('t0', 12).map((_event, n) => `created ${n + 1}`));
    expect(it.asked()).toHaveLength(2);
  });

  test('resumes after what was handed over, also when that was the first bookmark of a watch from now on', async () => {
    await using it = await open({
      async *watchEvents({ resumeToken }, attempt) {
        yield resumeToken === '' ? bookmark(5) : created(6);
        if (attempt === 1) return away();
        yield bookmark(7);
        return undefined;
      },
    });
    expect(await read(it.leasehold.watch(), 3)).toEqual(['bookmark', 'created 6', 'bookmark']);
    expect(it.asked()).toEqual(['', 't5']);
  });

  test('before it brought anything begins anew', async () => {
    await using it = await open({
      async *watchEvents(_, attempt) {
        if (attempt === 1) return away();
        yield bookmark(5);
        return undefined;
      },
    });
    expect(await read(it.leasehold.watch(), 1)).toEqual(['bookmark']);
    expect(it.asked()).toEqual(['', '']);
  });

  test('within a snapshot begins it again, and says that what came of it is void', async () => {
    const [brokenAfterTwo, slowAfterTwo] = [new AbortController(), new AbortController()];
    await using it = await open({
      async *watchEvents(_, attempt, ended) {
        // Refused before anything came of it: twice without a part that could be void.
        if (attempt === 1 || attempt === 3) return away();
        yield* [present(1), present(2)];
        if (attempt === 2) return aborted(brokenAfterTwo.signal).then(() => it.proxy.breakConnections());
        if (attempt === 4) return aborted(slowAfterTwo.signal).then(tooSlow);
        yield* [present(3), snapshotEnd(9), created(10)];
        return aborted(ended);
      },
    });
    const words = await read(it.leasehold.watch({ snapshot: true }), 11, (count) => {
      if (count === 2) brokenAfterTwo.abort();
      if (count === 5) slowAfterTwo.abort();
    });
    expect(words.join(', ')).toBe(
      'present 1, present 2, restart, present 1, present 2, restart, present 1, present 2, present 3, snapshot-end, created 10',
    );
    expect(it.asked()).toEqual(Array(5).fill('snapshot'));
  });

  test('because its snapshot is read too slowly time and again throws that', async () => {
    await using it = await open({
      async *watchEvents() {
        yield present(1);
        return tooSlow();
      },
    });
    expect(await failure(it.leasehold.watch({ snapshot: true }))).toMatchObject({ reason: 'WATCH_TOO_SLOW' });
    expect(it.asked()).toEqual(Array(3).fill('snapshot'));
  });

  test('after the end of its snapshot is resumed', async () => {
    await using it = await open({
      async *watchEvents({ snapshot }) {
        yield* snapshot ? [present(1), snapshotEnd(9)] : [created(10)];
        return undefined;
      },
    });
    expect(await read(it.leasehold.watch({ snapshot: true }), 3)).toEqual(['present 1', 'snapshot-end', 'created 10']);
    expect(it.asked()).toEqual(['snapshot', 't9']);
  });

  test.each([
    ['WATCH_COMPACTED', 'OUT_OF_RANGE'],
    ['INVALID_FIELD', 'INVALID_ARGUMENT'],
    ['PERMISSION_DENIED', 'PERMISSION_DENIED'],
    ['RATE_LIMITED', 'RESOURCE_EXHAUSTED'],
  ] as const)('and is then refused with %s throws it', async (reason, code) => {
    await using it = await open({
      async *watchEvents(_, attempt) {
        if (attempt > 1) return refuse(code, { reason });
        yield bookmark(1);
        return away();
      },
    });
    const error = await failure(it.leasehold.watch());
    expect(error).toBeInstanceOf(LeaseholdError);
    expect(error).toMatchObject({ code, reason });
    expect(error instanceof OutOfRangeError).toBe(reason === 'WATCH_COMPACTED');
    expect(it.asked()).toEqual(['', 't1']);
  });
});

describe('a watch pauses', () => {
  test('longer after every failure, and shortly again after an event', async () => {
    const answers = [away(), away(), bookmark(1), away(), away(), bookmark(2)];
    await using it = await open({
      async *watchEvents(_, attempt) {
        const answer = answers[attempt - 1];
        if (!answer || !('resumeToken' in answer)) return answer ?? away();
        yield answer;
        return undefined;
      },
    });
    expect(await read(it.leasehold.watch(), 2)).toEqual(['bookmark', 'bookmark']);
    expect(it.runtime.waits).toEqual([50, 100, 50, 100, 200]);
  });

  test('for as long as the server asks', async () => {
    await using it = await open({
      async *watchEvents(_, attempt) {
        if (attempt === 1) return refuse('UNAVAILABLE', { reason: 'STORE_UNAVAILABLE', pushback: '750' });
        yield bookmark(1);
        return undefined;
      },
    });
    await read(it.leasehold.watch(), 1);
    expect(it.runtime.waits).toEqual([750]);
  });

  test('not at all once it is aborted', async () => {
    const abort = new AbortController();
    const runtime = fakeRuntime({}, () => abort.abort(new RangeError('enough')));
    await using it = await open({ watchEvents: away }, {}, runtime);
    expect(await failure(it.leasehold.watch({ signal: abort.signal }))).toBeInstanceOf(RangeError);
    expect(it.fake.calls).toHaveLength(1);
  });
});

describe('a server that is away', () => {
  test('fails a watch that cannot begin after the timeout, as it fails a call', async () => {
    await using leasehold = connectWith({ server: '127.0.0.1:1', timeoutMs: 3_000 }, fakeRuntime());
    expect(await failure(leasehold.watch())).toMatchObject({
      reason: 'NO_CONNECTION',
      message: 'No connection to 127.0.0.1:1 (ECONNREFUSED)',
      retryable: true,
    });
  });

  test.each([{}, { snapshot: true }])('fails one that a server takes and sends nothing in: %o', async (options) => {
    const { runtime, ring } = alarms();
    await using it = await open(
      {
        watchEvents(_, __, ended) {
          ring();
          return silent(ended);
        },
      },
      { timeoutMs: 1_000 },
      runtime,
    );
    expect(await failure(it.leasehold.watch(options))).toMatchObject({
      reason: 'NO_CONNECTION',
      message: `${it.proxy.server} took WatchEvents and sent nothing within 1000 ms`,
      retryable: true,
    });
  });

  test('is left by a watch that it sends nothing in', async () => {
    const { runtime, ring } = alarms();
    await using stuck = await startScriptedServer({
      watchEvents(_, __, ended) {
        ring();
        return silent(ended);
      },
    });
    await using well = await startScriptedServer({
      async *watchEvents(_, __, ended) {
        yield bookmark(1);
        await aborted(ended);
      },
    });
    await using leasehold = connectWith({ servers: [stuck.server, well.server] }, runtime);
    expect(await read(leasehold.watch(), 1)).toEqual(['bookmark']);
    expect(stuck.calls).toEqual(['watchEvents']);
  });

  test('is not one that has nothing to send after a position, or has no more to send', async () => {
    const { runtime, ring } = alarms();
    const later = new AbortController();
    await using it = await open(
      {
        async *watchEvents({ resumeToken }, __, ended) {
          if (resumeToken === '') yield bookmark(1);
          await aborted(later.signal);
          yield bookmark(2);
          await aborted(ended);
        },
        getStatus: () => ({}),
      },
      {},
      runtime,
    );
    const begun = new AbortController();
    const fromNow = read(it.leasehold.watch(), 2, () => begun.abort());
    await aborted(begun.signal);
    const resumed = read(it.leasehold.watch({ resumeToken: 't1' }), 1);
    while (it.asked().length < 2) await it.leasehold.status();
    ring();
    later.abort();
    expect(await Promise.all([fromNow, resumed])).toEqual([['bookmark', 'bookmark'], ['bookmark']]);
    expect(it.asked()).toEqual(['', 't1']);
  });

  test('fails it at once if servers are not waited for', async () => {
    const runtime = fakeRuntime();
    await using leasehold = connectWith({ server: '127.0.0.1:1', waitForServer: false }, runtime);
    expect(await failure(leasehold.watch())).toMatchObject({ reason: 'NO_CONNECTION' });
    expect(runtime.waits).toEqual([]);
  });

  test('is waited for however long it takes, once the watch has begun', async () => {
    await using it = await open(
      {
        async *watchEvents(_, attempt) {
          if (attempt > 1 && attempt < 60) return away();
          yield attempt === 1 ? bookmark(1) : created(2);
          return undefined;
        },
      },
      { timeoutMs: 1_000 },
    );
    expect(await read(it.leasehold.watch(), 2)).toEqual(['bookmark', 'created 2']);
    expect(it.runtime.monotonicMs()).toBeGreaterThan(20_000);
  });

  test('is waited for once the watch has begun, also if servers are not waited for', async () => {
    const handlers: Handlers = {
      async *watchEvents({ resumeToken }, _, ended) {
        yield resumeToken === '' ? bookmark(1) : created(2);
        await aborted(ended);
      },
    };
    const before = await startScriptedServer(handlers);
    let waits = 0;
    let after: Promise<ScriptedServer> | undefined;
    const wait: Runtime['wait'] = (delayMs, signal) => {
      if (++waits === 4) after = startScriptedServer(handlers, before.server);
      return system.wait(delayMs, signal);
    };
    const runtime = { ...system, wait, random: () => 0.2 };
    await using leasehold = connectWith({ server: before.server, waitForServer: false }, runtime);
    const words = await read(leasehold.watch(), 2, (count) => {
      if (count === 1) void before[Symbol.asyncDispose]();
    });
    expect(words).toEqual(['bookmark', 'created 2']);
    await (await after)?.[Symbol.asyncDispose]();
  });
});

describe('a watch ends on the wire', () => {
  /** A server that sends some, and tells when the call is over. */
  function endless() {
    const over = new AbortController();
    const handlers: Handlers = {
      async *watchEvents(_, __, ended) {
        ended.addEventListener('abort', () => over.abort());
        yield* createdAfter('t0', 8);
        await aborted(ended);
      },
      getStatus: () => ({}),
    };
    return { handlers, over: over.signal };
  }

  test('when its reader leaves', async () => {
    const { handlers, over } = endless();
    await using it = await open(handlers);
    expect(await read(it.leasehold.watch(), 2)).toEqual(['created 1', 'created 2']);
    await aborted(over);
    await it.leasehold.status();
    expect(it.fake.calls).toEqual(['watchEvents', 'getStatus']);
  });

  test('when its signal is aborted: it throws the reason, and hands over nothing more of what has arrived', async () => {
    const { handlers, over } = endless();
    const abort = new AbortController();
    await using it = await open(handlers);
    const watch = it.leasehold.watch({ signal: abort.signal });
    const events = watch[Symbol.asyncIterator]();
    await events.next();
    // On the same connection: what was sent before these answers is here with them.
    for (let calls = 0; calls < 3; calls++) await it.leasehold.status();
    abort.abort(new RangeError('enough'));
    await expect(events.next()).rejects.toThrow(RangeError);
    await aborted(over);
    expect(await failure(watch)).toBeInstanceOf(RangeError);
    expect(it.fake.requests('watchEvents')).toHaveLength(1);
  });

  test('when its signal is aborted while it waits for an event', async () => {
    const { handlers, over } = endless();
    const abort = new AbortController();
    await using it = await open(handlers);
    const events = it.leasehold.watch({ signal: abort.signal })[Symbol.asyncIterator]();
    for (let n = 0; n < 8; n++) await events.next();
    const next = events.next();
    abort.abort();
    await expect(next).rejects.toThrow(/aborted/);
    await aborted(over);
  });

  test('when the client is closed', async () => {
    const { handlers, over } = endless();
    await using it = await open(handlers);
    const events = it.leasehold.watch()[Symbol.asyncIterator]();
    for (let n = 0; n < 8; n++) await events.next();
    const next = events.next();
    await it.leasehold.close();
    await expect(next).rejects.toMatchObject({ reason: 'CLIENT_CLOSED' });
    await aborted(over);
    expect(await failure(it.leasehold.watch())).toMatchObject({ reason: 'CLIENT_CLOSED' });
  });
});

test('many watches of one server are no leak to Node', async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error) => void warnings.push(name);
  process.on('warning', note);
  await using it = await open({
    async *watchEvents(_, __, ended) {
      yield bookmark(1);
      await aborted(ended);
    },
  });
  const watches = Array.from({ length: 12 }, () => it.leasehold.watch()[Symbol.asyncIterator]());
  await Promise.all(watches.map((watch) => watch.next()));
  for (const watch of watches) await watch.return?.();
  process.off('warning', note);
  expect(warnings).not.toContain('MaxListenersExceededWarning');
});

test('a slow reader slows the server down, not other calls', async () => {
  const TOTAL = 5_000;
  const owner = 'x'.repeat(2_000);
  let sent = 0;
  await using it = await open({
    async *watchEvents(_, __, ended) {
      while (sent < TOTAL)
        yield {
          ...bookmark(++sent),
          event: { $case: 'reservation', value: { change: 2, reservation: { ...wireReservation, owner } } },
        };
      await aborted(ended);
    },
    getStatus: () => ({}),
  });
  const events = it.leasehold.watch()[Symbol.asyncIterator]();
  await events.next();
  for (let before = 0; before !== sent; ) {
    before = sent;
    for (let calls = 0; calls < 20; calls++) await it.leasehold.status();
  }
  const stuck = sent;
  expect(stuck).toBeLessThan(TOTAL / 10);
  let last: WatchEvent | undefined;
  for (let n = 0; n < 2 * stuck; n++) last = (await events.next()).value as WatchEvent;
  expect(last).toMatchObject({ resumeToken: `t${2 * stuck + 1}` });
  await events.return?.();
});
