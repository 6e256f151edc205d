// Lowers what is reckoned with as the longest authority and the longest lease times, once nobody can have more any longer
// (protocol.md §4). They are raised at once, by whoever sets a higher value.
//
//   C1. Authority: when this term has handed out the lower one alone for as long as a host may answer with the higher one.
//   C2. A lease time: when every host that may answer in the network has taken in the lower one, or cannot answer any more,
//       and then the longest lease that was given before has run out.
//   C3. Not while the store is known to be an older copy of itself: longer ones may have been set after it was made.

import type { Uid } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import { atMostMs, clearedBeforeMs, mayAnswerForMs } from '../domain/reuse.js';
import type { Context } from './context.js';
import type { HostAnswers } from './host-answers.js';
import { Periodic } from './periodic.js';

const EVERY_MS = 10_000;

/** A lease time that is lower than its ceiling. */
interface Lowered {
  readonly leaseTimeS: number;
  readonly ceilingS: number;
  readonly seenMs: number;
  /** Since when every host has taken it in. */
  takenInMs: number | undefined;
}

/** Lowers ceilings, during one term of leading. */
export class Ceilings {
  readonly #context: Context;
  readonly #answers: Pick<HostAnswers, 'of'>;
  readonly #epoch: number;
  readonly #periodic: Periodic;
  readonly #lowered = new Map<Uid, Lowered>();
  #sinceMs = Number.POSITIVE_INFINITY;

  constructor(context: Context, answers: Pick<HostAnswers, 'of'>, epoch: number) {
    this.#context = context;
    this.#answers = answers;
    this.#epoch = epoch;
    this.#periodic = new Periodic(context.clock, EVERY_MS, () =>
      this.lower().catch((error: unknown) => context.log.warn('ceilings were not lowered', { error: String(error) })),
    );
  }

  /** Runs every ten seconds from now on. */
  start(): void {
    this.#sinceMs = this.#context.clock.now();
    this.#periodic.start();
  }

  /** Ends after the run under way. */
  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** One run. */
  async lower(): Promise<void> {
    const { view, store, clock } = this.#context;
    const { authorityS, authorityCeilingS } = store.settings;
    const hasPassed = clock.now() >= this.#sinceMs + mayAnswerForMs(authorityCeilingS);
    if (authorityS < authorityCeilingS && hasPassed && this.#mayAct) await store.lowerAuthorityCeiling();
    const present = new Set<Uid>();
    for (const network of [...view.networks.values()]) {
      const lower = network.subnets.filter(({ leaseTimeS, leaseTimeCeilingS }) => leaseTimeS < leaseTimeCeilingS);
      for (const { uid } of lower) present.add(uid);
      const due = lower.filter((subnet) => this.#isDue(network, subnet));
      if (due.length > 0) await this.#write(network, due);
    }
    for (const uid of this.#lowered.keys()) if (!present.has(uid)) this.#lowered.delete(uid);
  }

  get #mayAct(): boolean {
    const { lease, holdsStill } = this.#context;
    return lease.epoch === this.#epoch && !holdsStill();
  }

  #isDue(network: Network, { uid, leaseTimeS, leaseTimeCeilingS: ceilingS }: Subnet): boolean {
    const nowMs = this.#context.clock.now();
    const known = this.#lowered.get(uid);
    const isSame = known?.leaseTimeS === leaseTimeS && known.ceilingS === ceilingS;
    const lowered: Lowered = isSame ? known : { leaseTimeS, ceilingS, seenMs: nowMs, takenInMs: undefined };
    this.#lowered.set(uid, lowered);
    // Whatever they were told before it: every host that may answer counts.
    const answers = this.#answers.of(network, 0);
    if (clearedBeforeMs(answers, nowMs) > lowered.seenMs) lowered.takenInMs ??= nowMs;
    return lowered.takenInMs !== undefined && nowMs >= lowered.takenInMs + atMostMs(ceilingS);
  }

  // A conflict needs no repeat here: the next run looks again.
  async #write(network: Network, due: readonly Subnet[]): Promise<void> {
    if (!this.#mayAct || network.holderEpoch > this.#epoch) return;
    const subnets = network.subnets.map((subnet) =>
      due.includes(subnet) ? { ...subnet, leaseTimeCeilingS: subnet.leaseTimeS } : subnet,
    );
    await this.#context.store.networks.put({ ...network, subnets, holderEpoch: this.#epoch });
  }
}
