// Sessions over gRPC.
//
//   T1. Every session has a connection of its own and dials at once: the supervisor alone decides when to try again.
//   T2. A server that is gone without a word is noticed by keepalive, not by unanswered heartbeats: a server whose store
//       is away leaves those unanswered too, and its session must stay.
//   T3. Keepalive begins with the connection. A server that stands still gets one all the same, from its kernel, and never
//       speaks: it is left as soon as keepalive would have left it.

import { type ChannelCredentials, type ServiceError, status } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { HostAgentServiceClient } from '@leasehold/proto/ipam/v1/host_agent_service';
import type { SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { SessionChannel, SessionHandlers, SessionTransport } from './session-transport.js';

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

const SPEAKS_WITHIN_MS = 10_000;
const MAX_REASON_LENGTH = 300;

/** Opens sessions over gRPC. */
export function grpcTransport(credentials: ChannelCredentials, clock: Pick<Clock, 'after'>): SessionTransport {
  return { open: (server, handlers) => openSession(server, credentials, clock, handlers) };
}

function openSession(
  server: string,
  credentials: ChannelCredentials,
  clock: Pick<Clock, 'after'>,
  handlers: SessionHandlers,
): SessionChannel {
  const client = new HostAgentServiceClient(server, credentials, CHANNEL_OPTIONS);
  const call = client.session();
  const patience = clock.after(SPEAKS_WITHIN_MS, () => end(`No connection within ${SPEAKS_WITHIN_MS / 1_000} s`));
  let closed = false;
  const end = (reason?: string) => {
    if (closed) return;
    closed = true;
    patience.cancel();
    call.cancel();
    client.close();
    if (reason !== undefined) handlers.onClose(reason);
  };
  call.on('data', (response: SessionResponse) => {
    if (!closed) handlers.onMessage(response);
  });
  // Stays for the life of the call: without a listener the error of the cancelled call would end the process.
  call.on('error', (error: ServiceError) => end(describe(error)));
  call.on('end', () => end('Server ended the session'));
  client.waitForReady(Number.POSITIVE_INFINITY, () => patience.cancel());
  return {
    send: (request) => {
      if (!closed) call.write(request);
    },
    close: () => end(),
  };
}

// What grpc-js says of a server that it cannot connect to. The time makes every attempt another reason.
const NO_CONNECTION =
  /^No connection established\. Last error: (?:Error: )?(.*?)(?: \([\d:.TZ-]+\))?\. Resolution note:/;

function describe({ code, details }: ServiceError): string {
  const text = details.replaceAll(/\s+/g, ' ').trim();
  const [, problem] = NO_CONNECTION.exec(text) ?? [];
  const reason = problem === undefined ? `${status[code] ?? code}: ${text}` : `No connection: ${problem}`;
  return reason.slice(0, MAX_REASON_LENGTH);
}
