// The way in: from options to a client with everything resolved.

import { Audit } from './audit.js';
import { type CallOptions, Calls } from './calls.js';
import { GetStatusRequest, type IpamServiceClient, IpamServiceService as rpc } from './gen/ipam/v1/ipam_service.js';
import { Hosts } from './hosts.js';
import { Networks } from './networks.js';
import { Placements } from './placements.js';
import { Reservations } from './reservations.js';
import { parseServerAddress } from './server-address.js';
import { type Status, toStatus } from './status.js';
import { Subnets } from './subnets.js';
import { type Runtime, system } from './system.js';
import { message } from './values.js';
import { type WatchEvent, type WatchOptions, watchEvents } from './watch.js';

/** Where a server listens unless told otherwise. */
export const DEFAULT_SERVER = '127.0.0.1:7067';

/** How long a call may take unless told otherwise, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** How to connect. */
export interface ConnectOptions {
  /** `host:port` or `unix:PATH`. Absent: the environment's LEASEHOLD_SERVER, or 127.0.0.1:7067. */
  readonly server?: string | undefined;
  /** How long a call may take, retries included, in milliseconds. Absent: 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Whether calls wait, within their timeout, for a server that cannot be reached. Absent: they do. */
  readonly waitForServer?: boolean | undefined;
  /** Allows plaintext to a server on another machine. Absent: only loopback and unix sockets. */
  readonly insecureNetwork?: boolean | undefined;
  /** Called for every answer that a server gave from memory, unless its call has an `onStale` of its own. */
  readonly onStale?: ((since: Date) => void) | undefined;
}

/** A client of one Leasehold server. */
export class Leasehold implements AsyncDisposable {
  readonly networks: Networks;
  readonly subnets: Subnets;
  readonly reservations: Reservations;
  readonly hosts: Hosts;
  readonly placements: Placements;
  readonly audit: Audit;
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
    this.networks = new Networks(calls);
    this.subnets = new Subnets(calls);
    this.reservations = new Reservations(calls);
    this.hosts = new Hosts(calls);
    this.placements = new Placements(calls);
    this.audit = new Audit(calls);
  }

  /** The generated gRPC client on the same connection: no deadlines, retries or conversions. Messages: `@leasehold/sdk/raw/*`. */
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

/** Makes a client. Nothing is dialled before its first call; an option that cannot be is a TypeError. */
export function connect(options: ConnectOptions = {}): Leasehold {
  return connectWith(options, system);
}

/** `connect` with time, chance and environment as an argument. */
export function connectWith(options: ConnectOptions, runtime: Runtime): Leasehold {
  const server = options.server ?? (runtime.env['LEASEHOLD_SERVER'] || DEFAULT_SERVER);
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const problem = connectProblem(server, options.insecureNetwork ?? false);
  if (problem !== undefined) throw new TypeError(problem);
  const { waitForServer = true, onStale } = options;
  return new Leasehold(new Calls({ server, timeoutMs, waitForServer, onStale }, runtime));
}

/** Why a server cannot be connected to, for people; undefined: it can. */
export function connectProblem(server: string, insecureNetwork: boolean): string | undefined {
  const address = parseServerAddress(server);
  if (!address.ok) return `server: ${address.problem}, not ${JSON.stringify(server)}`;
  if (address.value.local || insecureNetwork) return undefined;
  return `${server} is on another machine and there is no TLS: everyone on the way could read and change calls (allow it with insecureNetwork)`;
}
