// HostAgentService: a gRPC stream as the two ends of an agent session.
//
//   W1. What an agent is slow to read is bounded: grpc-js queues without end, and sends the status of a stream only after
//       all that is in its queue. So no more is handed to it than it asks for; the rest waits here, and is dropped when
//       the stream ends.

import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { HostAgentServiceServer } from '@leasehold/proto/ipam/v1/host_agent_service';
import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { type IpamError, sessionTooSlow } from '../domain/errors.js';
import { callerOf } from './callers.js';
import { toWireError } from './errors.js';

/** Where a stream goes; the agent sessions are behind it. */
export interface AgentStreams {
  open(
    link: { send(message: SessionResponse): void; end(error: IpamError | undefined): void },
    /** The one host that its caller may speak for; absent: any. */
    speaksFor?: string,
  ): {
    receive(request: SessionRequest): void;
    closed(): void;
  };
}

// A session is told all that its host shall serve in one turn of the event loop, in which nothing can leave: 4,096
// networks (as many VLANs as there are) of four messages each, and the snapshot of a /16 is about 70. Well above that, and
// still minutes of changes one by one. What waits refers to entries that the tables hold anyway.
const MAX_WAITING = 50_000;

/** The service. */
export function hostAgentHandlers(agents: AgentStreams): HostAgentServiceServer {
  return {
    session: (call: ServerDuplexStream<SessionRequest, SessionResponse>) => {
      const outbox = new Outbox(call);
      const caller = callerOf(call);
      const stream = agents.open(outbox, caller.role === 'insecure' ? undefined : caller.name);
      call.on('data', (request: SessionRequest) => stream.receive(request));
      const over = () => stream.closed();
      call.on('cancelled', over);
      call.on('error', over);
      call.on('end', () => {
        over();
        outbox.end(undefined);
      });
    },
  };
}

/** The server's side of a stream. */
class Outbox {
  readonly #call: ServerDuplexStream<SessionRequest, SessionResponse>;
  #waiting: SessionResponse[] = [];
  #isFull = false;
  #ended = false;

  constructor(call: ServerDuplexStream<SessionRequest, SessionResponse>) {
    this.#call = call;
    call.on('drain', () => this.#drained());
    call.on('close', () => this.#drop());
  }

  send(message: SessionResponse): void {
    if (this.#ended) return;
    if (!this.#isFull) {
      this.#isFull = !this.#call.write(message);
    } else if (this.#waiting.push(message) > MAX_WAITING) {
      this.#drop();
      // Not in the middle of what the session is saying.
      queueMicrotask(() => this.#finish(sessionTooSlow().error));
    }
  }

  #drained(): void {
    this.#isFull = false;
    let sent = 0;
    for (const message of this.#waiting) {
      if (this.#isFull) break;
      this.#isFull = !this.#call.write(message);
      sent++;
    }
    this.#waiting = this.#waiting.slice(sent);
  }

  end(error: IpamError | undefined): void {
    if (this.#ended) return;
    this.#drop();
    this.#finish(error);
  }

  #drop(): void {
    this.#ended = true;
    this.#waiting = [];
  }

  #finish(error: IpamError | undefined): void {
    if (this.#call.destroyed || this.#call.writableEnded) return;
    if (error) this.#call.emit('error', toWireError(error));
    else this.#call.end();
  }
}
