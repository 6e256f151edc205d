// A connection that the test can hold or break. Not published.

import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';

/** What stands between a client and its server. */
export interface Proxy extends AsyncDisposable {
  /** Where it listens, as `connect` takes it. */
  readonly server: string;
  /** Resolves when somebody has connected. */
  readonly connected: Promise<void>;
  /** Breaks every connection; new ones are taken. */
  breakConnections(): void;
}

/** Passes bytes on to a server on TCP, as soon as it is `open`. */
export async function startProxy(server: string, open: Promise<void> = Promise.resolve()): Promise<Proxy> {
  const port = Number(server.split(':')[1]);
  const sockets = new Set<Socket>();
  const breakConnections = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const proxy = createServer((near) => {
    const far = createConnection(port, '127.0.0.1');
    for (const socket of [near, far]) sockets.add(socket.on('error', () => socket.destroy()));
    void open.then(() => pipeline(near, far, near, () => undefined));
  });
  const connected = once(proxy, 'connection').then(() => undefined);
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    server: `127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    connected,
    breakConnections,
    async [Symbol.asyncDispose]() {
      breakConnections();
      proxy.close();
    },
  };
}
