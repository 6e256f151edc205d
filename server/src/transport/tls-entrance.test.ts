// A listener that speaks TLS, with real handshakes, and time that moves when it is told to.

import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type ChannelCredentials, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { TlsMaterial } from '@leasehold/program/tls-files';
import { GetHostResponse, IpamServiceClient, IpamServiceService } from '@leasehold/proto/ipam/v1/ipam_service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryLog } from '../../../test/fakes/memory-log.js';
import { VirtualClock } from '../../../test/fakes/virtual-clock.js';
import type { Credentials } from '../adapters/pki/certificates.js';
import { TestAuthority } from '../testing/test-authority.js';
import { AGENT_ACCEPTS } from './accept-queue.js';
import { ENGINE_LIMITS, type Listener, listen } from './listener.js';
import { readDescriptors } from './reflection.js';
import { unary } from './unary.js';

const UNKNOWN_MS = 5_000;

let ours: TestAuthority;
let server: Credentials;
let engine: Credentials;
let clock: VirtualClock;
let log: MemoryLog;
let counted: (readonly [string, unknown])[];
let listener: Listener;
let exchange: (material: TlsMaterial) => void;
let port: number;
const clients: IpamServiceClient[] = [];
const sockets: TLSSocket[] = [];

beforeEach(async () => {
  ours = await TestAuthority.make();
  [server, engine] = [await ours.issue('server/s1'), await ours.issue('engine/ovirt')];
  [clock, log, counted] = [new VirtualClock(), new MemoryLog(), []];
  const metrics = {
    count: (...what: [string, unknown?]) => void counted.push([what[0], what[1]]),
    observe: () => undefined,
  };
  const accepting = { limits: AGENT_ACCEPTS, clock, metrics, of: 'engine' } as const;
  const files = {
    current: materialOf(server),
    onChange(told: (material: TlsMaterial) => void) {
      exchange = told;
    },
  };
  // Answers who called.
  const handlers = {
    getHost: unary(log, (_, call) => GetHostResponse.fromPartial({ host: { agentVersion: call.caller } })),
    deleteHost: unary(log, () => ({})),
  };
  const service = { name: 'ipam.v1.IpamService', definition: IpamServiceService, handlers };
  listener = await listen(
    [
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
      { kind: 'tcp', host: '127.0.0.2', port: 0 },
    ],
    service,
    ENGINE_LIMITS,
    readDescriptors(),
    {
      securing: {
        ...{ files, clock, log, metrics, accepting, trustDomain: 'leasehold' },
        isSecure: (endpoint) => endpoint.kind === 'tcp' && endpoint.host === '127.0.0.1',
      },
    },
  );
  port = portOf(0);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  await listener.drain(0);
});

function portOf(n: number): number {
  const endpoint = listener.endpoints[n];
  if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
  return endpoint.port;
}

function materialOf({ certificate: cert, key }: Credentials): TlsMaterial {
  return { cert, key, ca: ours.pem, notAfterMs: 0, context: undefined as never };
}

function clientOf(to: ChannelCredentials, target = `localhost:${port}`): IpamServiceClient {
  const client = new IpamServiceClient(target, to, { 'grpc.use_local_subchannel_pool': 1 });
  clients.push(client);
  return client;
}

const clientWith = (shows: Credentials | undefined) => clientOf(ours.dialling(shows));

/** Who called, as the handler knows it; or how it was refused. */
function whoCalls(
  client: IpamServiceClient,
  headers: Readonly<Record<string, string>> = {},
): Promise<string | ServiceError> {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  return new Promise((resolve) => {
    client.getHost({ hostId: 'h1' }, metadata, { deadline: Date.now() + 20_000 }, (error, answer) =>
      resolve(error ?? answer.host?.agentVersion ?? ''),
    );
  });
}

