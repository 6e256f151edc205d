import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { ErrorInfo } from '@leasehold/proto/google/rpc/error_details';
import { Status } from '@leasehold/proto/google/rpc/status';
import { HostAgentServiceService } from '@leasehold/proto/ipam/v1/host_agent_service';
import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/fakes/virtual-clock.js';
import { type GrpcTransportOptions, grpcTransport } from './grpc-transport.js';
import { PLAIN } from './security.js';
import type { SessionEnd } from './session-transport.js';

type Call = ServerDuplexStream<SessionRequest, SessionResponse>;

let directory: string;
let target: string;
let server: Server;
let onCall: (call: Call) => void;
let onEnd: (end: SessionEnd) => void;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'leasehold-grpc-'));
  target = `unix:${join(directory, 's')}`;
  server = new Server();
  server.addService(HostAgentServiceService, { session: (call: Call) => onCall(call) });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(target, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
});
afterEach(() => {
  server.forceShutdown();
  rmSync(directory, { recursive: true, force: true });
});

const HEARTBEAT: SessionRequest = {
  message: {
    $case: 'heartbeat',
    value: { sessionEpoch: { holderEpoch: 1n, counter: 2n }, sequence: 3n, tables: [], acknowledgedSequence: 2n },
  },
};
const ACK: SessionResponse = {
  message: {
    $case: 'heartbeatAck',
    value: {
      sessionEpoch: { holderEpoch: 1n, counter: 2n },
      sequence: 3n,
      placements: [],
      heartbeatInterval: { seconds: 2n, nanos: 0 },
      reconnectSpread: undefined,
    },
  },
};

function transportWith(options: Partial<GrpcTransportOptions>) {
  return grpcTransport({
    security: () => PLAIN,
    clock: new VirtualClock(),
    mayFollow: () => true,
    lookup: () => Promise.reject(new Error('no names here')),
    ...options,
  });
}

/** Opens a session; resolves with the first thing that comes of it. */
function dial(to = target, transport = transportWith({})) {
  let channel: ReturnType<typeof transport.open> | undefined;
  const end = new Promise<SessionEnd>((resolve) => {
    onEnd = resolve;
  });
  const first = new Promise<SessionResponse | string>((resolve) => {
    const onClose = (why: SessionEnd) => {
      onEnd(why);
      resolve(why.reason);
    };
    channel = transport.open(to, { onMessage: resolve, onClose }, 10_000);
  });
  return { channel, first, end };
}

test('what is sent arrives, and so does the answer', async () => {
  const got = new Promise<SessionRequest>((resolve) => {
    onCall = (call) => call.on('data', (request) => call.write(ACK, () => resolve(request)));
  });
  const { channel, first } = dial();
  channel?.send(HEARTBEAT);
  expect(await got).toEqual(HEARTBEAT);
  expect(await first).toEqual(ACK);
  channel?.close();
});

test('a server that is not there is a reason, not an exception', async () => {
  const path = join(directory, 'nobody');
  expect(await dial(`unix:${path}`).first).toBe(`No connection: connect ENOENT ${path}`);
});

test('a server that hangs up at once gives the same reason each time', async () => {
  const rude = createServer((socket) => socket.destroy());
  const path = join(directory, 'rude');
  await new Promise<void>((resolve) => rude.listen(path, resolve));
  expect(await dial(`unix:${path}`).first).toBe('No connection: Failed to connect');
  rude.close();
});

test('a server that stands still is left: its kernel takes the connection, and nobody speaks', async () => {
  const frozen = createServer();
  const path = join(directory, 'frozen');
  await new Promise<void>((resolve) => frozen.listen(path, resolve));
  const accepted = once(frozen, 'connection') as Promise<[Socket]>;
  let connections = 0;
  frozen.on('connection', () => connections++);
  const clock = new VirtualClock();
  const { first } = dial(`unix:${path}`, transportWith({ clock }));
  const [socket] = await accepted;
  await clock.advance(10_000);
  expect(await first).toBe('No connection within 10 s');
  // Nothing of it is left, however long the server stands still, and it is not dialled again.
  const left = once(socket, 'close');
  socket.resume();
  await left;
  expect(connections).toBe(1);
  frozen.close();
});

test.each([{}, { 'grpc-encoding': 'identity' }, { 'grpc-encoding': 'nobodys' }])(
  'a message that is said to be compressed, with %j, is a reason, too',
  async (headers) => {
    const odd = createHttp2Server();
    odd.on('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...headers });
      stream.write(Buffer.from([1, 0, 0, 0, 1, 7]));
    });
    const path = join(directory, 'odd');
    await new Promise<void>((resolve) => odd.listen(path, resolve));
    expect(await dial(`unix:${path}`).first).toBe('What the server sent cannot be read');
    odd.close();
  },
);

test('a refusal says its status', async () => {
  onCall = (call) => call.emit('error', { code: status.ABORTED, details: 'Another session of this host began' });
  expect(await dial().first).toBe('ABORTED: Another session of this host began');
});

