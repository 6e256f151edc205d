// Agents that dial by TLS: which servers they believe, of a name whose addresses they look up themselves, too.

import { createSecureContext } from 'node:tls';
import { grpcTransport } from '@leasehold/agent/session/grpc-transport';
import { tlsSecurity } from '@leasehold/agent/session/security';
import { systemClock } from '@leasehold/program/system-clock';
import { TLS_VERSION, type TlsMaterial } from '@leasehold/program/tls-files';
import { whyNoServer } from '@leasehold/proto/identity';
import { HostAgentServiceService } from '@leasehold/proto/ipam/v1/host_agent_service';
import type { Credentials } from '@leasehold/server/adapters/pki/certificates';
import { invalidField } from '@leasehold/server/domain/errors';
import { NO_METRICS } from '@leasehold/server/ports/metrics';
import { TestAuthority } from '@leasehold/server/testing/test-authority';
import { AGENT_ACCEPTS } from '@leasehold/server/transport/accept-queue';
import { hostAgentHandlers } from '@leasehold/server/transport/agent-stream';
import { AGENT_LIMITS, type Listener, listen } from '@leasehold/server/transport/listener';
import { readDescriptors } from '@leasehold/server/transport/reflection';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MemoryLog } from '../fakes/memory-log.js';

const NAME = 'servers.example';
// Bounds what hangs.
const SPEAKS_WITHIN_MS = 20_000;

const clock = systemClock();
let ours: TestAuthority;
let listener: Listener | undefined;
/** For whom the streams that came spoke. */
let opened: (string | undefined)[];

beforeEach(async () => {
  ours = await TestAuthority.make();
  opened = [];
});

afterEach(async () => {
  await listener?.drain(0);
  listener = undefined;
});

function materialOf({ certificate: cert, key }: Credentials, ca = ours.pem): TlsMaterial {
  const pem = { cert, key, ca };
  return { ...pem, notAfterMs: 0, context: createSecureContext({ ...pem, minVersion: TLS_VERSION }) };
}

/** A server whose certificate has these names beside that of its role; its port. */
async function serve(
  ...names: readonly { readonly type: 'url' | 'dns' | 'ip'; readonly value: string }[]
): Promise<number> {
  const shows = await ours.odd({ names, usages: ['serverAuth', 'clientAuth'] });
  const handlers = hostAgentHandlers({
    open(link, speaksFor) {
      opened.push(speaksFor);
      link.end(invalidField('hello', 'That will do').error);
      return { receive: () => undefined, closed: () => undefined };
    },
  });
  const accepting = { limits: AGENT_ACCEPTS, clock, metrics: NO_METRICS, of: 'agent' } as const;
  const files = { current: materialOf(shows), onChange: () => undefined };
  const ports = { clock, log: new MemoryLog(), metrics: NO_METRICS };
  listener = await listen(
    [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    { name: 'ipam.v1.HostAgentService', definition: HostAgentServiceService, handlers },
    AGENT_LIMITS,
    readDescriptors(),
    { accepting, securing: { files, ...ports, accepting, trustDomain: 'leasehold', isSecure: () => true } },
  );
  const [endpoint] = listener.endpoints;
  if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
  return endpoint.port;
}

const SERVER = { type: 'url', value: 'spiffe://leasehold/server/s1' } as const;
const named = (value: string) => ({ type: 'dns', value }) as const;

/** How a session with a server ends. */
async function dial(server: string, { serverName, shows = 'host/h1' }: { serverName?: string; shows?: string } = {}) {
  const security = tlsSecurity({
    files: { current: materialOf(await ours.issue(shows)) },
    isSecure: () => true,
    serverName,
    whyNoServer: (names) => whyNoServer(names, 'leasehold'),
  });
  const lookup = async () => ['127.0.0.1'];
  const transport = grpcTransport({ security, clock, mayFollow: () => true, lookup });
  return new Promise<string>((resolve) => {
    transport.open(server, { onMessage: () => undefined, onClose: ({ reason }) => resolve(reason) }, SPEAKS_WITHIN_MS);
  });
}

const WELL = 'INVALID_ARGUMENT: hello: That will do';

test('a server has the name that it is dialled by, wherever that leads', async () => {
  const port = await serve(SERVER, named(NAME));
  expect(await dial(`${NAME}:${port}`)).toBe(WELL);
  expect(opened).toEqual(['h1']);
  expect(await dial(`other.example:${port}`)).toContain('other.example');
  expect(await dial(`127.0.0.1:${port}`)).toContain('127.0.0.1');
  expect(opened).toHaveLength(1);
});

test('a server has the address that it is dialled by, and needs no name then', async () => {
  const port = await serve(SERVER, { type: 'ip', value: '127.0.0.1' });
  expect(await dial(`127.0.0.1:${port}`)).toBe(WELL);
  expect(await dial(`${NAME}:${port}`)).toContain(NAME);
});

test('a server may be known by another name', async () => {
  const port = await serve(SERVER, named(NAME));
  expect(await dial(`127.0.0.1:${port}`, { serverName: NAME })).toBe(WELL);
  expect(await dial(`${NAME}:${port}`, { serverName: 'other.example' })).toContain('other.example');
});

test('a host that has a name is no server, whoever vouches for it', async () => {
  const port = await serve({ type: 'url', value: 'spiffe://leasehold/host/h2' }, named(NAME));
  expect(await dial(`${NAME}:${port}`)).toContain('of host/h2, not of a server');
  expect(opened).toEqual([]);
});

test('a server of another CA is not believed', async () => {
  const theirs = ours;
  const port = await serve(SERVER, named(NAME));
  ours = await TestAuthority.make();
  expect(await dial(`${NAME}:${port}`)).toMatch(/certificate/);
  ours = theirs;
  expect(opened).toEqual([]);
});

test('an agent that is none is told so', async () => {
  const port = await serve(SERVER, named(NAME));
  expect(await dial(`${NAME}:${port}`, { shows: 'engine/ovirt' })).toBe(
    'PERMISSION_DENIED: engine/ovirt may not call Session: that is for host',
  );
});
