// The servers of an installation, one of which is in use at a time, by all calls.
//
//   V1. It is left when it cannot be reached or says that it cannot now; then the next in the list is used, round and
//       round. Who fails at a server that others have left already leaves nobody.
//   V2. A server that is left gets no more calls; those under way on it end as they do. Streams end with it when it could not be
//       reached: one that fell silent would keep them for long.
//   V3. Of several, one that does not take a connection soon, or answers nobody for a while, counts as away: a machine
//       that lost its power refuses nothing.

import { type ClientOptions, connectivityState, credentials } from '@grpc/grpc-js';
import { type LeaseholdError, makeError } from './errors.js';
import { IpamServiceClient } from './gen/ipam/v1/ipam_service.js';
import type { Logger } from './logger.js';
import { cannotNow } from './retry.js';
import type { ServerAddress } from './server-address.js';
import type { Runtime } from './system.js';
import type { Tls } from './tls.js';

/** Servers and how they are spoken to. */
export interface ServersConfig {
  /** At least one, in the order to try. */
  readonly addresses: readonly ServerAddress[];
  /** Absent: plaintext. */
  readonly tls: Tls | undefined;
  /** Whether those on this machine are spoken to without TLS. */
  readonly plaintextLocal: boolean;
  readonly logger: Logger;
}

