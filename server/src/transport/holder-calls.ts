// Calls that only the server that leads can answer rightly, or best, because it alone hears the agents (protocol.md §5.3):
// another server passes them on, and hands back what it hears.
//
//   H1. A call is passed on once: one that was passed on already is answered by who got it.
//   H2. What is handed back is the answer or the refusal as the holder gave it, trailers included.
//   H3. A call that reads is answered here when the holder cannot be asked, or says nothing in time because it stands
//       still: with liveness unknown, and nobody ready.
//   H4. Any other one is refused then: with NO_HOLDER when it was not sent, with OUTCOME_UNKNOWN when it may have been and
//       the holder gave no word of its own; unless it ended because its caller did not wait for it any longer.
//   H5. What it merely does better is done here where it cannot be asked, and refused only when it may have been done.
//   H6. Reads have a connection of their own: they do not wait behind those that wait for servers, and one that is not
//       answered in time says nothing of whether the holder can do.
//   H7. Servers know each other by their certificates; for whom a call is passed on it says, and the holder decides by that.
//       A holder that does not know this server counts as one that cannot be reached.

import { Client, type ClientOptions, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { noHolder, outcomeUnknown } from '../domain/errors.js';
import type { HolderLease } from '../ports/holder-lease.js';
import { ON_BEHALF_OF } from './callers.js';
import { type Dial, PLAIN_DIAL } from './dial.js';
import { HolderRefusedError, orThrow, reasonOf } from './errors.js';
import type { Handle, UnaryCall } from './unary.js';

/** How a method goes over the wire, as generated. */
export interface UnaryMethod<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

// Names the server that passed a call on.
const PASSED_ON = 'leasehold-passed-on-by';
const CONNECT_WITHIN_MS = 1_000;
const READ_WITHIN_MS = 2_000;
// Who asks while it cannot be reached, or says nothing, is not kept waiting each time.
const TRY_AGAIN_MS = 2_000;
// A call without a deadline does not wait for ever, and no wait for servers is longer.
const LONGEST_MS = 330_000;

const CHANNEL_OPTIONS: ClientOptions = {
  // Channels with the same options share a connection, and with it the holder's limit of calls at once.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  // The holder is near: a proxy meant for the web would see plaintext.
  'grpc.enable_http_proxy': 0,
  // A restarted holder is back within a second or two; gRPC's pauses are from one second to two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  // Without these a holder that vanished without a word is noticed only when TCP gives up, after many minutes.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // A page of 1,000 resources with full labels is larger than the default of 4 MB.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

/** The holder, for calls that it must answer. */
export class HolderCalls {
  readonly #lease: HolderLease;
  readonly #server: string;
  readonly #clock: Clock;
  readonly #reading: Line;
  readonly #doing: Line;

  /** `server`: the name of this one. */
  constructor(lease: HolderLease, server: string, clock: Clock, dial: Dial = PLAIN_DIAL) {
    this.#reading = new Line(dial);
    this.#doing = new Line(dial);
    this.#lease = lease;
    this.#server = server;
    this.#clock = clock;
  }

  /** A handler that reads what the holder alone knows; `handle` answers where the holder is this server, or away. */
  reads<Request, Response>(
    method: UnaryMethod<Request, Response>,
    handle: Handle<Request, Response>,
  ): Handle<Request, Response> {
    return async (request, call) => (await this.read(method, request, call)) ?? handle(request, call);
  }

  /** A handler of what the holder alone can do. */
  does<Request, Response>(
    method: UnaryMethod<Request, Response>,
    handle: Handle<Request, Response>,
  ): Handle<Request, Response> {
    return async (request, call) => (await this.do(method, request, call)) ?? handle(request, call);
  }

  /** Asks the holder; undefined: this server answers, because it is the holder, or the holder cannot be asked. */
  async read<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    call: UnaryCall,
  ): Promise<Response | undefined> {
    const client = this.#mayAnswer(call) ? undefined : await this.#connect(this.#reading);
    if (!client) return undefined;
    try {
      return await this.#pass(client, method, request, call, READ_WITHIN_MS);
    } catch (error) {
      if (error instanceof StrangerError) return undefined;
      if (!(error instanceof SilenceError) && !isUnavailable(error)) throw error;
      if (error instanceof SilenceError && error.code === status.DEADLINE_EXCEEDED)
        this.#leaveAlone(this.#reading, client);
      return undefined;
    }
  }

  /** Lets the holder do it; undefined: this server does, because it is the holder. Refuses when there is none. */
  async do<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    call: UnaryCall,
  ): Promise<Response | undefined> {
    if (this.#lease.isSelf) return undefined;
    return (await this.prefer(method, request, call)) ?? orThrow(noHolder(this.#lease.holder));
  }

  /** Lets the holder do it; undefined: this server does, because it is the holder, or the holder cannot be asked. */
  async prefer<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    call: UnaryCall,
  ): Promise<Response | undefined> {
    const client = this.#mayAnswer(call) ? undefined : await this.#connect(this.#doing);
    if (!client) return undefined;
    try {
      return await this.#pass(client, method, request, call, LONGEST_MS);
    } catch (error) {
      if (error instanceof StrangerError) return undefined;
      if (error instanceof SilenceError) return orThrow(outcomeUnknown());
      throw error;
    }
  }

  /** Closes its connections. */
  close(): void {
    this.#reading.close();
    this.#doing.close();
  }

  #mayAnswer(call: UnaryCall): boolean {
    return this.#lease.isSelf || call.grpc.metadata.get(PASSED_ON).length > 0;
  }

  /** A client that is connected; undefined: there is none to be. */
  async #connect(line: Line): Promise<Client | undefined> {
    const target = this.#lease.holder?.advertise;
    if (!target) return undefined;
    const client = line.to(target);
    if (this.#clock.now() < line.awayUntilMs) return undefined;
    return new Promise((resolve) => {
      client.waitForReady(this.#after(CONNECT_WITHIN_MS), (error) => {
        if (error) this.#leaveAlone(line, client);
        resolve(error ? undefined : client);
      });
    });
  }

  #leaveAlone(line: Line, client: Client): void {
    if (line.client === client) line.awayUntilMs = this.#clock.now() + TRY_AGAIN_MS;
  }

  /** So long from now, as gRPC counts deadlines. */
  #after(ms: number): number {
    return this.#clock.wallTime().getTime() + ms;
  }

  #pass<Request, Response>(
    client: Client,
    { path, requestSerialize, responseDeserialize }: UnaryMethod<Request, Response>,
    request: Request,
    call: UnaryCall,
    withinMs: number,
  ): Promise<Response> {
    const metadata = new Metadata();
    metadata.set(PASSED_ON, this.#server);
    metadata.set(ON_BEHALF_OF, call.caller);
    const [ours, callers] = [this.#after(withinMs), Number(call.grpc.getDeadline())];
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, response?: Response) => {
        call.signal.removeEventListener('abort', cancel);
        if (!error) resolve(response as Response);
        else {
          const isCallers =
            (error.code === status.CANCELLED && call.signal.aborted) ||
            (error.code === status.DEADLINE_EXCEEDED && callers <= ours);
          const reason = reasonOf(error);
          if (reason === 'UNAUTHENTICATED') reject(new StrangerError(error.details));
          else reject(isCallers || reason !== undefined ? new HolderRefusedError(error) : new SilenceError(error));
        }
      };
      const passed = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline: Math.min(callers, ours) },
        done,
      );
      passed.on('status', ({ metadata: trailer }) => call.passTrailer(trailer));
      const cancel = () => passed.cancel();
      call.signal.addEventListener('abort', cancel);
      // It does not tell whoever comes later.
      if (call.signal.aborted) cancel();
    });
  }
}

