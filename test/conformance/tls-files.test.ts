// Certificates as files: what is refused and why, what is taken in while a program runs, and which server is believed.

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Endpoint, isLoopback } from '@leasehold/program/option-values';
import { tlsDialling } from '@leasehold/program/tls-dial';
import { TlsFiles, type TlsMaterial } from '@leasehold/program/tls-files';
import { whyNoServer } from '@leasehold/proto/identity';
import type { Credentials } from '@leasehold/server/adapters/pki/certificates';
import { TestAuthority, writeOver } from '@leasehold/server/testing/test-authority';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryLog } from '../fakes/memory-log.js';
import { VirtualClock } from '../fakes/virtual-clock.js';

const POLL_MS = 5_000;
const DAY_MS = 86_400_000;

let directory: string;
let ours: TestAuthority;
let clock: VirtualClock;
let log: MemoryLog;
let first: Credentials;
let other: Credentials;
let host: Credentials;
let files: TlsFiles | undefined;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'leasehold-tls-'));
  [ours, clock, log] = [await TestAuthority.make(), new VirtualClock(), new MemoryLog()];
  [first, other, host] = [await ours.issue('server/s1'), await ours.issue('server/s1'), await ours.issue('host/h1')];
  ours.flags(directory, 'own', first);
});

afterEach(() => {
  files?.stop();
  rmSync(directory, { recursive: true });
});

const at = (name: string) => join(directory, name);
const paths = () => ({ cert: at('own.crt'), key: at('own.key'), ca: at('ca.crt') });

function open() {
  const opened = TlsFiles.open(paths(), (names) => whyNoServer(names, 'leasehold'), { clock, log });
  files = opened.ok ? opened.value : undefined;
  return opened;
}

function opened(): TlsFiles {
  open();
  if (!files) throw new Error('They cannot be read');
  return files;
}

test('files that fit are taken', () => {
  expect(opened().current).toMatchObject({ cert: first.certificate, key: first.key, ca: ours.pem });
  expect(files?.current.notAfterMs).toBe(Date.parse('2100-01-01T00:00:00Z'));
});

describe('a program does not start', () => {
  test.each([
    ['without the certificate', () => rmSync(at('own.crt')), '--tls-cert', 'ENOENT'],
    ['without the key', () => rmSync(at('own.key')), '--tls-key', 'ENOENT'],
    ['without the CA', () => rmSync(at('ca.crt')), '--tls-ca', 'ENOENT'],
    ['on a certificate that is none', () => writeFileSync(at('own.crt'), 'x'), '--tls-cert', 'no certificate'],
    ['on a CA that is none', () => writeFileSync(at('ca.crt'), ''), '--tls-ca', 'no certificate'],
    [
      'on a damaged CA among others',
      () => writeFileSync(at('ca.crt'), `${ours.pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`),
      '--tls-ca',
      'no certificate',
    ],
    [
      'on a second CA that is written halfway',
      () => writeFileSync(at('ca.crt'), `${ours.pem}${ours.pem.slice(0, 200)}`),
      '--tls-ca',
      'cut off',
    ],
    ['on a key that is none', () => writeFileSync(at('own.key'), first.certificate), '--tls-key', 'no private key'],
    [
      'on the key of another',
      () => writeFileSync(at('own.key'), other.key),
      '--tls-key',
      'not the key of the certificate',
    ],
    [
      'on the certificate of another role',
      () => writeOver(directory, 'own', host),
      '--tls-cert',
      'of host/h1, not of a server',
    ],
  ])('%s', (_, spoil, flag, why) => {
    spoil();
    const refused = open();
    if (refused.ok) throw new Error('It was taken');
    expect(refused.problem).toMatch(new RegExp(`^${flag} ${directory}.* cannot be used: .*${why}`));
    expect(refused.problem).not.toContain(first.key.split('\n')[1]);
  });
});

