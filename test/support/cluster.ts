// A whole small cluster for tests and the demo: a real server, real agents on hosts of their own, and wires between
// them. Everything lives in a sandbox; servers and agents, in different namespaces, meet over unix sockets.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type Leasehold } from '@leasehold/sdk';
import { eventually } from './eventually.js';
import { type Bridge, Lab, type Namespace, type Nic } from './netns.js';
import { startProgram, type WatchedProcess } from './processes.js';
import { temporaryDirectory } from './sandbox.js';

const READY = 'is ready';

/** A cluster. */
export class Cluster implements AsyncDisposable {
  readonly lab = new Lab();
  readonly #directory = temporaryDirectory('cluster-');
  readonly #wires = new Map<string, Bridge>();
  readonly #hosts = new Map<string, TestHost>();
  readonly #clients: Leasehold[] = [];
  #server: WatchedProcess | undefined;

  /** A cluster whose server is up. `args`: more arguments of the server. */
  static async start(args: readonly string[] = []): Promise<Cluster> {
    const cluster = new Cluster();
    await cluster.startServer(args);
    return cluster;
  }

  /** Where files of this cluster go. */
  get directory(): string {
    return this.#directory.path;
  }

  /** The server. */
  get server(): WatchedProcess {
    if (!this.#server) throw new Error('The server was not started');
    return this.#server;
  }

  /** The endpoint of engines. */
  get apiEndpoint(): string {
    return `unix:${join(this.directory, 'api.sock')}`;
  }

  /** The endpoint of agents. */
  get agentEndpoint(): string {
    return `unix:${join(this.directory, 'agents.sock')}`;
  }

  /** The endpoint of monitoring. */
  get metricsEndpoint(): string {
    return `unix:${join(this.directory, 'metrics.sock')}`;
  }

  /** Starts the server, on the data of the one before. */
  async startServer(args: readonly string[] = []): Promise<void> {
    this.#server = startProgram('leasehold-server', [
      '--insecure',
      ...['--listen', this.apiEndpoint],
      ...['--agent-listen', this.agentEndpoint],
      ...['--metrics-listen', this.metricsEndpoint],
      ...['--store', `embedded:${join(this.directory, 'data')}`],
      ...args,
    ]);
    await this.#server.waitForLine(READY);
  }

  /** An engine's client. */
  client(): Leasehold {
    const client = connect({ server: this.apiEndpoint });
    this.#clients.push(client);
    return client;
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
    const namespace = await this.lab.namespace(hostId);
    for (const networkId of networkIds) {
      await this.lab.bridge(namespace, bridgeOf(networkId), await this.wire(networkId));
    }
    const directory = join(this.directory, hostId);
    mkdirSync(directory);
    const host = new TestHost(hostId, namespace, directory, this.agentEndpoint, args);
    host.writeNetworks(networkIds.map((networkId) => `${networkId}=${bridgeOf(networkId)}`));
    this.#hosts.set(hostId, host);
    await host.startAgent();
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    for (const host of this.#hosts.values()) await host.killAgent();
    await this.#server?.kill();
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
  readonly #agentEndpoint: string;
  readonly #args: readonly string[];
  #agent: WatchedProcess | undefined;

  constructor(hostId: string, namespace: Namespace, directory: string, agentEndpoint: string, args: readonly string[]) {
    this.hostId = hostId;
    this.namespace = namespace;
    this.stateDirectory = join(directory, 'state');
    this.#networksFile = join(directory, 'networks');
    this.#agentEndpoint = agentEndpoint;
    this.#args = args;
  }

  /** The agent. */
  get agent(): WatchedProcess {
    if (!this.#agent) throw new Error(`The agent of ${this.hostId} was not started`);
    return this.#agent;
  }

  /** Starts the agent, on the state of the one before. */
  async startAgent(): Promise<void> {
    this.#agent = startProgram(
      'leasehold-agent',
      [
        '--insecure',
        ...['--server', this.#agentEndpoint],
        ...['--host-id', this.hostId],
        ...['--networks-file', this.#networksFile],
        ...['--state-dir', this.stateDirectory],
        ...this.#args,
      ],
      { namespace: this.namespace },
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