/** A connection to whoever leads. */
class Line {
  client: Client | undefined;
  /** Until then it is not asked. */
  awayUntilMs = -Infinity;
  readonly #dial: Dial;
  #target: string | undefined;
  #shown: unknown;

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  /** The client of a target; that of another one, or of another certificate, is closed. */
  to(target: string): Client {
    const shown = this.#dial.shows();
    if (this.client && this.#target === target && this.#shown === shown) return this.client;
    this.close();
    this.#target = target;
    this.#shown = shown;
    this.awayUntilMs = -Infinity;
    const { credentials, options } = this.#dial.to(target);
    this.client = new Client(target, credentials, { ...CHANNEL_OPTIONS, ...options });
    return this.client;
  }

  close(): void {
    this.client?.close();
    this.client = undefined;
  }
}

/** The holder gave no word of its own: the connection broke, it stands still, or did not get to it. */
class SilenceError extends Error {
  readonly code: status;

  constructor({ code, details }: ServiceError) {
    super(details);
    this.code = code;
  }
}

/** The holder does not know this server, and did nothing: what it says of that is not for the caller, who is known here. */
class StrangerError extends Error {}

function isUnavailable(error: unknown): boolean {
  return error instanceof HolderRefusedError && error.wire.code === status.UNAVAILABLE;
}