describe('while it runs', () => {
  test('new files are taken in, and whoever listens is told', async () => {
    const told: TlsMaterial[] = [];
    opened().onChange((material) => told.push(material));
    const renewed = await ours.issue('server/s1');
    writeOver(directory, 'own', renewed);
    expect(files?.current.cert).toBe(first.certificate);
    await clock.advance(POLL_MS);
    expect(files?.current).toMatchObject({ cert: renewed.certificate, key: renewed.key });
    expect(told).toEqual([files?.current]);
    await clock.advance(10 * POLL_MS);
    expect(told).toHaveLength(1);
  });

  test('a half of an exchange is left alone, said once, and taken in when it is whole', async () => {
    opened();
    const renewed = await ours.issue('server/s1');
    writeFileSync(at('own.crt'), renewed.certificate);
    await clock.advance(5 * POLL_MS);
    expect(files?.current.cert).toBe(first.certificate);
    expect(log.complaints()).toEqual(['TLS files are not used, those from before stay']);
    writeFileSync(at('own.key'), renewed.key);
    await clock.advance(POLL_MS);
    expect(files?.current.cert).toBe(renewed.certificate);
    expect(log.complaints()).toHaveLength(1);
  });

  test('files that are gone, or of somebody else, change nothing', async () => {
    opened();
    rmSync(at('own.key'));
    await clock.advance(POLL_MS);
    writeOver(directory, 'own', await ours.issue('engine/ovirt'));
    await clock.advance(POLL_MS);
    expect(files?.current.cert).toBe(first.certificate);
    expect(log.complaints()).toHaveLength(2);
  });

  test('it is said once that the certificate ends soon, and that it has ended', async () => {
    const notAfter = new Date(clock.wallTime().getTime() + 15 * DAY_MS);
    ours.flags(directory, 'own', await ours.issue('server/s1', { notAfter }));
    opened();
    await clock.advance(DAY_MS - POLL_MS);
    expect(log.complaints()).toEqual([]);
    await clock.advance(2 * POLL_MS);
    expect(log.complaints()).toEqual(['The TLS certificate ends soon, renew it']);
    clock.jump(14 * DAY_MS);
    await clock.advance(2 * POLL_MS);
    expect(log.complaints()).toHaveLength(2);
    expect(log.complaints()[1]).toContain('has ended');
  });
});

describe('of a server that is dialled', () => {
  const dialling = (server: string, serverName?: string) =>
    tlsDialling(server, {
      files: opened(),
      isSecure: (endpoint: Endpoint) => !isLoopback(endpoint),
      serverName,
      whyNoServer: (names) => whyNoServer(names, 'leasehold'),
    });
  const names = async (...given: ['url' | 'dns' | 'ip', string][]) => {
    const content = { names: given.map(([type, value]) => ({ type, value })), usages: ['serverAuth'] as const };
    return new X509Certificate((await ours.odd(content)).certificate).toLegacyObject();
  };
  const SERVER: ['url', string] = ['url', 'spiffe://leasehold/server/s1'];
  const check = async (server: string, serverName: string | undefined, ...given: ['url' | 'dns' | 'ip', string][]) =>
    dialling(server, serverName)?.verify.checkServerIdentity('what the library says', await names(...given))?.message;

  test('the name is asked for, and no address is', () => {
    const asked = (server: string, name?: string) => dialling(server, name)?.options['grpc.ssl_target_name_override'];
    expect(asked('a.example:7067')).toBe('a.example');
    expect(asked('a.example:7067', 'b.example')).toBe('b.example');
    expect(asked('10.0.0.1:7067')).toBe('leasehold');
    expect(asked('[2001:db8::1]:7067')).toBe('leasehold');
    expect(asked('127.0.0.1:7067')).toBeUndefined();
    expect(asked('unix:/run/s')).toBeUndefined();
  });

  test('the certificate has its name or address', async () => {
    expect(await check('a.example:7067', undefined, SERVER, ['dns', 'a.example'])).toBeUndefined();
    expect(await check('a.example:7067', undefined, SERVER, ['dns', 'b.example'])).toContain('a.example');
    expect(await check('a.example:7067', undefined, SERVER)).toBeDefined();
    expect(await check('10.0.0.1:7067', undefined, SERVER, ['ip', '10.0.0.1'])).toBeUndefined();
    expect(await check('10.0.0.1:7067', undefined, SERVER, ['ip', '10.0.0.2'])).toContain('10.0.0.1');
    // The name that is asked for instead of an address is nobody's.
    expect(await check('10.0.0.1:7067', undefined, SERVER, ['dns', 'leasehold'])).toContain('10.0.0.1');
  });

  test('the certificate has the name that it shall have instead', async () => {
    expect(await check('a.example:7067', 'b.example', SERVER, ['dns', 'b.example'])).toBeUndefined();
    expect(await check('a.example:7067', 'b.example', SERVER, ['dns', 'a.example'])).toContain('b.example');
    expect(await check('a.example:7067', '10.0.0.9', SERVER, ['ip', '10.0.0.9'])).toBeUndefined();
  });

  test('the certificate is one of a server', async () => {
    const a: ['dns', string] = ['dns', 'a.example'];
    expect(await check('a.example:7067', undefined, ['url', 'spiffe://leasehold/host/h1'], a)).toBe(
      'This is no server: the certificate is of host/h1, not of a server',
    );
    expect(await check('a.example:7067', undefined, a)).toContain('no URI');
    expect(await check('a.example:7067', undefined, ['url', 'spiffe://other/server/s1'], a)).toContain('other');
  });
});
