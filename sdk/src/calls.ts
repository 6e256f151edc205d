// How calls are made on the server in use (servers.ts).
//
//   C1. Every unary call has a deadline, which covers all its attempts. A stream has none, except for the first of what a server
//       sends at once: once it brought something, it is kept until its reader leaves, its signal or close() ends it, or the
//       server refuses it.
//   C2. A call is repeated only when its maker says that repeating does no harm (retry.ts).
//   C3. Nothing is dialled before the first call; close() ends what is under way.
//   C4. A stream is read no faster than its reader reads: what waits for that here is a handful of messages.
//   C5. A request that may change is asked for when it can be sent, not while a server is dialled.
//   C6. An attempt that failed is asked of another server by the same rules as of the same one.

import { Metadata, type MethodDefinition, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { fromServiceError, isOfServer, type LeaseholdError, makeError, unansweredError } from './errors.js';
import type { IpamServiceClient } from './gen/ipam/v1/ipam_service.js';
import type { Logger } from './logger.js';
import { Repetitions } from './retry.js';
import { type Server, Servers, type ServersConfig } from './servers.js';
import { onAbort } from './signals.js';
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
export type Call<Request, Response> = CallRules<Request, Response> & Asked<Request>;

/** What is asked for: always the same, or what there is to ask a server for before an attempt. */
type Asked<Request> = { readonly request: Request } | { readonly requestFor: (server: string) => Request };

interface CallRules<Request, Response> {
  readonly method: Method<Request, Response>;
  /** Whether a repetition of exactly this request does no harm. */
  readonly repeatable: boolean;
  /** How much longer than usual the server may take, because it was asked to wait, in milliseconds. */
  readonly extraMs?: number;
  /** When its caller's patience ends, on the monotonic clock. Absent: the timeout from now. */
  readonly endMs?: number;
  /** The refusal that is in an answer, if it is one of all that was asked: then it is as if it was the answer. */
  readonly refusalOf?: (response: Response) => LeaseholdError | undefined;
}

/** What a stream is kept with. */
export interface StreamCall<Request, Response> {
  readonly method: Method<Request, Response>;
  /** What to ask for now: it is asked before every attempt. */
  readonly request: () => Request;
  /** Whether a server sends something at once that is asked for this. */
  readonly isPrompt: () => boolean;
}

/** What comes of a stream: what the server sent, or word that it broke and is opened anew. */
export type StreamPart<Response> =
  | { readonly kind: 'message'; readonly message: Response }
  | { readonly kind: 'broken'; readonly error: LeaseholdError };

/** One method of the generated service definition. */
export type Method<Request, Response> = Pick<
  MethodDefinition<Request, Response>,
  'path' | 'requestSerialize' | 'responseDeserialize'
>;

/** Where calls go, and how. */
export interface CallsConfig extends ServersConfig {
  readonly timeoutMs: number;
  readonly waitForServer: boolean;
  readonly onStale: ((since: Date) => void) | undefined;
}

type Outcome<Response> =
  | { readonly ok: true; readonly response: Response; readonly trailers: Metadata }
  | { readonly ok: false; readonly error: LeaseholdError };

/** How one attempt of a stream ended, and whether it had brought anything. */
interface StreamEnd {
  readonly arrived: boolean;
  readonly error: LeaseholdError;
}

/** The repetitions of a call and when they end. */
interface Patience {
  readonly repetitions: Repetitions;
  readonly endMs: number;
}

/** See the top of the file. */
export class Calls {
  readonly runtime: Runtime;
  readonly #config: CallsConfig;
  readonly #servers: Servers;
  readonly #logger: Logger;
  readonly #underWay = new Set<AbortController>();
  #closed = false;

  constructor(config: CallsConfig, runtime: Runtime) {
    this.#config = config;
    this.runtime = runtime;
    this.#logger = config.logger;
    this.#servers = new Servers(config, runtime);
  }

  /** The generated client of the server in use. */
  get client(): IpamServiceClient {
    return this.#servers.current().client;
  }

  /** When a call that is made now ends without a timeout of its own, on the monotonic clock. */
  usualEndMs(): number {
    return this.runtime.monotonicMs() + this.#config.timeoutMs;
  }

  /** A request id that no other call has. */
  newRequestId(): string {
    return this.runtime.requestId();
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
    for (;;) {
      const { arrived, error } = yield* this.#streamOnce(call, signal);
      signal.throwIfAborted();
      if (arrived) patience = { repetitions: new Repetitions(this.#servers.others, true), endMs: Infinity };
      // Counted from the first failure: before it the stream may have stood, and nothing happened.
      patience ??= this.#patience(this.usualEndMs());
      const pause = this.#react(error, patience, call.method);
      this.#logger.info('Resumes', { method: rpcName(call.method), reason: error.reason });
      yield { kind: 'broken', error };
      await this.#pause(pause, signal);
    }
  }

  /** Waits, unless close() or the caller's signal ends it. */
  async wait(delayMs: number, callerSignal: AbortSignal | undefined): Promise<void> {
    using entered = this.#enter(callerSignal);
    await this.#pause(delayMs, entered.signal);
  }

  /**
   * What a caller is told whose patience ended before the call did that was made for it and others, of a server if one
   * was asked.
   */
  unanswered(method: { readonly path: string }, repeatable: boolean, server: string | undefined): LeaseholdError {
    const { timeoutMs } = this.#config;
    return unansweredError({ method: rpcName(method), server, timeoutMs, repeatable });
  }

  /** Ends the connection and everything under way. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#underWay) abort.abort(closedError());
    this.#servers.close();
  }

  /** Takes part in what close() ends: the signal is aborted by it, and by the caller's own. */
  #enter(callerSignal: AbortSignal | undefined): Disposable & { readonly signal: AbortSignal } {
    if (this.#closed) throw closedError();
    callerSignal?.throwIfAborted();
    const abort = new AbortController();
    const stop = callerSignal && onAbort(callerSignal, () => abort.abort(callerSignal.reason));
    this.#underWay.add(abort);
    return {
      signal: abort.signal,
      [Symbol.dispose]: () => {
        this.#underWay.delete(abort);
        stop?.();
      },
    };
  }

  async #attempts<Request, Response>(
    call: Call<Request, Response>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Outcome<Response> & { readonly ok: true }> {
    const patience = this.#patience(call.endMs ?? this.runtime.monotonicMs() + timeoutMs);
    for (;;) {
      const outcome = await this.#attempt(call, timeoutMs, patience.endMs, signal);
      if (outcome.ok) return outcome;
      signal.throwIfAborted();
      await this.#pause(this.#react(outcome.error, patience, call.method), signal);
    }
  }

  async #attempt<Request, Response>(
    call: Call<Request, Response>,
    timeoutMs: number,
    endMs: number,
    signal: AbortSignal,
  ): Promise<Outcome<Response>> {
    const server = this.#servers.current();
    const startMs = this.runtime.monotonicMs();
    const away = this.#servers.mustReach(server) && (await this.#servers.reach(server, endMs - startMs, signal));
    signal.throwIfAborted();
    const outcome = away ? refused(away) : await this.#ask(server, call, timeoutMs, endMs, signal);
    if (!outcome.ok && !signal.aborted) this.#servers.blame(server, outcome.error, startMs);
    return outcome;
  }

  #ask<Request, Response>(
    server: Server,
    call: Call<Request, Response>,
    timeoutMs: number,
    endMs: number,
    signal: AbortSignal,
  ): Promise<Outcome<Response>> {
    const { method, repeatable, refusalOf } = call;
    const request = 'request' in call ? call.request : call.requestFor(server.name);
    return new Promise((resolve) => {
      const options = { deadline: this.runtime.wallMs() + endMs - this.runtime.monotonicMs() };
      const started = server.client.makeUnaryRequest<Request, Response>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        options,
        (error, response) => {
          stop();
          if (error) return resolve(refused(this.#toError(error, server, method, repeatable, timeoutMs)));
          this.#servers.heard(server);
          const refusal = refusalOf?.(response as Response);
          if (refusal) return resolve(refused(refusal));
          // gRPC tells the trailers after the answer.
          started.once('status', ({ metadata: trailers }: StatusObject) =>
            resolve({ ok: true, response: response as Response, trailers }),
          );
        },
      );
      const stop = onAbort(signal, () => started.cancel());
    });
  }

  async *#streamOnce<Request, Response>(
    call: StreamCall<Request, Response>,
    signal: AbortSignal,
  ): AsyncGenerator<StreamPart<Response>, StreamEnd> {
    const server = this.#servers.current();
    const startMs = this.runtime.monotonicMs();
    const { timeoutMs } = this.#config;
    const away = this.#servers.mustReach(server) && (await this.#servers.reach(server, timeoutMs, signal));
    signal.throwIfAborted();
    const end = away ? { arrived: false, error: away } : yield* this.#read(server, call, signal);
    if (!signal.aborted) this.#servers.blame(server, end.error, startMs);
    return end;
  }

  async *#read<Request, Response>(
    server: Server,
    { method, request, isPrompt }: StreamCall<Request, Response>,
    signal: AbortSignal,
  ): AsyncGenerator<StreamPart<Response>, StreamEnd> {
    const { path, requestSerialize, responseDeserialize } = method;
    const stream = server.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request());
    // For the life of the call, which ends after its reader has left: an error nobody listens for ends the process.
    stream.on('error', () => undefined);
    const cancel = () => stream.cancel();
    const stops = [signal, ...server.ends].map((end) => onAbort(end, cancel));
    const { timeoutMs } = this.#config;
    let arrived = false;
    let isSilent = false;
    const silence = () => {
      isSilent = !arrived;
      if (isSilent) cancel();
    };
    if (isPrompt()) stops.push(this.runtime.after(timeoutMs, silence));
    try {
      for await (const message of stream as AsyncIterable<Response>) {
        // Some may have arrived before the abort; nothing is given out after it.
        if (signal.aborted) break;
        arrived = true;
        this.#servers.heard(server);
        yield { kind: 'message', message };
      }
      return { arrived, error: endedError(server.name, rpcName(method)) };
    } catch (error) {
      if (!isServiceError(error)) throw error;
      if (isSilent) return { arrived, error: unbegunError(server.name, rpcName(method), timeoutMs) };
      return { arrived, error: this.#toError(error, server, method, true, timeoutMs) };
    } finally {
      for (const stop of stops) stop();
      cancel();
    }
  }

  #patience(endMs: number): Patience {
    return { endMs, repetitions: new Repetitions(this.#servers.others, this.#config.waitForServer) };
  }

  /** How long to pause before the next attempt, in milliseconds; throws the error if there is none. */
  #react(error: LeaseholdError, { repetitions, endMs }: Patience, method: { readonly path: string }): number {
    const reaction = repetitions.next(error, endMs - this.runtime.monotonicMs(), this.runtime.random);
    if (reaction.kind === 'give-up') throw error;
    const delayMs = reaction.kind === 'pause' ? reaction.delayMs : 0;
    this.#logger.debug('Repeats', { method: rpcName(method), reason: error.reason, delayMs });
    return delayMs;
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    if (delayMs > 0) await this.runtime.wait(delayMs, signal);
    signal.throwIfAborted();
  }

  #toError(
    error: ServiceError,
    server: Server,
    method: { readonly path: string },
    repeatable: boolean,
    timeoutMs: number,
  ): LeaseholdError {
    // Who refuses is not silent.
    if (isOfServer(error)) this.#servers.heard(server);
    return fromServiceError(error, { method: rpcName(method), server: server.name, timeoutMs, repeatable });
  }
}

function refused(error: LeaseholdError): { readonly ok: false; readonly error: LeaseholdError } {
  return { ok: false, error };
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
  const problem = timeoutProblem(timeoutMs);
  if (problem !== undefined) throw new TypeError(problem);
  return timeoutMs;
}

/** Why there can be no such timeout, for people; undefined: there can. */
export function timeoutProblem(timeoutMs: number): string | undefined {
  // Timers take no longer span than this.
  if (timeoutMs > 0 && timeoutMs <= 0x7fffffff) return undefined;
  return `timeoutMs must be from 1 to ${0x7fffffff}, it is ${timeoutMs}`;
}

/** A stream that the server ended, as one that stops does: there is no last message to wait for. */
function endedError(server: string, method: string): LeaseholdError {
  const message = `${server} ended ${method}`;
  return makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message, retryable: true });
}

/** A stream that a server took and sent nothing in. */
function unbegunError(server: string, method: string, timeoutMs: number): LeaseholdError {
  const message = `${server} took ${method} and sent nothing within ${timeoutMs} ms`;
  return makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message, retryable: true });
}

function closedError(): LeaseholdError {
  return makeError({ code: 'CANCELLED', reason: 'CLIENT_CLOSED', message: 'The connection was closed by close()' });
}
