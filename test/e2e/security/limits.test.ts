// What callers may take of a server, each limit tried from outside: one below it is let in, one above it is not, and what is
// refused to one does no harm to others.

import { once } from 'node:events';
import { type ClientHttp2Stream, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import {
  type ChannelCredentials,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { HealthCheckRequest, HealthClient } from '@leasehold/proto/grpc/health/v1/health';
import { HostAgentServiceService } from '@leasehold/proto/ipam/v1/host_agent_service';
import {
  BatchReserveAddressesRequest,
  GetNetworkRequest,
  GetStatusRequest,
  IpamServiceClient,
  IpamServiceService,
  ListNetworksRequest,
  WatchEventsRequest,
  type WatchEventsResponse,
} from '@leasehold/proto/ipam/v1/ipam_service';
import { TestAuthority } from '@leasehold/server/testing/test-authority';
import { afterEach, describe, expect, test } from 'vitest';
import { Cluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { temporaryDirectory } from '../../support/sandbox.js';
import { TestServer } from '../../support/test-server.js';

const { INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED } = status;
const KIB = 1_024;
const WATCHES_REFUSED = (role: string) => `leasehold_limited_calls_total{limit="watches",role="${role}"}`;
const CALLS_REFUSED = 'leasehold_limited_calls_total{limit="calls-per-second",role="engine"}';

const ending: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** A server with these flags. */
async function started(...flags: readonly string[]): Promise<TestServer> {
  const directory = temporaryDirectory('limits-');
  const server = new TestServer(directory.path, '', `embedded:${directory.path}/data`);
  ending.push(
    () => directory[Symbol.dispose](),
    () => server[Symbol.asyncDispose](),
  );
  await server.start(flags);
  return server;
}

/** An engine's client, on a connection of its own. */
function dialled(target: string, security: ChannelCredentials = credentials.createInsecure()): IpamServiceClient {
  const client = new IpamServiceClient(target, security, { 'grpc.use_local_subchannel_pool': 1 });
  ending.push(() => client.close());
  return client;
}

// Bounds what hangs; nothing that is tested takes a part of it.
const soon = () => ({ deadline: Date.now() + 20_000 });

/** How a call ended. */
interface End {
  readonly code: status;
  readonly error?: ServiceError;
}

const endOf = (error: ServiceError | null): End => (error ? { code: error.code, error } : { code: OK });

function askStatus(client: IpamServiceClient, metadata = new Metadata()): Promise<End> {
  const request = GetStatusRequest.fromPartial({});
  return new Promise((resolve) => client.getStatus(request, metadata, soon(), (error) => resolve(endOf(error))));
}

function getNetwork(client: IpamServiceClient, networkId: string): Promise<End> {
  return new Promise((resolve) =>
    client.getNetwork({ networkId }, new Metadata(), soon(), (error) => resolve(endOf(error))),
  );
}

type WatchStream = ClientReadableStream<WatchEventsResponse>;

/** Begins a watch; answers it once it tells something, or how it ended. */
function watching(client: IpamServiceClient): Promise<WatchStream | End> {
  const stream = client.watchEvents(WatchEventsRequest.fromPartial({}));
  return new Promise((resolve) => {
    stream.once('data', () => resolve(stream));
    stream.on('error', (error: ServiceError) => resolve(endOf(error)));
  });
}

async function begun(client: IpamServiceClient): Promise<WatchStream> {
  const watch = await watching(client);
  if ('code' in watch) throw new Error('The watch was refused', { cause: watch.error });
  return watch;
}

const hex = (byte: number) => byte.toString(16).padStart(2, '0');

describe('a message', () => {
  test('of an engine may be as large as it is told, and a larger one is refused without harm to the connection', async () => {
    const client = dialled((await started('--max-request-size', '800KiB')).apiEndpoint);
    const overhead = GetNetworkRequest.encode({ networkId: 'x'.repeat(700 * KIB) }).finish().length - 700 * KIB;
    const id = (bytes: number) => 'x'.repeat(bytes - overhead);
    expect(await getNetwork(client, id(800 * KIB))).toMatchObject({ code: INVALID_ARGUMENT });
    expect(await getNetwork(client, id(800 * KIB + 1))).toMatchObject({ code: RESOURCE_EXHAUSTED });
    expect(await askStatus(client)).toEqual({ code: OK });
  });

  test.each([
    ['256KiB', 256 * KIB],
    ['300KiB', 300 * KIB],
  ])('of an agent likewise: %s', async (flag, bytes) => {
    const server = await started('--max-agent-message-size', flag);
    const client = dialled(server.agentEndpoint);
    const { path } = HostAgentServiceService.session;
    const said = (size: number) =>
      new Promise<status>((resolve) => {
        const asIs = (message: Buffer) => message;
        const call = client.makeBidiStreamRequest(path, asIs, asIs, new Metadata(), soon());
        call.on('error', ({ code }: ServiceError) => resolve(code));
        call.on('data', () => undefined);
        call.write(Buffer.alloc(size, 0xff));
      });
    // What cannot be read was let in.
    expect(await said(bytes)).toBe(status.INTERNAL);
    expect(await said(bytes + 1)).toBe(RESOURCE_EXHAUSTED);
  });
});

test('metadata may be as large as it is told, and larger ones are refused without harm to the connection', async () => {
  const client = dialled((await started('--max-metadata-size', '4KiB')).apiEndpoint);
  const withBytes = (count: number) => {
    const metadata = new Metadata();
    metadata.set('x-much', 'x'.repeat(count));
    return askStatus(client, metadata);
  };
  expect(await withBytes(3_000)).toEqual({ code: OK });
  expect(await withBytes(5_000)).toMatchObject({ code: RESOURCE_EXHAUSTED });
  expect(await withBytes(3_000)).toEqual({ code: OK });
});

test('of more calls at once than a connection may have, one waits until another is over', async () => {
  const { apiEndpoint } = await started('--max-streams', '3');
  const client = dialled(apiEndpoint);
  const watches = [await begun(client), await begun(client), await begun(client)];
  let isAnswered = false;
  const waiting = askStatus(client).then((end) => {
    isAnswered = true;
    return end;
  });
  const other = dialled(apiEndpoint);
  for (let n = 0; n < 50; n++) expect(await askStatus(other)).toEqual({ code: OK });
  expect(isAnswered).toBe(false);
  watches[0]?.cancel();
  expect(await waiting).toEqual({ code: OK });
});

test('a page is cut to what it may hold, and all pages together have everything once', async () => {
  const server = await started('--max-page-size', '3');
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  for (const networkId of names) await server.client().networks.create({ networkId });
  const client = dialled(server.apiEndpoint);
  const page = (pageSize: number, pageToken: string) =>
    new Promise<{ readonly ids: readonly string[]; readonly next: string }>((resolve, reject) =>
      client.listNetworks(ListNetworksRequest.fromPartial({ pageSize, pageToken }), (error, response) => {
        if (error) reject(error);
        else resolve({ ids: response.networks.map(({ networkId }) => networkId), next: response.nextPageToken });
      }),
    );
  for (const asked of [0, 4, 1_000_000]) {
    const first = await page(asked, '');
    const second = await page(asked, first.next);
    const third = await page(asked, second.next);
    expect([first.ids, second.ids, third.ids]).toEqual([names.slice(0, 3), names.slice(3, 6), ['g']]);
    expect(third.next).toBe('');
  }
  expect((await page(2, '')).ids).toEqual(['a', 'b']);
});

test('a connection beyond those that there may be is closed at once, until one of them is over', async () => {
  const server = await started('--max-connections', '3');
  const path = server.apiEndpoint.slice('unix:'.length);
  const opened = async () => {
    const socket = connectSocket(path);
    ending.push(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  /** Whether the server speaks: it says its settings first. */
  const isLetIn = (socket: Socket) =>
    new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('close', () => resolve(false));
      socket.once('error', () => resolve(false));
    });
  const sockets = [await opened(), await opened(), await opened()];
  expect(await Promise.all(sockets.map(isLetIn))).toEqual([true, true, true]);
  expect(await isLetIn(await opened())).toBe(false);
  expect((await server.metrics()).get('leasehold_engine_connections_refused_total')).toBe(1);
  // Agents have as many of their own.
  const agents = dialled(server.agentEndpoint);
  expect((await askStatus(agents)).code).toBe(status.UNIMPLEMENTED);
  sockets[0]?.destroy();
  await eventually('its place is free', async () => isLetIn(await opened()));
});

/** A watch from a snapshot on, of which nothing is read: gRPC's own client would read ahead. */
function unreadWatch(target: string): ClientHttp2Stream {
  const path = target.slice('unix:'.length);
  const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(path) });
  ending.push(() => session.destroy());
  const stream = session.request({
    ...{ ':method': 'POST', ':path': IpamServiceService.watchEvents.path },
    ...{ 'content-type': 'application/grpc', te: 'trailers' },
  });
  const message = WatchEventsRequest.encode(WatchEventsRequest.fromPartial({ snapshot: true })).finish();
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  stream.end(frame);
  return stream;
}

describe('a watch', () => {
  test('beyond those that there may be is refused, until one of them is over; without TLS none are of one caller', async () => {
    const server = await started('--max-watches', '4', '--max-watches-per-caller', '1');
    const [one, two] = [dialled(server.apiEndpoint), dialled(server.apiEndpoint)];
    const [first] = [await begun(one), await begun(one), await begun(two), await begun(two)];
    expect(await watching(two)).toMatchObject({
      code: RESOURCE_EXHAUSTED,
      error: { details: expect.stringContaining('This server has 4 watches already') },
    });
    expect((await server.metrics()).get(WATCHES_REFUSED('insecure'))).toBe(1);
    first?.cancel();
    await eventually('its place is free', async () => !('code' in (await watching(two))));
  });

  test('whose reader takes nothing is cut off, and one that reads is not', async () => {
    const server = await started('--max-watch-stall', '1s');
    const leasehold = server.client();
    await leasehold.networks.create({ networkId: 'red' });
    await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/20' });
    const macs = Array.from({ length: 3_000 }, (_, n) => `52:54:00:00:${hex(n >> 8)}:${hex(n & 0xff)}`);
    const made = await leasehold.reservations.reserveMany(macs.map((mac) => ({ subnetId: 'red-a', mac })));
    expect(made.filter(({ ok }) => !ok)).toEqual([]);
    const reading = await begun(dialled(server.apiEndpoint));
    const stalled = unreadWatch(server.apiEndpoint);
    const ended = once(stalled, 'trailers');
    await eventually('there are two', async () => (await server.metrics()).get('leasehold_watches') === 2);
    await eventually('there is one', async () => (await server.metrics()).get('leasehold_watches') === 1);
    // What was on its way is read, and then why there is no more.
    let taken = 0;
    stalled.on('data', (bytes: Buffer) => {
      taken += bytes.length;
    });
    const [trailers] = (await ended) as [IncomingHttpHeaders];
    expect(trailers['grpc-status']).toBe(String(RESOURCE_EXHAUSTED));
    expect(trailers['grpc-message']).toContain('read%20too%20slowly');
    expect(taken).toBeLessThan(100 * macs.length);
    const told = once(reading, 'data');
    await leasehold.networks.create({ networkId: 'blue' });
    expect((await told)[0]).toMatchObject({ event: { value: { network: { networkId: 'blue' } } } });
  });
});

describe('callers with certificates', () => {
  const BY_NAME = { 'grpc.ssl_target_name_override': 'localhost', 'grpc.use_local_subchannel_pool': 1 };

  /** A server that speaks TLS, and how to dial it as somebody, each time on another connection. */
  async function secured(...flags: readonly string[]) {
    const ours = await TestAuthority.make();
    const cluster = await Cluster.startOverNetwork(flags, ours);
    ending.push(() => cluster[Symbol.asyncDispose]());
    const [server] = cluster.servers;
    const as = async (who: string) => {
      const shows = ours.dialling(await ours.issue(who));
      const target = `${server.machine.address}:7067`;
      const [client, health] = [
        new IpamServiceClient(target, shows, BY_NAME),
        new HealthClient(target, shows, BY_NAME),
      ];
      ending.push(
        () => client.close(),
        () => health.close(),
      );
      return { client, health };
    };
    return { server, as };
  }

  const many = (ask: () => Promise<End>): Promise<readonly End[]> => Promise.all(Array.from({ length: 100 }, ask));
  const refused = (ends: readonly End[]) => ends.filter(({ code }) => code === RESOURCE_EXHAUSTED);
  const letIn = (ends: readonly End[]) => ends.filter(({ code }) => code === OK);
  const pushbackOf = ({ error }: End) => Number(error?.metadata.get('grpc-retry-pushback-ms')[0]);

  test('make so many calls a second, over all their connections, and do not disturb each other', async () => {
    const { server, as } = await secured('--max-calls-per-second', '5');
    const [one, again, other] = [await as('engine/one'), await as('engine/one'), await as('engine/other')];
    await askStatus(again.client);
    const ends = await many(() => askStatus(one.client));
    expect(letIn(ends).length).toBeGreaterThanOrEqual(4);
    expect(ends.length).toBe(letIn(ends).length + refused(ends).length);
    const [first] = refused(ends);
    expect(first?.error?.details).toBe('engine/one may make 5 calls a second; try again later');
    expect(first && pushbackOf(first)).toBeLessThanOrEqual(200);
    const theirs = [await askStatus(other.client), await askStatus(other.client), await askStatus(other.client)];
    expect(letIn(theirs)).toHaveLength(3);
    // Another connection is the same caller, and health counts.
    const ofBoth = await Promise.all([many(() => askStatus(again.client)), many(() => checkHealth(one.health))]);
    expect(ofBoth.map((each) => refused(each).length > 50)).toEqual([true, true]);
    const counted = (await server.metrics()).get(CALLS_REFUSED);
    expect(counted).toBe(refused(ends).length + refused(ofBoth.flat()).length);
    await eventually('it is let in again', async () => (await askStatus(one.client)).code === OK);
  });

  test('give the place of a connection back, as all others do', async () => {
    const { as } = await secured('--max-connections', '2');
    const kept = await as('engine/one');
    for (let n = 0; n < 6; n++) {
      const { client } = await as('engine/other');
      await eventually('a place is free', async () => (await askStatus(client)).code === OK);
      client.close();
    }
    expect(await askStatus(kept.client)).toEqual({ code: OK });
  });

  test('pay for a batch as for its items, before the next call', async () => {
    const { as } = await secured('--max-calls-per-second', '5');
    const { client } = await as('engine/one');
    const requests = Array.from({ length: 500 }, () => ({ place: undefined, mac: '52:54:00:00:00:01' }));
    const batch = await new Promise<number>((resolve, reject) =>
      client.batchReserveAddresses(BatchReserveAddressesRequest.fromPartial({ requests }), (error, response) =>
        error ? reject(error) : resolve(response.results.length),
      ),
    );
    expect(batch).toBe(500);
    const next = await askStatus(client);
    expect(next.code).toBe(RESOURCE_EXHAUSTED);
    expect(pushbackOf(next)).toBeGreaterThan(60_000);
  });

  test('have so many watches, and leave those of others to them', async () => {
    const { server, as } = await secured('--max-watches-per-caller', '2');
    const [one, again, other] = [await as('engine/one'), await as('engine/one'), await as('viewer/other')];
    const first = await begun(one.client);
    await begun(again.client);
    expect(await watching(one.client)).toMatchObject({
      code: RESOURCE_EXHAUSTED,
      error: { details: expect.stringContaining('engine/one has 2 watches here already') },
    });
    await begun(other.client);
    expect((await server.metrics()).get(WATCHES_REFUSED('engine'))).toBe(1);
    first.cancel();
    await eventually('its place is free', async () => !('code' in (await watching(again.client))));
  });
});

function checkHealth(client: HealthClient): Promise<End> {
  const request = HealthCheckRequest.fromPartial({});
  return new Promise((resolve) => client.check(request, new Metadata(), soon(), (error) => resolve(endOf(error))));
}
