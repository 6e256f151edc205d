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

/**
 * A silence of fewer questions than this is over before any client repeats its own (RFC 2131 §4.1: after 4 s ± 1 s), so
 * nobody has to ask more than twice. Shorter ones are no fault: an agent that the machine did not let run for a while
 * answers late, and to the last of the questions alone.
 */
export const QUESTIONS_BEFORE_RETRY = 3_000 / PROBE_EVERY_MS;

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
  static async start(nic: Nic, everyMs = PROBE_EVERY_MS): Promise<Prober> {
    await acceptAnySource(nic.namespace);
    const program = join(repositoryRoot, 'test/dist/support/prober-program.js');
    const args = [program, nic.name, nic.mac, String(everyMs)];
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

  /** Questions one after another that nobody answered, at most, between the first that was answered and the last. */
  longestSilence(): number {
    return longestGap(this.answers().map(({ question }) => question));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
  }
}

/** Now, on the clock of the prober's answers. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** How many numbers are missing, at most, between two neighbours of a set. Pure. */
export function longestGap(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted.reduce((longest, number, i) => Math.max(longest, number - (sorted[i - 1] ?? number) - 1), 0);
}
