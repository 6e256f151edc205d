// A listener with real connections: what a refusal must not do to the connection it is sent on.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  CreateSubnetRequest,
  type GetNetworkRequest,
  IpamServiceClient,
  IpamServiceService,
} from '@leasehold/proto/ipam/v1/ipam_service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryLog } from '../../../test/fakes/memory-log.js';
import { VirtualClock } from '../../../test/fakes/virtual-clock.js';
import { networkNotFound } from '../domain/errors.js';
import { NO_METRICS } from '../ports/metrics.js';
import { fromCreateSubnet } from './convert/subnet.js';
import { orThrow } from './errors.js';
import { ENGINE_LIMITS, type Listener, listen } from './listener.js';
import { readDescriptors } from './reflection.js';
import { unary } from './unary.js';

let listener: Listener;
let client: IpamServiceClient;
/** Answers to the network `slow`, which are given when a test says so. */
const held: (() => void)[] = [];

// Two calls are enough: one is refused for its fields, the other for what it names.
function twoCalls() {
  const log = new MemoryLog();
  const handlers = {
    createSubnet: unary(log, (request: CreateSubnetRequest) => {
      orThrow(fromCreateSubnet(request));
      return {};
    }),
    getNetwork: unary(log, async ({ networkId }: GetNetworkRequest) => {
      if (networkId === 'slow') await new Promise<void>((resolve) => held.push(resolve));
      return orThrow(networkNotFound(networkId));
    }),
  };
  return { name: 'ipam.v1.IpamService', definition: IpamServiceService, handlers };
}

beforeEach(async () => {
  const anyPort = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
  listener = await listen([anyPort], twoCalls(), ENGINE_LIMITS, readDescriptors());
  client = dialAnew();
});

function dialAnew(): IpamServiceClient {
  const [endpoint] = listener.endpoints;
  if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  return new IpamServiceClient(`127.0.0.1:${endpoint.port}`, credentials.createInsecure(), options);
}

afterEach(async () => {
  client.close();
  await listener.drain(0);
});

// Bounds what hangs; nothing that is tested takes a part of it.
const soon = () => ({ deadline: Date.now() + 20_000 });

function createSubnet(ranges: number): Promise<ServiceError | null> {
  const excludedRanges = Array.from({ length: ranges }, (_, i) => ({
    first: `300.1.1.${i}`,
    last: `not an address ${i}`,
  }));
  const request = CreateSubnetRequest.fromPartial({
    subnet: { networkId: 'red', cidr: '10.0.0.0/24', excludedRanges },
  });
  return new Promise((resolve) => client.createSubnet(request, new Metadata(), soon(), resolve));
}

function getNetwork(networkId: string, of = client): Promise<ServiceError | null> {
  return new Promise((resolve) => of.getNetwork({ networkId }, new Metadata(), soon(), resolve));
}

describe('a request that is wrong in hundreds of places', () => {
  test.each([21, 200, 256])('is refused, and the connection goes on: %i ranges', async (ranges) => {
    const refused = await createSubnet(ranges);
    expect(refused?.code).toBe(status.INVALID_ARGUMENT);
    expect(refused?.details).toMatch(/and \d+ more/);
    expect((await getNetwork('red'))?.code).toBe(status.NOT_FOUND);
  });
});

describe('a refusal', () => {
  test('of an id that cannot be, however long, leaves the connection as it is', async () => {
    expect((await getNetwork('x'.repeat(500_000)))?.code).toBe(status.NOT_FOUND);
    expect((await getNetwork('red'))?.details).toBe('There is no network red');
  });
});

