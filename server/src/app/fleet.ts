// The hosts as the holder sees them now: what is stored of them, what their sessions show, and their breakers.
//
//   H1. Ages are counted on the holder's own monotonic clock, never from before `restartAges`: after a stall of its own
//       a server that heard nobody knows nothing about anybody. After a start, or when it begins to lead, a host that
//       was not heard yet, or did not show that it hears this server, gets until every living agent must have found the
//       server, counted from when the first one did: before that nobody knows whether they can. So does, after a stall,
//       one that was not heard yet, or whose stream broke meanwhile; and who was turned away by this server's own trouble.

import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId } from '../domain/ids.js';
import { type Heard, type Liveness, liveness, nextLivenessChangeMs } from '../domain/liveness.js';
import type { Network, Placement } from '../domain/network.js';
import { allBackMs, type Pace, paceOf } from '../domain/pace.js';
import type { Breaker, BreakerState, MakeBreaker } from '../ports/breaker.js';
import type { HostObserver, ObservedHost } from '../ports/dhcp-provider.js';
import type { Subscription } from '../ports/store.js';
import type { View } from './view.js';

/** A host now. */
export interface HostNow {
  readonly host: Host;
  /** What its sessions showed since this server leads; undefined when it was not heard. */
  readonly observed: ObservedHost | undefined;
  /** Whether it was heard since all ages began anew last. */
  readonly heard: boolean;
  /** Counted from when it must have been heard again after a start. */
  readonly silentForMs: number;
  readonly liveness: Liveness;
  /** When its liveness may change next if nothing more is heard; undefined: it cannot. */
  readonly changeMs: number | undefined;
  readonly breaker: BreakerState;
}

/** What the fleet works with. */
export interface FleetOptions {
  readonly view: View;
  readonly observer: HostObserver;
  readonly clock: Clock;
  readonly makeBreaker: MakeBreaker;
  readonly log: Log;
}

// An agent gives a server that says nothing 10 s, and then looks for another within 5 s. Of many hosts the last ones need
// longer: they spread, and wait to be let in.
const RECONNECT_GRACE_MS = 15_000;