const CHANNEL_OPTIONS: ClientOptions = {
  // Our own loop decides about repetitions; a policy in a DNS record must not.
  'grpc.service_config_disable_resolution': 1,
  // The control plane is near: a proxy meant for the web would see plaintext.
  'grpc.enable_http_proxy': 0,
  // A restarted server is back within a second or two; gRPC's pauses are from one second to two minutes, and until the
  // next attempt to connect every repetition of a call fails as the one before.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  // Without these a peer that vanished without a word is noticed only when TCP gives up, after many minutes.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // A page of 1,000 resources with full labels is larger than the default of 4 MB.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

const CONNECT_MS = 2_000;
const SILENT_MS = 2_000;
const REREAD_MS = 10_000;

/** A server in use: another one each time it is taken into use. */
export interface Server {
  readonly name: string;
  readonly client: IpamServiceClient;
  /** Aborted when it was left because it cannot be reached. */
  readonly gone: AbortSignal;
  /** When it last answered anybody, on the monotonic clock. */
  heardMs: number;
}

interface Link extends Server {
  readonly secure: boolean;
  readonly end: AbortController;
}

/** See the top of the file. */
export class Servers {
  readonly #config: ServersConfig;
  readonly #runtime: Runtime;
  #index = 0;
  #link: Link | undefined;
  #readMs: number;
  #closed = false;

  constructor(config: ServersConfig, runtime: Runtime) {
    this.#config = config;
    this.#runtime = runtime;
    this.#readMs = runtime.monotonicMs();
  }

  /** How many there are besides the one in use. */
  get others(): number {
    return this.#config.addresses.length - 1;
  }

  /** The one in use. */
  current(): Server {
    if (this.#link && this.#hasNewCertificates(this.#link)) this.#drop();
    this.#link ??= this.#dial();
    return this.#link;
  }

  /** Notes that a server answered. */
  heard(server: Server): void {
    if (server.heardMs === -Infinity) {
      const tls = (server as Link).secure;
      this.#config.logger.info('Connected', { server: server.name, tls });
    }
    server.heardMs = this.#runtime.monotonicMs();
  }

  /** Leaves a server because of an error, if that is one to leave it for. */
  blame(server: Server, error: LeaseholdError, startMs: number): void {
    const away = error.reason === 'NO_CONNECTION' || this.#isSilent(server, error, startMs);
    if (this.others === 0 || server !== this.#link || (!away && !cannotNow(error))) return;
    const link = this.#link;
    this.#drop();
    this.#index = (this.#index + 1) % this.#config.addresses.length;
    const next = this.#address().target;
    this.#config.logger.warn('Uses another server', { server: next, left: server.name, reason: error.reason });
    if (away) link.end.abort();
  }

  /** Whether a server still has to be reached. */
  mustReach(server: Server): boolean {
    return stateOf(server) !== connectivityState.READY;
  }

  /**
   * Waits until a server takes a connection or refuses it; an error: it does neither soon although there are others, or
   * was left meanwhile.
   */
  async reach(server: Server, remainingMs: number, signal: AbortSignal): Promise<LeaseholdError | undefined> {
    const isAlone = this.others === 0;
    const waitMs = isAlone ? remainingMs : Math.min(CONNECT_MS, remainingMs / (this.others + 1));
    const deadline = new Date(this.#runtime.wallMs() + waitMs);
    for (let state = dial(server); isUndecided(state) && !signal.aborted; state = dial(server)) {
      if (!(await isStill(server, state, deadline, signal))) continue;
      return isAlone ? undefined : unreachable(`${server.name} within ${Math.round(waitMs)} ms`);
    }
    return stateOf(server) === connectivityState.SHUTDOWN ? unreachable(server.name) : undefined;
  }

  /** Ends the connection. */
  close(): void {
    this.#closed = true;
    this.#link?.client.close();
  }

  #isSilent({ heardMs }: Server, { reason }: LeaseholdError, startMs: number): boolean {
    const silentMs = this.#runtime.monotonicMs() - Math.max(heardMs, startMs);
    return reason === 'DEADLINE_EXCEEDED' && silentMs >= SILENT_MS;
  }

  /** Whether certificates changed that its connection has not seen (T1). */
  #hasNewCertificates(link: Link): boolean {
    const { tls, logger } = this.#config;
    if (!tls || !link.secure || this.#closed) return false;
    const nowMs = this.#runtime.monotonicMs();
    const isOnItsWay = stateOf(link) === connectivityState.READY || stateOf(link) === connectivityState.CONNECTING;
    if (isOnItsWay && nowMs - this.#readMs < REREAD_MS) return false;
    this.#readMs = nowMs;
    const found = tls.refresh();
    if (found === 'same') return false;
    if (found === 'changed') logger.info('Read changed certificates', { server: link.name });
    else logger.warn('Keeps the old certificates', { problem: found.problem });
    return found === 'changed';
  }

  #dial(): Link {
    const { tls, plaintextLocal } = this.#config;
    const address = this.#address();
    const security = tls && !(address.local && plaintextLocal) ? tls.securityOf(address) : undefined;
    const options = { ...CHANNEL_OPTIONS, ...security?.options };
    const client = new IpamServiceClient(
      address.target,
      security?.credentials ?? credentials.createInsecure(),
      options,
    );
    if (this.#closed) client.close();
    const end = new AbortController();
    return { name: address.target, client, gone: end.signal, heardMs: -Infinity, secure: security !== undefined, end };
  }

  #drop(): void {
    this.#link?.client.close();
    this.#link = undefined;
  }

  #address(): ServerAddress {
    return this.#config.addresses[this.#index] as ServerAddress;
  }
}

function stateOf({ client }: Server): connectivityState {
  return client.getChannel().getConnectivityState(false);
}

/** Has a server dialled if it is not; the state that it has then: who waits for the same one gets on in order. */
function dial(server: Server): connectivityState {
  server.client.getChannel().getConnectivityState(true);
  return stateOf(server);
}

function isUndecided(state: connectivityState): boolean {
  return state === connectivityState.IDLE || state === connectivityState.CONNECTING;
}

/** Waits for another state; whether it is still the same at the deadline. */
function isStill(server: Server, state: connectivityState, deadline: Date, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const aborted = () => resolve(false);
    signal.addEventListener('abort', aborted, { once: true });
    server.client.getChannel().watchConnectivityState(state, deadline, (late) => {
      signal.removeEventListener('abort', aborted);
      resolve(late !== undefined);
    });
  });
}

function unreachable(what: string): LeaseholdError {
  const message = `No connection to ${what}`;
  return makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message, retryable: true });
}
