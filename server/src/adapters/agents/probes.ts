// The probes that agents are asked for: who asks waits for the one answer, or for the end of its time. So many at once, and
// the others wait for their turn: a batch of reserves asks for a thousand.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Mac } from '@leasehold/proto/values';
import type { AgentSession } from './session.js';

/** What a probe came to; undefined: nobody answered. */
export type Probed = Mac | undefined | 'unknown';

// Of a healthy host it takes half a second.
const PROBE_TIMEOUT_MS = 2_000;
// An agent takes 256.
const MAX_AT_ONCE = 200;

/** See the top of the file. */
export class Probes {
  readonly #clock: Clock;
  readonly #waiting = new Map<
    bigint,
    { readonly session: AgentSession; readonly timer: Timer; readonly settle: (probed: Probed) => void }
  >();
  readonly #turns: (() => void)[] = [];
  #last = 0n;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Asks by a session: `say` sends the probe of this number. */
  async ask(session: AgentSession, say: (probeId: bigint) => void): Promise<Probed> {
    if (this.#waiting.size >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#turns.push(resolve));
    const probeId = ++this.#last;
    return new Promise((resolve) => {
      const settle = (probed: Probed) => {
        this.#waiting.get(probeId)?.timer.cancel();
        this.#waiting.delete(probeId);
        resolve(probed);
        this.#turns.shift()?.();
      };
      const timer = this.#clock.after(PROBE_TIMEOUT_MS, () => settle('unknown'));
      this.#waiting.set(probeId, { session, timer, settle });
      say(probeId);
    });
  }

  /** The answer of a session; only to what it was asked. */
  answered(session: AgentSession, probeId: bigint, probed: Probed): void {
    const waiting = this.#waiting.get(probeId);
    if (waiting?.session === session) waiting.settle(probed);
  }

  /** A session ended: it answers nothing any more. */
  ended(session: AgentSession): void {
    for (const waiting of [...this.#waiting.values()]) if (waiting.session === session) waiting.settle('unknown');
  }
}
