// The edge of every unary RPC: cancellation as an AbortSignal, refusals as statuses, bugs as INTERNAL with a log line.

import { type handleUnaryCall, Metadata, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type { Log } from '@leasehold/program/log';
import type { Call } from '../app/context.js';
import { storeUnavailable } from '../domain/errors.js';
import { StoreUnavailableError } from '../ports/store.js';
import { RefusedError, toWireError, type WireError } from './errors.js';

/** What a handler does: decode, call, encode. */
export type Handle<Request, Response> = (request: Request, call: Call) => Promise<Response> | Response;

// Until TLS says who calls, everybody on a plaintext listener is this caller.
const PLAINTEXT_CALLER = 'insecure';

/** Makes a grpc-js handler. */
export function unary<Request, Response>(
  log: Log,
  handle: Handle<Request, Response>,
): handleUnaryCall<Request, Response> {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    const answer = async () => handle(call.request, new UnaryCall(call));
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(toStatus(log, call.getPath(), error)),
    );
  };
}

/** A call as use cases see it. Its signal is made when somebody asks for it: few do, and it costs more than a reserve. */
class UnaryCall implements Call {
  readonly caller = PLAINTEXT_CALLER;
  readonly #call: ServerUnaryCall<unknown, unknown>;
  #cancelled: AbortController | undefined;

  constructor(call: ServerUnaryCall<unknown, unknown>) {
    this.#call = call;
  }

  get signal(): AbortSignal {
    if (!this.#cancelled) {
      const cancelled = new AbortController();
      if (this.#call.cancelled) cancelled.abort();
      else this.#call.on('cancelled', () => cancelled.abort());
      this.#cancelled = cancelled;
    }
    return this.#cancelled.signal;
  }
}

function toStatus(log: Log, path: string, error: unknown): WireError {
  if (error instanceof RefusedError) return toWireError(error.refusal);
  if (error instanceof StoreUnavailableError) return toWireError(storeUnavailable(error.message).error);
  log.error('request failed by a defect', { path, error });
  return { code: status.INTERNAL, details: 'Internal error, see the log of the server', metadata: new Metadata() };
}
