import { once } from 'node:events';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { connectivityState } from '@grpc/grpc-js';
import { describe, expect, test, vi } from 'vitest';
import { type ConnectOptions, connectWith, type Leasehold } from './connect.js';
import type { LogFields } from './logger.js';
import { type FakeRuntime, fakeRuntime } from './test-support/fake-runtime.js';
import { startProxy } from './test-support/proxy.js';
import { wireNetwork, wireStatus } from './test-support/samples.js';
import {
  aborted,
  type Handlers,
  refuse,
  type ScriptedServer,
  startScriptedServer,
} from './test-support/scripted-server.js';

const NOBODY = '127.0.0.1:1';
const named = (server: string): Handlers => ({ getStatus: () => ({ ...wireStatus, server }) });
const cannot = (reason: string) => refuse('UNAVAILABLE', { reason, pushback: '500' });

/** Starts servers, of which those without handlers are away, and a client of them all. */
async function open(all: readonly (Handlers | undefined)[], options: ConnectOptions = {}, runtime = fakeRuntime()) {
  const said: string[] = [];
  const say = (message: string, { server }: LogFields) => void said.push(`${message} ${String(server)}`);
  const fakes: (ScriptedServer | undefined)[] = [];
  for (const handlers of all) fakes.push(handlers && (await startScriptedServer(handlers)));
  const servers = fakes.map((fake) => fake?.server ?? NOBODY);
  const logger = { debug: () => undefined, info: say, warn: say };
  const leasehold = connectWith({ servers, logger, ...options }, runtime);
  return {
    servers,
    leasehold,
    runtime,
    said,
    calls: () => fakes.map((fake) => fake?.calls),
    stop: async (n: number) => fakes[n]?.[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await leasehold.close();
      for (const fake of fakes) await fake?.[Symbol.asyncDispose]();
    },
  };
}

/** Takes connections and says nothing, as a machine that stands still. */
async function startMute() {
  const sockets = new Set<Socket>();
  const mute: NetServer = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  const connected = once(mute, 'connection');
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as { readonly port: number };
  return {
    server: `127.0.0.1:${port}`,
    connected,
    connections: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      mute.close();
    },
  };
}

const stateOf = (client: Leasehold['raw']) => client.getChannel().getConnectivityState(false);

