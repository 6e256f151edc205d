// Listeners: a grpc-js server with its limits, its health and reflection, on one or more endpoints. Engines and agents
// have their own, because limits are options of a whole server.

import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type Endpoint, formatEndpoint } from '@leasehold/program/option-values';
import { HealthService } from '@leasehold/proto/grpc/health/v1/health';
import { ServerReflectionService as ReflectionV1 } from '@leasehold/proto/grpc/reflection/v1/reflection';
import { ServerReflectionService as ReflectionV1Alpha } from '@leasehold/proto/grpc/reflection/v1alpha/reflection';
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

/** A listener that is up. */
export interface Listener {
  /** Where it listens, with the ports that were chosen for `:0`. */
  readonly endpoints: readonly Endpoint[];
  /** Takes no new calls, lets those under way end within `graceMs`, then ends the rest. */
  drain(graceMs: number): Promise<void>;
}

/** An endpoint cannot be listened on; the message says which and why. */
export class ListenError extends Error {}

/** Listens on all endpoints, or on none. */
export async function listen(
  endpoints: readonly Endpoint[],
  service: Service,
  limits: Limits,
  descriptors: Descriptors,
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
  try {
    const bound: Endpoint[] = [];
    for (const endpoint of endpoints) bound.push(await bind(server, endpoint));
    return { endpoints: bound, drain: (graceMs) => drain(server, health, bound, graceMs) };
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
}

async function bind(server: Server, endpoint: Endpoint): Promise<Endpoint> {
  if (endpoint.kind === 'unix') await removeStaleSocket(endpoint.path);
  const address = target(endpoint);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error)
        reject(new ListenError(`cannot listen on ${formatEndpoint(endpoint)}: ${whyNotListening(error.message)}`));
      else resolve(endpoint.kind === 'tcp' ? { ...endpoint, port } : endpoint);
    });
  });
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

async function drain(server: Server, health: Health, bound: readonly Endpoint[], graceMs: number): Promise<void> {
  health.stop();
  // In this order: a drain after tryShutdown does nothing.
  for (const endpoint of bound) server.drain(target(endpoint), graceMs);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
}
