import { readOptions } from '@leasehold/program/options';
import { expect, test } from 'vitest';
import { agentProgram, findConflict, mayDial } from './agent-options.js';

function read(...args: string[]) {
  const invocation = readOptions(agentProgram('1.2.3'), { args: ['--host-id', 'h1', ...args], env: {} });
  if (invocation.kind !== 'run') throw new Error(JSON.stringify(invocation));
  return invocation.options;
}

const conflictOf = (...args: string[]) => findConflict(read(...args));

const TLS = ['--tls-cert', 'c', '--tls-key', 'k', '--tls-ca', 'a'];
const LOOPBACK = ['127.0.0.1:7069', 'localhost:7069', '[::1]:7069', 'unix:/run/a.sock'];

test.each(LOOPBACK)('a server on this machine, %s, needs certificates or --insecure', (server) => {
  expect(conflictOf('--server', server)).toBe(
    `--server ${server} would be without TLS: give --tls-cert, --tls-key and --tls-ca, or allow this machine with --insecure`,
  );
  expect(conflictOf('--server', server, '--insecure')).toBeUndefined();
  expect(conflictOf('--server', server, '--insecure-network')).toBeUndefined();
  expect(conflictOf('--server', server, ...TLS)).toBeUndefined();
});

test('a server on another machine needs certificates or --insecure-network', () => {
  const problem =
    '--server a:7069 would be without TLS: give --tls-cert, --tls-key and --tls-ca, or allow any network with --insecure-network';
  expect(conflictOf('--server', '127.0.0.1:1', '--server', 'a:7069', '--insecure')).toBe(problem);
  expect(conflictOf('--server', 'a:7069', '--insecure-network')).toBeUndefined();
  expect(conflictOf('--server', 'a:7069', ...TLS)).toBeUndefined();
  expect(conflictOf('--server', 'a:7069', '--insecure', ...TLS)).toBeUndefined();
});

test('flags of TLS that do not go together are refused', () => {
  expect(conflictOf('--server', 'a:7069', '--tls-cert', 'c', '--tls-ca', 'a')).toBe(
    '--tls-cert, --tls-key and --tls-ca go together: --tls-key is missing',
  );
  expect(conflictOf('--server', 'a:7069', '--insecure-network', ...TLS)).toContain(
    '--insecure-network is for networks',
  );
});

test('a server that another one names is dialled as those that are given are', () => {
  expect(mayDial('a:7069', read('--server', 'b:7069', ...TLS))).toBe(true);
  expect(mayDial('a:7069', read('--server', '[::1]:7069', '--insecure'))).toBe(false);
  expect(mayDial('a:7069', read('--server', 'b:7069', '--insecure-network'))).toBe(true);
  expect(mayDial('no server', read('--server', 'b:7069', ...TLS))).toBe(false);
});

test('networks that clash are refused', () => {
  const args = ['--server', 'unix:a', '--insecure', '--network', 'red=br0', '--network', 'blue=br0'];
  expect(conflictOf(...args)).toBe('--network: Interface br0 is given to two networks, red and blue');
});

test('a program without servers or host id is refused by name', () => {
  const problemOf = (args: string[]) => readOptions(agentProgram('1.2.3'), { args, env: {} });
  expect(problemOf(['--server', 'a:1'])).toMatchObject({
    kind: 'usage-error',
    message: expect.stringContaining('--host-id'),
  });
  expect(problemOf(['--host-id', 'h'])).toMatchObject({
    kind: 'usage-error',
    message: expect.stringContaining('--server'),
  });
});
