// A whole small cluster for tests and the demo: real servers, real agents on hosts of their own, and wires between them.
// Everything lives in a sandbox; servers and agents, in different namespaces, meet over unix sockets, or over a network of
// their own that can be cut.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Leasehold } from '@leasehold/sdk';
import type { TestAuthority } from '@leasehold/server/testing/test-authority';
import { eventually } from './eventually.js';
import { type Machine, Management } from './management.js';
import { type Bridge, Lab, type Namespace, type Nic } from './netns.js';
import { startProgram, type WatchedProcess } from './processes.js';
import { temporaryDirectory } from './sandbox.js';
import { TestServer } from './test-server.js';

const READY = 'is ready';

/** Servers that share a store. */
export interface ClusterOptions {
  /** The store as `--store` names it. */
  readonly store: string;
  readonly servers: number;
  /** Whether servers and hosts meet over a network of their own (management.ts). */
  readonly overNetwork?: boolean;
  /** Whose certificates they show each other there; absent: there is no TLS. */
  readonly authority?: TestAuthority;
}

/** A cluster. */
export class Cluster implements AsyncDisposable {
  readonly lab = new Lab();
  /** Its servers; agents follow any of them. */
  readonly servers: readonly [TestServer, ...TestServer[]];
  readonly #directory = temporaryDirectory('cluster-');
  readonly #wires = new Map<string, Bridge>();
  readonly #hosts = new Map<string, TestHost>();
  #management: Management | undefined;
  #authority: TestAuthority | undefined;

  /** Nothing is started. Without options: one server, with a store of its own. */
  constructor(options?: ClusterOptions) {
    const { store, servers } = options ?? { store: `embedded:${join(this.directory, 'data')}`, servers: 1 };
    const server = (n: number) => new TestServer(this.directory, n === 0 ? '' : `-${n}`, store);
    this.servers = [server(0), ...Array.from({ length: servers - 1 }, (_, n) => server(n + 1))];
  }

  /** A cluster whose server is up. `args`: more arguments of the server. */
  static async start(args: readonly string[] = []): Promise<Cluster> {
    const cluster = new Cluster();
    await cluster.startServer(args);
    return cluster;
  }

  /** A cluster whose servers are up; the first one leads. */
  static async startSeveral(options: ClusterOptions, args: readonly string[] = []): Promise<Cluster> {
    const cluster = new Cluster(options);
    if (options.overNetwork) await cluster.#joinByNetwork(options.store.startsWith('mongodb:'), options.authority);
    const [first, ...others] = cluster.servers;
    await first.start(args);
    await Promise.all(others.map((server) => server.start(args)));
    return cluster;
  }

  /** A cluster of one server with a store of its own, whose server and hosts meet over a network. */
  static async startOverNetwork(args: readonly string[] = [], authority?: TestAuthority): Promise<Cluster> {
    const cluster = new Cluster();
    await cluster.#joinByNetwork(false, authority);
    await cluster.startServer(args);
    return cluster;
  }

