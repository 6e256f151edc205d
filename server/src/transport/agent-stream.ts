// HostAgentService: a gRPC stream as the two ends of an agent session.

import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { HostAgentServiceServer } from '@leasehold/proto/ipam/v1/host_agent_service';
import type { SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import type { IpamError } from '../domain/errors.js';
import { toWireError } from './errors.js';

/** Where a stream goes; the agent sessions are behind it. */
export interface AgentStreams {
  open(link: { send(message: SessionResponse): void; end(error: IpamError | undefined): void }): {
    receive(request: SessionRequest): void;
    closed(): void;
  };
}

/** The service. */
export function hostAgentHandlers(agents: AgentStreams): HostAgentServiceServer {
  return {
    session: (call: ServerDuplexStream<SessionRequest, SessionResponse>) => {
      const stream = agents.open({
        send: (message) => {
          if (!call.destroyed && !call.writableEnded) call.write(message);
        },
        end: (error) => {
          if (call.destroyed || call.writableEnded) return;
          if (error) call.emit('error', toWireError(error));
          else call.end();
        },
      });
      call.on('data', (request: SessionRequest) => stream.receive(request));
      const over = () => stream.closed();
      call.on('cancelled', over);
      call.on('error', over);
      call.on('end', () => {
        over();
        if (!call.writableEnded) call.end();
      });
    },
  };
}
