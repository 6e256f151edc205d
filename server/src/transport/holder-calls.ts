// Calls that only the server that leads can answer rightly, because it alone hears the agents (protocol.md §5.3): another
// server passes them on, and hands back what it hears.
//
//   H1. A call is passed on once: one that was passed on already is answered by who got it.
//   H2. What is handed back is the answer or the refusal as the holder gave it, trailers included.
//   H3. A call that reads is answered here when the holder cannot be asked, or says nothing in time because it stands
//       still: with liveness unknown, and nobody ready.
//   H4. Any other one is refused then: with NO_HOLDER when it was not sent, with OUTCOME_UNKNOWN when it was.

import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { noHolder, outcomeUnknown } from '../domain/errors.js';
import type { HolderLease } from '../ports/holder-lease.js';
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

/** The holder, for calls that it must answer. */
export class HolderCalls {
  readonly #lease: HolderLease;
  readonly #server: string;
  readonly #clock: Clock;
  #client: { readonly target: string; readonly client: Client } | undefined;
  #unreachable: { readonly target: string; readonly untilMs: number } | undefined;

  /** `server`: the name of this one. */
  constructor(lease: HolderLease, server: string, clock: Clock) {
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
    const client = this.#mayAnswer(call) ? undefined : await this.#connect();
    if (!client) return undefined;
    try {
      return await this.#pass(client, method, request, call, READ_WITHIN_MS);
    } catch (error) {
      if (!(error instanceof HolderRefusedError)) throw error;
      const isSilent = error.wire.code === status.DEADLINE_EXCEEDED;
      if (!isSilent && error.wire.code !== status.UNAVAILABLE) throw error;
      // Not when its caller had less patience.
      if (isSilent && Number(call.grpc.getDeadline()) > this.#after(0)) this.#leaveAlone(client);
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
    const client = this.#mayAnswer(call) ? undefined : await this.#connect();
    if (!client) return orThrow(noHolder(this.#lease.holder));
    try {
      return await this.#pass(client, method, request, call, LONGEST_MS);
    } catch (error) {
      // Not a word of its own: the connection broke.
      const isSilent = error instanceof HolderRefusedError && reasonOf(error.wire) === undefined;
      if (isSilent && error.wire.code === status.UNAVAILABLE) return orThrow(outcomeUnknown());
      throw error;
    }
  }

  /** Closes its connection. */
  close(): void {
    this.#client?.client.close();
    this.#client = undefined;
  }

  #mayAnswer(call: UnaryCall): boolean {
    return this.#lease.isSelf || call.grpc.metadata.get(PASSED_ON).length > 0;
  }

  /** A client that is connected; undefined: there is none to be. */
  async #connect(): Promise<Client | undefined> {
    const target = this.#lease.holder?.advertise;
    if (!target) return undefined;
    if (this.#client?.target !== target) {
      this.close();
      this.#client = { target, client: new Client(target, credentials.createInsecure()) };
    }
    const { client } = this.#client as { readonly client: Client };
    const { target: away, untilMs } = this.#unreachable ?? { target: undefined, untilMs: 0 };
    if (away === target && this.#clock.now() < untilMs) return undefined;
    return new Promise((resolve) => {
      client.waitForReady(this.#after(CONNECT_WITHIN_MS), (error) => {
        if (error) this.#leaveAlone(client);
        else this.#unreachable = undefined;
        resolve(error ? undefined : client);
      });
    });
  }

  #leaveAlone(client: Client): void {
    if (this.#client?.client !== client) return;
    this.#unreachable = { target: this.#client.target, untilMs: this.#clock.now() + TRY_AGAIN_MS };
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
    const deadline = Math.min(Number(call.grpc.getDeadline()), this.#after(withinMs));
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, response?: Response) => {
        call.signal.removeEventListener('abort', cancel);
        if (error) reject(new HolderRefusedError(error));
        else resolve(response as Response);
      };
      const passed = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline },
        done,
      );
      passed.on('status', ({ metadata: trailer }) => call.passTrailer(trailer));
      const cancel = () => passed.cancel();
      call.signal.addEventListener('abort', cancel);
    });
  }
}