describe('a server that does not lead', () => {
  const NAMED = { holder: 's2', agent_endpoint: '10.0.0.2:7069', holder_epoch: '7', store_uid: 'u', incarnation: '2' };

  const refuseWith = (reason: string, metadata: Record<string, string>) => {
    const info = ErrorInfo.encode({ reason, domain: 'leasehold', metadata }).finish();
    const details = [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from(info) }];
    const said = new Metadata();
    said.set('grpc-status-details-bin', Buffer.from(Status.encode({ code: 14, message: 'm', details }).finish()));
    onCall = (call) => call.emit('error', { code: status.UNAVAILABLE, details: 'Server s2 leads', metadata: said });
  };

  test('says who does', async () => {
    refuseWith('NO_HOLDER', NAMED);
    const of = { storeUid: 'u', incarnation: 2n, holderEpoch: 7n };
    const holder = { endpoint: '10.0.0.2:7069', of };
    expect(await dial().end).toEqual({ reason: 'UNAVAILABLE: Server s2 leads', holder });
  });

  test('and says nobody, or says it of another refusal, is not followed', async () => {
    refuseWith('NO_HOLDER', { holder: 's2' });
    expect(await dial().end).toEqual({ reason: 'UNAVAILABLE: Server s2 leads' });
    refuseWith('STORE_UNAVAILABLE', NAMED);
    expect(await dial().end).toEqual({ reason: 'UNAVAILABLE: Server s2 leads' });
  });

  test('is not followed to where no configured server could be', async () => {
    refuseWith('NO_HOLDER', NAMED);
    const { reason, holder } = await dial(target, transportWith({ mayFollow: () => false })).end;
    expect(holder).toBeUndefined();
    expect(reason).toContain('10.0.0.2:7069');
  });

  test('and says it in bytes that mean nothing names nobody', async () => {
    const said = new Metadata();
    said.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
    onCall = (call) => call.emit('error', { code: status.UNAVAILABLE, details: 'm', metadata: said });
    expect(await dial().end).toEqual({ reason: 'UNAVAILABLE: m' });
  });
});

test('of a name with several addresses each session dials the next, and asks for it by its name', async () => {
  const called: string[] = [];
  const serve = async (address: string) => {
    const each = new Server();
    const session = (call: Call) => {
      called.push(`${address} as ${call.getHost()}`);
      call.end();
    };
    each.addService(HostAgentServiceService, { session });
    const insecure = ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) => {
      each.bindAsync(address, insecure, (error, bound) => (error ? reject(error) : resolve(bound)));
    });
    return { each, port };
  };
  const first = await serve('127.0.0.1:0');
  const second = await serve(`127.0.0.2:${first.port}`);
  const lookup = () => Promise.resolve(['127.0.0.1', '127.0.0.2']);
  const transport = transportWith({ lookup });
  const name = `servers.example:${first.port}`;
  expect(transport.isSeveral?.(name)).toBe(false);
  for (let i = 0; i < 3; i++) await dial(name, transport).first;
  expect([name, '127.0.0.1:7069'].map((each) => transport.isSeveral?.(each))).toEqual([true, false]);
  const at = (address: string) => `${address} as ${name}`;
  expect(called).toEqual([at('127.0.0.1:0'), at(`127.0.0.2:${first.port}`), at('127.0.0.1:0')]);
  for (const { each } of [first, second]) each.forceShutdown();
});

test('what is sent before the address is known arrives', async () => {
  const got = new Promise<SessionRequest>((resolve) => {
    onCall = (call) => call.on('data', resolve);
  });
  let found: (addresses: readonly string[]) => void = () => undefined;
  const lookup = () =>
    new Promise<readonly string[]>((resolve) => {
      found = resolve;
    });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (e, bound) => (e ? reject(e) : resolve(bound)));
  });
  const { channel } = dial(`servers.example:${port}`, transportWith({ lookup }));
  channel?.send(HEARTBEAT);
  found(['127.0.0.1']);
  expect(await got).toEqual(HEARTBEAT);
  channel?.close();
});

test('a name without an address is a reason, and one that is not found in time, too', async () => {
  const lost = transportWith({ lookup: () => Promise.reject(new Error('getaddrinfo ENOTFOUND servers.example')) });
  const reason = 'No address of servers.example: getaddrinfo ENOTFOUND servers.example';
  expect(await dial('servers.example:1', lost).first).toBe(reason);
  const clock = new VirtualClock();
  const { first } = dial('servers.example:1', transportWith({ clock, lookup: () => new Promise(() => undefined) }));
  await clock.advance(10_000);
  expect(await first).toBe('No connection within 10 s');
});

test('a session that the server ends is over', async () => {
  onCall = (call) => call.end();
  expect(await dial().first).toBe('Server ended the session');
});

test('close cancels the call, and no handler is called any more', async () => {
  let said: unknown;
  const cancelled = new Promise<void>((resolve) => {
    onCall = (call) => {
      call.on('cancelled', resolve);
      call.on('data', () => channel?.close());
    };
  });
  const { channel, first } = dial();
  void first.then((what) => {
    said = what;
  });
  channel?.send(HEARTBEAT);
  await cancelled;
  channel?.send(HEARTBEAT);
  expect(said).toBeUndefined();
});