async function dial(shows: Credentials | undefined, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const own = shows && { cert: shows.certificate, key: shows.key };
  const socket = connect({ ...own, port, host: '127.0.0.1', ca: ours.pem, ALPNProtocols: ['h2'], ...options });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

describe('a caller', () => {
  test('is who its certificate says', async () => {
    expect(await whoCalls(clientWith(engine))).toBe('engine/ovirt');
    expect(await whoCalls(clientWith(await ours.issue('viewer/ann')))).toBe('viewer/ann');
  });

  test('is not who its metadata say, unless it is a server', async () => {
    const named = { 'leasehold-on-behalf-of': 'engine/other' };
    expect(await whoCalls(clientWith(engine), named)).toBe('engine/ovirt');
    expect(await whoCalls(clientWith(await ours.issue('server/s2')), named)).toBe('engine/other');
  });

  test('is anybody at an endpoint without TLS, and who it says', async () => {
    const plain = clientOf(credentials.createInsecure(), `127.0.0.2:${portOf(1)}`);
    expect(await whoCalls(plain)).toBe('insecure');
    expect(await whoCalls(plain, { 'leasehold-on-behalf-of': 'engine/ovirt' })).toBe('engine/ovirt');
    expect(await whoCalls(plain, { 'leasehold-on-behalf-of': 'root/x' })).toBe('insecure');
  });
});

describe('nobody who is known', () => {
  test.each([
    ['without a certificate', () => undefined, 'none', 'it showed no certificate'],
    ['whose certificate ended', () => ours.odd({ notAfter: new Date(0) }), 'ended', 'its certificate has ended'],
    [
      'whose certificate is not valid yet',
      () => ours.odd({ notBefore: new Date('2099-01-01T00:00:00Z') }),
      'not-yet',
      'not valid yet',
    ],
    ['of another CA', async () => (await TestAuthority.make()).issue('engine/ovirt'), 'other-ca', 'no CA'],
    ['with a certificate for serving', () => ours.odd({ usages: ['serverAuth'] }), 'purpose', 'clientAuth'],
    ['who is named nowhere', () => ours.odd({ names: [] }), 'identity', 'no URI'],
  ])('%s is told so, counted and said', async (_, make, reason, problem) => {
    const refused = await whoCalls(clientWith(await make()));
    expect(refused).toMatchObject({ code: status.UNAUTHENTICATED, details: expect.stringContaining(problem) });
    expect(counted).toContainEqual(['connectionsUnauthenticated', { reason }]);
    expect(counted).toContainEqual(['callsRefused', { reason: 'UNAUTHENTICATED' }]);
    expect(log.lines).toMatchObject([
      { level: 'warn', fields: { problem: expect.stringContaining(problem), unsaid: 0 } },
    ]);
  });

  test('is disconnected after five seconds, and whoever is known is not', async () => {
    const [stranger, known] = [await dial(undefined), await dial(engine)];
    await once(stranger.resume(), 'data');
    let isOver = false;
    const over = once(stranger, 'close').then(() => {
      isOver = true;
    });
    await clock.advance(UNKNOWN_MS - 1);
    expect(await whoCalls(clientWith(engine))).toBe('engine/ovirt');
    expect(isOver).toBe(false);
    await clock.advance(1);
    await over;
    expect(await whoCalls(clientWith(engine))).toBe('engine/ovirt');
    expect(known.closed).toBe(false);
  });

  test('fills no log: of each kind a line in ten seconds, and how many were not said', async () => {
    const refused = () => whoCalls(clientWith(undefined));
    for (let n = 0; n < 3; n++) await refused();
    await clock.advance(10_000);
    await refused();
    expect(log.lines.map(({ fields }) => fields['unsaid'])).toEqual([0, 2]);
  });
});

test('a role that may not is told who may', async () => {
  const viewer = clientWith(await ours.issue('viewer/ann'));
  const refused = await new Promise<ServiceError | null>((resolve) => {
    viewer.deleteHost({ hostId: 'h1', etag: '' }, (error) => resolve(error));
  });
  expect(refused).toMatchObject({
    code: status.PERMISSION_DENIED,
    details: 'viewer/ann may not call DeleteHost: that is for engine',
  });
  expect(counted).toContainEqual(['callsRefused', { reason: 'PERMISSION_DENIED' }]);
});

describe('a connection', () => {
  test('ends with the certificate that it was believed by', async () => {
    const notAfter = new Date('2099-06-01T00:00:00Z');
    const socket = await dial(await ours.issue('engine/ovirt', { notAfter }));
    await once(socket.resume(), 'data');
    await clock.advance(notAfter.getTime() - clock.wallTime().getTime() - 1);
    expect(socket.closed).toBe(false);
    const closed = once(socket, 'close');
    await clock.advance(1);
    await closed;
    expect(log.lines.at(-1)?.fields).toEqual({ who: 'engine/ovirt' });
  });

  test('is resumed by nobody, neither by who was known nor by who was not', async () => {
    for (const shows of [engine, undefined]) {
      const first = await dial(shows);
      const sessions: Buffer[] = [];
      first.on('session', (session) => sessions.push(session));
      await once(first.resume(), 'data');
      const session = sessions.at(-1) ?? first.getSession();
      const again = await dial(shows, session ? { session } : {});
      await once(again.resume(), 'data');
      expect(again.isSessionReused()).toBe(false);
    }
    // One that is resumed without a certificate would look authorized.
    expect(counted.filter(([name]) => name === 'connectionsUnauthenticated')).toHaveLength(2);
  });

  test('is not made by an older TLS', async () => {
    const old = connect({ port, host: '127.0.0.1', ca: ours.pem, maxVersion: 'TLSv1.2' });
    const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toContain('PROTOCOL_VERSION');
    expect(counted).toContainEqual(['handshakesFailed', { reason: 'other' }]);
  });
});

test('a new certificate is shown to whoever comes, and who is there stays', async () => {
  const before = clientWith(engine);
  expect(await whoCalls(before)).toBe('engine/ovirt');
  const socket = await dial(engine);
  const shown = socket.getPeerX509Certificate()?.fingerprint256;
  exchange(materialOf(await ours.issue('server/s1')));
  const later = await dial(engine);
  expect(later.getPeerX509Certificate()?.fingerprint256).not.toBe(shown);
  expect(await whoCalls(before)).toBe('engine/ovirt');
  expect(socket.closed).toBe(false);
});

test('handshakes under way are counted until they end', async () => {
  const silent = connectPlain(port, '127.0.0.1');
  await once(silent, 'connect');
  // It is let in in the turn in which it is heard of.
  while (listener.handshakes === 0) await once(await dial(engine), 'data');
  expect(listener.handshakes).toBe(1);
  silent.destroy();
  while (listener.handshakes > 0) await once(await dial(engine), 'data');
  expect(counted).toContainEqual(['handshakesFailed', { reason: 'other' }]);
});
