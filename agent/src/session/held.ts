// Connections that can be let go of while they are being made. The library leaves such a one alone when its channel is closed,
// until the other side speaks or hangs up. A server that stands still does neither: each attempt would leave a connection
// behind, until this process, or the server, can have no more.

import type { Socket } from 'node:net';
import type { ChannelCredentials } from '@grpc/grpc-js';

/** Credentials to dial with. */
export interface Held {
  readonly credentials: ChannelCredentials;
  /** Ends every connection that was made with them, and all that are about to be. */
  release(): void;
}

/** The same credentials, held. */
export function held(inner: ChannelCredentials): Held {
  const sockets = new Set<Socket>();
  let isReleased = false;
  const credentials = Object.create(inner) as ChannelCredentials;
  credentials._createSecureConnector = (...args) => {
    const connector = inner._createSecureConnector(...args);
    return {
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
      connect(socket) {
        // The library destroys what it cannot use.
        if (isReleased) return Promise.reject(new Error('The session is over'));
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        return connector.connect(socket);
      },
    };
  };
  return {
    credentials,
    release() {
      isReleased = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}
