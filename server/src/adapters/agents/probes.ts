// The probes that agents are asked for: who asks waits for the one answer, or for the end of its time.
//
//   P1. So many at once, and the others wait for their turn: a batch of reserves asks for a thousand. Whom to ask is decided
//       at its turn.
//   P2. A host that cannot ask, or does not say, is left alone for a minute, and another one is asked.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Probed } from '../../ports/dhcp-provider.js';
import type { AgentSession } from './session.js';

/** How to ask. */
export interface Question {
  /** Who may be asked now. */
  readonly sessions: () => readonly AgentSession[];
  /** Sends the probe of this number. */
  readonly say: (session: AgentSession, probeId: bigint) => void;
}

interface Waiting {
  readonly session: AgentSession;
  readonly timer: Timer;
  readonly settle: (probed: Probed) => void;
}

// Of a healthy host it takes half a second.
const PROBE_TIMEOUT_MS = 2_000;
const LEFT_ALONE_MS = 60_000;
// An agent takes 256.
const MAX_AT_ONCE = 200;
// As many as two batches have; whoever comes then would wait for longer than callers do.
const MAX_TURNS = 2_000;
const MAX_HOSTS_ASKED = 2;

/** See the top of the file. */
export class Probes {
  readonly #clock: Clock;
  readonly #waiting = new Map<bigint, Waiting>();
  readonly #turns: (() => void)[] = [];
  /** Until when sessions are left alone. */
  readonly #alone = new WeakMap<AgentSession, number>();
  #underWay = 0;
  #last = 0n;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Asks, one host after another until one says. */
  async ask(question: Question): Promise<Probed> {
    if (this.#turns.length >= MAX_TURNS) return 'unknown';
    if (this.#underWay >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#turns.push(resolve));
    else this.#underWay++;
    try {
      for (let asked = 0; asked < MAX_HOSTS_ASKED; asked++) {
        const session = question.sessions().find((each) => (this.#alone.get(each) ?? 0) <= this.#clock.now());
        if (!session) return 'unknown';
        const probed = await this.#askOne(session, question);
        if (probed !== 'unknown') return probed;
        this.#alone.set(session, this.#clock.now() + LEFT_ALONE_MS);
      }
      return 'unknown';
    } finally {
      const next = this.#turns.shift();
      if (next) next();
      else this.#underWay--;
    }
  }

  #askOne(session: AgentSession, { say }: Question): Promise<Probed> {
    const probeId = ++this.#last;
    return new Promise((resolve) => {
      const settle = (probed: Probed) => {
        this.#waiting.get(probeId)?.timer.cancel();
        this.#waiting.delete(probeId);
        resolve(probed);
      };
      const timer = this.#clock.after(PROBE_TIMEOUT_MS, () => settle('unknown'));
      this.#waiting.set(probeId, { session, timer, settle });
      say(session, probeId);
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
