// A guest that means harm, or is broken: it floods the servers of its wire with what none of them answers, at a steady
// rate, and knows how much it sent.

import { join } from 'node:path';
import { acceptAnySource } from './guest-socket.js';
import type { Nic } from './netns.js';
import { WatchedProcess } from './processes.js';
import { repositoryRoot } from './repository.js';

/** What is sent, and how much of it. */
export interface FloodCounts {
  /** DISCOVERs, each from another MAC without a reservation. */
  readonly unknown: number;
  /** The same, as long as three fragments. */
  readonly fragmented: number;
  /** DISCOVERs cut off before their options. */
  readonly truncated: number;
  /** Bytes by chance, up to a frame full. */
  readonly garbage: number;
  /** The most that UDP takes, 64 KB in 45 fragments. */
  readonly huge: number;
}

/** Of a wire that one guest has gone mad on, a second. */
export const MAD_GUEST: FloodCounts = { unknown: 2_000, fragmented: 50, truncated: 100, garbage: 100, huge: 20 };

/** A running flood. */
export class Flood implements AsyncDisposable {
  readonly #process: WatchedProcess;

  private constructor(process: WatchedProcess) {
    this.#process = process;
  }

  /** Starts to send, `perSecond` of each, and resolves when some of it was sent. */
  static async start(nic: Nic, perSecond: FloodCounts): Promise<Flood> {
    await acceptAnySource(nic.namespace);
    const program = join(repositoryRoot, 'test/dist/support/flood-program.js');
    const args = [program, nic.name, JSON.stringify(perSecond)];
    const flood = new Flood(new WatchedProcess(process.execPath, args, { namespace: nic.namespace }));
    await flood.sentMore(1);
    return flood;
  }

  /** What it sent by its last word, a quarter of a second ago at most. */
  sent(): FloodCounts {
    return this.#process.lines.at(-1)?.fields as unknown as FloodCounts;
  }

  /** Resolves when so many more DISCOVERs of unknown MACs were sent. */
  async sentMore(count: number): Promise<void> {
    const { lines } = this.#process;
    const before = Number(lines.at(-1)?.fields['unknown'] ?? 0);
    await this.#process.waitForLine(({ fields }) => Number(fields['unknown']) >= before + count, lines.length);
  }

  /** Ends it; what it sent in all. */
  async stop(): Promise<FloodCounts> {
    await this.#process.stop();
    return this.sent();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
  }
}
