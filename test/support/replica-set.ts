// A real MongoDB for tests and benchmarks: replica sets whose nodes are killed, stopped and made to fail as a test wants.
//
//   M1. A node keeps its port while it is down: ports lie below those that the kernel gives out, and are tried.
//   M2. A node dies with us, even when we are killed with SIGKILL; disposing kills it and removes its data.
//   M3. A set that was started has a primary, and every node had a write of it: any two of three are a majority.
//   M4. Who is primary is asked of the nodes. Of two that say so, the one elected last is.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Document, MongoClient } from 'mongodb';
import { eventually } from './eventually.js';
import { presentMongod } from './mongod-binary.js';
import { WatchedProcess } from './processes.js';

/** What a set is started with. */
export interface ReplicaSetOptions {
  readonly nodes: 1 | 3;
  /** Where a directory for its data is made; absent: where temporary ones are. */
  readonly directory?: string;
  /** Size of the oplog; 64. A small one is overrun by tests of lost positions. */
  readonly oplogSizeMb?: number;
  /** More `--setParameter`, or other values for ours. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
}

/** What MongoDB's fail point `failCommand` does, by its own names; nothing of it before or after. */
export interface FailCommand {
  /** Which commands, as `insert`. */
  readonly failCommands: readonly string[];
  /** How many of them; absent: all until disposed. */
  readonly times?: number;
  /** How many are spared first; then all until disposed. */
  readonly skip?: number;
  /** Only on this collection, as `db.slots`; absent: on all. */
  readonly namespace?: string;
  /** Only of clients whose URI says `appName=…`; absent: of all. */
  readonly appName?: string;
  /** Ends the connection; the command is not carried out. */
  readonly closeConnection?: boolean;
  /** Refuses with this code; the command is not carried out. */
  readonly errorCode?: number;
  readonly errorLabels?: readonly string[];
  /** Carries the command out, or fails it, only after `blockTimeMS`: also when its client gave up meanwhile. */
  readonly blockConnection?: boolean;
  readonly blockTimeMS?: number;
  /** Carries the command out, and answers that it is not known to be on a majority. */
  readonly writeConcernError?: { readonly code: number; readonly errmsg: string };
}

const HOST = '127.0.0.1';
const NAME = 'rs0';
// Linux gives out ports from 32768 on.
const FIRST_PORT = 20_000;
const PORTS = 12_000;
const ADDRESS_TAKEN = 48;
const PARAMETERS = { enableTestCommands: 1, diagnosticDataCollectionEnabled: false };
const SETTINGS = { electionTimeoutMillis: 1_000, heartbeatIntervalMillis: 500 };
const OPLOG_SIZE_MB = 64;

/** One mongod. Its data outlives its process. */
export class MongoNode implements AsyncDisposable {
  /** Where it listens, as `127.0.0.1:20000`. */
  readonly host: string;
  readonly #command: readonly [string, ...string[]];
  #process: WatchedProcess | undefined;
  #client: MongoClient | undefined;
  #frozen = false;

  private constructor(binary: string, port: number, args: readonly string[]) {
    this.host = `${HOST}:${port}`;
    this.#command = [binary, '--port', String(port), ...args];
  }

