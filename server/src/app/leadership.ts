// Takes, keeps and loses the lead among the servers of one store.
//
//   K1. What follows a change of the lead is done one after another: a term has ended before the next one begins.
//   K2. A renewal that fails loses nothing yet: the server stops acting when L2 of domain/lease.ts says so, and goes on
//       when a renewal is confirmed before anybody took the lead.

import { type Clock, delay, type Timer } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import { actingEpoch, beginLease, isBlind, isChanging, type LeaseState, mayTake, sawRecord } from '../domain/lease.js';
import type { HolderLease } from '../ports/holder-lease.js';
import {
  type ExclusiveHolder,
  type HolderRecord,
  type HolderStore,
  type Store,
  StoreUnavailableError,
} from '../ports/store.js';

const RENEW_EVERY_MS = 1_000;
// Who asks for a confirmation while hosts come by the hundred shares a renewal with the others.
const RENEWAL_PACE_MS = 100;

/** Who this server is to the others. */
export interface ServerName {
  /** Made anew by every start. */
  readonly instance: string;
  readonly server: string;
  readonly advertise: string;
  readonly agentAdvertise: string;
}

/** What follows a change of the lead. */
export interface LeadershipEvents {
  /** This server leads from now on. */
  began(epoch: number): Promise<void>;
  /** It acts again after it was not sure for a while, and nobody else led meanwhile. */
  resumed(): void;
  /** A renewal was confirmed; before that, renewals went unanswered for so long. */
  renewed(unansweredMs: number): void;
  /** It does not lead any more. */
  ended(): Promise<void>;
}

/** The lead of one server among several. */
export interface Leadership extends HolderLease {
  /** Follows, or takes, the lead from now on; resolves when it first looked, and began a term if it leads. */
  start(events: LeadershipEvents): Promise<void>;
  /** Gives the lead up. */
  stop(): Promise<void>;
}

/** The leadership that goes with a store. */
export function leadershipOf(store: Store, name: ServerName, clock: Clock, log: Log): Leadership {
  const { holder } = store;
  if (holder.kind === 'exclusive') return exclusiveLeadership(holder, name);
  return new SharedLeadership(holder, name, clock, log);
}

/** The only server of a store leads. */
function exclusiveLeadership(holder: ExclusiveHolder, name: ServerName): Leadership {
  const { epoch } = holder;
  let events: LeadershipEvents | undefined;
  return {
    epoch,
    holder: { ...name, epoch, beat: 0 },
    isSelf: true,
    isChanging: false,
    isBlind: false,
    confirm: () => holder.confirm(),
    async start(given) {
      events = given;
      await events.began(epoch);
    },
    async stop() {
      await events?.ended();
    },
  };
}

