// Calls passed on between two real listeners: one of the holder, one of a server that follows it.

import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '@leasehold/program/clock';
import { systemClock } from '@leasehold/program/system-clock';
import { GetHostResponse, IpamServiceClient, IpamServiceService as rpc } from '@leasehold/proto/ipam/v1/ipam_service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MemoryLog } from '../../../test/fakes/memory-log.js';
import { hostNotFound } from '../domain/errors.js';
import type { HolderLease } from '../ports/holder-lease.js';
import { orThrow, reasonOf } from './errors.js';
import { HolderCalls } from './holder-calls.js';
import { ENGINE_LIMITS, type Listener, listen } from './listener.js';
import { readDescriptors } from './reflection.js';
import { type UnaryCall, unary } from './unary.js';

/** The real clock, whose wall time a test may shift: deadlines are counted by it. */
class ShiftedClock implements Clock {
  shiftMs = 0;
  readonly #real = systemClock();

  now(): number {
    return this.#real.now();
  }

  wallTime(): Date {
    return new Date(this.#real.wallTime().getTime() + this.shiftMs);
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#real.after(delayMs, run);
  }
}

/** A lease that says what a test lets it say. */
class SaidLease implements HolderLease {
  epoch = undefined;
  isSelf = false;
  isChanging = false;
  isBlind = false;
  holder: HolderLease['holder'];
  async confirm(): Promise<void> {}
}

interface Running {
  readonly listener: Listener;
  readonly client: IpamServiceClient;
  readonly calls: HolderCalls;
  readonly clock: ShiftedClock;
  readonly lease: SaidLease;
  /** The calls that this server answered itself. */
  readonly answered: string[];
  readonly target: string;
}

// Larger than what gRPC takes unless it is told otherwise.
const LARGE = 5 * 1024 * 1024;

const running: Running[] = [];
let holder: Running;
let follower: Running;

/** A server whose hosts have its name as their agent's version. */
async function start(name: string): Promise<Running> {
  const log = new MemoryLog();
  const lease = new SaidLease();
  const clock = new ShiftedClock();
  const calls = new HolderCalls(lease, name, clock);
  const answered: string[] = [];
  const handlers = {
    getHost: unary(
      log,
      calls.reads(rpc.getHost, ({ hostId }, call: UnaryCall) => {
        answered.push(hostId);
        if (name === 'holder' && hostId === 'silent') return new Promise<never>(() => undefined);
        if (hostId === 'stale') call.stale(0 as never);
        return hostId === 'none'
          ? orThrow(hostNotFound(hostId))
          : GetHostResponse.fromPartial({ host: { agentVersion: hostId === 'large' ? 'x'.repeat(LARGE) : name } });
      }),
    ),
    deleteHost: unary(
      log,
      calls.does(rpc.deleteHost, ({ hostId }) => {
        answered.push(hostId);
        if (hostId === 'silent') return new Promise<never>(() => undefined);
        if (hostId === 'defect') throw new Error('A defect');
        return hostId === 'none' ? orThrow(hostNotFound(hostId)) : {};
      }),
    ),
  };
  const service = { name: 'ipam.v1.IpamService', definition: rpc, handlers };
  const listener = await listen(
    [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    service,
    ENGINE_LIMITS,
    readDescriptors(),
  );
  const [endpoint] = listener.endpoints;
  if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
  const target = `127.0.0.1:${endpoint.port}`;
  const client = new IpamServiceClient(target, credentials.createInsecure(), {
    'grpc.max_receive_message_length': 2 * LARGE,
  });
  const server = { listener, client, calls, clock, lease, answered, target };
  running.push(server);
  return server;
}

beforeEach(async () => {
  holder = await start('holder');
  follower = await start('follower');
  holder.lease.isSelf = true;
  follower.lease.holder = { server: 'holder', beat: 1, epoch: 1, advertise: holder.target, agentAdvertise: '' };
});

afterEach(async () => {
  for (const { client, calls, listener } of running.splice(0)) {
    client.close();
    calls.close();
    await listener.drain(0);
  }
});

interface Answer {
  readonly version: string | undefined;
  readonly error: ServiceError | undefined;
  readonly trailer: Metadata | undefined;
}

function getHost({ client }: Running, hostId: string): Promise<Answer> {
  return new Promise((resolve) => {
    let trailer: Metadata | undefined;
    let result: Omit<Answer, 'trailer'> | undefined;
    const done = () => {
      if (trailer && result) resolve({ ...result, trailer });
    };
    const call = client.getHost({ hostId }, (error, response) => {
      result = { version: response?.host?.agentVersion, error: error ?? undefined };
      done();
    });
    call.on('status', ({ metadata }) => {
      trailer = metadata;
      done();
    });
  });
}

function deleteHost({ client }: Running, hostId: string): Promise<ServiceError | undefined> {
  return new Promise((resolve) => client.deleteHost({ hostId, etag: '' }, (error) => resolve(error ?? undefined)));
}

/** Deletes through a server, as a call with this signal and deadline. */
function passDelete(
  { calls }: Running,
  hostId: string,
  { signal = new AbortController().signal, deadline = Infinity, how = 'do' as 'do' | 'prefer' },
) {
  const call = {
    signal,
    grpc: { metadata: new Metadata(), getDeadline: () => deadline },
    passTrailer: () => undefined,
  };
  return calls[how](rpc.deleteHost, { hostId, etag: '' }, call as unknown as UnaryCall);
}

describe('what only the holder knows', () => {
  test('comes from the holder, whoever is asked', async () => {
    expect((await getHost(follower, 'h1')).version).toBe('holder');
    expect((await getHost(holder, 'h1')).version).toBe('holder');
    expect([holder.answered, follower.answered]).toEqual([['h1', 'h1'], []]);
  });

  test('is refused as the holder refuses it', async () => {
    const { error } = await getHost(follower, 'none');
    expect([error?.code, error && reasonOf(error)]).toEqual([status.NOT_FOUND, 'HOST_NOT_FOUND']);
  });

  test('says that it is from memory when the holder says so', async () => {
    const { trailer } = await getHost(follower, 'stale');
    expect(trailer?.get('leasehold-stale-since')).toEqual(['1970-01-01T00:00:00.000Z']);
  });

  test('may be large', async () => {
    expect((await getHost(follower, 'large')).version).toHaveLength(LARGE);
  });

  test('is not waited for behind more calls that wait at the holder than a connection takes', async () => {
    const waiting = Array.from({ length: ENGINE_LIMITS.maxStreamsPerConnection + 1 }, () =>
      passDelete(follower, 'silent', {}).catch(() => undefined),
    );
    await vi.waitFor(() => expect(holder.answered).toHaveLength(ENGINE_LIMITS.maxStreamsPerConnection));
    expect((await getHost(follower, 'h1')).version).toBe('holder');
    follower.calls.close();
    await holder.listener.drain(0);
    await Promise.all(waiting);
  });

  test('is answered by who was asked when there is no holder, when it is gone, or does not lead either', async () => {
    follower.lease.holder = undefined;
    expect((await getHost(follower, 'h1')).version).toBe('follower');
    const gone = await start('gone');
    follower.lease.holder = { server: 'gone', beat: 1, epoch: 2, advertise: gone.target, agentAdvertise: '' };
    await gone.listener.drain(0);
    expect((await getHost(follower, 'h1')).version).toBe('follower');
    holder.lease.isSelf = false;
    holder.lease.holder = { server: 'follower', beat: 1, epoch: 3, advertise: follower.target, agentAdvertise: '' };
    follower.lease.holder = { server: 'holder', beat: 1, epoch: 1, advertise: holder.target, agentAdvertise: '' };
    // Each takes the other one for the holder: whoever gets the call second answers it.
    expect((await getHost(follower, 'h1')).version).toBe('holder');
  });
});

test('a holder that says nothing is not waited for: who was asked answers, and leaves it alone for a while', async () => {
  expect((await getHost(follower, 'silent')).version).toBe('follower');
  expect((await getHost(follower, 'h1')).version).toBe('follower');
  expect([holder.answered, follower.answered]).toEqual([['silent'], ['silent', 'h1']]);
  // It may do all the same.
  expect(await deleteHost(follower, 'h2')).toBeUndefined();
  expect(holder.answered).toEqual(['silent', 'h2']);
});

describe('what the holder does better', () => {
  test('is done by it', async () => {
    expect(await passDelete(follower, 'h1', { how: 'prefer' })).toEqual({});
    expect(holder.answered).toEqual(['h1']);
  });

  test('is left to who was asked where there is none, or that leads itself', async () => {
    expect(await passDelete(holder, 'h1', { how: 'prefer' })).toBeUndefined();
    follower.lease.holder = undefined;
    expect(await passDelete(follower, 'h1', { how: 'prefer' })).toBeUndefined();
    expect(holder.answered).toEqual([]);
  });

  test('is refused when it may have been done', async () => {
    const passed = passDelete(follower, 'defect', { how: 'prefer' });
    await expect(passed).rejects.toMatchObject({ refusal: { kind: 'outcome-unknown' } });
  });
});

describe('what only the holder can do', () => {
  test('is done by it', async () => {
    expect(await deleteHost(follower, 'h1')).toBeUndefined();
    expect([holder.answered, follower.answered]).toEqual([['h1'], []]);
    expect((await deleteHost(follower, 'none'))?.code).toBe(status.NOT_FOUND);
  });

  test('is refused where there is none, and done by nobody', async () => {
    follower.lease.holder = undefined;
    const error = await deleteHost(follower, 'h1');
    expect([error?.code, error && reasonOf(error)]).toEqual([status.UNAVAILABLE, 'NO_HOLDER']);
    expect([holder.answered, follower.answered]).toEqual([[], []]);
  });

  describe('may have been done', () => {
    const unknown = { refusal: { kind: 'outcome-unknown' } };

    test('when the holder gives no word of its own', async () => {
      await expect(passDelete(follower, 'defect', {})).rejects.toMatchObject(unknown);
    });

    test('when its connection breaks', async () => {
      const deleting = passDelete(follower, 'silent', {});
      await Promise.all([
        expect(deleting).rejects.toMatchObject(unknown),
        vi.waitFor(() => expect(holder.answered).toEqual(['silent'])).then(() => holder.listener.drain(0)),
      ]);
    });

    test('when the holder is not waited for any longer', async () => {
      await passDelete(follower, 'h1', {});
      follower.clock.shiftMs = -330_000;
      await expect(passDelete(follower, 'silent', {})).rejects.toMatchObject(unknown);
    });
  });

  test('ends as its caller ends it, and is not sent when that was before', async () => {
    const late = passDelete(follower, 'silent', { deadline: Date.now() + 100 });
    await expect(late).rejects.toMatchObject({ wire: { code: status.DEADLINE_EXCEEDED } });
    const abort = new AbortController();
    const cancelled = passDelete(follower, 'silent', { signal: abort.signal });
    await vi.waitFor(() => expect(holder.answered).toEqual(['silent', 'silent']));
    abort.abort();
    await expect(cancelled).rejects.toMatchObject({ wire: { code: status.CANCELLED } });
    const before = passDelete(follower, 'h1', { signal: AbortSignal.abort() });
    await expect(before).rejects.toMatchObject({ wire: { code: status.CANCELLED } });
    expect(holder.answered).toEqual(['silent', 'silent']);
  });
});
