// Whether this server holds still: it frees no address and hands out none, because the store is an older copy of itself
// (protocol.md §7, domain/hold-still.ts).
//
//   S1. It begins at once in the server that an agent told, is durable then, and known to every other one by its next look,
//       within a second. A server that starts knows before it serves.
//   S2. It never ends while a server runs: what ends it is another incarnation of the store.

import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import { type HoldStill, joined } from '../domain/hold-still.js';
import type { HostId, WallTime } from '../domain/ids.js';
import type { Store } from '../ports/store.js';
import { Periodic } from './periodic.js';
import type { Brake } from './raised-brakes.js';

const LOOK_EVERY_MS = 1_000;

/** Holds still, or looks whether it must. */
export class HoldingStill {
  readonly #store: Pick<Store, 'holdStill'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #looking: Periodic;
  #because: HoldStill | undefined;
  #stored: HoldStill | undefined;
  #isAway = false;

  constructor(store: Pick<Store, 'holdStill'>, clock: Clock, log: Log) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#looking = new Periodic(clock, LOOK_EVERY_MS, () => this.#look());
  }

  /** Resolves when it is known whether to hold still; rejects when the store cannot be read. */
  async start(): Promise<void> {
    this.#know(await this.#store.holdStill.get());
    this.#looking.start();
  }

  /** Looks no more. */
  stop(): void {
    void this.#looking.stop();
  }

  /** Why it holds still; undefined: it does not. */
  get because(): HoldStill | undefined {
    return this.#because;
  }

  /** The same for people. */
  get brake(): Brake | undefined {
    if (!this.#because) return undefined;
    const { reason, since, hostIds } = this.#because;
    const many = hostIds.length === 1 ? '; no other host says so' : `; ${hostIds.length} hosts say so`;
    const effect = 'no address is freed or handed out until the store is put right (docs/moving-stores.md)';
    return { kind: 'HOLD_STILL', reason: `${reason}${many}; ${effect}`, since: new Date(since) };
  }

  /** A host knows more than the store does. `incarnation`: the one that it knows. */
  told(hostId: HostId, incarnation: number, reason: string): void {
    const before = this.#because;
    if (before?.hostIds.includes(hostId) && incarnation <= before.incarnation) return;
    const since = this.#clock.wallTime().getTime() as WallTime;
    this.#because = joined(before, { reason, since, incarnation, hostIds: [hostId] });
    this.#log.warn('a host knows more than the store', { host: hostId, reason });
    if (before) return;
    this.#log.error('holding still: the store is older than what hosts know', { reason });
    void this.#look();
  }

  async #look(): Promise<void> {
    const { holdStill } = this.#store;
    const because = this.#because;
    try {
      this.#know(because && because !== this.#stored ? await holdStill.begin(because) : await holdStill.get());
      this.#isAway = false;
    } catch (error) {
      if (!this.#isAway && !this.#looking.isStopped) {
        this.#log.warn('whether to hold still cannot be read or written', { error: String(error) });
      }
      this.#isAway = true;
    }
  }

  #know(stored: HoldStill | undefined): void {
    if (!stored) return;
    if (!this.#stored) this.#logStored(stored);
    this.#stored = stored;
    // What was told meanwhile is written by the next look.
    const all = joined(stored, this.#because ?? stored);
    const isMore = all.incarnation > stored.incarnation || all.hostIds.length > stored.hostIds.length;
    this.#because = isMore ? all : stored;
  }

  #logStored({ reason, since }: HoldStill): void {
    this.#log.warn('the store says to hold still', { reason, since: new Date(since).toISOString() });
  }
}
