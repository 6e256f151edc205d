// The built server as a place, with hosts that are light: what they serve is in memory.

import { join } from 'node:path';
import { grpcTransport } from '@leasehold/agent/session/grpc-transport';
import { PLAIN } from '@leasehold/agent/session/security';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import { MemoryLog } from '../../fakes/memory-log.js';
import { LightHost } from '../../support/light-host.js';
import { temporaryDirectory } from '../../support/sandbox.js';
import { TestServer } from '../../support/test-server.js';
import type { ApiPlace } from './api.js';

/** Starts a server; `store`: absent, an embedded one. */
export async function serverPlace(store?: string): Promise<ApiPlace> {
  const directory = temporaryDirectory('api-');
  const server = new TestServer(directory.path, '', store ?? `embedded:${join(directory.path, 'data')}`);
  await server.start();
  const hosts: LightHost[] = [];
  const clock = systemClock();
  const lookup = () => Promise.reject(new Error('There are no names here'));
  const transport = grpcTransport({ security: () => PLAIN, clock, mayFollow: () => true, lookup });
  const ports = { clock, entropy: systemEntropy(), log: new MemoryLog(), transport };
  return {
    address: server.apiEndpoint,
    async restart() {
      // Of several servers of a store one that stops gives the lead up; after a kill the next one waits for it.
      if (store === undefined) await server.kill();
      else server.process.signal('SIGTERM');
      await server.process.exited;
      await server.start();
    },
    async addHost(hostId, networkIds) {
      const host = new LightHost(hostId, networkIds, [server.agentEndpoint], ports);
      hosts.push(host);
      host.start();
      await host.opened;
      return host;
    },
    advance: () => Promise.reject(new Error('A real server has the time of the machine')),
    async remove() {
      for (const host of hosts) await host.stop();
      await server[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}
