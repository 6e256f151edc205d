// Agents by the thousand, some thousand in a process: the product's own sessions over gRPC, without a host below them.

import type { Credentials } from '@leasehold/server/adapters/pki/certificates';
import { TaskProgram } from './child.js';

/** What the program is asked. */
export type AgentsTask =
  /** Starts hosts `first` to `first + count - 1`, so many a second. Host i is attached to network `n<i mod networks>`. */
  | {
      readonly kind: 'start';
      readonly first: number;
      readonly count: number;
      readonly perSecond: number;
      readonly networks: number;
      readonly servers: readonly string[];
      /** The CA that vouches for each of them, and for the servers; absent: there is no TLS. */
      readonly authority?: Credentials | undefined;
    }
  /** Waits until all sessions that began after `sinceMs` are open: of every host one. */
  | { readonly kind: 'open'; readonly sinceMs: number; readonly patienceMs: number }
  /** Waits until every host that serves its network has this reservation. */
  | { readonly kind: 'has'; readonly networkId: string; readonly reservationId: string; readonly patienceMs: number };

/** How they are started. */
export type ManyAgentsOptions = Pick<
  AgentsTask & { kind: 'start' },
  'perSecond' | 'networks' | 'servers' | 'authority'
>;

/** What it answers: times on CLOCK_MONOTONIC, which is one for all processes of a machine. */
export interface AgentsResult {
  /** When each host was there, in the order of hosts. */
  readonly atMs: readonly number[];
  /** How many hosts it took too long; 0: all are there. */
  readonly missing: number;
}

/** Now, on that clock. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

// What a process has of descriptors, with room for its own.
const PER_PROCESS = 5_000;

/** Agents in as many processes as they need. */
export class ManyAgents implements AsyncDisposable {
  readonly #programs: TaskProgram<AgentsTask, AgentsResult>[] = [];

  /** Starts hosts 0 to `count - 1`; resolves when all were started, not yet connected. */
  static async start(count: number, options: ManyAgentsOptions): Promise<ManyAgents> {
    const agents = new ManyAgents();
    const processes = Math.ceil(count / PER_PROCESS);
    for (let first = 0; first < count; first += PER_PROCESS) {
      const program = new TaskProgram<AgentsTask, AgentsResult>('many-agents-program');
      agents.#programs.push(program);
    }
    const starting = agents.#programs.map((program, n) => {
      const first = n * PER_PROCESS;
      const perSecond = options.perSecond / processes;
      return program.run({ ...options, kind: 'start', first, count: Math.min(PER_PROCESS, count - first), perSecond });
    });
    await Promise.all(starting);
    return agents;
  }

  /** When the session of each opened that began after `sinceMs`. Throws when not all do. */
  async open(sinceMs: number, patienceMs: number): Promise<readonly number[]> {
    return this.#all({ kind: 'open', sinceMs, patienceMs });
  }

  /** When each that serves the network had the reservation. Throws when not all get it. */
  async has(networkId: string, reservationId: string, patienceMs: number): Promise<readonly number[]> {
    return this.#all({ kind: 'has', networkId, reservationId, patienceMs });
  }

  async #all(task: AgentsTask): Promise<readonly number[]> {
    const results = await Promise.all(this.#programs.map((program) => program.run(task)));
    const missing = results.reduce((sum, result) => sum + result.missing, 0);
    if (missing > 0) throw new Error(`${missing} agents were not there in time (${task.kind})`);
    return results.flatMap(({ atMs }) => atMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program[Symbol.asyncDispose]()));
  }
}
