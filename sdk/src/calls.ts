// One connection to a server, and how calls are made on it.
//
//   C1. Every unary call has a deadline, which covers all its attempts. A stream has none: once it brought something,
//       it is kept until its reader leaves, its signal or close() ends it, or the server refuses it.
//   C2. A call is repeated only when its maker says that repeating does no harm (retry.ts).
//   C3. Nothing is dialled before the first call; close() ends what is under way.
//   C4. A stream is read no faster than its reader reads: what waits for that here is a handful of messages.

import {
  type ClientOptions,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { fromServiceError, type LeaseholdError, makeError } from './errors.js';
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
  /**
   * Called when the server answered from memory, because its store is away since then; the answer may be that old.
   * Absent: the connection's `onStale`.
   */
  readonly onStale?: ((since: Date) => void) | undefined;
}

/** What a call is made with. */
export interface Call<Request, Response> {
  readonly method: Method<Request, Response>;
  readonly request: Request;
  /** Whether a repetition of exactly this request does no harm. */
  readonly repeatable: boolean;
  /** How much longer than usual the server may take, because it was asked to wait, in milliseconds. */
  readonly extraMs?: number;
}

/** What a stream is kept with. */
export interface StreamCall<Request, Response> {
  readonly method: Method<Request, Response>;
  /** What to ask for now: it is asked before every attempt. */
  readonly request: () => Request;
}

/** What comes of a stream: what the server sent, or word that it broke and is opened anew. */
export type StreamPart<Response> =
  | { readonly kind: 'message'; readonly message: Response }
  | { readonly kind: 'broken' };

/** One method of the generated service definition. */
export type Method<Request, Response> = Pick<
  MethodDefinition<Request, Response>,
  'path' | 'requestSerialize' | 'responseDeserialize'
>;

