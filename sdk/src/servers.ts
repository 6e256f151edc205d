// The servers of an installation, one of which is in use at a time, by all calls.
//
//   V1. It is left when it cannot be reached or says that it cannot now; then the next in the list is used, round and
//       round. Who fails at a server that others have left already leaves nobody.
//   V2. A server that is left gets no more calls, and its channel dials no more; calls under way on it end as they do. Streams
//       end with it when it could not be reached: one that fell silent would keep them for long.
//   V3. Of several, one that does not take a connection soon, or answers nobody for a while, counts as away: a machine
//       that lost its power refuses nothing.
//   V4. Nothing stays on certificates that were exchanged: calls use a new connection, and streams go over to it.

import { type ClientOptions, connectivityState, credentials } from '@grpc/grpc-js';
import { type LeaseholdError, makeError } from './errors.js';
import { IpamServiceClient } from './gen/ipam/v1/ipam_service.js';
import type { Logger } from './logger.js';
import { cannotNow } from './retry.js';
import type { ServerAddress } from './server-address.js';
import { onAbort } from './signals.js';
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
  /** One is aborted when streams must leave it: it cannot be reached, or its connection has old certificates. */
  readonly ends: readonly AbortSignal[];
  /** When it last answered anybody, on the monotonic clock. */
  heardMs: number;
}

interface Link extends Server {
  readonly secure: boolean;
  readonly end: AbortController;
  /** For how long calls waited in vain since it answered last, and until when that is counted. */
  silentMs: number;
  countedMs: number;
}

/** See the top of the file. */
export class Servers {
  readonly #config: ServersConfig;
  readonly #runtime: Runtime;
  #index = 0;
  #link: Link | undefined;
  #readMs: number;
  /** Aborted when the certificates in use now are not any more. */
  #outdated = new AbortController();
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
    this.#renew();
    this.#link ??= this.#dial();
    return this.#link;
  }

  /** Notes that a server answered. */
  heard(server: Server): void {
    const link = server as Link;
    if (link.heardMs === -Infinity) this.#config.logger.info('Connected', { server: link.name, tls: link.secure });
    link.heardMs = this.#runtime.monotonicMs();
    link.silentMs = 0;
    // Who only watches makes no calls that would look.
    if (link === this.#link) this.#renew();
  }

  /** Leaves a server because of an error, if that is one to leave it for. */
  blame(server: Server, error: LeaseholdError, startMs: number): void {
    const link = this.#link;
    if (this.others === 0 || !link || server !== link) return;
    const away = error.reason === 'NO_CONNECTION' || this.#isSilent(link, error, startMs);
    if (!away && !cannotNow(error)) return;
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

  /** Waits until a server takes a connection or refuses it; an error: it does neither in time, or was left meanwhile. */
  async reach(server: Server, remainingMs: number, signal: AbortSignal): Promise<LeaseholdError | undefined> {
    const waitMs = this.others === 0 ? remainingMs : Math.min(CONNECT_MS, remainingMs / (this.others + 1));
    const over = new AbortController();
    const end = () => over.abort();
    const stops = [onAbort(signal, end), this.#runtime.after(waitMs, end)];
    let state = dial(server);
    while (isUndecided(state) && !over.signal.aborted) {
      await changed(server, state, over.signal);
      state = over.signal.aborted ? stateOf(server) : dial(server);
    }
    for (const stop of stops) stop();
    if (state === connectivityState.SHUTDOWN) return unreachable(server.name);
    return isUndecided(state) ? unreachable(`${server.name} within ${Math.round(waitMs)} ms`) : undefined;
  }

  /** Ends the connection. */
  close(): void {
    this.#closed = true;
    this.#link?.client.close();
  }

  /** Whether calls waited for it in vain for a while, each its part of it: one alone may have less time. */
  #isSilent(link: Link, { reason }: LeaseholdError, startMs: number): boolean {
    if (reason !== 'DEADLINE_EXCEEDED') return false;
    const nowMs = this.#runtime.monotonicMs();
    link.silentMs += nowMs - Math.max(link.heardMs, link.countedMs, startMs);
    link.countedMs = nowMs;
    return link.silentMs >= SILENT_MS;
  }

  /** Leaves the connection if there are new certificates. */
  #renew(): void {
    if (!this.#link || !this.#hasNewCertificates(this.#link)) return;
    this.#drop();
    const outdated = this.#outdated;
    this.#outdated = new AbortController();
    outdated.abort();
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
    const secure = security !== undefined;
    const ends = secure ? [end.signal, this.#outdated.signal] : [end.signal];
    return { name: address.target, client, ends, heardMs: -Infinity, secure, end, silentMs: 0, countedMs: -Infinity };
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
  // A channel that was closed would come to life again, and nobody would close it.
  if (stateOf(server) === connectivityState.SHUTDOWN) return connectivityState.SHUTDOWN;
  server.client.getChannel().getConnectivityState(true);
  return stateOf(server);
}

function isUndecided(state: connectivityState): boolean {
  return state === connectivityState.IDLE || state === connectivityState.CONNECTING;
}

/** Waits for another state, or for the signal. Without a deadline: gRPC would keep its timer after the abort. */
function changed(server: Server, state: connectivityState, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = onAbort(signal, resolve);
    server.client.getChannel().watchConnectivityState(state, Infinity, () => {
      stop();
      resolve();
    });
  });
}

function unreachable(what: string): LeaseholdError {
  const message = `No connection to ${what}`;
  return makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message, retryable: true });
}
