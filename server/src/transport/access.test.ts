// The table of who may call what, against the descriptors and against what it is for.

import { formatIdentity, type Identity, ROLES } from '@leasehold/proto/identity';
import { describe, expect, test } from 'vitest';
import { authorize, formatCaller, INSECURE, knownPaths, parseCaller } from './access.js';
import { readDescriptors } from './reflection.js';

const IPAM = '/ipam.v1.IpamService/';
const SESSION = '/ipam.v1.HostAgentService/Session';
const ENGINE: Identity = { role: 'engine', name: 'ovirt' };
const SERVER: Identity = { role: 'server', name: 's1' };

/** What anybody of a role may call for itself. */
function allowed(role: Identity['role']): readonly string[] {
  return knownPaths().filter((path) => authorize(path, { role, name: 'x' }, undefined).ok);
}

const ofIpam = (paths: readonly string[]) =>
  paths.filter((path) => path.startsWith(IPAM)).map((path) => path.slice(IPAM.length));

test('every RPC of the descriptors has a row, and no other', () => {
  const { fileOfSymbol } = readDescriptors();
  const methods = [...fileOfSymbol.keys()].filter((symbol) => /^[a-z0-9.]+\.[A-Z]\w*\.[A-Z]\w*$/.test(symbol));
  const services = new Set(knownPaths().map((path) => path.split('/')[1]));
  const rpcs = methods.filter((symbol) => services.has(symbol.slice(0, symbol.lastIndexOf('.'))));
  const paths = rpcs.map((symbol) => `/${symbol.replace(/\.(?=[^.]*$)/, '/')}`);
  expect([...knownPaths()].sort()).toEqual(paths.sort());
  expect(services).toEqual(
    new Set([
      'ipam.v1.IpamService',
      'ipam.v1.HostAgentService',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]),
  );
});

describe('a role may', () => {
  test('engine: all of IpamService, and no session of an agent', () => {
    expect(ofIpam(allowed('engine'))).toEqual(ofIpam(knownPaths()));
    expect(allowed('engine')).not.toContain(SESSION);
  });

  test('viewer: what reads, and nothing else', () => {
    const reads = ofIpam(knownPaths()).filter((name) => /^(Get|List|WatchEvents$)/.test(name));
    expect(ofIpam(allowed('viewer'))).toEqual(reads);
    expect(allowed('viewer')).not.toContain(SESSION);
  });

  test('host: its session, and health', () => {
    expect(allowed('host').filter((path) => !path.startsWith('/grpc.health.'))).toEqual([SESSION]);
  });

  test('server: health, for itself', () => {
    expect(allowed('server').every((path) => path.startsWith('/grpc.health.'))).toBe(true);
  });
});

test('what has no row is denied to everybody', () => {
  for (const role of ROLES) {
    const refused = authorize('/ipam.v1.IpamService/Forget', { role, name: 'x' }, 'engine/ovirt');
    expect(refused).toMatchObject({ ok: false, error: { kind: 'permission-denied' } });
  }
});

describe('a server', () => {
  const passed = (rpc: string, onBehalfOf: string | undefined) => authorize(`${IPAM}${rpc}`, SERVER, onBehalfOf);

  test('passes calls on in the name of their caller, who is the caller then', () => {
    expect(passed('FenceHost', 'engine/ovirt')).toEqual({ ok: true, value: ENGINE });
    expect(passed('GetStatus', 'viewer/ann')).toEqual({ ok: true, value: { role: 'viewer', name: 'ann' } });
    expect(passed('FenceHost', 'insecure')).toEqual({ ok: true, value: INSECURE });
  });

  test.each([undefined, '', 'nobody', 'engine/', 'engine/a/b', 'root/x'])('is denied in the name of %s', (named) => {
    expect(passed('FenceHost', named).ok).toBe(false);
  });

  test('is denied what its caller may not, and what nobody passes on', () => {
    for (const named of ['viewer/ann', 'host/h1', 'server/s2']) expect(passed('FenceHost', named).ok).toBe(false);
    expect(passed('CreateNetwork', 'engine/ovirt').ok).toBe(false);
    expect(authorize(SESSION, SERVER, 'host/h1').ok).toBe(false);
  });
});

test('only a server is believed whom it names', () => {
  expect(authorize(`${IPAM}GetStatus`, { role: 'viewer', name: 'ann' }, 'engine/ovirt')).toEqual({
    ok: true,
    value: { role: 'viewer', name: 'ann' },
  });
  expect(authorize(`${IPAM}FenceHost`, { role: 'viewer', name: 'ann' }, 'engine/ovirt').ok).toBe(false);
});

test('a refusal says who may not what, and who may', () => {
  const refused = authorize(`${IPAM}FenceHost`, { role: 'viewer', name: 'ann' }, undefined);
  expect(refused).toMatchObject({
    error: { message: 'viewer/ann may not call FenceHost: that is for engine', metadata: { caller: 'viewer/ann' } },
  });
});

test('callers are printed and parsed', () => {
  for (const role of ROLES)
    expect(parseCaller(formatIdentity({ role, name: 'a.b-c_1' }))).toEqual({ role, name: 'a.b-c_1' });
  expect(parseCaller(formatCaller(INSECURE))).toBe(INSECURE);
  expect(parseCaller('insecure/x')).toBeUndefined();
});
