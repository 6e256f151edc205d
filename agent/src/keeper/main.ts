// The keeper of an agent's dnsmasq processes (docs/adr/0017). Started by the agent with the directory to listen in; it outlives the agent.

import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '@leasehold/program/system-clock';
import { type Child, type ChildEvents, Keeper } from '../backends/dnsmasq/keeper.js';
import { type KeeperCommand, lineReader } from '../backends/dnsmasq/keeper-protocol.js';
import { KEEPER_FILES } from '../backends/dnsmasq/system-keeper.js';
import { identityOf } from '../backends/dnsmasq/system-process.js';
import { boottimeNow } from '../system/boottime.js';

// An agent that was killed between start and greeting.
const GREETING_MS = 10_000;

const LOOK_MS = 1_000;

// An agent that is frozen reads nothing.
const MAX_UNREAD_BYTES = 1024 * 1024;

const CAPABILITIES = '-all,+net_admin,+net_raw,+net_bind_service';

// dnsmasq is in sbin, which the path of an ordinary user lacks.
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` };

// One after the other, and never waited for: a disk that hangs must not keep us from the deadlines.
let written: Promise<unknown> = Promise.resolve();

function onDisk(work: () => Promise<void>): Promise<void> {
  const done = written.then(work);
  written = done.catch(() => undefined);
  return done;
}

function startDnsmasq(
  pidFile: string,
  args: readonly string[],
  { onLine, onExit }: ChildEvents,
): Child | { readonly problem: string } {
  // As root it would keep all capabilities: it changes no user (see render.ts).
  const bounds = process.getuid?.() === 0 ? [`--bounding-set=${CAPABILITIES}`] : [];
  const command = ['--pdeathsig', 'KILL', '--no-new-privs', ...bounds, 'dnsmasq', ...args];
  const child = spawn('setpriv', command, { stdio: ['ignore', 'ignore', 'pipe'], env });
  let last = '';
  const read = lineReader((line) => {
    last = line;
    onLine(line);
  });
  child.stderr.setEncoding('utf8').on('data', read);
  child.on('error', () => undefined);
  if (child.pid === undefined)
    return { problem: 'Program setpriv of util-linux cannot be started: install util-linux' };
  const identity = identityOf(child.pid) ?? '';
  let problem: string | undefined;
  // Should the kernel not end it with us, the next agent does.
  onDisk(() => writeFile(pidFile, identity)).catch((error: unknown) => {
    problem = error instanceof Error ? error.message : String(error);
    child.kill('SIGKILL');
  });
  child.on('close', (code, signal) => {
    onDisk(() => rm(pidFile, { force: true })).catch(() => undefined);
    onExit(problem ?? (signal ? `ended by ${signal}` : last || `exit code ${code}`));
  });
  return { pid: child.pid, kill: () => void child.kill('SIGKILL'), reread: () => void child.kill('SIGHUP') };
}

function main(directory: string): void {
  const clock = systemClock(boottimeNow);
  const socketPath = join(directory, KEEPER_FILES.socket);
  const end = () => {
    rmSync(socketPath, { force: true });
    rmSync(join(directory, KEEPER_FILES.pid), { force: true });
    // The file of the last dnsmasq is still to go. Whoever connected meanwhile finds us gone, and starts another.
    void written.then(() => process.exit(0));
  };
  const keeper = new Keeper({
    clock,
    pid: process.pid,
    start: (key, args, events) => startDnsmasq(join(directory, key + KEEPER_FILES.serverPid), args, events),
    onIdle: end,
  });
  const patience = clock.after(GREETING_MS, end);
  // The signals of a terminal are meant for the agent.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.umask(0o077);
  rmSync(socketPath, { force: true });
  const pidFile = join(directory, KEEPER_FILES.pid);
  const identity = identityOf(process.pid) ?? '';
  writeFileSync(pidFile, identity);
  // Without it no agent finds us: the directory was removed, or another keeper has it.
  const look = async () => {
    if ((await readFile(pidFile, 'latin1').catch(() => undefined)) !== identity) process.exit(1);
    clock.after(LOOK_MS, () => void look());
  };
  void look();
  createServer((socket) => {
    patience.cancel();
    const connection = keeper.connect((message) => {
      if ('line' in message && socket.writableLength > MAX_UNREAD_BYTES) return;
      socket.write(`${JSON.stringify(message)}\n`);
    });
    const read = lineReader((line) => connection.receive(JSON.parse(line) as KeeperCommand));
    socket.setEncoding('utf8').on('data', read);
    socket.on('error', () => undefined);
    socket.on('close', () => connection.closed());
  })
    .on('error', end)
    .listen(socketPath);
}

main(process.argv[2] ?? '.');