describe('a drain', () => {
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise(setImmediate);
  };

  test('waits for a call that is under way, and its connection', async () => {
    const answered = getNetwork('slow');
    await until(() => held.length === 1);
    let isDrained = false;
    const drained = listener.drain(20_000).then(() => {
      isDrained = true;
    });
    // Whoever comes now is not let in.
    const late = dialAnew();
    expect((await getNetwork('red', late))?.code).toBe(status.UNAVAILABLE);
    late.close();
    expect(isDrained).toBe(false);
    for (const answer of held.splice(0)) answer();
    expect((await answered)?.code).toBe(status.NOT_FOUND);
    await drained;
  });

  test('does not wait longer than it is told for a client that does not hang up', async () => {
    const [endpoint] = listener.endpoints;
    if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
    const silent = connect({ port: endpoint.port, host: '127.0.0.1', allowHalfOpen: true });
    silent.on('error', () => undefined);
    await once(silent, 'data');
    const hungUpOn = once(silent, 'end');
    await expect(listener.drain(100)).resolves.toBeUndefined();
    silent.resume();
    await hungUpOn;
    silent.destroy();
  });
});

describe('a listener that lets in by a rate', () => {
  const LIMITS = { perSecond: 10, atOnce: 2, maxWaiting: 2, maxWaitMs: 1_000, inOrderMs: 500 };
  const NOT_FOUND = { code: status.NOT_FOUND };
  let clock: VirtualClock;
  let counted: string[];
  let paced: Listener;
  let directory: string;
  let path: string;
  let clients: IpamServiceClient[];

  beforeEach(async () => {
    clock = new VirtualClock();
    counted = [];
    clients = [];
    directory = mkdtempSync(join(tmpdir(), 'leasehold-listener-'));
    path = join(directory, 's');
    const metrics = { count: (name: string) => void counted.push(name), observe: () => undefined };
    const accepting = { limits: LIMITS, clock, metrics, of: 'agent' } as const;
    const endpoints = [
      { kind: 'unix', path },
      { kind: 'tcp', host: 'localhost', port: 0 },
    ] as const;
    paced = await listen(endpoints, twoCalls(), ENGINE_LIMITS, readDescriptors(), { accepting });
  });

  afterEach(async () => {
    for (const each of clients) each.close();
    await paced.drain(0);
    rmSync(directory, { recursive: true, force: true });
  });

  const ask = (to = `unix:${path}`) => {
    const dialled = new IpamServiceClient(to, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    clients.push(dialled);
    return getNetwork('red', dialled);
  };
  /** Resolves when the other side hung up. */
  const hangsUp = async () => {
    const socket = connect(path);
    await once(socket, 'connect');
    return once(socket, 'close');
  };

  test('answers at once while few come, on sockets and on all addresses of localhost', async () => {
    const [, tcp] = paced.endpoints;
    if (tcp?.kind !== 'tcp') throw new Error('Not listening');
    expect(await ask()).toMatchObject(NOT_FOUND);
    expect(await ask(`127.0.0.1:${tcp.port}`)).toMatchObject(NOT_FOUND);
  });

  test('lets others wait for their turn, and nothing of what they said is lost', async () => {
    await Promise.all([ask(), ask()]);
    let isAnswered = false;
    const third = ask().then((answer) => {
      isAnswered = true;
      return answer;
    });
    // Its connection is there, but is not let in before time passes.
    await ask(`unix:${join(directory, 'nobody')}`);
    expect(isAnswered).toBe(false);
    // Until then, however long this machine takes to bring the connection.
    while (!isAnswered) await clock.advance(20);
    expect(await third).toMatchObject(NOT_FOUND);
  });

  test('hangs up on those that are too many, and counts them', async () => {
    await Promise.all([ask(), ask()]);
    const waiting = [hangsUp(), hangsUp(), hangsUp()];
    await Promise.race(waiting);
    expect(counted).toEqual(['agentConnectionsRefused']);
    await paced.drain(0);
    await Promise.all(waiting);
    expect(counted).toHaveLength(3);
  });

  test('says why it cannot listen', async () => {
    const accepting = { limits: LIMITS, clock, metrics: NO_METRICS, of: 'agent' } as const;
    const again = listen([...paced.endpoints].slice(1), twoCalls(), ENGINE_LIMITS, readDescriptors(), { accepting });
    await expect(again).rejects.toThrow('it is in use by another program');
  });
});