describe('of several servers', () => {
  test('the first is used, by all calls', async () => {
    await using it = await open([named('a'), named('b')]);
    const answers = await Promise.all([it.leasehold.status(), it.leasehold.status(), it.leasehold.status()]);
    expect(answers.map(({ server }) => server)).toEqual(['a', 'a', 'a']);
    expect(it.said).toEqual([`Connected ${it.servers[0]}`]);
  });

  test('the next that can be reached is used when one is away, and stays in use', async () => {
    await using it = await open([undefined, undefined, named('c')]);
    expect((await it.leasehold.status()).server).toBe('c');
    expect((await it.leasehold.status()).server).toBe('c');
    expect(it.runtime.waits).toEqual([]);
    expect(it.said).toEqual([
      `Uses another server ${it.servers[1]}`,
      `Uses another server ${it.servers[2]}`,
      `Connected ${it.servers[2]}`,
    ]);
  });

  test('the next is used when one stops, and the first again when that one stops', async () => {
    await using it = await open([named('a'), named('b')]);
    expect((await it.leasehold.status()).server).toBe('a');
    await it.stop(0);
    expect((await it.leasehold.status()).server).toBe('b');
    await using again = await startScriptedServer(named('a again'), it.servers[0]);
    expect((await it.leasehold.status()).server).toBe('b');
    await it.stop(1);
    expect((await it.leasehold.status()).server).toBe('a again');
    expect(again.calls).toEqual(['getStatus']);
  });

  test('all that fail together go to the same next one', async () => {
    await using it = await open([undefined, named('b'), named('c')]);
    const answers = await Promise.all(Array.from({ length: 20 }, () => it.leasehold.status()));
    expect(new Set(answers.map(({ server }) => server))).toEqual(new Set(['b']));
  });

  test.each(['STORE_UNAVAILABLE', 'NO_HOLDER'])('one that says %s is left, without a pause', async (reason) => {
    await using it = await open([{ getStatus: () => cannot(reason) }, named('b')]);
    expect((await it.leasehold.status()).server).toBe('b');
    expect(it.runtime.waits).toEqual([]);
  });

  test('each is asked once before the pause that they ask for', async () => {
    const away = { getStatus: () => cannot('STORE_UNAVAILABLE') };
    const late: Handlers = {
      getStatus: (_, attempt) => (attempt < 3 ? cannot('STORE_UNAVAILABLE') : { ...wireStatus, server: 'b' }),
    };
    await using it = await open([away, late, away]);
    expect((await it.leasehold.status()).server).toBe('b');
    expect(it.runtime.waits).toEqual([500, 500]);
    expect(it.calls().map((calls) => calls?.length)).toEqual([3, 3, 2]);
  });

  test('when all are away, calls wait for one', async () => {
    let back: Promise<ScriptedServer> | undefined;
    const runtime: FakeRuntime = fakeRuntime({}, () => {
      back ??= startScriptedServer(named('b'), 'unix:/tmp/leasehold-sdk-back.sock');
    });
    const servers = [NOBODY, 'unix:/tmp/leasehold-sdk-back.sock'];
    await using leasehold = connectWith({ servers, timeoutMs: 60_000 }, runtime);
    expect((await leasehold.status()).server).toBe('b');
    expect(runtime.waits.length).toBeGreaterThan(0);
    await (await back)?.[Symbol.asyncDispose]();
  });

  test('without waitForServer each is tried once', async () => {
    await using it = await open([undefined, undefined], { waitForServer: false });
    await expect(it.leasehold.status()).rejects.toMatchObject({ reason: 'NO_CONNECTION' });
    expect(it.runtime.waits).toEqual([]);
    await using found = await open([undefined, named('b')], { waitForServer: false });
    expect((await found.leasehold.status()).server).toBe('b');
  });

  test('one that neither takes nor refuses a connection is not waited for long', async () => {
    await using mute = await startMute();
    await using fake = await startScriptedServer(named('b'));
    await using leasehold = connectWith({ servers: [mute.server, fake.server], timeoutMs: 400 }, fakeRuntime());
    expect((await leasehold.status()).server).toBe('b');
    await using alone = connectWith({ servers: [mute.server, mute.server], timeoutMs: 60 }, fakeRuntime());
    await expect(alone.status()).rejects.toThrow(/^No connection to .* within \d+ ms$/);
  });

  test('an abort ends the wait for one', async () => {
    await using mute = await startMute();
    await using fake = await startScriptedServer(named('b'));
    const abort = new AbortController();
    await using leasehold = connectWith({ servers: [mute.server, fake.server], timeoutMs: 60_000 }, fakeRuntime());
    const asked = leasehold.status({ signal: abort.signal });
    abort.abort(new RangeError('enough'));
    await expect(asked).rejects.toThrow('enough');
    expect(fake.calls).toEqual([]);
  });

  test('close() ends the wait for one, which is not dialled any more', async () => {
    await using mute = await startMute();
    await using leasehold = connectWith({ servers: [mute.server, NOBODY], timeoutMs: 60_000 }, fakeRuntime());
    const asked = leasehold.status();
    await mute.connected;
    await leasehold.close();
    await expect(asked).rejects.toMatchObject({ reason: 'CLIENT_CLOSED' });
    expect(stateOf(leasehold.raw)).toBe(connectivityState.SHUTDOWN);
    expect(mute.connections()).toBe(1);
  });

  test('one that is left is not dialled any more by those who wait for it', async () => {
    await using mute = await startMute();
    await using fake = await startScriptedServer(named('b'));
    await using leasehold = connectWith({ servers: [mute.server, fake.server], timeoutMs: 60_000 }, fakeRuntime());
    const left = leasehold.raw;
    const both = [leasehold.status(), leasehold.status({ timeoutMs: 1_000 })];
    expect((await Promise.all(both)).map(({ server }) => server)).toEqual(['b', 'b']);
    expect(stateOf(left)).toBe(connectivityState.SHUTDOWN);
    expect(mute.connections()).toBe(1);
  });

  test('one that answers nobody for a while is left by the next call', async () => {
    let nowMs = 0;
    const runtime = { ...fakeRuntime(), monotonicMs: () => nowMs };
    const silent: Handlers = {
      getStatus: () => {
        nowMs += 2_000;
        return 'never';
      },
    };
    await using it = await open([silent, named('b')], {}, runtime);
    await expect(it.leasehold.status({ timeoutMs: 50 })).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect((await it.leasehold.status()).server).toBe('b');
  });

  test('one that answers nobody is left however short the timeouts are, unless it answers in between', async () => {
    let nowMs = 0;
    const silent: Handlers = { getNetwork: () => ({ network: wireNetwork }), getStatus: () => 'never' };
    const runtime = { ...fakeRuntime(), monotonicMs: () => nowMs };
    const waitInVain = async ({ leasehold }: { readonly leasehold: Leasehold }) => {
      const asked = leasehold.status({ timeoutMs: 50 });
      nowMs += 700;
      await expect(asked).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    };
    await using it = await open([silent, named('b')], {}, runtime);
    await it.leasehold.networks.get('red');
    for (let n = 0; n < 3; n++) await waitInVain(it);
    expect((await it.leasehold.status()).server).toBe('b');
    await using other = await open([silent, named('b')], {}, runtime);
    for (let round = 0; round < 3; round++) {
      await other.leasehold.networks.get('red');
      for (let n = 0; n < 2; n++) await waitInVain(other);
    }
  });

  test.each([
    ['answers', () => ({ ...wireStatus, server: 'a' })],
    ['refuses', () => refuse('PERMISSION_DENIED', { reason: 'PERMISSION_DENIED' })],
  ])('one that %s others is not left for one call that took too long', async (_, getStatus) => {
    let nowMs = 0;
    const slow: Handlers = { getStatus, getNetwork: () => 'never' };
    await using it = await open([slow, named('b')], {}, { ...fakeRuntime(), monotonicMs: () => nowMs });
    await it.leasehold.status().catch(() => undefined);
    const asked = it.leasehold.networks.get('red', { timeoutMs: 200 });
    nowMs = 5_000;
    await it.leasehold.status().catch(() => undefined);
    await expect(asked).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await it.leasehold.status().catch(() => undefined);
    expect(it.calls()).toEqual([['getStatus', 'getNetwork', 'getStatus', 'getStatus'], []]);
  });
});

