// What is loaded: real servers, the empty one, and subnets to reserve in.

import type { Leasehold } from '@leasehold/sdk';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { WatchedProcess } from '../support/processes.js';
import { ReplicaSet } from '../support/replica-set.js';
import { NotMeasuredError } from './benchmark.js';
import { startChild } from './child.js';
import type { Generator, Load, LoadResult } from './load.js';

/** The first real server's endpoint for loads. */
export const SERVER = '127.0.0.1:7067';

/** The empty server's endpoint. */
export const EMPTY = '127.0.0.1:7000';

/** Why there is no mongod; set for what runs in the sandbox, where nothing is downloaded. */
export const NO_MONGOD_VARIABLE = 'LEASEHOLD_NO_MONGOD';

/** Starts a real server on a fresh embedded store. */
export function startServer(): Promise<Cluster> {
  return Cluster.start(['--listen', SERVER]);
}

/** Starts real servers that share a store, one for each endpoint. */
export async function startServers(store: string, endpoints: readonly string[]): Promise<Cluster> {
  const cluster = new Cluster({ store, servers: endpoints.length });
  for (const [n, server] of cluster.servers.entries()) await server.start(['--listen', endpoints[n] ?? '']);
  return cluster;
}

/** Starts a replica set of three nodes. */
export async function startReplicaSet(): Promise<ReplicaSet> {
  const problem = process.env[NO_MONGOD_VARIABLE];
  if (problem) throw new NotMeasuredError(problem);
  return ReplicaSet.start({ nodes: 3, oplogSizeMb: 1_024 });
}

/** Starts the empty server. */
export async function startEmptyServer(): Promise<WatchedProcess> {
  const server = startChild('empty-server-program', { listen: EMPTY });
  await server.waitForLine('is ready');
  return server;
}

/** Servers that share a load. */
export interface Target {
  readonly endpoints: readonly string[];
  readonly processes: readonly WatchedProcess[];
}

/** A cluster's servers, and the empty one, as what is loaded. */
export const targetOf = {
  cluster: ({ servers }: Cluster, endpoints: readonly string[]): Target => ({
    endpoints,
    processes: servers.map(({ process }) => process),
  }),
  empty: (server: WatchedProcess): Target => ({ endpoints: [EMPTY], processes: [server] }),
};

/** How servers did under a load. */
export interface ServerResult extends LoadResult {
  readonly callsPerSecond: number;
  /** Microseconds of the servers' processor time per call, which other work on the machine changes least. */
  readonly cpuPerCallUs: number;
}

/** Runs a load and says what it cost the servers. */
export async function loadTarget(
  generator: Generator,
  { endpoints, processes }: Target,
  load: Pick<Load, 'calls' | 'count' | 'outstanding'>,
): Promise<ServerResult> {
  const result = await generator.run({ ...load, endpoints, serverPids: processes.map(({ pid }) => pid) });
  return {
    ...result,
    callsPerSecond: load.count / result.seconds,
    cpuPerCallUs: (result.serverCpuSeconds / load.count) * 1e6,
  };
}

/** Makes a network with one subnet of the same name in 10.N.0.0/16; how many addresses it has. */
export async function createSubnet(leasehold: Leasehold, name: string, n: number): Promise<number> {
  await leasehold.networks.create({ networkId: name });
  const { usage } = await leasehold.subnets.create({ subnetId: name, networkId: name, cidr: `10.${n}.0.0/16` });
  return usage?.capacity ?? 0;
}

/** Fails unless a subnet comes to hold so many reservations: an answered call may still have been the wrong one. */
export async function expectReserved(leasehold: Leasehold, subnetId: string, count: number): Promise<void> {
  // Counters follow the watch.
  await eventually(`${subnetId} holds ${count} reservations`, async () => {
    const { usage } = await leasehold.subnets.get(subnetId);
    return usage?.reserved === count;
  });
}

/** Reserves in subnets of its own, one after the other, every MAC once. */
export class Reserver {
  readonly #generator: Generator;
  readonly #leasehold: Leasehold;
  readonly #target: Target;
  readonly #name: string;
  readonly #atMost: number;
  #subnets = 0;
  #reserved = 0;

  /** `name`: what its subnets' names begin with; `atMost`: how many reservations each gets. */
  constructor(generator: Generator, leasehold: Leasehold, target: Target, name: string, atMost: number) {
    this.#generator = generator;
    this.#leasehold = leasehold;
    this.#target = target;
    this.#name = name;
    this.#atMost = atMost;
  }

  /** The subnet it is at. */
  get subnetId(): string {
    return `${this.#name}-${this.#subnets}`;
  }

  /** Reserves so many; in the next subnet, when they would be too many for this one. */
  async reserve(count: number, outstanding: number): Promise<ServerResult> {
    if (this.#subnets === 0 || this.#reserved + count > this.#atMost) {
      this.#subnets++;
      this.#reserved = 0;
      await createSubnet(this.#leasehold, this.subnetId, this.#subnets);
    }
    const calls = { kind: 'reserve', subnetId: this.subnetId, firstMac: this.#reserved } as const;
    const result = await loadTarget(this.#generator, this.#target, { calls, count, outstanding });
    this.#reserved += count;
    await expectReserved(this.#leasehold, this.subnetId, this.#reserved);
    return result;
  }
}
