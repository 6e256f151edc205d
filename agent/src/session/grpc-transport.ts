// Sessions over gRPC.
//
//   T1. Every session has a connection of its own and dials at once: the supervisor alone decides when to try again.
//   T2. A server that is gone without a word is noticed by keepalive, not by unanswered heartbeats: a server whose store
//       is away leaves those unanswered too, and its session must stay.
//   T3. Keepalive begins with the connection. A server that stands still gets one all the same, from its kernel, and never
//       speaks: it is left as soon as keepalive would have left it.
//       So is its connection: of those who wait in vain none is kept (held.ts).
//   T4. Of a name with several addresses each session dials the next one: who answers at the first need not lead.

import { isIP } from 'node:net';
import {
  type ChannelOptions,
  type ClientDuplexStream,
  connectivityState,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Clock, Timer } from '@leasehold/program/clock';
import { formatEndpoint, parseTarget } from '@leasehold/program/option-values';
import { ErrorInfo } from '@leasehold/proto/google/rpc/error_details';
import { Status } from '@leasehold/proto/google/rpc/status';
import { HostAgentServiceClient } from '@leasehold/proto/ipam/v1/host_agent_service';
import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { type Held, held } from './held.js';
import { fromRefusal, type NamedHolder } from './named-holder.js';
import type { Security } from './security.js';
import type { SessionChannel, SessionEnd, SessionHandlers, SessionTransport } from './session-transport.js';

const CHANNEL_OPTIONS = {
  // The pool would share connections, and their waits, between attempts.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  // A proxy for the web is not on the way to a control plane.
  'grpc.enable_http_proxy': 0,
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // A delivery has at most 1,000 entries; each may carry options.
  'grpc.max_receive_message_length': 8 * 1024 * 1024,
};

type Call = ClientDuplexStream<SessionRequest, SessionResponse>;

interface Dialled {
  readonly client: HostAgentServiceClient;
  readonly call: Call;
  readonly connection: Held;
}

const AUTHORITY = 'grpc.default_authority';

const MAX_REASON_LENGTH = 300;

/** What sessions over gRPC need. */
export interface GrpcTransportOptions {
  /** With what a server, as it was given or named, is dialled now. */
  readonly security: (server: string) => Security;
  readonly clock: Pick<Clock, 'after'>;
  /** Whether a server that another one names may be dialled as the configured ones are. */
  readonly mayFollow: (server: string) => boolean;
  /** The addresses of a host name; rejects when there are none. */
  readonly lookup: (name: string) => Promise<readonly string[]>;
}

/** Opens sessions over gRPC. */
export function grpcTransport(options: GrpcTransportOptions): SessionTransport {
  const turns = new Map<string, { readonly turn: number; readonly addresses: number }>();
  const nextOf = (server: string, addresses: readonly string[]) => {
    const turn = turns.get(server)?.turn ?? 0;
    turns.set(server, { turn: turn + 1, addresses: addresses.length });
    return addresses[turn % addresses.length];
  };
  return {
    open: (server, handlers, speaksWithinMs) => new GrpcSession(server, nextOf, options, handlers, speaksWithinMs),
    isSeveral: (server) => (turns.get(server)?.addresses ?? 1) > 1,
  };
}

type NextOf = (server: string, addresses: readonly string[]) => string | undefined;

class GrpcSession implements SessionChannel {
  readonly #options: GrpcTransportOptions;
  readonly #handlers: SessionHandlers;
  readonly #patience: Timer;
  /** What is to be sent once the address is known. */
  readonly #waiting: SessionRequest[] = [];
  #dialled: Dialled | undefined;
  #isConnected = false;
  #closed = false;

