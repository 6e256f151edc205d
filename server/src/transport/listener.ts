// Listeners: a grpc-js server with its limits, its health and reflection, on one or more endpoints. Engines and agents
// have their own, because limits are options of a whole server.

import { Server, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Endpoint } from '@leasehold/program/option-values';
import { HealthService } from '@leasehold/proto/grpc/health/v1/health';
import { ServerReflectionService as ReflectionV1 } from '@leasehold/proto/grpc/reflection/v1/reflection';
import { ServerReflectionService as ReflectionV1Alpha } from '@leasehold/proto/grpc/reflection/v1alpha/reflection';
import { type Accepting, type Doors, PacedDoors, PlainDoors, PlainEntrance, removeStaleSocket } from './doors.js';
import { Health } from './health.js';
import { type Descriptors, reflectionHandlers } from './reflection.js';
import { TlsEntrance, type TlsEntranceOptions } from './tls-entrance.js';

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

/** Where a listener speaks TLS, and how. */
export interface Securing extends TlsEntranceOptions {
  readonly isSecure: (endpoint: Endpoint) => boolean;
  readonly accepting: Accepting;
}

/** A listener that is up. */
export interface Listener {
  /** Where it listens, with the ports that were chosen for `:0`. */
  readonly endpoints: readonly Endpoint[];
  /** TLS handshakes that are under way. */
  readonly handshakes: number;
  /** Takes no new calls, lets those under way end within `graceMs`, then ends the rest. */
  drain(graceMs: number): Promise<void>;
}

/** Listens on all endpoints, or on none; `accepting`: absent, whoever comes without TLS is let in; `securing`: absent, there is no TLS. */
export async function listen(
  endpoints: readonly Endpoint[],
  service: Service,
  limits: Limits,
  descriptors: Descriptors,
  accepting?: Accepting,
  securing?: Securing,
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
  const plain = accepting ? new PacedDoors(new PlainEntrance(server), accepting) : new PlainDoors(server);
  const tls = securing && new TlsEntrance(server, securing);
  const secure = securing && tls && new PacedDoors(tls, securing.accepting);
  const doors: readonly Doors[] = secure ? [plain, secure] : [plain];
  const drain = (graceMs: number) => {
    for (const each of doors) each.drain(graceMs);
  };
  try {
    const bound: Endpoint[] = [];
    for (const endpoint of endpoints) {
      if (endpoint.kind === 'unix') await removeStaleSocket(endpoint.path);
      bound.push(await (secure && securing.isSecure(endpoint) ? secure : plain).open(endpoint));
    }
    return {
      endpoints: bound,
      get handshakes() {
        return tls?.underWay ?? 0;
      },
      async drain(graceMs) {
        health.stop();
        // In this order: a drain after tryShutdown does nothing.
        drain(graceMs);
        await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      },
    };
  } catch (error) {
    drain(0);
    server.forceShutdown();
    throw error;
  }
}
