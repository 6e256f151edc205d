// What an operator did wrong is said in one clear line, without a stack trace, and with the right exit code.

import { mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Leasehold } from '@leasehold/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { startProgram, traceLines } from '../support/processes.js';
import { runUdhcpc } from '../support/udhcpc.js';

let cluster: Cluster;
let leasehold: Leasehold;
let host: TestHost;

beforeAll(async () => {
  cluster = await Cluster.start();
  leasehold = cluster.client();
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24' });
  host = await cluster.host('h1', ['red']);
  await servingHosts(leasehold, 'red', 1);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

describe('a server does not start', () => {
  test.each([
    ['on a file', () => fileAt('store-file'), 'store-file'],
    ['below a file', () => join(fileAt('store-parent'), 'data'), 'store-parent'],
    ['where nothing can be made', () => '/proc/leasehold', '/proc/leasehold'],
    ['on a directory of something else', () => directoryWith('foreign', 'holiday.jpg'), 'it holds holiday.jpg'],
    ['on a damaged store', () => directoryWith('damaged', 'data.mdb'), 'damaged'],
    ['on a store that another server uses', () => join(cluster.directory, 'data'), 'Another server uses'],
  ])('%s', async (_, path, told) => {
    const where = path();
    const line = await onlyLine('leasehold-server', serverArgs('--store', `embedded:${where}`), 1);
    expect(line).toContain(`leasehold-server: --store embedded:${where} cannot be used: `);
    expect(line).toContain(told);
  });

  test.each(['--listen', '--agent-listen', '--metrics-listen'])('when the port of %s is taken', async (flag) => {
    await using taken = await listening();
    const line = await onlyLine('leasehold-server', serverArgs(flag, `127.0.0.1:${taken.port}`), 1);
    expect(line).toMatch(new RegExp(`^leasehold-server: .*127\\.0\\.0\\.1:${taken.port}.*(in use|taken|EADDRINUSE)`));
  });

  test('on a store that was cut in half', async () => {
    const path = join(cluster.directory, 'half');
    const args = serverArgs('--store', `embedded:${path}`);
    await using server = startProgram('leasehold-server', args);
    await server.waitForLine('is ready');
    expect(await server.stop()).toBe(0);
    truncateSync(join(path, 'data.mdb'), statSync(join(path, 'data.mdb')).size >> 1);
    const line = await onlyLine('leasehold-server', args, 1);
    expect(line).toContain(`--store embedded:${path} cannot be used: ${path}/data.mdb is damaged or cut short`);
  });

  test('on an address this machine does not have', async () => {
    const line = await onlyLine('leasehold-server', serverArgs('--listen', '192.0.2.1:7067', '--insecure-network'), 1);
    expect(line).toContain('192.0.2.1:7067');
  });

  test('on a socket that another server listens on, which goes on', async () => {
    const line = await onlyLine('leasehold-server', serverArgs('--listen', cluster.apiEndpoint), 1);
    expect(line).toContain(cluster.apiEndpoint);
    expect(await leasehold.networks.get('red')).toMatchObject({ networkId: 'red' });
  });
});

test('an agent does not start on a state directory that is a file, or that cannot be made', async () => {
  for (const path of [fileAt('state-file'), '/proc/leasehold-agent']) {
    const line = await onlyLine('leasehold-agent', agentArgs('--state-dir', path), 1);
    expect(line).toContain(`leasehold-agent: --state-dir ${path} cannot be used: `);
  }
});

describe('a wrong command line is refused with exit code 2 and what to do', () => {
  test.each([
    ['an unknown flag of the server', 'leasehold-server', ['--insecure', '--stoer', 'x'], /--stoer.*--store/],
    ['an unknown flag of the agent', 'leasehold-agent', ['--insecure', '--host-idd', 'h1'], /--host-idd.*--host-id/],
    ['a server without --insecure', 'leasehold-server', [], /--insecure/],
    ['a server on the network with --insecure only', 'leasehold-server', open(), /--insecure-network/],
    ['an agent without --insecure', 'leasehold-agent', ['--server', 'unix:/x', '--host-id', 'h1'], /--insecure/],
    ['an agent without its host', 'leasehold-agent', ['--insecure', '--server', 'unix:/x'], /--host-id/],
    ['an agent without a server', 'leasehold-agent', ['--insecure', '--host-id', 'h1'], /--server/],
    ['a network without an interface', 'leasehold-agent', agentArgs('--network', 'red'), /--network.*red/],
    ['an authority of a second', 'leasehold-server', ['--insecure', '--authority', '1s'], /--authority.*1m/],
    ['a store of no known kind', 'leasehold-server', ['--insecure', '--store', 'sqlite:x'], /--store.*embedded:PATH/],
    ['an unknown log level', 'leasehold-agent', agentArgs('--log-level', 'loud'), /--log-level.*warn/],
  ] as const)('%s', async (_, program, args, told) => {
    const line = await onlyLine(program, args, 2);
    expect(line).toMatch(told);
    expect(line).toMatch(new RegExp(`^${program}: .*--help`));
  });
});

describe('an agent goes on', () => {
  test('when its own record was cut in half: it is set aside in one line, fetched again, and guests are served', async () => {
    const mac = '52:54:00:00:0b:02';
    const { reservation } = await leasehold.reservations.reserve({ networkId: 'red', mac, waitReady: {} });
    await host.killAgent();
    const path = join(host.stateDirectory, 'agent.json');
    truncateSync(path, statSync(path).size >> 1);
    await host.startAgent();
    const { fields } = await host.agent.waitForLine('State file agent.json is set aside');
    expect(fields).toMatchObject({ level: 'error', file: 'agent.json' });
    await servingHosts(leasehold, 'red', 1);
    expect((await runUdhcpc(await cluster.guest('red', 'healed', mac)))?.ip).toBe(reservation.address);
    expect(readdirSync(host.stateDirectory)).toEqual(expect.arrayContaining(['agent.json', 'agent.json.corrupt']));
    expect(host.agent.lines.filter(({ text }) => text.includes('is set aside'))).toHaveLength(1);
    expect(traceLines(host.agent.lines)).toEqual([]);
  });

  test('without a server or its networks file, says each once, and serves when they appear', async () => {
    const networksFile = join(cluster.directory, 'late-networks');
    const args = ['--insecure', '--server', `unix:${join(cluster.directory, 'late.sock')}`, '--host-id', 'h9'];
    const state = ['--state-dir', join(cluster.directory, 'h9'), '--networks-file', networksFile];
    await using agent = startProgram('leasehold-agent', [...args, ...state], { namespace: host.namespace });
    await agent.waitForLine('is ready');
    const missing = await agent.waitForLine('Networks file is not used');
    expect(missing.fields).toMatchObject({ level: 'warn', file: networksFile, problem: 'ENOENT' });
    const { fields } = await agent.waitForLine('No session with the control plane');
    expect(fields).toMatchObject({ level: 'warn', reason: expect.stringContaining('late.sock') as string });

    await using server = startProgram('leasehold-server', [
      ...['--insecure', '--listen', `unix:${join(cluster.directory, 'late-api.sock')}`],
      ...['--agent-listen', `unix:${join(cluster.directory, 'late.sock')}`],
      ...['--store', `embedded:${join(cluster.directory, 'late-data')}`],
    ]);
    await server.waitForLine('is ready');
    await agent.waitForLine('Connected to the control plane');
    expect(agent.lines.filter(({ text }) => text.includes('No session with the control plane'))).toHaveLength(1);
    writeFileSync(networksFile, 'late=lo\n');
    await agent.waitForLine('Network has its interface');
    expect(agent.lines.filter(({ text }) => text.includes('Networks file is not used'))).toHaveLength(1);
    expect(traceLines(agent.lines)).toEqual([]);
  });
});

/** Runs a program that must end with one line on stderr and this exit code; the line. */
async function onlyLine(program: Parameters<typeof startProgram>[0], args: readonly string[], code: number) {
  await using process = startProgram(program, args, { cwd: cluster.directory });
  const ended = await process.exited;
  expect(process.lines).toHaveLength(1);
  const [line] = process.lines;
  expect(line).toMatchObject({ stream: 'stderr' });
  expect(traceLines(process.lines)).toEqual([]);
  expect(ended).toBe(code);
  return line?.text ?? '';
}

let stores = 0;

/** Arguments of a server of its own; later ones win. */
function serverArgs(...args: readonly string[]): readonly string[] {
  const at = (name: string) => join(cluster.directory, `${name}-${++stores}`);
  const given = (flag: string, value: string) => (args.includes(flag) ? [] : [flag, value]);
  return [
    '--insecure',
    ...given('--listen', `unix:${at('api')}.sock`),
    ...given('--agent-listen', `unix:${at('agents')}.sock`),
    ...given('--store', `embedded:${at('store')}`),
    ...given('--metrics-listen', 'off'),
    ...args,
  ];
}

function open(): readonly string[] {
  return ['--insecure', '--listen', '0.0.0.0:7067'];
}

function agentArgs(...args: readonly string[]): readonly string[] {
  return ['--insecure', '--server', 'unix:/nowhere.sock', '--host-id', 'h8', ...args];
}

function fileAt(name: string): string {
  const path = join(cluster.directory, name);
  writeFileSync(path, 'not a directory');
  return path;
}

function directoryWith(name: string, file: string): string {
  const path = join(cluster.directory, name);
  mkdirSync(path);
  writeFileSync(join(path, file), 'x'.repeat(8192));
  return path;
}

/** A port that somebody listens on. */
async function listening(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: address.port, [Symbol.asyncDispose]: close };
}
