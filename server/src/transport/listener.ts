// Listeners: a grpc-js server with its limits, its health and reflection, on one or more endpoints. Engines and agents
// have their own, because limits are options of a whole server.

import type { ServerOptions } from 'node:http2';
import { Server, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Endpoint } from '@leasehold/program/option-values';
import { HealthService } from '@leasehold/proto/grpc/health/v1/health';
import { ServerReflectionService as ReflectionV1 } from '@leasehold/proto/grpc/reflection/v1/reflection';
import { ServerReflectionService as ReflectionV1Alpha } from '@leasehold/proto/grpc/reflection/v1alpha/reflection';
import { CallRates } from '../domain/call-rate.js';
import { DEFAULT_LIMITS, type Limits } from '../domain/limits.js';
import { type Accepting, Doors, Places, PlainEntrance, removeStaleSocket } from './doors.js';
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
export interface ListenerLimits {
  readonly maxReceiveBytes: number;
  readonly maxStreamsPerConnection: number;
  readonly maxMetadataBytes: number;
  readonly maxConnections: number;
  /** Of each caller that is known by a certificate. */
  readonly maxCallsPerSecond: number;
}

// One is the session, which is one at a time; the others are health and reflection.
const AGENT_STREAMS = 4;

/** Engines and operators. */
export function engineLimits(limits: Limits): ListenerLimits {
  const { maxRequestSize, maxStreams, maxMetadataSize, maxConnections, maxCallsPerSecond } = limits;
  return {
    ...{ maxReceiveBytes: maxRequestSize, maxStreamsPerConnection: maxStreams, maxMetadataBytes: maxMetadataSize },
    ...{ maxConnections, maxCallsPerSecond },
  };
}

/** Agents. */
export function agentLimits(limits: Limits): ListenerLimits {
  const { maxAgentMessageSize } = limits;
  return {
    ...engineLimits(limits),
    ...{ maxReceiveBytes: maxAgentMessageSize, maxStreamsPerConnection: AGENT_STREAMS },
  };
}

/** Engines, by default. */
export const ENGINE_LIMITS = engineLimits(DEFAULT_LIMITS);
/** Agents, by default. */
export const AGENT_LIMITS = agentLimits(DEFAULT_LIMITS);

const KEEPALIVE_MS = 30_000;
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

/** How a listener lets in who comes. */
export interface Admission {
  /** Absent: whoever comes without TLS is let in at once. */
  readonly accepting?: Accepting | undefined;
  /** Absent: there is no TLS. */
  readonly securing?: Securing | undefined;
}

/** Listens on all endpoints, or on none. */
export async function listen(
  endpoints: readonly Endpoint[],
  service: Service,
  limits: ListenerLimits,
  descriptors: Descriptors,
  { accepting, securing }: Admission = {},
): Promise<Listener> {
  const health = new Health([service.name]);
  const server = new Server({
    'grpc.max_receive_message_length': limits.maxReceiveBytes,
    'grpc.max_concurrent_streams': limits.maxStreamsPerConnection,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc-node.max_session_memory': MAX_SESSION_MEMORY_MB,
  });
  limitMetadata(server, limits.maxMetadataBytes);
  server.addService(service.definition, service.handlers);
  server.addService(HealthService, health.handlers());
  const names = [service.name, 'grpc.health.v1.Health'];
  const reflection = reflectionHandlers(descriptors, [...names, 'grpc.reflection.v1.ServerReflection']);
  server.addService(ReflectionV1, reflection);
  server.addService(ReflectionV1Alpha, reflection);
  const places = new Places(limits.maxConnections);
  const plain = new Doors(new PlainEntrance(server), places, accepting);
  const tls = securing && new TlsEntrance(server, securing, new CallRates(limits.maxCallsPerSecond));
  const secure = securing && tls && new Doors(tls, places, securing.accepting);
  const doors: readonly Doors[] = secure ? [plain, secure] : [plain];
  const drain = (graceMs: number) => Promise.all(doors.map((each) => each.drain(graceMs)));
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
        // In this order: a drain after tryShutdown does nothing. That does not wait for connections that were handed to it.
        const drained = drain(graceMs);
        await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
        await drained;
      },
    };
  } catch (error) {
    void drain(0);
    server.forceShutdown();
    throw error;
  }
}

/**
 * The library has no option for it ('grpc.max_metadata_size' is for its C sister): without this Node's own 64 KiB hold. What is
 * larger is refused below the library, once the client knows of the limit: of a connection's first call it may not.
 */
function limitMetadata(server: Server, maxHeaderListSize: number): void {
  const { commonServerOptions } = server as unknown as { readonly commonServerOptions?: ServerOptions };
  if (!commonServerOptions) throw new Error('grpc-js keeps its options for HTTP/2 elsewhere');
  commonServerOptions.settings = { ...commonServerOptions.settings, maxHeaderListSize };
}
