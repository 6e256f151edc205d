// One connection to a server, and how a unary call is made on it.
//
//   C1. Every call has a deadline, which covers all its attempts.
//   C2. A call is repeated only when its maker says that repeating does no harm (retry.ts).
//   C3. Nothing is dialled before the first call; close() ends what is under way.

import { type ClientOptions, credentials, Metadata, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import { fromServiceError, makeError } from './errors.js';
import { IpamServiceClient } from './gen/ipam/v1/ipam_service.js';
import { retryDelayMs } from './retry.js';
import type { Runtime } from './system.js';

/** How one call is made. */
export interface CallOptions {
  /**
   * Ends the call when aborted: it rejects with the signal's `reason` itself, as `fetch` does (an `AbortError` unless
   * you gave another). The server may have acted all the same.
   */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the answer, retries included, in milliseconds. Absent: the connection's `timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

/** What a call is made with. */
export interface Call<Request, Response> {
  readonly method: UnaryMethod<Request, Response>;
  readonly request: Request;
  /** Whether a repetition of exactly this request does no harm. */
  readonly repeatable: boolean;
  /** How much longer than usual the server may take, because it was asked to wait, in milliseconds. */
  readonly extraMs?: number;
}

/** One method of the generated service definition. */
export type UnaryMethod<Request, Response> = Pick<
  MethodDefinition<Request, Response>,
  'path' | 'requestSerialize' | 'responseDeserialize'
>;

/** Where calls go. */
export interface CallsConfig {
  readonly server: string;
  readonly timeoutMs: number;
  readonly waitForServer: boolean;
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

type Outcome<Response> =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly error: ServiceError };

/** One connection to a server. */
export class Calls {
  readonly client: IpamServiceClient;
  readonly #config: CallsConfig;
  readonly #runtime: Runtime;
  readonly #underWay = new Set<AbortController>();
  #closed = false;

  constructor(config: CallsConfig, runtime: Runtime) {
    this.#config = config;
    this.#runtime = runtime;
    this.client = new IpamServiceClient(config.server, credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  /** A request id that no other call has. */
  newRequestId(): string {
    return this.#runtime.requestId();
  }

  /** Makes a call; rejects with a LeaseholdError, or with the reason of the caller's signal. */
  async unary<Request, Response>(call: Call<Request, Response>, options: CallOptions = {}): Promise<Response> {
    if (this.#closed) throw closedError();
    options.signal?.throwIfAborted();
    const abort = new AbortController();
    const onAbort = () => abort.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.#underWay.add(abort);
    try {
      return await this.#attempts(call, timeoutOf(options, this.#config.timeoutMs + (call.extraMs ?? 0)), abort.signal);
    } finally {
      this.#underWay.delete(abort);
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends the connection and every call under way. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#underWay) abort.abort(closedError());
    this.client.close();
  }

  async #attempts<Request, Response>(
    call: Call<Request, Response>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Response> {
    const runtime = this.#runtime;
    const endMs = runtime.monotonicMs() + timeoutMs;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(call, endMs - runtime.monotonicMs(), signal);
      if (outcome.ok) return outcome.response;
      signal.throwIfAborted();
      const error = fromServiceError(outcome.error, {
        method: call.method.path.slice(call.method.path.lastIndexOf('/') + 1),
        server: this.#config.server,
        timeoutMs,
        repeatable: call.repeatable,
      });
      if (error.reason === 'NO_CONNECTION' && !this.#config.waitForServer) throw error;
      const delayMs = retryDelayMs(error, attempt, runtime.random);
      // What the server said is worth more to the caller than a deadline that passes while waiting.
      if (delayMs === undefined || runtime.monotonicMs() + delayMs >= endMs) throw error;
      await runtime.wait(delayMs, signal);
      signal.throwIfAborted();
    }
  }

  #attempt<Request, Response>(
    { method, request }: Call<Request, Response>,
    remainingMs: number,
    signal: AbortSignal,
  ): Promise<Outcome<Response>> {
    return new Promise((resolve) => {
      const options = { deadline: this.#runtime.wallMs() + remainingMs };
      const started = this.client.makeUnaryRequest<Request, Response>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        options,
        (error, response) => {
          signal.removeEventListener('abort', cancel);
          resolve(error ? { ok: false, error } : { ok: true, response: response as Response });
        },
      );
      const cancel = () => started.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });
  }
}

function timeoutOf(options: CallOptions, usualMs: number): number {
  const timeoutMs = options.timeoutMs ?? usualMs;
  if (!(timeoutMs > 0 && timeoutMs <= 0x7fffffff))
    throw new TypeError(`timeoutMs must be positive, it is ${timeoutMs}`);
  return timeoutMs;
}

function closedError(): Error {
  return makeError({ code: 'CANCELLED', reason: 'CLIENT_CLOSED', message: 'The connection was closed by close()' });
}
