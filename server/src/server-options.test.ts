// Which flags go together, and where TLS is spoken.

import { formatEndpoint } from '@leasehold/program/option-values';
import { readOptions } from '@leasehold/program/options';
import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS } from './domain/limits.js';
import { findConflict, insecureEndpoints, serverProgram } from './server-options.js';

const TLS = ['--tls-cert', 'c', '--tls-key', 'k', '--tls-ca', 'a'];
const OPEN = ['--listen', '10.0.0.1:7067', '--agent-listen', '10.0.0.1:7069'];
const MIXED = [
  '--listen',
  '10.0.0.1:7067',
  '--listen',
  '[::1]:7067',
  '--listen',
  'unix:/s',
  '--agent-listen',
  '10.0.0.1:7069',
];

function read(...args: string[]) {
  const invocation = readOptions(serverProgram('1.2.3'), { args, env: {} });
  if (invocation.kind !== 'run') throw new Error(JSON.stringify(invocation));
  return invocation.options;
}

describe('a server starts', () => {
  test.each([
    ['with certificates, anywhere', [...OPEN, ...TLS]],
    ['with certificates, on loopback', TLS],
    ['without any on loopback, if that is allowed', ['--insecure']],
    ['without any anywhere, if that is allowed', [...OPEN, '--insecure-network']],
    ['with certificates, and loopback without', [...MIXED, ...TLS, '--insecure']],
  ])('%s', (_, args) => {
    expect(findConflict(read(...args))).toBeUndefined();
  });
});

test('the limits are those of the table, unless the flags say otherwise', () => {
  expect(read('--insecure')).toMatchObject(DEFAULT_LIMITS);
  const told = read('--insecure', '--max-request-size', '2MiB', '--max-watch-stall', '1s', '--max-watches', '7');
  expect(told).toMatchObject({ ...DEFAULT_LIMITS, maxRequestSize: 2_097_152, maxWatchStall: 1_000, maxWatches: 7 });
});

describe('a server does not start', () => {
  test.each([
    [
      'without certificates',
      [],
      '--listen 127.0.0.1:7067 would be without TLS: give --tls-cert, --tls-key and --tls-ca, or allow this machine with --insecure',
    ],
    ['on a network with --insecure', [...OPEN, '--insecure'], '--listen 10.0.0.1:7067 would be without TLS'],
    [
      'for agents on a network with --insecure',
      ['--agent-listen', '10.0.0.1:1', '--insecure'],
      '--agent-listen 10.0.0.1:1 would be',
    ],
    ['with a part of what TLS takes', ['--tls-cert', 'c', '--insecure'], '--tls-key and --tls-ca is missing'],
    [
      'with certificates and any network without',
      [...TLS, '--insecure-network'],
      '--insecure-network is for networks without TLS',
    ],
  ])('%s', (_, args, problem) => {
    expect(findConflict(read(...args))).toContain(problem);
  });

  test('in a trust domain that cannot be', () => {
    const read = readOptions(serverProgram('1'), { args: ['--tls-trust-domain', 'spiffe://x'], env: {} });
    expect(read).toMatchObject({ kind: 'usage-error', message: expect.stringContaining('--tls-trust-domain') });
  });
});

test('where everybody can do everything is told', () => {
  const told = (...args: string[]) => insecureEndpoints(read(...args)).map(formatEndpoint);
  expect(told(...MIXED, ...TLS)).toEqual([]);
  expect(told(...MIXED, ...TLS, '--insecure')).toEqual(['[::1]:7067', 'unix:/s']);
  expect(told(...OPEN, '--insecure-network')).toEqual(['10.0.0.1:7067', '10.0.0.1:7069']);
});
