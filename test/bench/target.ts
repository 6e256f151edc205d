// The two servers that are compared: the real one on a fresh embedded store, and the empty one.

import type { Leasehold } from '@leasehold/sdk';
import { Cluster } from '../support/cluster.js';
import type { WatchedProcess } from '../support/processes.js';
import { startChild } from './child.js';
import { type Load, type LoadResult, runLoad } from './load.js';

/** The real server's endpoint for loads. */
export const SERVER = '127.0.0.1:7067';

/** The empty server's endpoint. */
export const EMPTY = '127.0.0.1:7000';

/** Starts the real server. */
export function startServer(): Promise<Cluster> {
  return Cluster.start(['--listen', SERVER]);
}

/** Starts the empty server. */
export async function startEmptyServer(): Promise<WatchedProcess> {
  const server = startChild('empty-server-program', { listen: EMPTY });
  await server.waitForLine('is ready');
  return server;
}

/** How a server did under a load. */
export interface ServerResult extends LoadResult {
  readonly callsPerSecond: number;
  /** Microseconds of the server's processor time per call, which other work on the machine changes least. */
  readonly cpuPerCallUs: number;
}

/** Runs a load and says what it cost the server. */
export async function loadServer(server: WatchedProcess, load: Omit<Load, 'serverPid'>): Promise<ServerResult> {
  const result = await runLoad({ ...load, serverPid: server.pid });
  return {
    ...result,
    callsPerSecond: load.count / result.seconds,
    cpuPerCallUs: (result.serverCpuSeconds / load.count) * 1e6,
  };
}

/** Makes a network with one subnet of the same name in 10.N.0.0/16. */
export async function createSubnet(leasehold: Leasehold, name: string, n: number): Promise<number> {
  await leasehold.networks.create({ networkId: name });
  const { usage } = await leasehold.subnets.create({ subnetId: name, networkId: name, cidr: `10.${n}.0.0/16` });
  return usage?.capacity ?? 0;
}

/** Fails unless a subnet holds so many reservations: an answered call may still have been the wrong one. */
export async function expectReserved(leasehold: Leasehold, subnetId: string, count: number): Promise<void> {
  const { usage } = await leasehold.subnets.get(subnetId);
  if (usage?.reserved !== count)
    throw new Error(`${subnetId} holds ${usage?.reserved} reservations instead of ${count}`);
}
