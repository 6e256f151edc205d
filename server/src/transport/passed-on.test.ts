// Calls passed on between two real servers that know each other by certificates: who called stays who called.

import { createSecureContext } from 'node:tls';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { systemClock } from '@leasehold/program/system-clock';
import type { TlsMaterial } from '@leasehold/program/tls-files';
import { TLS_VERSION } from '@leasehold/program/tls-files';
import { whyNoServer } from '@leasehold/proto/identity';
import { GetHostResponse, IpamServiceClient, IpamServiceService as rpc } from '@leasehold/proto/ipam/v1/ipam_service';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MemoryLog } from '../../../test/fakes/memory-log.js';
import type { Credentials } from '../adapters/pki/certificates.js';
import type { HolderLease } from '../ports/holder-lease.js';
import { NO_METRICS } from '../ports/metrics.js';
import { TestAuthority } from '../testing/test-authority.js';
import { AGENT_ACCEPTS } from './accept-queue.js';
import { tlsDial } from './dial.js';
import { reasonOf } from './errors.js';
import { HolderCalls } from './holder-calls.js';
import { ENGINE_LIMITS, type Listener, listen } from './listener.js';
import { readDescriptors } from './reflection.js';
import { unary } from './unary.js';

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
  readonly calls: HolderCalls;
  readonly lease: SaidLease;
  readonly target: string;
  readonly files: { current: TlsMaterial };
  /** Who called, and whom this server answered. */
  readonly answered: string[];
}

const clock = systemClock();
const running: Running[] = [];
const clients: IpamServiceClient[] = [];
let ours: TestAuthority;
let holder: Running;
let follower: Running;

function materialOf({ certificate: cert, key }: Credentials): TlsMaterial {
  const pem = { cert, key, ca: ours.pem };
  return { ...pem, notAfterMs: 0, context: createSecureContext({ ...pem, minVersion: TLS_VERSION }) };
}

async function start(name: string, shows: Credentials): Promise<Running> {
  const log = new MemoryLog();
  const lease = new SaidLease();
  const files = { current: materialOf(shows), onChange: () => undefined };
  const dial = tlsDial({
    files,
    isSecure: () => true,
    serverName: undefined,
    whyNoServer: (names) => whyNoServer(names, 'leasehold'),
  });
  const calls = new HolderCalls(lease, name, clock, dial);
  const answered: string[] = [];
  const handlers = {
    getHost: unary(
      log,
      calls.reads(rpc.getHost, (_, call) => {
        answered.push(call.caller);
        return GetHostResponse.fromPartial({ host: { agentVersion: name } });
      }),
    ),
    deleteHost: unary(
      log,
      calls.does(rpc.deleteHost, (_, call) => {
        answered.push(call.caller);
        return {};
      }),
    ),
  };
  const listener = await listen(
    [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    { name: 'ipam.v1.IpamService', definition: rpc, handlers },
    ENGINE_LIMITS,
    readDescriptors(),
    {
      securing: {
        ...{ files, clock, log, metrics: NO_METRICS, trustDomain: 'leasehold', isSecure: () => true },
        accepting: { limits: AGENT_ACCEPTS, clock, metrics: NO_METRICS, of: 'engine' },
      },
    },
  );
  const [endpoint] = listener.endpoints;
  if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
  const server = { listener, calls, lease, target: `127.0.0.1:${endpoint.port}`, files, answered };
  running.push(server);
  return server;
}

beforeEach(async () => {
  ours = await TestAuthority.make();
  holder = await start('holder', await ours.issue('server/s1'));
  follower = await start('follower', await ours.issue('server/s2'));
  holder.lease.isSelf = true;
  follower.lease.holder = { server: 'holder', beat: 1, epoch: 1, advertise: holder.target, agentAdvertise: '' };
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const { calls, listener } of running.splice(0)) {
    calls.close();
    await listener.drain(0);
  }
});

async function clientOf({ target }: Running, who: string): Promise<IpamServiceClient> {
  const to = ours.dialling(await ours.issue(who));
  const client = new IpamServiceClient(target, to, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': 'localhost',
  });
  clients.push(client);
  return client;
}

const soon = () => ({ deadline: Date.now() + 20_000 });

/** Which server answered; or how it was refused. */
async function getHost(at: Running, who: string): Promise<string | ServiceError | undefined> {
  const client = await clientOf(at, who);
  return new Promise((resolve) => {
    client.getHost({ hostId: 'h1' }, new Metadata(), soon(), (error, answer) =>
      resolve(error ?? answer.host?.agentVersion),
    );
  });
}

async function deleteHost(at: Running, who: string): Promise<ServiceError | undefined> {
  const client = await clientOf(at, who);
  return new Promise((resolve) => {
    client.deleteHost({ hostId: 'h1', etag: '' }, new Metadata(), soon(), (error) => resolve(error ?? undefined));
  });
}

test('the holder answers, and knows who called the other server', async () => {
  expect(await getHost(follower, 'viewer/ann')).toBe('holder');
  expect(await deleteHost(follower, 'engine/ovirt')).toBeUndefined();
  expect([holder.answered, follower.answered]).toEqual([['viewer/ann', 'engine/ovirt'], []]);
});

test('who may not is refused before it is passed on', async () => {
  expect(await deleteHost(follower, 'viewer/ann')).toMatchObject({ code: status.PERMISSION_DENIED });
  expect(holder.answered).toEqual([]);
});

test('a holder that is known by another name, or is no server, is not asked', async () => {
  for (const odd of [
    await ours.issue('engine/ovirt'),
    await ours.odd({
      usages: ['serverAuth', 'clientAuth'],
      names: [
        { type: 'url', value: 'spiffe://leasehold/host/h1' },
        { type: 'ip', value: '127.0.0.1' },
      ],
    }),
    await ours.odd({
      usages: ['serverAuth', 'clientAuth'],
      names: [
        { type: 'url', value: 'spiffe://leasehold/server/s1' },
        { type: 'ip', value: '127.0.0.9' },
      ],
    }),
  ]) {
    const posing = await start('posing', odd);
    posing.lease.isSelf = true;
    follower.lease.holder = { server: 'posing', beat: 1, epoch: 1, advertise: posing.target, agentAdvertise: '' };
    expect(await getHost(follower, 'viewer/ann')).toBe('follower');
    const refused = await deleteHost(follower, 'engine/ovirt');
    expect(refused && reasonOf(refused)).toBe('NO_HOLDER');
    expect(posing.answered).toEqual([]);
  }
});

test('a holder that does not know this server counts as away, and its refusal is not handed on', async () => {
  follower.files.current = materialOf(await ours.odd({ names: [] }));
  expect(await getHost(follower, 'viewer/ann')).toBe('follower');
  const refused = await deleteHost(follower, 'engine/ovirt');
  expect(refused && reasonOf(refused)).toBe('NO_HOLDER');
  expect(holder.answered).toEqual([]);
  // Renewed, it is known again, by a new connection.
  follower.files.current = materialOf(await ours.issue('server/s2'));
  expect(await deleteHost(follower, 'engine/ovirt')).toBeUndefined();
});
