// Where connections come in: how a listener takes them from the kernel, and by whom they are spoken with.
//
//   L1. This process takes connections from the kernel itself, and whoever speaks with them gets them one by one, unread.
//   L2. All doors of a listener together have so many places; whoever comes when they are taken is closed, and counted.

import { lookup } from 'node:dns/promises';
import { rm } from 'node:fs/promises';
import { connect, createServer, isIP, type Server as NetServer, type Socket } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { type Endpoint, formatEndpoint } from '@leasehold/program/option-values';
import type { Metrics } from '../ports/metrics.js';
import { type AcceptLimits, AcceptQueue } from './accept-queue.js';

/** An endpoint cannot be listened on; the message says which and why. */
export class ListenError extends Error {}

/** How many connections a listener may have. */
export class Places {
  readonly #max: number;
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Whether there was one. */
  take(): boolean {
    if (this.#taken >= this.#max) return false;
    this.#taken++;
    return true;
  }

  /** Gives one back. */
  leave(): void {
    this.#taken--;
  }
}

/** How connections are let in. */
export interface Accepting {
  /** By which rate; absent: whoever comes at once. */
  readonly limits?: AcceptLimits;
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

/** Where connections come in: see the top of the file. */
export class Doors {
  readonly #entrance: Entrance;
  readonly #places: Places;
  readonly #accepting: Accepting | undefined;
  readonly #queue: AcceptQueue<Socket> | undefined;
  readonly #open: NetServer[] = [];
  /** All that are there. */
  readonly #sockets = new Set<Socket>();

  /** `accepting`: absent, whoever comes is let in at once, and nobody counts. */
  constructor(entrance: Entrance, places: Places, accepting?: Accepting) {
    this.#entrance = entrance;
    this.#places = places;
    this.#accepting = accepting;
    this.#queue = accepting && this.#queueOf(accepting);
  }

  #queueOf({ limits, clock, metrics, of }: Accepting): AcceptQueue<Socket> | undefined {
    if (!limits) return undefined;
    return new AcceptQueue(limits, clock, {
      take: (socket, waitedMs) => {
        metrics.observe(`${of}AcceptSeconds`, waitedMs / 1_000);
        this.#entrance.enter(socket);
      },
      refuse: (socket) => this.#refuse(socket),
    });
  }

  /** Listens; answers with the port that was chosen for 0. */
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
      this.#arrived(socket);
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

  #arrived(socket: Socket): void {
    // Without a listener an error of one that waits would end the process.
    socket.on('error', () => undefined);
    if (!this.#places.take()) {
      this.#refuse(socket);
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#places.leave();
      this.#queue?.left(socket);
    });
    if (this.#queue) this.#queue.arrived(socket);
    else this.#entrance.enter(socket);
  }

  #refuse(socket: Socket): void {
    if (this.#accepting) this.#accepting.metrics.count(`${this.#accepting.of}ConnectionsRefused`);
    socket.destroy();
  }

  /** Listens no more, ends within `graceMs` what is there, and resolves when nothing is. */
  async drain(graceMs: number): Promise<void> {
    for (const listening of this.#open) listening.close();
    this.#queue?.close();
    this.#entrance.drain(graceMs);
    await Promise.all(Array.from(this.#sockets, (socket) => gone(socket, graceMs)));
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

/** Whoever speaks with it ends it; a client that does not hang up then, or is in the middle of its handshake, is not waited for. */
function gone(socket: Socket, withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    // 0 would be never.
    socket.setTimeout(Math.max(1, withinMs), () => socket.destroy());
  });
}

async function addressesOf(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

function cannotListen(endpoint: Endpoint, message: string): ListenError {
  return new ListenError(`cannot listen on ${formatEndpoint(endpoint)}: ${whyNotListening(message)}`);
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
