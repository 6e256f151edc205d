import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { HostAgentServiceService } from '@leasehold/proto/ipam/v1/host_agent_service';
import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/fakes/virtual-clock.js';
import { grpcTransport } from './grpc-transport.js';

type Call = ServerDuplexStream<SessionRequest, SessionResponse>;

let directory: string;
let target: string;
let server: Server;
let onCall: (call: Call) => void;

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
  message: { $case: 'heartbeat', value: { sessionEpoch: { holderEpoch: 1n, counter: 2n }, sequence: 3n, tables: [] } },
};
const ACK: SessionResponse = {
  message: {
    $case: 'heartbeatAck',
    value: { sessionEpoch: { holderEpoch: 1n, counter: 2n }, sequence: 3n, placements: [] },
  },
};

/** Opens a session; resolves with the first thing that comes of it. */
function dial(to = target, clock = new VirtualClock()) {
  const transport = grpcTransport(credentials.createInsecure(), clock);
  let channel: ReturnType<typeof transport.open> | undefined;
  const first = new Promise<SessionResponse | string>((resolve) => {
    channel = transport.open(to, { onMessage: resolve, onClose: resolve });
  });
  return { channel, first };
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
  const accepted = once(frozen, 'connection');
  const clock = new VirtualClock();
  const { first } = dial(`unix:${path}`, clock);
  await accepted;
  await clock.advance(10_000);
  expect(await first).toBe('No connection within 10 s');
  frozen.close();
});

test('a refusal says its status', async () => {
  onCall = (call) => call.emit('error', { code: status.ABORTED, details: 'Another session of this host began' });
  expect(await dial().first).toBe('ABORTED: Another session of this host began');
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
