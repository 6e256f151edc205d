// Who may call what, of every RPC there is: a real server, real certificates, and bytes that are no message. Whoever is let in
// is told that they cannot be read (INTERNAL), and nothing is done; whoever is not is refused before anybody reads them.

import { Client, type Metadata, Metadata as NewMetadata, status } from '@grpc/grpc-js';
import type { Credentials } from '@leasehold/server/adapters/pki/certificates';
import { TestAuthority } from '@leasehold/server/testing/test-authority';
import { knownPaths } from '@leasehold/server/transport/access';
import { readDescriptors } from '@leasehold/server/transport/reflection';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProgram, type WatchedProcess } from '../../support/processes.js';
import { temporaryDirectory } from '../../support/sandbox.js';

const { INTERNAL, PERMISSION_DENIED, UNAUTHENTICATED, UNIMPLEMENTED } = status;
const NO_MESSAGE = Buffer.from([0xff]);

const directory = temporaryDirectory('authorization-');
let ours: TestAuthority;
let server: WatchedProcess;
let endpoints: { readonly engines: string; readonly agents: string };
let shown: Readonly<Record<string, Credentials | undefined>>;

beforeAll(async () => {
  ours = await TestAuthority.make();
  const theirs = await TestAuthority.make();
  const uri = (value: string) => ({ type: 'url', value }) as const;
  const spiffe = (path: string) => uri(`spiffe://leasehold/${path}`);
  shown = {
    anonymous: undefined,
    expired: await ours.issue('engine/ovirt', { notAfter: new Date('2020-01-01T00:00:00Z') }),
    'not valid yet': await ours.odd({ notBefore: new Date('2099-01-01T00:00:00Z') }),
    'of another CA': await theirs.issue('engine/ovirt'),
    'for servers only': await ours.odd({ usages: ['serverAuth'] }),
    'without names': await ours.odd({ names: [] }),
    'with a common name only': await ours.odd({ names: [{ type: 'dns', value: 'ovirt' }], commonName: 'engine/ovirt' }),
    'with two roles': await ours.odd({ names: [spiffe('engine/ovirt'), spiffe('host/h1')] }),
    'with a second URI': await ours.odd({ names: [spiffe('engine/ovirt'), uri('https://example.org')] }),
    'of another trust domain': await ours.odd({ names: [uri('spiffe://other/engine/ovirt')] }),
    'of a role that there is not': await ours.odd({ names: [spiffe('root/ovirt')] }),
    'with a name in a name': await ours.odd({ names: [{ type: 'dns', value: 'a, URI:spiffe://leasehold/engine/x' }] }),
    'engine/ovirt': await ours.issue('engine/ovirt'),
    'viewer/ann': await ours.issue('viewer/ann'),
    'host/h1': await ours.issue('host/h1'),
    'host/h2': await ours.issue('host/h2'),
    'server/s2': await ours.issue('server/s2'),
  };
  server = startProgram('leasehold-server', [
    ...ours.flags(directory.path, 'server', await ours.issue('server/s1')),
    ...['--listen', '127.0.0.1:0', '--agent-listen', '127.0.0.1:0', '--metrics-listen', 'off'],
    ...['--store', `embedded:${directory.path}/data`, '--log-level', 'debug'],
  ]);
  const { fields } = await server.waitForLine('is ready');
  const [[engines = ''], [agents = '']] = [fields['listen'] as string[], fields['agentListen'] as string[]];
  endpoints = { engines: engines.replace('127.0.0.1', 'localhost'), agents: agents.replace('127.0.0.1', 'localhost') };
});

afterAll(async () => {
  await server.kill();
  directory[Symbol.dispose]();
});

/** How a call ends that holds no message. */
function codeOf(client: Client, path: string, metadata: Metadata = new NewMetadata()): Promise<status> {
  const call = client.makeBidiStreamRequest(
    path,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    metadata,
    { deadline: Date.now() + 20_000 },
  );
  return new Promise((resolve) => {
    call.on('data', () => undefined);
    call.on('error', () => undefined);
    call.on('status', ({ code }) => resolve(code));
    call.write(NO_MESSAGE);
    call.end();
  });
}

const isOfAgents = (path: string) => path.startsWith('/ipam.v1.HostAgentService/');
// Both listeners have these.
const isCommon = (path: string) => path.startsWith('/grpc.');