describe('a server that is alone and takes no connection', () => {
  test('was not reached, and was asked for nothing', async () => {
    await using mute = await startMute();
    await using leasehold = connectWith({ server: mute.server, timeoutMs: 60 }, fakeRuntime());
    const error = await leasehold.networks.delete('red').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', retryable: true });
    expect(String(error)).toMatch(/No connection to .* within \d+ ms$/);
  });

  test('leaves no timer behind when the call is aborted', async () => {
    const [set, clear] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')];
    await using mute = await startMute();
    const abort = new AbortController();
    await using leasehold = connectWith({ server: mute.server, timeoutMs: 3_600_000 }, fakeRuntime());
    const asked = leasehold.status({ signal: abort.signal });
    await mute.connected;
    abort.abort(new RangeError('enough'));
    await expect(asked).rejects.toThrow('enough');
    const long = set.mock.calls.flatMap(([, ms = 0], n) => (ms > 3_000_000 ? [set.mock.results[n]?.value] : []));
    const cleared = clear.mock.calls.map(([timer]) => timer);
    for (const spy of [set, clear]) spy.mockRestore();
    expect(long.map((timer) => cleared.includes(timer as NodeJS.Timeout))).toEqual([true]);
  });
});

describe('what must not be done twice', () => {
  test('is not asked of another server when the first says that it cannot; the next call goes there', async () => {
    const away: Handlers = { deleteNetwork: () => cannot('STORE_UNAVAILABLE') };
    const well: Handlers = { ...named('b'), deleteNetwork: () => ({}) };
    await using it = await open([away, well]);
    await expect(it.leasehold.networks.delete('red')).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    expect(it.calls()).toEqual([['deleteNetwork'], []]);
    expect((await it.leasehold.status()).server).toBe('b');
  });

  test('is not asked of another server when the connection broke', async () => {
    await using fake = await startScriptedServer({
      deleteNetwork: () => {
        proxy.breakConnections();
        return 'never';
      },
    });
    await using proxy = await startProxy(fake.server);
    await using other = await startScriptedServer({ deleteNetwork: () => ({}) });
    await using leasehold = connectWith({ servers: [proxy.server, other.server] }, fakeRuntime());
    await expect(leasehold.networks.delete('red')).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    expect(other.calls).toEqual([]);
  });

  test('is asked of another server when nobody saw it', async () => {
    await using it = await open([undefined, { deleteNetwork: () => ({}) }]);
    await it.leasehold.networks.delete('red');
    expect(it.calls()).toEqual([undefined, ['deleteNetwork']]);
  });
});