  /** A node that listens. */
  static async start(binary: string, args: readonly string[]): Promise<MongoNode> {
    for (;;) {
      const node = new MongoNode(binary, await freePort(), args);
      try {
        await node.restart();
        return node;
      } catch (error) {
        await node.kill();
        // Somebody was quicker, between our look and its start.
        if (node.#process?.exitCode !== ADDRESS_TAKEN) throw error;
      }
    }
  }

  /** Its process. */
  get pid(): number {
    if (!this.#process) throw new Error(`The node ${this.host} was not started`);
    return this.#process.pid;
  }

  /** Whether it can answer: neither killed nor frozen. */
  get isRunning(): boolean {
    return this.#process !== undefined && this.#process.exitCode === undefined && !this.#frozen;
  }

  /** `kill -9`, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#frozen = false;
    // Only now: of a frozen one, the client would wait for a farewell.
    await this.#client?.close();
    this.#client = undefined;
  }

  /** Stops it in the middle of what it does (SIGSTOP), and returns when it stands still. Its connections stay. */
  freeze(): void {
    this.#frozen = true;
    if (this.#process?.exitCode !== undefined) return;
    this.#process?.signal('SIGSTOP');
    // A thread that runs goes on until it is told, on a busy machine long enough to answer something.
    while (!standsStill(this.pid));
  }

  /** Lets it go on after `freeze`. */
  thaw(): void {
    this.#process?.signal('SIGCONT');
    this.#frozen = false;
  }

  /** Starts it on its data, after a kill if it runs, and waits until it listens. */
  async restart(): Promise<void> {
    await this.kill();
    const process = new WatchedProcess('setpriv', ['--pdeathsig', 'KILL', ...this.#command]);
    this.#process = process;
    this.#client = new MongoClient(`mongodb://${this.host}/?directConnection=true`);
    await process.waitForLine(({ fields }) => fields['msg'] === 'Waiting for connections');
  }

  /** Runs a command on this node, whatever its role. */
  async command(database: string, command: Document): Promise<Document> {
    if (!this.isRunning || !this.#client) throw new Error(`The node ${this.host} does not run`);
    return this.#client.db(database).command(command);
  }

  /** Makes commands fail on this node, until disposed. */
  async failCommand({ times, skip, ...data }: FailCommand): Promise<AsyncDisposable> {
    const mode = times === undefined ? (skip === undefined ? 'alwaysOn' : { skip }) : { times };
    return this.#failPoint('failCommand', mode, data);
  }

  /**
   * Carries out the next retryable write and ends the connection instead of answering. Commands of this name after the
   * first, the driver's repetition among them, do nothing but end the connection, until disposed: the caller learns nothing.
   */
  async loseReply(command: string, appName?: string): Promise<AsyncDisposable> {
    const filter = appName === undefined ? {} : { appName };
    const repetitions = { failCommands: [command], closeConnection: true, ...filter };
    const after = await this.#failPoint('onPrimaryTransactionalWrite', { times: 1 }, { closeConnection: true });
    const then = await this.#failPoint('failCommand', { skip: 1 }, repetitions);
    return {
      [Symbol.asyncDispose]: async () => {
        await after[Symbol.asyncDispose]();
        await then[Symbol.asyncDispose]();
      },
    };
  }

  /** Carries out commands of this name on a collection, as `db.slots`, and answers them only when disposed. */
  async holdReplies(command: string, collection: string): Promise<AsyncDisposable> {
    return this.#failPoint('waitAfterCommandFinishesExecution', 'alwaysOn', { commands: [command], ns: collection });
  }

  async #failPoint(name: string, mode: string | Document, data: Document): Promise<AsyncDisposable> {
    await this.command('admin', { configureFailPoint: name, mode, data });
    return {
      [Symbol.asyncDispose]: async () => {
        // It ends with the process.
        if (this.isRunning) await this.command('admin', { configureFailPoint: name, mode: 'off' });
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** A replica set. */
export class ReplicaSet implements AsyncDisposable {
  readonly nodes: readonly MongoNode[];
  readonly #directory: string;

  private constructor(nodes: readonly MongoNode[], directory: string) {
    this.nodes = nodes;
    this.#directory = directory;
  }

  /** A set that takes writes. */
  static async start(options: ReplicaSetOptions): Promise<ReplicaSet> {
    const binary = await mongodPath();
    const directory = dataDirectory(options.directory);
    const { oplogSizeMb = OPLOG_SIZE_MB } = options;
    // The oplog is cut up to the last checkpoint, and by default there is one a minute.
    const checkpoints = oplogSizeMb < OPLOG_SIZE_MB ? ['--syncdelay', '1'] : [];
    const replication = ['--replSet', NAME, '--oplogSize', String(oplogSizeMb), ...checkpoints];
    const starts = Array.from({ length: options.nodes }, (_, n) => {
      const path = join(directory, `node${n}`);
      mkdirSync(path);
      return MongoNode.start(binary, [...replication, ...commonArguments(path, options.parameters)]);
    });
    const settled = await Promise.allSettled(starts);
    const set = new ReplicaSet(
      settled.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : [])),
      directory,
    );
    try {
      await Promise.all(starts);
      await set.#initiate();
    } catch (error) {
      await set[Symbol.asyncDispose]();
      throw error;
    }
    return set;
  }

  /** The URI of a database of this set. */
  uri(database: string): string {
    return `mongodb://${this.nodes.map(({ host }) => host).join(',')}/${database}?replicaSet=${NAME}`;
  }

  /** The node that is primary now; undefined: none is. */
  async primary(): Promise<MongoNode | undefined> {
    const primaries = (await this.#hellos()).filter(({ hello }) => hello['isWritablePrimary'] === true);
    return primaries.toSorted((a, b) => (electionOf(a.hello) < electionOf(b.hello) ? 1 : -1))[0]?.node;
  }

  /** The nodes that are secondaries now. */
  async secondaries(): Promise<readonly MongoNode[]> {
    return (await this.#hellos()).filter(({ hello }) => hello['secondary'] === true).map(({ node }) => node);
  }

  /** The primary, once there is one, other than `exclude`. */
  waitForPrimary(exclude?: MongoNode): Promise<MongoNode> {
    return eventually('a node is primary', async () => {
      const primary = await this.primary();
      return primary !== exclude && primary;
    });
  }

  /** Removes a database. */
  async dropDatabase(database: string): Promise<void> {
    const primary = await this.waitForPrimary();
    await primary.command(database, { dropDatabase: 1, writeConcern: { w: 'majority' } });
  }

  async #initiate(): Promise<void> {
    const members = this.nodes.map(({ host }, index) => ({ _id: index, host }));
    await this.nodes[0]?.command('admin', { replSetInitiate: { _id: NAME, members, settings: SETTINGS } });
    const note = {
      appendOplogNote: 1,
      data: { started: NAME },
      writeConcern: { w: this.nodes.length, wtimeout: 1_000 },
    };
    await eventually('every node has a write', async () => {
      const primary = await this.primary();
      return primary?.command('admin', note).catch(() => undefined);
    });
  }

  async #hellos(): Promise<readonly { readonly node: MongoNode; readonly hello: Document }[]> {
    const running = this.nodes.filter(({ isRunning }) => isRunning);
    return Promise.all(
      // One that dies meanwhile is nothing.
      running.map(async (node) => ({ node, hello: await node.command('admin', { hello: 1 }).catch(() => ({})) })),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    removeDirectory(this.#directory);
  }
}

/** A mongod that is in no replica set. */
export interface Standalone extends AsyncDisposable {
  /** The URI of a database. */
  uri(database: string): string;
}

/** Starts a mongod that is in no replica set: it has no transactions and no change streams. */
export async function startStandalone(): Promise<Standalone> {
  const directory = dataDirectory();
  const node = await MongoNode.start(await mongodPath(), commonArguments(directory));
  return {
    uri: (database) => `mongodb://${node.host}/${database}`,
    [Symbol.asyncDispose]: async () => {
      await node.kill();
      removeDirectory(directory);
    },
  };
}

async function mongodPath(): Promise<string> {
  const binary = await presentMongod();
  if (!binary.ok) throw new Error(`MongoDB cannot be started: ${binary.problem}`);
  return binary.path;
}

function commonArguments(path: string, parameters: ReplicaSetOptions['parameters'] = {}): readonly string[] {
  const settings = Object.entries({ ...PARAMETERS, ...parameters });
  return [
    ...['--bind_ip', HOST, '--dbpath', path, '--nounixsocket', '--quiet'],
    ...['--storageEngine', 'wiredTiger', '--wiredTigerCacheSizeGB', '0.25'],
    ...settings.flatMap(([name, value]) => ['--setParameter', `${name}=${value}`]),
  ];
}

function dataDirectory(parent: string = tmpdir()): string {
  return mkdtempSync(join(parent, 'mongod-'));
}

function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** Whether every thread of a process is stopped, or there is none. */
function standsStill(pid: number): boolean {
  try {
    const states = readdirSync(`/proc/${pid}/task`).map((task) =>
      readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'),
    );
    return states.every((text) => /\) [TtXZ] /.test(text));
  } catch {
    // A thread ended meanwhile, or all of them.
    return !existsSync(`/proc/${pid}`);
  }
}

/** Larger for later elections: it begins with the term. */
function electionOf(hello: Document): string {
  return String(hello['electionId']);
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().on('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
