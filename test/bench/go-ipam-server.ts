// A go-ipam server on a replica set of ours, with one /16 that is as full as a benchmark wants.
//
// It keeps a prefix as one document with a map of all addresses taken. That document is written here directly: asked for
// one address after the other, it would take hours to become full.

import { connect } from 'node:net';
import { eventually } from '../support/eventually.js';
import { WatchedProcess } from '../support/processes.js';
import type { ReplicaSet } from '../support/replica-set.js';
import { NotMeasuredError } from './benchmark.js';
import type { Generator } from './load.js';
import { loadTarget, type ServerResult } from './target.js';

/** The path of the server, and why there is none; set for what runs in the sandbox, where nothing is built. */
export const GO_IPAM_VARIABLES = { path: 'LEASEHOLD_GO_IPAM', problem: 'LEASEHOLD_NO_GO_IPAM' } as const;

const HOST = '127.0.0.1';
const PORT = 9_090;
const METRICS = `${HOST}:2112`;
const DATABASE = 'go-ipam';
const COLLECTION = 'root';
const CREDENTIALS = { user: 'go-ipam', password: 'go-ipam' };
const CIDR = '10.0.0.0/16';
// It takes these two itself when it makes a prefix.
const NETWORK = 0;
const BROADCAST = 65_535;

/** See the top of the file. */
export class GoIpam implements AsyncDisposable {
  readonly #process: WatchedProcess;
  readonly #set: ReplicaSet;
  readonly #generator: Generator;
  #taken = 0;

  private constructor(process: WatchedProcess, set: ReplicaSet, generator: Generator) {
    this.#process = process;
    this.#set = set;
    this.#generator = generator;
  }

  /** Starts it. */
  static async start(set: ReplicaSet, generator: Generator): Promise<GoIpam> {
    const binary = process.env[GO_IPAM_VARIABLES.path];
    if (!binary) throw new NotMeasuredError(process.env[GO_IPAM_VARIABLES.problem] ?? 'there is no go-ipam here');
    await createUser(set);
    const endpoints = ['--grpc-server-endpoint', `${HOST}:${PORT}`, '--metrics-endpoint', METRICS];
    const server = new WatchedProcess(binary, [...endpoints, 'mongodb', ...storageArguments(set)]);
    try {
      await eventually('go-ipam listens', () => {
        if (server.exitCode !== undefined) throw new Error(server.lines.map(({ text }) => text).join('\n'));
        return listens();
      });
      return new GoIpam(server, set, generator);
    } catch (error) {
      await server.kill();
      throw error;
    }
  }

  /** Makes so many addresses of its /16 taken, the first ones, as it would itself. */
  async fill(count: number): Promise<void> {
    const numbers = [NETWORK, ...Array.from({ length: count }, (_, i) => i + 1), BROADCAST];
    const document = {
      prefix: { cidr: CIDR, parentcidr: '' },
      namespace: '',
      availablechildprefixes: {},
      childprefixlength: 0,
      isparent: false,
      ips: Object.fromEntries(numbers.map((n) => [`10.0.${n >> 8}.${n & 0xff}`, true])),
      version: 0,
    };
    const primary = await this.#set.waitForPrimary();
    await primary.command(DATABASE, {
      update: COLLECTION,
      updates: [{ q: { 'prefix.cidr': CIDR }, u: document, upsert: true }],
      writeConcern: { w: 'majority' },
    });
    this.#taken = numbers.length;
    await this.#expectTaken();
  }

  /** Acquires so many addresses more, so many at once. */
  async acquire(count: number, outstanding: number): Promise<ServerResult> {
    const target = { endpoints: [`${HOST}:${PORT}`], processes: [this.#process] };
    const calls = { kind: 'acquire', cidr: CIDR } as const;
    const result = await loadTarget(this.#generator, target, { calls, count, outstanding });
    this.#taken += count;
    await this.#expectTaken();
    return result;
  }

  /** Fails unless the prefix holds as many addresses as were answered: then no two of them were the same. */
  async #expectTaken(): Promise<void> {
    const primary = await this.#set.waitForPrimary();
    const found = await primary.command(DATABASE, { find: COLLECTION, filter: { 'prefix.cidr': CIDR } });
    const { firstBatch } = found['cursor'] as { readonly firstBatch: readonly { readonly ips: object }[] };
    const taken = firstBatch.map(({ ips }) => Object.keys(ips).length);
    if (taken.length !== 1 || taken[0] !== this.#taken) {
      throw new Error(`go-ipam holds ${taken.join(' and ') || 'no'} addresses instead of ${this.#taken}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

// It always logs in, also where nobody has to.
async function createUser(set: ReplicaSet): Promise<void> {
  const primary = await set.waitForPrimary();
  await primary.command('admin', {
    createUser: CREDENTIALS.user,
    pwd: CREDENTIALS.password,
    roles: ['root'],
    mechanisms: ['SCRAM-SHA-1'],
    writeConcern: { w: 3 },
  });
}

// It puts `mongodb://HOST:PORT` together from these two, and so takes all nodes and the name of the set.
function storageArguments(set: ReplicaSet): readonly string[] {
  const nodes = set.uri('').replace('mongodb://', '');
  const colon = nodes.lastIndexOf(':');
  const where = ['--host', nodes.slice(0, colon), '--port', nodes.slice(colon + 1), '--db-name', DATABASE];
  return [...where, '--user', CREDENTIALS.user, '--password', CREDENTIALS.password];
}

function listens(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(PORT, HOST, () => {
      socket.destroy();
      resolve(true);
    }).on('error', () => resolve(false));
  });
}
