// The way in: from options to a client with everything resolved.

import { Audit } from './audit.js';
import { type CallOptions, Calls, timeoutProblem } from './calls.js';
import { GetStatusRequest, type IpamServiceClient, IpamServiceService as rpc } from './gen/ipam/v1/ipam_service.js';
import { HostHandle, NetworkHandle, ReservationHandle, SubnetHandle } from './handles.js';
import { Hosts } from './hosts.js';
import { type Logger, SILENT } from './logger.js';
import { Networks } from './networks.js';
import { Placements } from './placements.js';
import { type Reservation, Reservations } from './reservations.js';
import { parseServerAddress, type ServerAddress } from './server-address.js';
import { type Status, toStatus } from './status.js';
import { Subnets } from './subnets.js';
import { type Runtime, system } from './system.js';
import { Tls, type TlsOptions, tlsOfEnvironment } from './tls.js';
import { message } from './values.js';
import { type WatchEvent, type WatchOptions, watchEvents } from './watch.js';

/** Where a server listens unless told otherwise. */
export const DEFAULT_SERVER = '127.0.0.1:7067';

/** How long a call may take unless told otherwise, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** How to connect. */
export interface ConnectOptions {
  /** `host:port` or `unix:PATH`. Absent, as `servers`: the environment's LEASEHOLD_SERVER, or 127.0.0.1:7067. */
  readonly server?: string | undefined;
  /** Servers of one installation. The first is used, and when it is away the next one. */
  readonly servers?: readonly string[] | undefined;
  /** How servers are reached by TLS. Absent: as LEASEHOLD_TLS_CA, _CERT, _KEY, _SERVER_NAME and _TRUST_DOMAIN say, or not by TLS. */
  readonly tls?: TlsOptions | undefined;
  /** With TLS: whether servers on loopback and unix sockets are reached without it. Absent: by TLS, too. */
  readonly insecure?: boolean | undefined;
  /** Allows plaintext to a server on another machine. Absent: only loopback and unix sockets. */
  readonly insecureNetwork?: boolean | undefined;
  /** How long a call may take, retries included, in milliseconds. Absent: 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Whether calls wait, within their timeout, for a server that cannot be reached. Absent: they do. */
  readonly waitForServer?: boolean | undefined;
  /** Whether reserves and releases that are made at the same time leave together. Absent: they do. */
  readonly batching?: boolean | undefined;
  /** Called for every answer that a server gave from memory, unless its call has an `onStale` of its own. */
  readonly onStale?: ((since: Date) => void) | undefined;
  /** Is told of connections, failovers and repetitions. Absent: nobody. */
  readonly logger?: Logger | undefined;
}

/** A client of an installation. */
export class Leasehold implements AsyncDisposable {
  readonly networks: Networks;
  readonly subnets: Subnets;
  readonly reservations: Reservations;
  readonly hosts: Hosts;
  readonly placements: Placements;
  readonly audit: Audit;
  readonly #calls: Calls;

  constructor(calls: Calls, batching: boolean) {
    this.#calls = calls;
    this.networks = new Networks(calls);
    this.subnets = new Subnets(calls);
    this.reservations = new Reservations(calls, batching);
    this.hosts = new Hosts(calls);
    this.placements = new Placements(calls);
    this.audit = new Audit(calls);
  }

  /** A network by its id, with its verbs. Nobody is asked whether it exists, here as below. */
  network(networkId: string): NetworkHandle {
    return new NetworkHandle(networkId, this);
  }

  /** A subnet by its id, whatever its network. */
  subnet(subnetId: string): SubnetHandle {
    return new SubnetHandle(subnetId, undefined, this);
  }

  /** A reservation by its id, or one that was answered. */
  reservation(reservation: string | Pick<Reservation, 'reservationId'>): ReservationHandle {
    const id = typeof reservation === 'string' ? reservation : reservation.reservationId;
    return new ReservationHandle(id, this);
  }

  /** A host by its id. */
  host(hostId: string): HostHandle {
    return new HostHandle(hostId, this);
  }

