// The edge of every unary RPC: cancellation as an AbortSignal, refusals as statuses, bugs as INTERNAL with a log line,
// answers from memory with a trailer that says so.

import { type handleUnaryCall, Metadata, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type { Log } from '@leasehold/program/log';
import type { Call } from '../app/context.js';
import { outcomeUnknown, storeUnavailable } from '../domain/errors.js';
import type { WallTime } from '../domain/ids.js';
import { OutcomeUnknownError, StoreUnavailableError } from '../ports/store.js';
import { formatCaller } from './access.js';
import { callerOf } from './callers.js';
import { HolderRefusedError, RefusedError, toWireError, type WireError } from './errors.js';

/** What a handler does: decode, call, encode. */
export type Handle<Request, Response> = (request: Request, call: UnaryCall) => Promise<Response> | Response;

/** Since when the store is away, on an answer that was given from memory. */
export const STALE_TRAILER = 'leasehold-stale-since';

/** Makes a grpc-js handler. */
export function unary<Request, Response>(
  log: Log,
  handle: Handle<Request, Response>,
): handleUnaryCall<Request, Response> {
  return (grpc: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    const call = new UnaryCall(grpc);
    const answer = async () => handle(grpc.request, call);
    answer().then(
      (response) => callback(null, response, call.trailer),
      (error: unknown) => callback(toStatus(log, grpc.getPath(), error)),
    );
  };
}

/** A call as use cases see it. Its signal is made when somebody asks for it: few do, and it costs more than a reserve. */
export class UnaryCall implements Call {
  readonly grpc: ServerUnaryCall<unknown, unknown>;
  #caller: string | undefined;
  #cancelled: AbortController | undefined;
  #trailer: Metadata | undefined;

  constructor(grpc: ServerUnaryCall<unknown, unknown>) {
    this.grpc = grpc;
  }

  get caller(): string {
    this.#caller ??= formatCaller(callerOf(this.grpc));
    return this.#caller;
  }

  /** Few requests have one. */
  get requestId(): string | undefined {
    return (this.grpc.request as { readonly requestId?: string }).requestId;
  }

  get signal(): AbortSignal {
    if (!this.#cancelled) {
      const cancelled = new AbortController();
      if (this.grpc.cancelled) cancelled.abort();
      else this.grpc.on('cancelled', () => cancelled.abort());
      this.#cancelled = cancelled;
    }
    return this.#cancelled.signal;
  }

  /** What goes with the answer; undefined: nothing. */
  get trailer(): Metadata | undefined {
    return this.#trailer;
  }

  stale(since: WallTime): void {
    this.#setTrailer(new Date(since).toISOString());
  }

  /** Hands on what another server, which answered, said of its answer. */
  passTrailer(trailer: Metadata): void {
    const [since] = trailer.get(STALE_TRAILER);
    if (since !== undefined) this.#setTrailer(String(since));
  }

  #setTrailer(since: string): void {
    this.#trailer ??= new Metadata();
    this.#trailer.set(STALE_TRAILER, since);
  }
}

/** What a failed call is answered with. */
export function toStatus(log: Log, path: string, error: unknown): WireError {
  if (error instanceof RefusedError) return toWireError(error.refusal);
  if (error instanceof HolderRefusedError) return error.wire;
  if (error instanceof OutcomeUnknownError) return toWireError(outcomeUnknown().error);
  if (error instanceof StoreUnavailableError) return toWireError(storeUnavailable(error.message).error);
  log.error('request failed by a defect', { path, error });
  return { code: status.INTERNAL, details: 'Internal error, see the log of the server', metadata: new Metadata() };
}
