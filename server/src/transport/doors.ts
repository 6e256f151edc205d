// Where connections come in: how a listener takes them from the kernel, and by whom they are spoken with.
//
//   L1. Where connections are let in by a rate, this process takes them from the kernel itself, and whoever speaks with them
//       gets them one by one, unread.

import { lookup } from 'node:dns/promises';
import { rm } from 'node:fs/promises';
import { connect, createServer, isIP, type Server as NetServer, type Socket } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { type Endpoint, formatEndpoint } from '@leasehold/program/option-values';
import type { Metrics } from '../ports/metrics.js';
import { type AcceptLimits, AcceptQueue } from './accept-queue.js';

/** Where connections come in. */
export interface Doors {
  /** Listens; answers with the port that was chosen for 0. */
  open(endpoint: Endpoint): Promise<Endpoint>;
  /** Listens no more, and ends within `graceMs` what is there. */
  drain(graceMs: number): void;
}

/** An endpoint cannot be listened on; the message says which and why. */
export class ListenError extends Error {}

/** The library listens itself. */
export class PlainDoors implements Doors {
  readonly #server: Server;
  readonly #bound: Endpoint[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  async open(endpoint: Endpoint): Promise<Endpoint> {
    const bound = await bind(this.#server, endpoint);
    this.#bound.push(bound);
    return bound;
  }

  drain(graceMs: number): void {
    for (const endpoint of this.#bound) this.#server.drain(target(endpoint), graceMs);
  }
}

/** How connections are let in. */
export interface Accepting {
  readonly limits: AcceptLimits;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Whose they are, for counting. */
  readonly of: 'agent' | 'engine';
}

/** Speaks with connections that were let in. */
export interface Entrance {
  /** Takes over a connection of which nothing was read. */
  enter(socket: Socket): void;
  drain(graceMs: number): void;
}

// The kernel keeps those that this process did not take yet; its own limit holds where that is lower.
const BACKLOG = 4_096;

/** See L1. */
export class PacedDoors implements Doors {
  readonly #entrance: Entrance;
  readonly #queue: AcceptQueue<Socket>;
  readonly #open: NetServer[] = [];

  constructor(entrance: Entrance, { limits, clock, metrics, of }: Accepting) {
    this.#entrance = entrance;
    this.#queue = new AcceptQueue(limits, clock, {
      take(socket, waitedMs) {
        metrics.observe(`${of}AcceptSeconds`, waitedMs / 1_000);
        entrance.enter(socket);
      },
      refuse(socket) {
        metrics.count(`${of}ConnectionsRefused`);
        socket.destroy();
      },
    });
  }

  async open(endpoint: Endpoint): Promise<Endpoint> {
    if (endpoint.kind === 'unix') {
      await this.#listen(endpoint, { path: endpoint.path });
      return endpoint;
    }
    // A name is localhost, which may have two addresses.
    const addresses = isIP(endpoint.host) ? [endpoint.host] : await addressesOf(endpoint.host);
    let { port } = endpoint;
    for (const host of addresses) port = await this.#listen(endpoint, { host, port });
    return { ...endpoint, port };
  }

  #listen(endpoint: Endpoint, where: { path: string } | { host: string; port: number }): Promise<number> {
    // Not read before it is let in: what its client says first is for the entrance.
    const listening = createServer({ pauseOnConnect: true }, (socket) => {
      // Without a listener an error of one that waits would end the process.
      socket.on('error', () => undefined);
      socket.on('close', () => this.#queue.left(socket));
      this.#queue.arrived(socket);
    });
    return new Promise((resolve, reject) => {
      listening.on('error', (error) => reject(cannotListen(endpoint, error.message)));
      listening.listen({ ...where, backlog: BACKLOG }, () => {
        this.#open.push(listening);
        const bound = listening.address();
        resolve(typeof bound === 'object' && bound ? bound.port : 0);
      });
    });
  }

  drain(graceMs: number): void {
    for (const listening of this.#open) listening.close();
    this.#queue.close();
    this.#entrance.drain(graceMs);
  }
}

/** The library speaks with whoever comes. */
export class PlainEntrance implements Entrance {
  readonly #injector: ReturnType<Server['createConnectionInjector']>;

  constructor(server: Server) {
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  enter(socket: Socket): void {
    // From now on it is read; nothing was yet, and what comes is the library's, which takes it in this turn.
    socket.read(0);
    this.#injector.injectConnection(socket);
  }

  drain(graceMs: number): void {
    this.#injector.drain(graceMs);
  }
}

async function addressesOf(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

async function bind(server: Server, endpoint: Endpoint): Promise<Endpoint> {
  const address = target(endpoint);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(cannotListen(endpoint, error.message));
      else resolve(endpoint.kind === 'tcp' ? { ...endpoint, port } : endpoint);
    });
  });
}

function cannotListen(endpoint: Endpoint, message: string): ListenError {
  return new ListenError(`cannot listen on ${formatEndpoint(endpoint)}: ${whyNotListening(message)}`);
}

function target(endpoint: Endpoint): string {
  return endpoint.kind === 'unix' ? `unix:${endpoint.path}` : formatEndpoint(endpoint);
}

/**
 * Removes a socket file that nobody listens on: a killed server leaves it behind, and a new one could not listen.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(true));
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
    probe.once('close', () => probe.destroy());
    probe.once('connect', () => probe.end());
  });
  if (!answers) await rm(path, { force: true });
}

/** Why an endpoint cannot be listened on, of what the system said. */
export function whyNotListening(message: string): string {
  if (message.includes('EADDRINUSE')) return 'it is in use by another program';
  if (message.includes('EACCES')) return 'permission denied';
  if (message.includes('EADDRNOTAVAIL')) return 'it is not an address of this machine';
  return message;
}
