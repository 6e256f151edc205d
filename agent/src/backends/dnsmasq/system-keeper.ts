// The keeper on this host: found by its socket, or started.

import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Clock, delay } from '@leasehold/program/clock';
import type { Parsed } from '@leasehold/proto/values';
import type { KeeperChannel, KeeperLink, KeeperLinkEvents } from './keeper-client.js';
import { type KeeperMessage, lineReader } from './keeper-protocol.js';
import { FILES } from './render.js';
import { killIdentified } from './system-process.js';

/** Files in the directory of a keeper; of a dnsmasq, its key with the ending. */
export const KEEPER_FILES = { socket: 'keeper.sock', pid: 'keeper.pid', serverPid: '.pid' } as const;

const ASK_EVERY_MS = 20;
const START_PATIENCE_MS = 10_000;

// sun_path (unix(7)).
const MAX_SOCKET_PATH = 107;

/** The keeper that listens in a directory, an absolute path. */
export class SystemKeeper implements KeeperLink {
  readonly #program: string;
  readonly #directory: string;
  readonly #clock: Clock;

  /** `program`: the built keeper/main.js. */
  constructor(program: string, directory: string, clock: Clock) {
    this.#program = program;
    this.#directory = directory;
    this.#clock = clock;
  }

  async connect(events: KeeperLinkEvents, mayStart: boolean): Promise<Parsed<KeeperChannel | undefined>> {
    const path = this.#path(KEEPER_FILES.socket);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
      return { ok: false, problem: `Path ${path} is too long for a socket: choose another --state-dir` };
    }
    const there = await dial(path);
    if (there) return { ok: true, value: wrap(there, events) };
    if (!mayStart) return { ok: true, value: undefined };
    const started = this.#start();
    if (!started.ok) return started;
    const deadline = this.#clock.now() + START_PATIENCE_MS;
    while (this.#clock.now() < deadline) {
      await delay(this.#clock, ASK_EVERY_MS);
      const socket = await dial(path);
      if (socket) return { ok: true, value: wrap(socket, events) };
    }
    return { ok: false, problem: 'The keeper of dnsmasq does not start' };
  }

  kill(): void {
    // Also one of another version, from another place.
    this.#killBy(this.#path(KEEPER_FILES.pid), [this.#directory]);
    let names: readonly string[] = [];
    try {
      names = readdirSync(this.#directory).filter((name) => name.endsWith(KEEPER_FILES.serverPid));
    } catch {
      // There is no directory yet.
    }
    for (const name of names) {
      const key = name.slice(0, -KEEPER_FILES.serverPid.length);
      this.#killBy(this.#path(name), [`--dhcp-hostsfile=${this.#path(key)}/${FILES.hosts}`]);
    }
  }

  #start(): Parsed<void> {
    // It does not listen, so it keeps nothing; what a former one left would be in the way.
    this.kill();
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o750 });
      const child = spawn(process.execPath, [this.#program, this.#directory], {
        detached: true,
        stdio: 'ignore',
        cwd: '/',
      });
      // What is wrong shows in that it does not listen.
      child.on('error', () => undefined);
      child.unref();
    } catch (error) {
      return { ok: false, problem: `The keeper of dnsmasq cannot be started: ${messageOf(error)}` };
    }
    return { ok: true, value: undefined };
  }

  #killBy(file: string, words: readonly string[]): void {
    try {
      killIdentified(readFileSync(file, 'latin1'), words);
    } catch {
      // There is none.
    }
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

function wrap(socket: Socket, events: KeeperLinkEvents): KeeperChannel {
  let closed = false;
  const read = lineReader((line) => {
    if (!closed) events.onMessage(JSON.parse(line) as KeeperMessage);
  });
  socket.setEncoding('utf8').on('data', read);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (!closed) events.onClose();
  });
  return {
    send: (command) => void socket.write(`${JSON.stringify(command)}\n`),
    close: () => {
      closed = true;
      socket.destroy();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