describe('a watch', () => {
  const network = (token: string) =>
    ({ resumeToken: token, event: { $case: 'network', value: { change: 3, network: wireNetwork } } }) as const;
  const asked: string[] = [];
  const sending = (tokens: readonly string[]): Handlers => ({
    async *watchEvents({ resumeToken }, _, ended) {
      asked.push(resumeToken);
      for (const token of tokens) if (token > resumeToken) yield network(token);
      await aborted(ended);
    },
  });

  test('goes on at the next server after its last event, without a gap or a double', async () => {
    asked.length = 0;
    await using it = await open([sending(['1', '2']), sending(['1', '2', '3', '4'])]);
    const seen: string[] = [];
    for await (const event of it.leasehold.watch({ resumeToken: '0' })) {
      if (event.kind === 'network') seen.push(event.resumeToken);
      if (seen.length === 2) await it.stop(0);
      if (seen.length === 4) break;
    }
    expect(seen).toEqual(['1', '2', '3', '4']);
    expect(asked).toEqual(['0', '2']);
  });

  test('leaves a server that a call found gone', async () => {
    asked.length = 0;
    let nowMs = 0;
    const stuck: Handlers = {
      ...sending(['1']),
      getStatus: () => {
        nowMs += 2_000;
        return 'never';
      },
    };
    const runtime = { ...fakeRuntime(), monotonicMs: () => nowMs };
    await using it = await open([stuck, sending(['1', '2'])], {}, runtime);
    const seen: string[] = [];
    for await (const event of it.leasehold.watch({ resumeToken: '0' })) {
      if (event.kind === 'network') seen.push(event.resumeToken);
      if (seen.length === 2) break;
      await expect(it.leasehold.status({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    }
    expect(seen).toEqual(['1', '2']);
  });

  test('stays when its server only cannot do what a call asked', async () => {
    const busy: Handlers = { ...sending(['1', '2']), getStatus: () => cannot('NO_HOLDER') };
    await using it = await open([busy, named('b')]);
    const seen: string[] = [];
    for await (const event of it.leasehold.watch({ resumeToken: '0' })) {
      if (event.kind === 'network') seen.push(event.resumeToken);
      if (seen.length === 2) break;
      expect((await it.leasehold.status()).server).toBe('b');
    }
    expect(seen).toEqual(['1', '2']);
  });
});

test('servers are named by an option or a list in the environment, one way only', async () => {
  await using fake = await startScriptedServer(named('b'));
  await using leasehold = connectWith({}, fakeRuntime({ LEASEHOLD_SERVER: ` ${NOBODY}, ${fake.server} ` }));
  expect((await leasehold.status()).server).toBe('b');
  const refusal = (options: ConnectOptions) => () => connectWith(options, fakeRuntime());
  expect(refusal({ servers: [] })).toThrow('servers: there is none');
  expect(refusal({ server: NOBODY, servers: [NOBODY] })).toThrow('exclude each other');
  expect(refusal({ servers: [NOBODY, '10.0.0.1:7067'] })).toThrow('10.0.0.1:7067 is on another machine');
});
