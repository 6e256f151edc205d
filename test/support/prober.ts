// Asks for an address again and again, far more often than any client would, to see for how long nobody answers.
//
// It only discovers and never requests, so it changes nothing. Times are of the monotonic clock, which all processes of
// a machine share.

import { fileURLToPath } from 'node:url';
import { acceptAnySource } from './guest-socket.js';
import type { Nic } from './netns.js';
import { WatchedProcess } from './processes.js';

/** How often it asks. */
export const PROBE_EVERY_MS = 100;

/** One DISCOVER that was answered. */
export interface ProbeAnswer {
  readonly askedMs: number;
  readonly answeredMs: number;
  /** The address that was offered. */
  readonly address: string;
}

/** A running prober. */
export class Prober implements AsyncDisposable {
  readonly #process: WatchedProcess;

  private constructor(process: WatchedProcess) {
    this.#process = process;
  }

  /** Starts to ask by a network card, for the reservation of its MAC. */
  static async start(nic: Nic): Promise<Prober> {
    await acceptAnySource(nic.namespace);
    const program = fileURLToPath(new URL('./prober-program.js', import.meta.url));
    const args = [program, nic.name, nic.mac, String(PROBE_EVERY_MS)];
    return new Prober(new WatchedProcess(process.execPath, args, { namespace: nic.namespace }));
  }

  /** The first answer to a question asked at or after `sinceMs`; waits for it. */
  async answerSince(sinceMs: number): Promise<ProbeAnswer> {
    const line = await this.#process.waitForLine(({ fields }) => Number(fields['askedMs']) >= sinceMs);
    return line.fields as unknown as ProbeAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
  }
}

/** Now, on the clock of the prober's answers. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
