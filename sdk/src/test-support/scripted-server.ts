// A real gRPC server on a real socket whose handlers are written by the test. Not published.

import { once } from 'node:events';
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceError,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import * as messages from '../gen/ipam/v1/ipam_service.js';
import { fromSeconds, type Loose } from '../values.js';

const { IpamServiceService } = messages;
const responses = messages as unknown as Readonly<Record<string, { fromPartial(fields: object): unknown }>>;

type Methods = typeof IpamServiceService;
type RequestOf<M extends keyof Methods> = ReturnType<Methods[M]['requestDeserialize']>;
type ResponseOf<M extends keyof Methods> = ReturnType<Methods[M]['responseDeserialize']>;

/** What a handler answers: a response, one from memory, a refusal, or nothing ever. */
export type Answer<Response> = Loose<Response> | FromMemory<Response> | Refusal | 'never';

/** What a handler of a stream sends, taken no faster than the client reads; a refusal that it returns is its end. */
export type Sending<Response> = AsyncGenerator<Loose<Response>, unknown>;

type UnaryHandler<Request, Response> = (request: Request, attempt: number) => Answer<Response>;

type StreamHandler<Request, Response> = (
  request: Request,
  attempt: number,
  ended: AbortSignal,
) => Sending<Response> | Refusal;

/** Handlers by method; `attempt` counts from 1, `ended` is aborted when the call is over on the wire. */
export type Handlers = {
  readonly [M in keyof Methods]?: Methods[M]['responseStream'] extends true
    ? StreamHandler<RequestOf<M>, ResponseOf<M>>
    : UnaryHandler<RequestOf<M>, ResponseOf<M>>;
};

/** An answer that a server gives from memory, with its trailer. */
export class FromMemory<Response> {
  readonly response: Loose<Response>;
  readonly since: string;

  constructor(response: Loose<Response>, since: string) {
    this.response = response;
    this.since = since;
  }
}

/** A refusal as a Leasehold server sends it. */
export class Refusal {
  readonly error: Partial<ServiceError>;

  constructor(error: Partial<ServiceError>) {
    this.error = error;
  }
}

/** What a refusal tells besides its code. */
export interface RefusalDetails {
  readonly reason?: string;
  readonly domain?: string;
  readonly message?: string;
  readonly metadata?: Record<string, string>;
  readonly violations?: readonly { readonly field: string; readonly description: string }[];
  readonly retryAfterSeconds?: number;
  readonly pushback?: string;
  readonly rawDetails?: Uint8Array;
}

/** Makes a refusal with `google.rpc.Status` details. */
export function refuse(code: Exclude<keyof typeof status, 'OK'>, details: RefusalDetails = {}): Refusal {
  const { reason, domain = 'leasehold', message = 'refused', violations, retryAfterSeconds } = details;
  const any = (type: string, value: Uint8Array) => ({
    typeUrl: `type.googleapis.com/google.rpc.${type}`,
    value: Buffer.from(value),
  });
  const list = [];
  if (reason) {
    const info = ErrorInfo.fromPartial({ reason, domain, metadata: details.metadata ?? {} });
    list.push(any('ErrorInfo', ErrorInfo.encode(info).finish()));
  }
  if (violations) {
    list.push(
      any('BadRequest', BadRequest.encode(BadRequest.fromPartial({ fieldViolations: [...violations] })).finish()),
    );
  }
  if (retryAfterSeconds) {
    list.push(any('RetryInfo', RetryInfo.encode({ retryDelay: fromSeconds(retryAfterSeconds) }).finish()));
  }
  const metadata = new Metadata();
  const bytes = details.rawDetails ?? Status.encode({ code: status[code], message, details: list }).finish();
  if (list.length > 0 || details.rawDetails) metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  if (details.pushback !== undefined) metadata.set('grpc-retry-pushback-ms', details.pushback);
  return new Refusal({ code: status[code], details: message, metadata });
}

/** The `google.rpc.Status` of a refusal, as a batch carries it. */
export function statusOf({ error }: Refusal): Status {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  return Status.decode(bytes as Buffer);
}

/** A server that is up. */
export interface ScriptedServer extends AsyncDisposable {
  /** Where it listens, as `connect` takes it. */
  readonly server: string;
  /** Names of the methods that were called, in order. */
  readonly calls: string[];
  /** The requests of one method, in order. */
  requests<M extends keyof Methods>(method: M): readonly RequestOf<M>[];
}

/** Starts a server on 127.0.0.1, or on `listen`; in plaintext, or with `security`. */
export async function startScriptedServer(
  handlers: Handlers,
  listen = '127.0.0.1:0',
  security = ServerCredentials.createInsecure(),
): Promise<ScriptedServer> {
  const seen: Seen[] = [];
  const grpc = new Server();
  const implementation: Record<string, UntypedHandleCall> = {};
  for (const [method, handler] of Object.entries(handlers)) {
    const { responseStream } = IpamServiceService[method as keyof Methods];
    implementation[method] = responseStream
      ? streaming(method, handler as StreamHandler<unknown, object>, seen)
      : unary(method, handler as UnaryHandler<unknown, object>, seen);
  }
  grpc.addService(IpamServiceService, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync(listen, security, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return {
    server: listen.startsWith('unix:') ? listen : `127.0.0.1:${port}`,
    get calls() {
      return seen.map(({ method }) => method);
    },
    requests: (method) => seen.filter((call) => call.method === method).map((call) => call.request as never),
    async [Symbol.asyncDispose]() {
      grpc.forceShutdown();
    },
  };
}

/** Resolves when the signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

interface Seen {
  readonly method: string;
  readonly request: unknown;
}

function unary(method: string, handler: UnaryHandler<unknown, object>, seen: Seen[]) {
  const response = responseOf(method);
  const handle: handleUnaryCall<unknown, unknown> = (call, callback) => {
    const answer = handler(call.request, note(seen, method, call.request));
    if (answer === 'never') return;
    if (answer instanceof Refusal) return callback(answer.error);
    if (!(answer instanceof FromMemory)) return callback(null, response?.fromPartial(answer));
    const trailers = new Metadata();
    trailers.set('leasehold-stale-since', answer.since);
    callback(null, response?.fromPartial(answer.response), trailers);
  };
  return handle;
}

function streaming(method: string, handler: StreamHandler<unknown, object>, seen: Seen[]) {
  const handle: handleServerStreamingCall<unknown, unknown> = (call) => {
    const ended = new AbortController();
    call.on('cancelled', () => ended.abort());
    const sending = handler(call.request, note(seen, method, call.request), ended.signal);
    if (sending instanceof Refusal) call.emit('error', sending.error);
    else void send(call, sending, method, ended.signal);
  };
  return handle;
}

async function send(
  call: ServerWritableStream<unknown, unknown>,
  sending: Sending<object>,
  method: string,
  ended: AbortSignal,
) {
  const response = responseOf(method);
  while (!ended.aborted) {
    const { done, value } = await sending.next();
    if (done) return value instanceof Refusal ? call.emit('error', value.error) : call.end();
    if (!call.write(response?.fromPartial(value))) await Promise.race([once(call, 'drain'), aborted(ended)]);
  }
  return sending.return(undefined);
}

function responseOf(method: string) {
  return responses[`${method.charAt(0).toUpperCase()}${method.slice(1)}Response`];
}

function note(seen: Seen[], method: string, request: unknown): number {
  seen.push({ method, request });
  return seen.filter((other) => other.method === method).length;
}
