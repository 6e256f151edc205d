// Listeners: a grpc-js server with its limits, its health and reflection, on one or more endpoints. Engines and agents
// have their own, because limits are options of a whole server.
//
//   L1. Where connections are let in by a rate, this process takes them from the kernel itself, and the library gets them
//       one by one, unread: TLS or not is the library's business, also then.

import { lookup } from 'node:dns/promises';
import { rm } from 'node:fs/promises';
import { connect, createServer, isIP, type Server as NetServer, type Socket } from 'node:net';
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { type Endpoint, formatEndpoint } from '@leasehold/program/option-values';
import { HealthService } from '@leasehold/proto/grpc/health/v1/health';
import { ServerReflectionService as ReflectionV1 } from '@leasehold/proto/grpc/reflection/v1/reflection';
import { ServerReflectionService as ReflectionV1Alpha } from '@leasehold/proto/grpc/reflection/v1alpha/reflection';
import type { Metrics } from '../ports/metrics.js';
import { type AcceptLimits, AcceptQueue } from './accept-queue.js';
import { Health } from './health.js';
import { type Descriptors, reflectionHandlers } from './reflection.js';

/** A service with its name on the wire. */
export interface Service {
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
}

/** What a listener allows its clients. */
export interface Limits {
  readonly maxReceiveBytes: number;
  readonly maxStreamsPerConnection: number;
}

/** Engines and operators. */
export const ENGINE_LIMITS: Limits = { maxReceiveBytes: 1024 * 1024, maxStreamsPerConnection: 100 };
/** Agents: one stream each, hellos in parts. */
export const AGENT_LIMITS: Limits = { maxReceiveBytes: 256 * 1024, maxStreamsPerConnection: 4 };

const KEEPALIVE_MS = 30_000;
const MAX_METADATA_BYTES = 8 * 1024;
const MAX_SESSION_MEMORY_MB = 64;

/** How connections are let in. */
export interface Accepting {
  readonly limits: AcceptLimits;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** A listener that is up. */
export interface Listener {
  /** Where it listens, with the ports that were chosen for `:0`. */
  readonly endpoints: readonly Endpoint[];
  /** Takes no new calls, lets those under way end within `graceMs`, then ends the rest. */
  drain(graceMs: number): Promise<void>;
}

/** An endpoint cannot be listened on; the message says which and why. */
export class ListenError extends Error {}

/** Listens on all endpoints, or on none; `accepting`: absent, whoever comes is let in. */
export async function listen(
  endpoints: readonly Endpoint[],
  service: Service,
  limits: Limits,
  descriptors: Descriptors,
  accepting?: Accepting,
): Promise<Listener> {
  const health = new Health([service.name]);
  const server = new Server({
    'grpc.max_receive_message_length': limits.maxReceiveBytes,
    'grpc.max_concurrent_streams': limits.maxStreamsPerConnection,
    'grpc.max_metadata_size': MAX_METADATA_BYTES,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc-node.max_session_memory': MAX_SESSION_MEMORY_MB,
  });
  server.addService(service.definition, service.handlers);
  server.addService(HealthService, health.handlers());
  const names = [service.name, 'grpc.health.v1.Health'];
  const reflection = reflectionHandlers(descriptors, [...names, 'grpc.reflection.v1.ServerReflection']);
  server.addService(ReflectionV1, reflection);
  server.addService(ReflectionV1Alpha, reflection);
  const doors = accepting ? new PacedDoors(server, accepting) : new PlainDoors(server);
  try {
    const bound: Endpoint[] = [];
    for (const endpoint of endpoints) {
      if (endpoint.kind === 'unix') await removeStaleSocket(endpoint.path);
      bound.push(await doors.open(endpoint));
    }
    return {
      endpoints: bound,
      async drain(graceMs) {
        health.stop();
        // In this order: a drain after tryShutdown does nothing.
        doors.drain(graceMs);
        await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      },
    };
  } catch (error) {
    doors.drain(0);
    server.forceShutdown();
    throw error;
  }
}

/** Where connections come in. */
interface Doors {
  /** Listens; answers with the port that was chosen for 0. */
  open(endpoint: Endpoint): Promise<Endpoint>;
  /** Listens no more, and ends within `graceMs` what is there. */
  drain(graceMs: number): void;
}

/** The library listens itself. */
class PlainDoors implements Doors {
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

// The kernel keeps those that this process did not take yet; its own limit holds where that is lower.
const BACKLOG = 4_096;

type ConnectionInjector = ReturnType<Server['createConnectionInjector']>;

/** See L1. */
class PacedDoors implements Doors {
  readonly #injector: ConnectionInjector;
  readonly #queue: AcceptQueue<Socket>;
  readonly #open: NetServer[] = [];

  constructor(server: Server, { limits, clock, metrics }: Accepting) {
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#injector = injector;
    this.#queue = new AcceptQueue(limits, clock, {
      take(socket, waitedMs) {
        metrics.observe('agentAcceptSeconds', waitedMs / 1_000);
        // From now on it is read; nothing was yet, and what comes is the library's, which takes it in this turn.
        socket.read(0);
        injector.injectConnection(socket);
      },
      refuse(socket) {
        metrics.count('agentConnectionsRefused');
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
    // Not read before it is let in: what its client says first is for the library.
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