/** All hosts. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #breakers = new Map<HostId, Breaker>();
  /** Hosts whose breaker opened and did not close since, for the log: whatever it tries fails again every ten seconds. */
  readonly #broken = new Set<HostId>();
  readonly #onBreaker = new Set<() => void>();
  #termFromMs = 0;
  #termGraceMs = 0;
  #restartGraceMs = 0;
  #agesFromMs = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.beginTerm();
  }

  /** Until then agents may still be on their way to a server that just began to lead. */
  get reconnectingUntilMs(): number {
    return Math.max(this.#termFromMs, this.#options.observer.firstShownMs ?? 0) + this.#termGraceMs;
  }

  /** Until then a host that was not heard may be on its way. */
  get #unheardUntilMs(): number {
    return Math.max(this.reconnectingUntilMs, this.#agesFromMs + this.#restartGraceMs);
  }

  get #graceMs(): number {
    return RECONNECT_GRACE_MS + allBackMs(this.#options.view.hosts.size);
  }

  /** This server begins to lead: nothing is known of any host. */
  beginTerm(): void {
    this.close();
    this.#breakers.clear();
    this.#broken.clear();
    this.#agesFromMs = this.#options.clock.now();
    this.#termFromMs = this.#agesFromMs;
    this.#termGraceMs = this.#graceMs;
    this.#restartGraceMs = this.#termGraceMs;
  }

  /** Every host's age starts anew. */
  restartAges(): void {
    this.#agesFromMs = this.#options.clock.now();
    this.#restartGraceMs = this.#graceMs;
  }

  /** How fast agents shall speak and come back, now. */
  get pace(): Pace {
    return paceOf(this.#options.view.hosts.size);
  }

  /** How often agents shall send heartbeats, now. */
  get intervalMs(): number {
    return this.pace.intervalMs;
  }

  /** Every host now. */
  look(): ReadonlyMap<HostId, HostNow> {
    return new Map([...this.#options.view.hosts].map(([hostId, host]) => [hostId, this.lookAt(host)]));
  }

  /** One host now. */
  lookAt(host: Host): HostNow {
    const observed = this.#options.observer.host(host.hostId);
    const now = this.#options.clock.now();
    // By what its agent was told: that of today may be shorter.
    const { intervalMs, returnMs } = observed ?? { intervalMs: this.intervalMs, returnMs: 0 };
    const wasAway = observed !== undefined && this.#brokeMeanwhile(observed);
    const agesFromMs = wasAway ? this.#agesFromMs + this.#graceMs : this.#agesFromMs;
    const foundMs = this.#foundMs(host.hostId, observed);
    const lastHeardMs = Math.max(observed?.lastHeardMs ?? 0, foundMs, agesFromMs);
    const brokenSinceMs = wasAway || now < foundMs ? undefined : observed?.brokenSinceMs;
    const known: Heard = { lastHeardMs, brokenSinceMs, intervalMs, returnMs };
    const silentForMs = Math.max(0, now - lastHeardMs);
    const heard = observed !== undefined && observed.lastHeardMs >= this.#agesFromMs;
    return {
      host,
      observed,
      heard,
      silentForMs,
      liveness: liveness(known, now),
      changeMs: nextLivenessChangeMs(known, now),
      breaker: this.#breakers.get(host.hostId)?.state ?? 'closed',
    };
  }

  /**
   * Whether its stream broke while this server stood still: nobody could come back then, so that it gets as long as after a
   * start. When it broke is not known: timers run before sockets are read, ages are forgotten before streams are found
   * broken, and the last heartbeats before the end of a stream are read first.
   */
  #brokeMeanwhile({ brokenSinceMs, lastHeardMs, intervalMs }: ObservedHost): boolean {
    if (brokenSinceMs === undefined) return false;
    return lastHeardMs < this.#agesFromMs || brokenSinceMs - intervalMs < this.#agesFromMs;
  }

  /** Until then it may not have found this server, or is about to come again. */
  #foundMs(hostId: HostId, observed: ObservedHost | undefined): number {
    const atTheDoorMs = this.#options.observer.atTheDoorMs(hostId) ?? Number.NEGATIVE_INFINITY;
    return Math.max(observed?.contact?.isShown ? 0 : this.#unheardUntilMs, atTheDoorMs + this.#graceMs);
  }

  /** The wanted placements of a network whose live host confirmed that it answers. */
  serving({ networkId, placements }: Network): readonly Placement[] {
    return placements.filter(({ hostId, epoch }) => this.isServing(hostId, networkId, epoch));
  }

  /** Whether a host is live and confirmed that it answers by this placement. */
  isServing(hostId: HostId, networkId: NetworkId, epoch: number): boolean {
    const { view, observer } = this.#options;
    const table = observer.table(hostId, networkId);
    if (!table?.serving || table.placementEpoch !== epoch) return false;
    const host = view.hosts.get(hostId);
    return host !== undefined && this.lookAt(host).liveness === 'up';
  }

  /** The breaker around commands to a host. */
  breaker(hostId: HostId): Breaker {
    const known = this.#breakers.get(hostId);
    if (known) return known;
    const breaker = this.#options.makeBreaker(hostId, () => {
      this.#logBreaker(hostId, breaker.state);
      for (const listener of this.#onBreaker) listener();
    });
    this.#breakers.set(hostId, breaker);
    return breaker;
  }

  #logBreaker(hostId: HostId, state: BreakerState): void {
    const { log } = this.#options;
    if (state === 'open' && !this.#broken.has(hostId)) log.warn('breaker of a host is open', { host: hostId });
    if (state === 'closed') log.info('breaker of a host is closed', { host: hostId });
    if (state === 'closed') this.#broken.delete(hostId);
    else this.#broken.add(hostId);
  }

  /** A host is not stored any more. */
  forget(hostId: HostId): void {
    this.#breakers.get(hostId)?.close();
    this.#breakers.delete(hostId);
    this.#broken.delete(hostId);
  }

  /** Calls `listener` when a breaker changed its state. */
  onBreakerChange(listener: () => void): Subscription {
    const own = () => listener();
    this.#onBreaker.add(own);
    return { close: () => void this.#onBreaker.delete(own) };
  }

  /** Stops the breakers' timers. */
  close(): void {
    for (const breaker of this.#breakers.values()) breaker.close();
  }
}
