import { readOptions } from '@leasehold/program/options';
import { expect, test } from 'vitest';
import { agentProgram, findConflict } from './agent-options.js';

function read(...args: string[]) {
  const invocation = readOptions(agentProgram('1.2.3'), { args: ['--host-id', 'h1', ...args], env: {} });
  if (invocation.kind !== 'run') throw new Error(JSON.stringify(invocation));
  return invocation.options;
}

const conflictOf = (...args: string[]) => findConflict(read(...args));

test.each(['127.0.0.1:7069', 'localhost:7069', '[::1]:7069', 'unix:/run/a.sock'])(
  'a server on this machine, %s, needs --insecure',
  (server) => {
    expect(conflictOf('--server', server)).toBe(
      `--server ${server} would be reached without TLS: allow that with --insecure`,
    );
    expect(conflictOf('--server', server, '--insecure')).toBeUndefined();
    expect(conflictOf('--server', server, '--insecure-network')).toBeUndefined();
  },
);

test('a server on another machine needs --insecure-network', () => {
  const problem =
    '--server a:7069 is another machine and would be reached without TLS: allow that with --insecure-network';
  expect(conflictOf('--server', '127.0.0.1:1', '--server', 'a:7069', '--insecure')).toBe(problem);
  expect(conflictOf('--server', 'a:7069', '--insecure-network')).toBeUndefined();
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
