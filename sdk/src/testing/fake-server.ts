// A real gRPC server on a real socket whose handlers are written by the test. Not published.

import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
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

/** What a handler answers: a response, a refusal, or nothing ever. */
export type Answer<Response> = Loose<Response> | Refusal | 'never';

/** Handlers by method; `attempt` counts from 1. */
export type Handlers = {
  readonly [M in keyof Methods]?: (request: RequestOf<M>, attempt: number) => Answer<ResponseOf<M>>;
};

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

/** A server that is up. */
export interface FakeServer extends AsyncDisposable {
  /** Where it listens, as `connect` takes it. */
  readonly server: string;
  /** Names of the methods that were called, in order. */
  readonly calls: string[];
  /** The requests of one method, in order. */
  requests<M extends keyof Methods>(method: M): readonly RequestOf<M>[];
}

/** Starts a server on 127.0.0.1, or on `listen`. */
export async function startFakeServer(handlers: Handlers, listen = '127.0.0.1:0'): Promise<FakeServer> {
  const seen: { method: string; request: unknown }[] = [];
  const grpc = new Server();
  const implementation: Record<string, UntypedHandleCall> = {};
  for (const [method, handler] of Object.entries(handlers)) {
    implementation[method] = unary(method, handler as AnyHandler, seen);
  }
  grpc.addService(IpamServiceService, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync(listen, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
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

type AnyHandler = (request: unknown, attempt: number) => Answer<object>;

function unary(method: string, handler: AnyHandler, seen: { method: string; request: unknown }[]) {
  const response = responses[`${method.charAt(0).toUpperCase()}${method.slice(1)}Response`];
  const handle: handleUnaryCall<unknown, unknown> = (call, callback) => {
    seen.push({ method, request: call.request });
    const answer = handler(call.request, seen.filter((other) => other.method === method).length);
    if (answer === 'never') return;
    if (answer instanceof Refusal) callback(answer.error);
    else callback(null, response?.fromPartial(answer));
  };
  return handle;
}