/** Where calls go. */
export interface CallsConfig {
  readonly server: string;
  readonly timeoutMs: number;
  readonly waitForServer: boolean;
  readonly onStale: ((since: Date) => void) | undefined;
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
  | { readonly ok: true; readonly response: Response; readonly trailers: Metadata }
  | { readonly ok: false; readonly error: ServiceError };

/** How one attempt of a stream ended, and whether it had brought anything. */
interface StreamEnd {
  readonly arrived: boolean;
  readonly error: LeaseholdError;
}

/** Until when a failure is repeated, and whether a server that cannot be reached is waited for at all. */
interface Patience {
  readonly endMs: number;
  readonly forServer: boolean;
}

const FOREVER: Patience = { endMs: Infinity, forServer: true };

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
    using entered = this.#enter(options.signal);
    const timeoutMs = timeoutOf(options, this.#config.timeoutMs + (call.extraMs ?? 0));
    const { response, trailers } = await this.#attempts(call, timeoutMs, entered.signal);
    const since = staleSince(trailers);
    if (since) (options.onStale ?? this.#config.onStale)?.(since);
    return response;
  }

  /**
   * Keeps a stream: each time it broke it is opened anew, with what `call` then asks for. Until something came it fails
   * as a call does; from then on it outlasts any absence of the server. Throws what `unary` rejects with.
   */
  async *stream<Request, Response>(
    call: StreamCall<Request, Response>,
    callerSignal?: AbortSignal,
  ): AsyncGenerator<StreamPart<Response>, never> {
    using entered = this.#enter(callerSignal);
    const { signal } = entered;
    let patience: Patience | undefined;
    for (let attempt = 1; ; attempt++) {
      const { arrived, error } = yield* this.#streamOnce(call, signal);
      signal.throwIfAborted();
      if (arrived) {
        attempt = 1;
        patience = FOREVER;
      }
      // Counted from the first failure: before it the stream may have stood, and nothing happened.
      patience ??= this.#patience(this.#config.timeoutMs);
      const delayMs = this.#pauseMs(error, attempt, patience);
      if (delayMs === undefined) throw error;
      yield { kind: 'broken' };
      await this.#runtime.wait(delayMs, signal);
      signal.throwIfAborted();
    }
  }

  /** Ends the connection and everything under way. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#underWay) abort.abort(closedError());
    this.client.close();
  }

  /** Takes part in what close() ends: the signal is aborted by it, and by the caller's own. */
  #enter(callerSignal: AbortSignal | undefined): Disposable & { readonly signal: AbortSignal } {
    if (this.#closed) throw closedError();
    callerSignal?.throwIfAborted();
    const abort = new AbortController();
    const onAbort = () => abort.abort(callerSignal?.reason);
    callerSignal?.addEventListener('abort', onAbort, { once: true });
    this.#underWay.add(abort);
    return {
      signal: abort.signal,
      [Symbol.dispose]: () => {
        this.#underWay.delete(abort);
        callerSignal?.removeEventListener('abort', onAbort);
      },
    };
  }

  async #attempts<Request, Response>(
    call: Call<Request, Response>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Outcome<Response> & { readonly ok: true }> {
    const runtime = this.#runtime;
    const patience = this.#patience(timeoutMs);
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(call, patience.endMs - runtime.monotonicMs(), signal);
      if (outcome.ok) return outcome;
      signal.throwIfAborted();
      const error = this.#toError(outcome.error, call.method, call.repeatable, timeoutMs);
      const delayMs = this.#pauseMs(error, attempt, patience);
      if (delayMs === undefined) throw error;
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
          if (error) return resolve({ ok: false, error });
          // gRPC tells the trailers after the answer.
          started.once('status', ({ metadata: trailers }: StatusObject) =>
            resolve({ ok: true, response: response as Response, trailers }),
          );
        },
      );
      const cancel = () => started.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });
  }

  async *#streamOnce<Request, Response>(
    { method, request }: StreamCall<Request, Response>,
    signal: AbortSignal,
  ): AsyncGenerator<StreamPart<Response>, StreamEnd> {
    const { path, requestSerialize, responseDeserialize } = method;
    const stream = this.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request());
    // For the life of the call, which ends after its reader has left: an error nobody listens for ends the process.
    stream.on('error', () => undefined);
    const cancel = () => stream.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    let arrived = false;
    try {
      for await (const message of stream as AsyncIterable<Response>) {
        // Some may have arrived before the abort; nothing is given out after it.
        if (signal.aborted) break;
        arrived = true;
        yield { kind: 'message', message };
      }
      return { arrived, error: endedError(this.#config.server, rpcName(method)) };
    } catch (error) {
      if (!isServiceError(error)) throw error;
      return { arrived, error: this.#toError(error, method, true, this.#config.timeoutMs) };
    } finally {
      signal.removeEventListener('abort', cancel);
      cancel();
    }
  }

  #patience(timeoutMs: number): Patience {
    return { endMs: this.#runtime.monotonicMs() + timeoutMs, forServer: this.#config.waitForServer };
  }

  /** How long to pause before the next attempt, in milliseconds; undefined: the error is the caller's. */
  #pauseMs(error: LeaseholdError, attempt: number, { endMs, forServer }: Patience): number | undefined {
    if (error.reason === 'NO_CONNECTION' && !forServer) return undefined;
    const delayMs = retryDelayMs(error, attempt, this.#runtime.random);
    // What the server said is worth more to the caller than a deadline that passes while waiting.
    return delayMs !== undefined && this.#runtime.monotonicMs() + delayMs < endMs ? delayMs : undefined;
  }

  #toError(error: ServiceError, method: { readonly path: string }, repeatable: boolean, timeoutMs: number) {
    return fromServiceError(error, { method: rpcName(method), server: this.#config.server, timeoutMs, repeatable });
  }
}

function rpcName({ path }: { readonly path: string }): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'metadata' in error && 'details' in error;
}

const STALE_SINCE = 'leasehold-stale-since';

/** Since when the store is away whose server answered from memory; undefined: it is not, or nobody can read when. */
function staleSince(trailers: Metadata): Date | undefined {
  const since = new Date(String(trailers.get(STALE_SINCE)[0]));
  return Number.isNaN(since.getTime()) ? undefined : since;
}

function timeoutOf(options: CallOptions, usualMs: number): number {
  const timeoutMs = options.timeoutMs ?? usualMs;
  if (!(timeoutMs > 0 && timeoutMs <= 0x7fffffff))
    throw new TypeError(`timeoutMs must be positive, it is ${timeoutMs}`);
  return timeoutMs;
}

/** A stream that the server ended, as one that stops does: there is no last message to wait for. */
function endedError(server: string, method: string): LeaseholdError {
  const message = `${server} ended ${method}`;
  return makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message, retryable: true });
}

function closedError(): LeaseholdError {
  return makeError({ code: 'CANCELLED', reason: 'CLIENT_CLOSED', message: 'The connection was closed by close()' });
}