/** The lead that servers elect. */
class SharedLeadership implements Leadership {
  readonly #store: HolderStore;
  readonly #name: ServerName;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #state: LeaseState<HolderRecord>;
  #events: LeadershipEvents | undefined;
  /** The epoch of the term that began and is not over. */
  #term: number | undefined;
  #turns: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #lastRenewalMs = Number.NEGATIVE_INFINITY;
  #unansweredSinceMs: number | undefined;
  #timer: Timer | undefined;
  #isAway = false;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(store: HolderStore, name: ServerName, clock: Clock, log: Log) {
    this.#store = store;
    this.#name = name;
    this.#clock = clock;
    this.#log = log;
    this.#state = beginLease(clock.now());
  }

  get epoch(): number | undefined {
    const epoch = actingEpoch(this.#state, this.#clock.now());
    return epoch === this.#term ? epoch : undefined;
  }

  get holder(): HolderRecord | undefined {
    const record = this.#record;
    return record?.instance === '' || this.#isPredecessors ? undefined : record;
  }

  get #record(): HolderRecord | undefined {
    return this.#state.kind === 'leading' ? this.#state.record : this.#state.seen;
  }

  // Who was sent back here for an earlier process of this server would wait for it in vain.
  get #isPredecessors(): boolean {
    const record = this.#record;
    const { instance, server, advertise, agentAdvertise } = this.#name;
    const isHere = record?.advertise === advertise && record.agentAdvertise === agentAdvertise;
    return isHere && record.server === server && record.instance !== instance;
  }

  get isSelf(): boolean {
    return this.#state.kind === 'leading';
  }

  get isChanging(): boolean {
    // Of a predecessor it is certain before its beat is overdue.
    if (this.#isPredecessors && !this.isBlind) return true;
    return isChanging(this.#state, this.#lookedMs, this.#clock.now());
  }

  get isBlind(): boolean {
    return isBlind(this.#state, this.#lookedMs, this.#clock.now());
  }

  async start(events: LeadershipEvents): Promise<void> {
    this.#events = events;
    await this.#look();
    await this.#turns;
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    const state = this.#state;
    this.#state = beginLease(this.#clock.now());
    this.#follow();
    await this.#turns;
    // So that another server need not wait until the silence of this one is long enough.
    if (state.kind === 'leading') await this.#store.giveUp(state.record).catch(() => undefined);
  }

  confirm(): Promise<void> {
    if (this.#state.kind !== 'leading') {
      return Promise.reject(new StoreUnavailableError('This server does not lead'));
    }
    return this.#renewSoon();
  }

  #arm(): void {
    if (this.#stopping.signal.aborted) return;
    this.#timer = this.#clock.after(RENEW_EVERY_MS, () => {
      void this.#look().then(() => this.#arm());
    });
  }

  /** Renews, or looks who leads, or takes the lead. */
  async #look(): Promise<void> {
    try {
      if (this.#state.kind === 'leading') await this.#renewSoon();
      else await this.#challenge();
      if (this.#isAway) this.#log.info('the holder record can be read again');
      this.#isAway = false;
    } catch (error) {
      if (!this.#isAway && !this.#stopping.signal.aborted) {
        this.#log.warn('the holder record cannot be read or renewed', { error: String(error) });
      }
      this.#isAway = true;
    }
  }

  async #challenge(): Promise<void> {
    const readMs = this.#clock.now();
    const record = await this.#store.get();
    this.#lookedMs = readMs;
    // A read proves nothing of the present: who leads by it renews before it acts.
    this.#saw(record?.instance === this.#name.instance ? await this.#store.renew(record) : record, readMs);
    if (mayTake(this.#state, this.#clock.now())) {
      const sentMs = this.#clock.now();
      this.#saw(await this.#store.take(record, this.#name), sentMs);
    }
    this.#follow();
  }

  /** The next renewal that begins; one serves everybody who asked before. */
  #renewSoon(): Promise<void> {
    this.#next ??= this.#renewal();
    return this.#next;
  }

  async #renewal(): Promise<void> {
    await delay(this.#clock, this.#lastRenewalMs + RENEWAL_PACE_MS - this.#clock.now(), this.#stopping.signal);
    this.#next = undefined;
    const state = this.#state;
    if (state.kind !== 'leading') throw new StoreUnavailableError('This server does not lead any more');
    const sentMs = this.#clock.now();
    this.#lastRenewalMs = sentMs;
    this.#unansweredSinceMs ??= sentMs;
    const record = await this.#store.renew(state.record);
    const wasActing = this.epoch !== undefined;
    this.#saw(record, sentMs);
    this.#follow();
    const after: LeaseState<HolderRecord> = this.#state;
    if (after.kind !== 'leading') throw new StoreUnavailableError('Another server took the lead');
    // The answer came too late to act by it: the next renewal ends that. Or a later one was answered before.
    if (this.epoch === undefined || after.confirmedMs !== sentMs) return;
    const unansweredMs = this.#clock.now() - (this.#unansweredSinceMs ?? sentMs);
    this.#unansweredSinceMs = undefined;
    this.#events?.renewed(unansweredMs);
    if (!wasActing) this.#events?.resumed();
  }

  #saw(record: HolderRecord | undefined, sentMs: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#lookedMs = Math.max(this.#lookedMs, sentMs);
    this.#state = sawRecord(this.#state, this.#name.instance, record, sentMs, this.#clock.now());
  }

  /** Ends and begins terms, until the present one is that of the state. Not waited for: renewals go on meanwhile. */
  #follow(): void {
    const turn = async () => {
      const epoch = this.#state.kind === 'leading' ? this.#state.record.epoch : undefined;
      if (epoch === this.#term) return;
      if (this.#term !== undefined) {
        const over = this.#term;
        this.#log.warn('this server does not lead any more', { epoch: over, holder: this.holder?.server ?? '' });
        this.#term = undefined;
        await this.#events?.ended();
      }
      if (epoch === undefined) return;
      this.#log.info('this server leads', { epoch });
      this.#term = epoch;
      await this.#events?.began(epoch);
    };
    this.#turns = this.#turns.then(turn).catch((error: unknown) => {
      this.#log.error('a change of the lead was not followed, by a defect', { error });
    });
  }
}