  /** The generated gRPC client of the server in use: no failover, deadlines, retries or conversions. Messages: `@leasehold/sdk/raw/*`. */
  get raw(): IpamServiceClient {
    return this.#calls.client;
  }

  /** Answers how the installation is. */
  async status(options?: CallOptions): Promise<Status> {
    const request = message(GetStatusRequest, {});
    return toStatus(await this.#calls.unary({ method: rpc.getStatus, request, repeatable: true }, options));
  }

  /**
   * Changes as they happen, for `for await`: from now on, after a position, or after all that is there. Each iteration is
   * a watch of its own, resumed by itself when its stream breaks.
   */
  watch(options?: WatchOptions): AsyncIterable<WatchEvent> {
    return watchEvents(this.#calls, options);
  }

  /** Ends the connection; calls and watches under way reject with `CLIENT_CLOSED`. */
  async close(): Promise<void> {
    this.#calls.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Makes a client of one server, or of several. Nothing is dialled before its first call; an option that cannot be is a TypeError. */
export function connect(to: string | readonly string[] | ConnectOptions = {}): Leasehold {
  return connectWith(typeof to === 'string' ? { server: to } : isList(to) ? { servers: to } : to, system);
}

/** `connect` with time, chance and environment as an argument. */
export function connectWith(options: ConnectOptions, runtime: Runtime): Leasehold {
  const opened = tryConnect(options, runtime);
  if (!opened.ok) throw new TypeError(opened.problem);
  return opened.value;
}

/** A client, or which option cannot be, for people. */
export function tryConnect(
  options: ConnectOptions,
  runtime: Runtime,
): { readonly ok: true; readonly value: Leasehold } | { readonly ok: false; readonly problem: string } {
  const { waitForServer = true, timeoutMs = DEFAULT_TIMEOUT_MS, logger = SILENT, onStale, insecureNetwork } = options;
  const problem = timeoutProblem(timeoutMs);
  if (problem !== undefined) return { ok: false, problem };
  const tlsOptions = options.tls ?? tlsOfEnvironment(runtime.env);
  if (tlsOptions && insecureNetwork) return { ok: false, problem: 'tls and insecureNetwork exclude each other' };
  const servers = readServers(options, runtime.env, tlsOptions !== undefined || (insecureNetwork ?? false));
  if (!servers.ok) return servers;
  const tls = tlsOptions && Tls.open(tlsOptions);
  if (tls?.ok === false) return tls;
  const plaintextLocal = options.insecure ?? false;
  const config = {
    addresses: servers.value,
    tls: tls?.value,
    plaintextLocal,
    timeoutMs,
    waitForServer,
    onStale,
    logger,
  };
  return { ok: true, value: new Leasehold(new Calls(config, runtime), options.batching ?? true) };
}

function isList(to: readonly string[] | ConnectOptions): to is readonly string[] {
  return Array.isArray(to);
}

type ReadServers =
  | { readonly ok: true; readonly value: readonly ServerAddress[] }
  | { readonly ok: false; readonly problem: string };

function readServers({ server, servers }: ConnectOptions, env: Runtime['env'], mayLeave: boolean): ReadServers {
  if (server !== undefined && servers) return { ok: false, problem: 'server and servers exclude each other' };
  const named = server === undefined ? servers : [server];
  const texts = named ?? (env['LEASEHOLD_SERVER'] || DEFAULT_SERVER).split(',').map((text) => text.trim());
  if (texts.length === 0) return { ok: false, problem: 'servers: there is none' };
  const addresses: ServerAddress[] = [];
  for (const text of texts) {
    const address = parseServerAddress(text);
    if (!address.ok) return { ok: false, problem: `server: ${address.problem}, not ${JSON.stringify(text)}` };
    if (!address.value.local && !mayLeave) return { ok: false, problem: inTheOpen(text) };
    addresses.push(address.value);
  }
  return { ok: true, value: addresses };
}

function inTheOpen(server: string): string {
  return `${server} is on another machine and there is no TLS: everyone on the way could read and change calls (set tls, or allow it with insecureNetwork)`;
}