  constructor(
    server: string,
    nextOf: NextOf,
    options: GrpcTransportOptions,
    handlers: SessionHandlers,
    speaksWithinMs: number,
  ) {
    this.#options = options;
    this.#handlers = handlers;
    this.#patience = options.clock.after(speaksWithinMs, () =>
      this.#end({ reason: `No connection within ${speaksWithinMs / 1_000} s` }),
    );
    const name = nameIn(server);
    if (name) void this.#resolve(server, name, nextOf);
    else this.#dial(server, server, {});
  }

  async #resolve(server: string, { host, port }: { host: string; port: number }, nextOf: NextOf): Promise<void> {
    let address: string | undefined;
    let problem = 'it has none';
    try {
      address = nextOf(server, await this.#options.lookup(host));
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (this.#closed) return;
    if (address === undefined) this.#end({ reason: `No address of ${host}: ${problem}` });
    // The name is what the server is asked for, and known by.
    else this.#dial(server, formatEndpoint({ kind: 'tcp', host: address, port }), { [AUTHORITY]: server });
  }

  #dial(server: string, target: string, options: ChannelOptions): void {
    // As it is now: who renews certificates does not restart agents. It is known by what it was given as, not by the address.
    const { credentials, options: known } = this.#options.security(server);
    const connection = held(credentials);
    const all = { ...CHANNEL_OPTIONS, ...options, ...known };
    const client = new HostAgentServiceClient(target, connection.credentials, all);
    const call = client.session();
    this.#dialled = { client, call, connection };
    call.on('data', (response: SessionResponse) => {
      if (!this.#closed) this.#handlers.onMessage(response);
    });
    // Stays for the life of the call: without a listener the error of the cancelled call would end the process.
    call.on('error', (error: ServiceError) => this.#end(this.#endOf(error)));
    call.on('end', () => this.#end({ reason: 'Server ended the session' }));
    this.#awaitConnection(client);
    for (const request of this.#waiting.splice(0)) call.write(request);
  }

  #endOf(error: ServiceError): SessionEnd {
    const holder = holderOf(error);
    const reason = describe(error);
    if (!holder) return { reason };
    if (this.#options.mayFollow(holder.endpoint)) return { reason, holder };
    return { reason: `${reason} (at ${holder.endpoint}, which would be reached without TLS)` };
  }

  send(request: SessionRequest): void {
    if (this.#closed) return;
    if (this.#dialled) this.#dialled.call.write(request);
    else this.#waiting.push(request);
  }

  close(): void {
    this.#end(undefined);
  }

  /** Not by `waitForReady`, which would dial once more when the channel is closed. */
  #awaitConnection(client: HostAgentServiceClient): void {
    if (this.#closed) return;
    const channel = client.getChannel();
    const state = channel.getConnectivityState(false);
    if (state === connectivityState.READY) {
      this.#isConnected = true;
      this.#patience.cancel();
    } else channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#awaitConnection(client));
  }

  #end(why: SessionEnd | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#patience.cancel();
    this.#dialled?.call.cancel();
    this.#dialled?.client.close();
    if (!this.#isConnected) this.#dialled?.connection.release();
    if (why) this.#handlers.onClose(why);
  }
}

/** The name and port of a server that is not given by its address. */
function nameIn(server: string): { readonly host: string; readonly port: number } | undefined {
  const parsed = parseTarget(server);
  if (!parsed.ok || parsed.value.kind !== 'tcp') return undefined;
  // The addresses of localhost are one server's.
  return isIP(parsed.value.host) !== 0 || parsed.value.host === 'localhost' ? undefined : parsed.value;
}

const DETAILS = 'grpc-status-details-bin';

/** Whom a refusal names as the server that leads. */
function holderOf({ metadata }: ServiceError): NamedHolder | undefined {
  const [bytes] = metadata.get(DETAILS);
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    const info = Status.decode(bytes).details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'));
    const { reason, metadata: said } = ErrorInfo.decode(info?.value ?? new Uint8Array());
    return reason === 'NO_HOLDER' ? fromRefusal(said) : undefined;
  } catch {
    // Not what it should be: then it names nobody.
    return undefined;
  }
}

// What grpc-js says of a server that it cannot connect to. The time makes every attempt another reason.
const NO_CONNECTION =
  /^No connection established\. Last error: (?:Error: )?(.*?)(?: \([\d:.TZ-]+\))?\. Resolution note:/;

// Of a message that nobody can decompress grpc-js says neither code nor details, whatever its types promise: such a message
// must not end the process.
function describe({ code, details }: Partial<ServiceError>): string {
  if (code === undefined || details === undefined) return 'What the server sent cannot be read';
  const text = details.replaceAll(/\s+/g, ' ').trim();
  const [, problem] = NO_CONNECTION.exec(text) ?? [];
  const reason = problem === undefined ? `${status[code] ?? code}: ${text}` : `No connection: ${problem}`;
  return reason.slice(0, MAX_REASON_LENGTH);
}