/** What the page for operators says of who may call what, said once more. */
function expected(who: string, path: string, listener: 'engines' | 'agents'): status {
  if (!isCommon(path) && isOfAgents(path) !== (listener === 'agents')) return UNIMPLEMENTED;
  const role = who.includes('/') ? who.split('/')[0] : undefined;
  if (role === undefined) return UNAUTHENTICATED;
  const reads = /^\/ipam\.v1\.IpamService\/(Get|List|WatchEvents$)/.test(path) || path.startsWith('/grpc.reflection.');
  const may =
    path.startsWith('/grpc.health.') ||
    (role === 'engine' && !isOfAgents(path)) ||
    (role === 'viewer' && reads) ||
    (role === 'host' && isOfAgents(path));
  return may ? INTERNAL : PERMISSION_DENIED;
}

async function codes(shows: Credentials | undefined, listener: 'engines' | 'agents', metadata?: Metadata) {
  const client = new Client(endpoints[listener], ours.dialling(shows), { 'grpc.use_local_subchannel_pool': 1 });
  try {
    const ends = knownPaths().map(async (path) => [path, status[await codeOf(client, path, metadata)]] as const);
    return Object.fromEntries(await Promise.all(ends));
  } finally {
    client.close();
  }
}

describe.each(['engines', 'agents'] as const)('at the listener of %s', (listener) => {
  test.each([
    ...['anonymous', 'expired', 'not valid yet', 'of another CA', 'for servers only', 'without names'],
    ...['with a common name only', 'with two roles', 'with a second URI', 'of another trust domain'],
    ...['of a role that there is not', 'with a name in a name'],
    ...['engine/ovirt', 'viewer/ann', 'host/h1', 'host/h2', 'server/s2'],
  ])('who is %s is let in by every RPC as its row says', async (who) => {
    const wanted = knownPaths().map((path) => [path, status[expected(who, path, listener)]] as const);
    expect(await codes(shown[who], listener)).toEqual(Object.fromEntries(wanted));
  });
});

test('there is no RPC in the descriptors that was not asked for', () => {
  const services = readDescriptors().fileOfSymbol.keys();
  const rpcs = [...services].filter((symbol) => /^(?:ipam\.v1\.(?:Ipam|HostAgent)Service)\.\w+$/.test(symbol));
  expect(rpcs.length).toBeGreaterThan(20);
  expect(rpcs.filter((rpc) => !knownPaths().includes(`/${rpc.replace(/\.(?=[^.]*$)/, '/')}`))).toEqual([]);
});

test('only a server is believed in whose name it calls, and that one may no more than by itself', async () => {
  const named = (who: string) => {
    const metadata = new NewMetadata();
    metadata.set('leasehold-on-behalf-of', who);
    return metadata;
  };
  const fence = '/ipam.v1.IpamService/FenceHost';
  const [asEngine, asViewer] = [named('engine/ovirt'), named('viewer/ann')];
  expect((await codes(shown['server/s2'], 'engines', asEngine))[fence]).toBe('INTERNAL');
  expect((await codes(shown['server/s2'], 'engines', asViewer))[fence]).toBe('PERMISSION_DENIED');
  expect((await codes(shown['server/s2'], 'engines', named('server/s1')))[fence]).toBe('PERMISSION_DENIED');
  expect((await codes(shown['viewer/ann'], 'engines', asEngine))[fence]).toBe('PERMISSION_DENIED');
  expect((await codes(shown['host/h1'], 'engines', asEngine))[fence]).toBe('PERMISSION_DENIED');
  expect((await codes(undefined, 'engines', asEngine))[fence]).toBe('UNAUTHENTICATED');
  const created = '/ipam.v1.IpamService/CreateNetwork';
  expect((await codes(shown['server/s2'], 'engines', asEngine))[created]).toBe('PERMISSION_DENIED');
});

test('nobody who was refused left a trace of a key in the log, and each kind is said', () => {
  const said = server.lines.filter(({ text }) => text.includes('nobody who is known'));
  expect(said.length).toBeGreaterThanOrEqual(6);
  expect(server.lines.some(({ text }) => text.includes('PRIVATE KEY'))).toBe(false);
});