  async #joinByNetwork(hasStore: boolean, authority?: TestAuthority): Promise<void> {
    this.#management = await Management.start(this.lab, hasStore);
    this.#authority = authority;
    for (const [n, server] of this.servers.entries()) {
      const machine = await this.#management.plug(await this.lab.namespace(`server${n}`));
      server.moveTo(machine);
      if (!authority) continue;
      const shows = await authority.issue(`server/s${n}`, { ips: [machine.address] });
      server.secure(authority.flags(this.directory, `server${n}`, shows));
    }
  }

  /** Where files of this cluster go. */
  get directory(): string {
    return this.#directory.path;
  }

  /** The process of the first server. */
  get server(): WatchedProcess {
    return this.servers[0].process;
  }

  /** The endpoint of engines, at the first server. */
  get apiEndpoint(): string {
    return this.servers[0].apiEndpoint;
  }

  /** The endpoint of agents, at the first server. */
  get agentEndpoint(): string {
    return this.servers[0].agentEndpoint;
  }

  /** Starts the first server, on the data of the one before. */
  startServer(args: readonly string[] = []): Promise<void> {
    return this.servers[0].start(args);
  }

  /** An engine's client of the first server. */
  client(): Leasehold {
    return this.servers[0].client();
  }

  /** The wire of a network, through all hosts that have it. */
  async wire(networkId: string): Promise<Bridge> {
    let wire = this.#wires.get(networkId);
    if (!wire) {
      wire = await this.lab.wire(networkId);
      this.#wires.set(networkId, wire);
    }
    return wire;
  }

  /** A guest on the wire of a network: a vNIC whose host serves nothing. */
  async guest(networkId: string, name: string, mac: string): Promise<Nic> {
    return this.lab.guest(await this.wire(networkId), name, mac);
  }

  /** A host with a bridge `br-ID` in each of these networks, and its agent. */
  async host(hostId: string, networkIds: readonly string[], args: readonly string[] = []): Promise<TestHost> {
    const host = await this.idleHost(hostId, networkIds, args);
    await host.startAgent();
    return host;
  }

  /** The same, whose agent is not started yet. */
  async idleHost(hostId: string, networkIds: readonly string[], args: readonly string[] = []): Promise<TestHost> {
    const namespace = await this.lab.namespace(hostId);
    for (const networkId of networkIds) {
      await this.lab.bridge(namespace, bridgeOf(networkId), await this.wire(networkId));
    }
    const directory = join(this.directory, hostId);
    mkdirSync(directory);
    const machine = await this.#management?.plug(namespace);
    const all = [...(await this.#serverArgs(hostId, directory)), ...args];
    const host = new TestHost(hostId, namespace, directory, all, machine);
    host.writeNetworks(networkIds.map((networkId) => `${networkId}=${bridgeOf(networkId)}`));
    this.#hosts.set(hostId, host);
    return host;
  }

  async #serverArgs(hostId: string, directory: string): Promise<readonly string[]> {
    const servers = this.servers.flatMap(({ agentEndpoint }) => ['--server', agentEndpoint]);
    if (!this.#authority) return [this.#management ? '--insecure-network' : '--insecure', ...servers];
    return [...this.#authority.flags(directory, 'host', await this.#authority.issue(`host/${hostId}`)), ...servers];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.#hosts.values()) await host.killAgent();
    for (const server of this.servers) await server[Symbol.asyncDispose]();
    await this.#management?.[Symbol.asyncDispose]();
    await this.lab[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}

/** The bridge of a network on a host. */
export function bridgeOf(networkId: string): string {
  return `br-${networkId}`;
}

/** A host of a cluster. */
export class TestHost {
  readonly hostId: string;
  readonly namespace: Namespace;
  readonly stateDirectory: string;
  readonly #networksFile: string;
  readonly #args: readonly string[];
  readonly #machine: Machine | undefined;
  #agent: WatchedProcess | undefined;

  constructor(hostId: string, namespace: Namespace, directory: string, args: readonly string[], machine?: Machine) {
    this.hostId = hostId;
    this.namespace = namespace;
    this.stateDirectory = join(directory, 'state');
    this.#networksFile = join(directory, 'networks');
    this.#args = args;
    this.#machine = machine;
  }

  /** The host on the network on which it meets the servers. */
  get machine(): Machine {
    if (!this.#machine) throw new Error(`${this.hostId} meets the servers over unix sockets`);
    return this.#machine;
  }

  /** The agent. */
  get agent(): WatchedProcess {
    if (!this.#agent) throw new Error(`The agent of ${this.hostId} was not started`);
    return this.#agent;
  }

  /** Starts the agent, on the state of the one before. `args`: more arguments, this time; of an option the last one counts. */
  async startAgent(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#agent = startProgram(
      'leasehold-agent',
      [
        ...['--host-id', this.hostId],
        ...['--networks-file', this.#networksFile],
        ...['--state-dir', this.stateDirectory],
        ...this.#args,
        ...args,
      ],
      { namespace: this.namespace, env },
    );
    await this.#agent.waitForLine(READY);
  }

  /** `kill -9` of the agent. */
  async killAgent(): Promise<void> {
    await this.#agent?.kill();
  }

  /** Replaces the networks file, which the running agent reads again. */
  writeNetworks(lines: readonly string[]): void {
    writeFileSync(this.#networksFile, `${lines.join('\n')}\n`);
  }
}

/** The hosts that serve a network, by the server's word, once there are `count`. */
export function servingHosts(leasehold: Leasehold, networkId: string, count: number): Promise<readonly string[]> {
  return eventually(`${count} hosts serve ${networkId}`, async () => {
    const serving: string[] = [];
    for await (const placement of leasehold.placements.list({ networkId })) {
      if (placement.state !== 'serving') {
        if (count === 0) return undefined;
        continue;
      }
      serving.push(placement.hostId);
    }
    return serving.length === count ? serving.sort() : undefined;
  });
}
