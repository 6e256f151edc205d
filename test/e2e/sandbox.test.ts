// The sandbox leaves nothing behind, however it ends. A process inside holds a connection to us; when the kernel closes
// that, the process is gone.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WatchedProcess } from '../support/processes.js';
import { repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/sandbox.js';

const SANDBOX = join(repositoryRoot, 'test/dist/support/sandbox.js');

/** A program that runs a command in a sandbox, as `npm test` does. */
function outside(command: string, ...args: readonly string[]): WatchedProcess {
  const script = `
    const { findEntrance, inSandbox } = await import(${JSON.stringify(SANDBOX)});
    const entrance = await findEntrance();
    if (!entrance.ok) throw new Error(entrance.why);
    process.exitCode = await inSandbox(entrance, ${JSON.stringify(command)}, ${JSON.stringify(args)});
    console.log('after');`;
  return new WatchedProcess(process.execPath, ['--input-type=module', '-e', script]);
}

/** A program that runs a command as `npm test` does where no sandbox can be made. */
function withoutSandbox(command: string, ...args: readonly string[]): WatchedProcess {
  const script = `
    const { supervised } = await import(${JSON.stringify(SANDBOX)});
    process.exitCode = await supervised(${JSON.stringify(command)}, ${JSON.stringify(args)}, {});`;
  return new WatchedProcess(process.execPath, ['--input-type=module', '-e', script]);
}

/** A process that holds a connection to us until it is gone: its arguments, and the connection. */
function holder(directory: string): { readonly args: readonly [string, string]; readonly connected: Promise<Socket> } {
  const path = join(directory, 'socket');
  const connected = new Promise<Socket>((resolve) => {
    const server = createServer((socket) => {
      server.close();
      resolve(socket);
    }).listen(path);
  });
  return {
    args: ['-e', `require('node:net').connect(${JSON.stringify(path)}); setInterval(() => 0, 1000)`],
    connected,
  };
}

test.each([
  ['SIGKILL', 128 + 9],
  ['SIGINT', 128 + 2],
  ['SIGTERM', 128 + 15],
] as const)('after one %s to the outside, an orphan inside is gone too', async (signal, code) => {
  using temporary = temporaryDirectory('sandbox-');
  const { args, connected } = holder(temporary.path);
  await using program = outside('sh', '-c', '"$0" "$@" & wait', process.execPath, ...args);
  const held = await connected;
  const gone = new Promise((resolve) => held.on('close', resolve).resume());
  program.signal(signal);
  await gone;
  expect(await program.exited).toBe(code);
});

test.each([
  ['SIGKILL', 128 + 9],
  ['SIGTERM', 128 + 15],
] as const)('after one %s, what runs without a sandbox is gone too', async (signal, code) => {
  using temporary = temporaryDirectory('sandbox-');
  const { args, connected } = holder(temporary.path);
  // Not the command itself but what it started, as vitest starts workers.
  await using program = withoutSandbox('sh', '-c', '"$0" "$@" & wait', process.execPath, ...args);
  const held = await connected;
  const gone = new Promise((resolve) => held.on('close', resolve).resume());
  program.signal(signal);
  await gone;
  expect(await program.exited).toBe(code);
});

test('inside there is a loopback, a private /run, and the exit code comes out', async () => {
  const look = 'ip -o address show lo | grep -q 127.0.0.1 && ip netns add probe && ls /run/netns && exit 7';
  await using program = outside('sh', '-c', look);
  expect(await program.exited).toBe(7);
  expect(program.lines.map((line) => line.text)).toEqual(['probe', 'after']);
  expect(existsSync('/run/netns/probe')).toBe(false);
});

test('what is written to /etc/resolv.conf inside stays inside', async () => {
  const before = readFileSync('/etc/resolv.conf', 'utf8');
  const write =
    'cmp -s /etc/resolv.conf "$0" && echo "nameserver 203.0.113.9" >/etc/resolv.conf && grep -c 203 /etc/resolv.conf';
  using temporary = temporaryDirectory('sandbox-');
  const copy = join(temporary.path, 'resolv.conf');
  writeFileSync(copy, before);
  await using program = outside('sh', '-c', write, copy);
  expect(await program.exited).toBe(0);
  expect(program.lines.map((line) => line.text)).toEqual(['1', 'after']);
  expect(readFileSync('/etc/resolv.conf', 'utf8')).toBe(before);
});
