// Serves metrics over HTTP, on an address of its own: who scrapes does not speak gRPC.

import { createServer, type RequestListener } from 'node:http';
import type { Endpoint } from '@leasehold/program/option-values';
import { formatEndpoint } from '@leasehold/program/option-values';
import { ListenError, removeStaleSocket, whyNotListening } from './doors.js';
import type { Prometheus } from './prometheus.js';

/** A listener that is up. */
export interface MetricsListener {
  readonly endpoint: Endpoint;
  close(): Promise<void>;
}

// A scrape takes milliseconds; who opens a connection and says nothing is not waited for.
const REQUEST_WITHIN_MS = 10_000;

/** Answers `GET /metrics`. */
export async function listenForScrapes(endpoint: Endpoint, prometheus: Prometheus): Promise<MetricsListener> {
  const server = createServer({ requestTimeout: REQUEST_WITHIN_MS, maxHeaderSize: 8 * 1024 }, answer(prometheus));
  server.maxConnections = 64;
  if (endpoint.kind === 'unix') await removeStaleSocket(endpoint.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new ListenError(`cannot listen on ${formatEndpoint(endpoint)}: ${whyNotListening(error.message)}`)),
    );
    server.listen(
      endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port },
      resolve,
    );
  });
  const bound = server.address();
  return {
    endpoint:
      endpoint.kind === 'tcp' && typeof bound === 'object' && bound ? { ...endpoint, port: bound.port } : endpoint,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(prometheus: Prometheus): RequestListener {
  return (request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' || path !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('Metrics are at GET /metrics\n');
      return;
    }
    prometheus.scrape().then(
      (text) => response.writeHead(200, { 'content-type': prometheus.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  };
}
