// Asks for an address again and again, far more often than any client would, to see for how long nobody answers.
//
// It only discovers and never requests, so it changes nothing. Times are of the monotonic clock, which all processes of
// a machine share.

import { join } from 'node:path';
import { acceptAnySource } from './guest-socket.js';
import type { Nic } from './netns.js';
import { WatchedProcess } from './processes.js';
import { repositoryRoot } from './repository.js';

/** How often it asks. */
export const PROBE_EVERY_MS = 100;

/** An OFFER. */
export interface ProbeAnswer {
  /** Which DISCOVER it answers; they are numbered without gaps. */
  readonly question: number;
  /** 1: the first answer to it. More come from more servers. */
  readonly nth: number;
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
    const program = join(repositoryRoot, 'test/dist/support/prober-program.js');
    const args = [program, nic.name, nic.mac, String(PROBE_EVERY_MS)];
    return new Prober(new WatchedProcess(process.execPath, args, { namespace: nic.namespace }));
  }

  /** The first answer to a question asked at or after `sinceMs`; waits for it. */
  async answerSince(sinceMs: number): Promise<ProbeAnswer> {
    const line = await this.#process.waitForLine(
      ({ fields }) => Number(fields['askedMs']) >= sinceMs && fields['nth'] === 1,
    );
    return line.fields as unknown as ProbeAnswer;
  }

  /** Every answer so far. */
  answers(): readonly ProbeAnswer[] {
    return this.#process.lines.map(({ fields }) => fields as unknown as ProbeAnswer);
  }

  /** The questions from the first that was answered to the last that was, that nobody answered. */
  unanswered(): readonly number[] {
    const answered = new Set(this.answers().map(({ question }) => question));
    if (answered.size === 0) return [];
    const first = Math.min(...answered);
    const questions = Array.from({ length: Math.max(...answered) - first }, (_, i) => first + i);
    return questions.filter((question) => !answered.has(question));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
  }
}

/** Now, on the clock of the prober's answers. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
