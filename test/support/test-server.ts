// A real server under test: its endpoints, its process, its clients, and what it counts. All endpoints are unix sockets,
// so that any number of servers run side by side and are reached from every namespace; on a machine of its own, agents and
// other servers reach it by network.

import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type ConnectOptions, connect, type Leasehold } from '@leasehold/sdk';
import type { Machine } from './management.js';
import { type StartOptions, startProgram, type WatchedProcess } from './processes.js';

const READY = 'is ready';

/** A server. Its endpoints stay the same when it is started again. */
export class TestServer implements AsyncDisposable {
  readonly #directory: string;
  readonly #suffix: string;
  readonly #store: string;
  readonly #clients: Leasehold[] = [];
  #process: WatchedProcess | undefined;
  #machine: Machine | undefined;
  #tls: readonly string[] | undefined;

  /** `directory`: where its sockets go; `suffix`: what tells them from those of other servers there. */
  constructor(directory: string, suffix: string, store: string) {
    this.#directory = directory;
    this.#suffix = suffix;
    this.#store = store;
  }

  /** The endpoint of engines. */
  get apiEndpoint(): string {
    return this.#endpoint('api');
  }

  /** The endpoint of agents. */
  get agentEndpoint(): string {
    return this.#machine ? `${this.#machine.address}:7069` : this.#endpoint('agents');
  }

  /** The endpoint of monitoring. */
  get metricsEndpoint(): string {
    return this.#endpoint('metrics');
  }

  #endpoint(name: string): string {
    return `unix:${join(this.#directory, `${name}${this.#suffix}.sock`)}`;
  }

  /** Puts it on a machine, from its next start on. */
  moveTo(machine: Machine): void {
    this.#machine = machine;
  }

  /** Makes it speak TLS from its next start on, with these flags: to the network, or, where it has no machine, to all. */
  secure(flags: readonly string[]): void {
    this.#tls = flags;
  }

  /** Its machine. */
  get machine(): Machine {
    if (!this.#machine) throw new Error('The server has no machine of its own');
    return this.#machine;
  }

  /** Its process, which is another after every start. */
  get process(): WatchedProcess {
    if (!this.#process) throw new Error('The server was not started');
    return this.#process;
  }

  /** Starts it, on the data of the one before, and waits until it is ready. `args`: more arguments. */
  async start(args: readonly string[] = [], options: StartOptions = {}): Promise<void> {
    const peers = this.#machine && `${this.#machine.address}:7067`;
    const all = [
      ...(this.#tls ?? [peers ? '--insecure-network' : '--insecure']),
      ...(this.#tls && peers ? ['--insecure'] : []),
      ...(peers ? ['--listen', peers, '--advertise', peers] : []),
      ...['--listen', this.apiEndpoint],
      ...['--agent-listen', this.agentEndpoint],
      ...['--metrics-listen', this.metricsEndpoint],
      ...['--store', this.#store],
      ...args,
    ];
    const place = this.#machine ? { namespace: this.#machine.namespace } : {};
    this.#process = startProgram('leasehold-server', all, { ...place, ...options });
    await this.#process.waitForLine(READY);
  }

  /** `kill -9`, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** An engine's client of its own connection, closed with the server. */
  client(options: Omit<ConnectOptions, 'server'> = {}): Leasehold {
    const client = connect({ ...options, server: this.apiEndpoint });
    this.#clients.push(client);
    return client;
  }

  /** A scrape: samples by their names, with labels as they are printed, as `name{label="value"}`. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const lines = (await scrape(this.metricsEndpoint.slice('unix:'.length))).split('\n');
    const samples = lines.filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(samples.map((line) => splitLast(line)).map(([name, value]) => [name, Number(value)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.kill();
  }
}

function splitLast(line: string): readonly [string, string] {
  const at = line.lastIndexOf(' ');
  return [line.slice(0, at), line.slice(at + 1)];
}

function scrape(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/metrics' }, (response) => {
      if (response.statusCode === 200) resolve(text(response));
      else reject(new Error(`A scrape is answered with ${response.statusCode}`));
    });
    asked.on('error', reject).end();
  });
}
