// The manager: keeps `dhcp_server_count` hosts serving every network that is to be served.
//
//   M1. It reads the world and is never told what changed: timer and events only wake it. One run at a time. It waits for
//       none of its writes: the next run plans anew what was not begun, and leaves alone what is being written.
//   M2. A placement is stored before the first byte of its assignment is sent: the deployment follows the view.
//   M3. What it writes of a network carries its epoch, over the very document that it planned from, and never over what a
//       higher epoch claimed: the first such write claims the network (protocol.md §5.2, claims.ts). Hosts are told only
//       of networks that the view shows as claimed.
//   M4. It serves one term of leading: it acts only while this server may act under the epoch of that term. A write that
//       is still under way when the term ends meets what it was made from, before anybody else claimed the network, or
//       nothing: so nobody waits for it.
//   M5. A run that finds nothing to do writes nothing.
//   M6. It writes some networks at a time, the most urgent first: a burst of writes must not keep the lease's renewals from
//       the store. What uses up what the brakes allow is counted when its write begins, and every plan knows of it.

import { delay, type Timer } from '@leasehold/program/clock';
import { type Author, auditEvent, placementsChange } from '../domain/audit.js';
import {
  brakesNow,
  followMassSilence,
  forgetsAges,
  type MassSilence,
  maybeMassSilence,
  recentLosses,
} from '../domain/brakes.js';
import { isOutOfContact } from '../domain/contact.js';
import type { HostId, NetworkId, WallTime } from '../domain/ids.js';
import { isQuiet } from '../domain/liveness.js';
import type { Network } from '../domain/network.js';
import { becomeFormer, serversWanted, withPlacement } from '../domain/placement.js';
import { type NetworkPlan, type Plan, plan } from '../domain/plan.js';
import { type PlanHost, placementKey, type Ready } from '../domain/plan-host.js';
import { areStillPossible, type Move, rebalance } from '../domain/rebalance.js';
import type { ObservedAttachment, ObservedHost, ObservedTable } from '../ports/dhcp-provider.js';
import type { Store, Subscription } from '../ports/store.js';
import { Claims } from './claims.js';
import { Confirmations } from './confirmations.js';
import { type Context, wallTime } from './context.js';
import type { Deployment } from './deployment.js';
import type { Fleet, HostNow } from './fleet.js';
import { withoutGoneFormers } from './former-servers.js';
import type { HostAnswers } from './host-answers.js';
import { type Brake, RaisedBrakes } from './raised-brakes.js';
import { inTurns, Turns } from './turns.js';
import { UnderWay } from './under-way.js';
import { Wellbeing } from './wellbeing.js';

// Without any event the world is read again this often: what was missed is then missed no longer.
const IDLE_MS = 5_000;
// While most hosts may be falling silent, what to do about the first of them is asked again this often.
const UNSURE_MS = 100;
// A mark whose owner died must not keep a subnet closed; owners finish within a second.
const MARK_LIFETIME_MS = 30_000;
const STALL_SHOWN_MS = 60_000;
const PACE_MS = 20;
// Planning for the largest installations takes longer than that: most of the time is for what woke it, such as hellos.
const PACE_PER_PLANNING = 3;
const MAX_PACE_MS = 250;
const AGAIN_MS = 500;
const NAMED_KEPT = 5;

/** Keeps networks served. */
export class Manager {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #deployment: Deployment;
  readonly #answers: HostAnswers;
  readonly #brakes: RaisedBrakes;
  readonly #confirmations = new Confirmations();
  readonly #claims: Claims;
  readonly #shortSince = new Map<NetworkId, WallTime>();
  readonly #marksSeenMs = new Map<NetworkId, { readonly operationId: string; readonly seenMs: number }>();
  readonly #wellbeing: Wellbeing;
  readonly #underWay = new UnderWay();
  readonly #turns = new Turns<Task>((task) =>
    this.#execute(task).catch((error: unknown) => this.#context.log.error('manager run failed', { error })),
  );
  #losses: ReadonlyMap<HostId, number> = new Map();
  #timer: Timer | undefined;
  #dueMs = 0;
  #agesForgottenMs: number | undefined;
  #massSilence: MassSilence | undefined;
  #isUnsure = false;
  #isRunning = false;
  #ranMs = Number.NEGATIVE_INFINITY;
  #again = false;
  #planningMs = 0;
  readonly #epoch: number;
  readonly #subscriptions: Subscription[] = [];
  readonly #stopping = new AbortController();

  /** `epoch`: of the term it serves. */
  constructor(context: Context, fleet: Fleet, deployment: Deployment, answers: HostAnswers, epoch: number) {
    this.#context = context;
    this.#answers = answers;
    this.#fleet = fleet;
    this.#deployment = deployment;
    this.#epoch = epoch;
    this.#brakes = new RaisedBrakes(context.clock, context.log);
    this.#wellbeing = new Wellbeing(context.log);
    this.#claims = new Claims(context, epoch, this.#stopping.signal);
  }

  /** Whether it acts now. */
  get mayAct(): boolean {
    return this.#context.lease.epoch === this.#epoch && !this.#stopping.signal.aborted;
  }

  /** What keeps it from moving placements now. */
  get brakes(): readonly Brake[] {
    return this.#brakes.list;
  }

  /** Since when fewer servers serve a network than it wants. */
  shortSince(networkId: NetworkId): WallTime | undefined {
    return this.#shortSince.get(networkId);
  }

  /** Manages from now on; resolves when every network is claimed. */
  async start(): Promise<void> {
    const { view, hosts } = this.#context;
    this.#deployment.start();
    this.#subscriptions.push(
      view.listen(({ kind }) => {
        if (kind !== 'slot' && kind !== 'slot-gone') this.wake();
      }),
      hosts.onChange(() => this.wake()),
      this.#fleet.onBreakerChange(() => this.wake()),
    );
    const claimed = this.#claims.start();
    this.wake();
    await claimed;
    this.#deployment.settle();
  }

  /** Ends at once: nothing of it goes on but the writes under way (M4). */
  stop(): void {
    this.#stopping.abort();
    this.#timer?.cancel();
    for (const subscription of this.#subscriptions) subscription.close();
    this.#turns.tell([]);
    this.#claims.stop();
    this.#deployment.stop();
    this.#brakes.end();
  }

  /**
   * The store answers, after it did not for so long. Without it no agent that lost its stream can come back, so that
   * silence says nothing of a host.
   */
  storeAnswered(unansweredMs: number): void {
    this.#forgetAges('STORE', unansweredMs, `The store did not answer for ${Math.round(unansweredMs)} ms`);
  }

  /** Makes it run soon; during a run: once more after it. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    this.#again = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#runWhileWoken();
  }

  async #runWhileWoken(): Promise<void> {
    const { clock } = this.#context;
    while (this.#again && !this.#stopping.signal.aborted) {
      // When hosts come by the thousand, one run for many of them, however far apart they come.
      const restMs = this.#ranMs + this.#paceMs - clock.now();
      if (restMs > 0) await delay(clock, restMs, this.#stopping.signal);
      this.#again = false;
      // Here, not in the timer: after a stall an event may come first, and would cancel the timer that tells.
      if (this.#timer) this.#noticeStall();
      this.#timer?.cancel();
      const fleet = this.#fleet.look();
      try {
        this.manage(fleet);
      } catch (error) {
        this.#context.log.error('manager run failed', { error });
      }
      if (!this.#stopping.signal.aborted) this.#arm(fleet);
      this.#ranMs = clock.now();
    }
    // In the same turn as the look at what woke it: who wakes it from now on is not missed.
    this.#isRunning = false;
  }

  get #paceMs(): number {
    return Math.max(PACE_MS, Math.min(PACE_PER_PLANNING * this.#planningMs, MAX_PACE_MS));
  }

  #arm(fleet: ReadonlyMap<HostId, HostNow>): void {
    const { clock } = this.#context;
    const now = clock.now();
    let dueMs = now + (this.#isUnsure ? UNSURE_MS : IDLE_MS);
    // Of hosts that were not heard yet, too: when all are silent after a start, the first to return must find that noticed.
    for (const { changeMs } of fleet.values()) dueMs = Math.min(dueMs, changeMs ?? dueMs);
    this.#dueMs = dueMs;
    this.#timer = clock.after(dueMs - now, () => this.wake());
  }

  #noticeStall(): void {
    const lateMs = this.#context.clock.now() - this.#dueMs;
    this.#forgetAges('STALL', lateMs, `This server stood still for ${Math.round(lateMs)} ms`);
  }

  #forgetAges(kind: 'STALL' | 'STORE', lostMs: number, reason: string): void {
    const { clock, log } = this.#context;
    const now = clock.now();
    if (!forgetsAges(lostMs, this.#fleet.intervalMs, this.#agesForgottenMs, now)) return;
    this.#agesForgottenMs = now;
    this.#fleet.restartAges();
    log.warn('all hosts count as just heard', { lostMs: Math.round(lostMs), reason });
    this.#brakes.set(kind, reason);
  }

  /**
   * Evens out who serves what, of one network or of all, and answers what was moved; with `'preview'` what would be.
   * A move that met another change of its network, or whose host cannot take it any more, is left out.
   */
  async rebalance(networkId: NetworkId | undefined, author: Author | 'preview'): Promise<readonly Move[]> {
    const { view } = this.#context;
    const isClaimed = (network: Network) => network.holderEpoch === this.#epoch;
    const moves = rebalance(
      view.networks.values(),
      this.#look(this.#fleet.look()),
      (network) => isClaimed(network) && (networkId === undefined || network.networkId === networkId),
    );
    if (author === 'preview') return moves;
    const byNetwork = new Map<NetworkId, Move[]>();
    for (const move of moves) byNetwork.set(move.networkId, [...(byNetwork.get(move.networkId) ?? []), move]);
    const made: Move[] = [];
    await inTurns([...byNetwork], async ([id, own]) => void made.push(...(await this.#move(id, own, author))));
    return moves.filter((move) => made.includes(move));
  }

  async #move(networkId: NetworkId, moves: readonly Move[], author: Author): Promise<readonly Move[]> {
    const { store, view, log, tell } = this.#context;
    const network = view.networks.get(networkId);
    if (!this.mayAct || network?.holderEpoch !== this.#epoch) return [];
    const known = moves.flatMap(({ toHostId }) => view.hosts.get(toHostId) ?? []);
    const hosts = this.#look(new Map(known.map((host) => [host.hostId, this.#fleet.lookAt(host)])));
    if (!areStillPossible(moves, network, hosts)) return [];
    const since = wallTime(this.#context);
    const epochs = moves.map(({ epoch }) => epoch);
    let after = becomeFormer(network, epochs, store.settings.authorityCeilingS, since);
    for (const { toHostId } of moves) {
      const host = hosts.get(toHostId);
      if (host) after = withPlacement(after, toHostId, host.uid, since);
    }
    const event = auditEvent('RebalancePlacements', author, network, since, placementsChange(network, after));
    if ((await store.networks.put(after, undefined, event)) === 'conflict') return [];
    tell(event);
    for (const { fromHostId, toHostId } of moves) {
      log.info('placement moved', { network: networkId, host: fromHostId, to: toHostId, why: 'rebalance' });
    }
    return moves;
  }

  #look(fleet: ReadonlyMap<HostId, HostNow>): ReadonlyMap<HostId, PlanHost> {
    return new Map([...fleet].map(([hostId, now]) => [hostId, this.#toPlanHost(now)]));
  }

  /** One run: plans, begins to write, and tells. */
  manage(fleet = this.#fleet.look()): void {
    if (!this.mayAct) {
      if (!this.#stopping.signal.aborted) this.#brakes.set('STORE', 'The store does not answer: nothing is moved');
      return;
    }
    const { view, clock } = this.#context;
    const nowMs = clock.now();
    this.#wellbeing.follow(fleet, nowMs);
    const hosts = this.#look(fleet);
    this.#losses = recentLosses(this.#losses, nowMs);
    const silence = this.#noticeMassSilence(hosts);
    const held = silence || maybeMassSilence(hosts.values(), this.#fleet.intervalMs, nowMs);
    this.#isUnsure = held && !silence && [...hosts.values()].some(({ liveness }) => liveness !== 'up');
    const networks = this.#underWay.applied(view.networks);
    const planned = plan(networks, hosts, brakesNow(hosts, held, this.#losses, nowMs), this.#underWay);
    this.#showBrakes(held, planned, fleet);
    this.#turns.tell(this.#tasks(planned, hosts));
    this.#claimOthers(planned, hosts);
    this.#deployment.refresh([...fleet].flatMap(([hostId, { breaker }]) => (breaker === 'half-open' ? [hostId] : [])));
    // While this server reads the store again it tells of nothing: then nobody can confirm.
    const told = [...view.networks.values()].filter((network) => this.#deployment.isTold(network));
    this.#confirmations.follow(told, hosts, nowMs);
    this.#noteShort(hosts);
    this.#planningMs = clock.now() - nowMs;
  }

  /** What there is to write: the plan, in its order, and then other networks that need looking after. */
  #tasks({ networks }: Plan, hosts: ReadonlyMap<HostId, PlanHost>): readonly Task[] {
    const { view } = this.#context;
    const planned = new Set(networks.map(({ networkId }) => networkId));
    const ofPlan = networks.flatMap((each): readonly Task[] => {
      const network = view.networks.get(each.networkId);
      return network ? [{ network, planned: each, hosts }] : [];
    });
    const others = [...view.networks.values()].filter(
      (network) =>
        !planned.has(network.networkId) && !this.#underWay.has(network.networkId) && this.#needsLook(network),
    );
    return [...ofPlan, ...others.map((network): Task => ({ network, planned: undefined, hosts }))];
  }

  #needsLook({ networkId, formerServers, mark, deleted }: Network): boolean {
    return formerServers.length > 0 || mark !== undefined || deleted === true || this.#marksSeenMs.has(networkId);
  }

  /** Claims the networks that the plan does not write: first those that a connected host serves, then other served ones. */
  #claimOthers({ networks }: Plan, hosts: ReadonlyMap<HostId, PlanHost>): void {
    if (this.#claims.unclaimed.size === 0) return;
    const planned = new Set(networks.map(({ networkId }) => networkId));
    const [first, then, last]: [Network[], Network[], Network[]] = [[], [], []];
    for (const networkId of [...this.#claims.unclaimed].sort()) {
      const isWritten = planned.has(networkId) || this.#underWay.has(networkId);
      const network = isWritten ? undefined : this.#context.view.networks.get(networkId);
      if (!network) continue;
      const isHeard = network.placements.some(({ hostId }) => hosts.get(hostId)?.connected);
      (isHeard ? first : network.placements.length > 0 ? then : last).push(network);
    }
    this.#claims.claim([...first, ...then, ...last]);
  }

  #toPlanHost({ host, observed, heard, silentForMs, liveness, breaker }: HostNow): PlanHost {
    const nowMs = this.#context.clock.now();
    return {
      hostId: host.hostId,
      uid: host.uid,
      managed: host.managed,
      maintenance: host.maintenance,
      failureDomain: host.failureDomain,
      liveness,
      steady: this.#wellbeing.isSteady(host.hostId, nowMs),
      doubtful: !observed || isQuiet(observed, nowMs) || isAway(observed, nowMs),
      contactMs: observed?.contact?.shownMs ?? Number.NEGATIVE_INFINITY,
      mendedMs: observed?.contact?.mendedMs ?? Number.NEGATIVE_INFINITY,
      firstContactMs: observed?.contact?.firstMs ?? Number.NEGATIVE_INFINITY,
      heard,
      silentForMs,
      intervalMs: observed?.intervalMs ?? this.#fleet.intervalMs,
      connected: observed?.connected ?? false,
      reachable: breaker === 'closed',
      ready: observed ? readyOf(observed.attachments) : NONE_READY,
      serving: servingOf(this.#context.hosts.tables(host.hostId)),
      failing: this.#confirmations.failing(host.hostId),
    };
  }

  async #execute({ network, planned, hosts }: Task): Promise<void> {
    const { view } = this.#context;
    if (!this.mayAct || network.holderEpoch > this.#epoch) return;
    // It changed while this waited: that woke the manager, too.
    if (view.networks.get(network.networkId) !== network) return;
    const isClaimed = network.holderEpoch === this.#epoch && !view.isReading;
    const applied = this.#applied(network, planned, hosts);
    // What may be forgotten shows only once every slot and every word of a host before it was seen.
    const after = isClaimed ? this.#withoutOldMark(withoutGoneFormers(this.#context, this.#answers, applied)) : applied;
    const isGone = isClaimed && isSpent(after) && !view.occupancy(network.networkId).isLeftOver;
    if (isGone) await this.#write(network, after, (store) => store.networks.remove(network));
    else if (after !== network) await this.#write(network, after, (store) => this.#put(store, after, planned));
  }

  async #put(store: Store, after: Network, planned: NetworkPlan | undefined): Promise<void> {
    const written = await store.networks.put({ ...after, holderEpoch: this.#epoch });
    if (planned && written !== 'conflict') this.#logPlan(planned, after);
  }

  // A conflict needs no repeat here: the view will show the newer document and wake the manager.
  async #write(network: Network, after: Network, write: (store: Store) => Promise<unknown>): Promise<void> {
    const { store, clock, log } = this.#context;
    this.#underWay.begin(network, after);
    try {
      await write(store);
    } catch (error) {
      log.warn('network cannot be written yet', { network: network.networkId, error: String(error) });
      await delay(clock, AGAIN_MS);
      this.#underWay.forget(network);
    }
    this.wake();
  }

  #applied(network: Network, planned: NetworkPlan | undefined, hosts: ReadonlyMap<HostId, PlanHost>): Network {
    if (!planned) return network;
    const { store, clock } = this.#context;
    const since = wallTime(this.#context);
    const leaving = planned.withdraw.map(({ epoch }) => epoch);
    let after = becomeFormer(network, leaving, store.settings.authorityCeilingS, since);
    for (const hostId of planned.place) {
      const host = hosts.get(hostId);
      if (host) after = withPlacement(after, hostId, host.uid, since);
    }
    for (const { hostId, counts } of planned.withdraw) {
      if (counts) this.#losses = new Map(this.#losses).set(hostId, clock.now());
    }
    return after;
  }

  #withoutOldMark(network: Network): Network {
    const { clock, log } = this.#context;
    const { mark, ...unmarked } = network;
    const { networkId } = network;
    if (!mark) {
      this.#marksSeenMs.delete(networkId);
      return network;
    }
    const seen = this.#marksSeenMs.get(networkId);
    const seenMs = seen?.operationId === mark.operationId ? seen.seenMs : clock.now();
    this.#marksSeenMs.set(networkId, { operationId: mark.operationId, seenMs });
    if (clock.now() - seenMs < MARK_LIFETIME_MS) return network;
    log.warn('cleared the mark of a change that was never finished', {
      network: network.networkId,
      subnet: mark.subnetId,
    });
    return unmarked;
  }

  #logPlan({ networkId, withdraw, place }: NetworkPlan, { placements }: Network): void {
    const { log, metrics } = this.#context;
    for (const { hostId, epoch, why } of withdraw) {
      log.info('placement withdrawn', { network: networkId, host: hostId, epoch, why });
      metrics.count('placementsWithdrawn', { why });
    }
    for (const hostId of place) {
      const epoch = placements.find((placement) => placement.hostId === hostId)?.epoch;
      log.info('placement made', { network: networkId, host: hostId, epoch });
    }
  }

  #noticeMassSilence(hosts: ReadonlyMap<HostId, PlanHost>): boolean {
    const silence = followMassSilence(
      this.#massSilence,
      hosts.values(),
      this.#fleet.intervalMs,
      this.#context.clock.now(),
    );
    this.#massSilence = silence;
    const reason = silence && `${silence.hosts.size} of ${silence.managed} hosts fell silent at once`;
    this.#brakes.set('MASS_SILENCE', reason);
    return silence !== undefined;
  }

  #showBrakes(silence: boolean, { kept }: Plan, fleet: ReadonlyMap<HostId, HostNow>): void {
    const nowMs = this.#context.clock.now();
    const isKept = kept.length > 0 && !silence;
    this.#brakes.set('BUDGET', isKept ? whyKept(kept) : undefined);
    const unheard = [...fleet.values()].filter(({ observed }) => !observed?.contact?.isShown).length;
    const isStarting = nowMs < this.#fleet.reconnectingUntilMs && unheard > 0;
    const starting = `This server has just started and did not hear ${unheard} hosts yet`;
    this.#brakes.set('START', isStarting ? starting : undefined);
    const forgottenMs = this.#agesForgottenMs;
    if (forgottenMs !== undefined && nowMs - forgottenMs < STALL_SHOWN_MS) return;
    this.#brakes.set('STALL', undefined);
    this.#brakes.set('STORE', undefined);
  }

  #noteShort(hosts: ReadonlyMap<HostId, PlanHost>): void {
    const { networks } = this.#context.view;
    for (const networkId of this.#shortSince.keys()) if (!networks.has(networkId)) this.#shortSince.delete(networkId);
    for (const network of networks.values()) {
      const { networkId, placements } = network;
      const serving = placements.filter(({ hostId, epoch }) => {
        const host = hosts.get(hostId);
        return host?.liveness === 'up' && host.serving.has(placementKey(networkId, epoch));
      });
      if (serving.length >= serversWanted(network)) this.#shortSince.delete(networkId);
      else if (!this.#shortSince.has(networkId)) this.#shortSince.set(networkId, wallTime(this.#context));
    }
  }
}

/** A network to be looked after; planned: what shall change in it. */
interface Task {
  readonly network: Network;
  readonly planned: NetworkPlan | undefined;
  readonly hosts: ReadonlyMap<HostId, PlanHost>;
}

// Most hosts serve nothing: with ten thousand of them, a set for each in each run is most of what a server throws away.
const NOTHING: ReadonlySet<string> = new Set();

function servingOf(tables: ReadonlyMap<NetworkId, ObservedTable>): ReadonlySet<string> {
  const serving = [...tables].flatMap(([networkId, { serving, placementEpoch }]) =>
    serving ? [placementKey(networkId, placementEpoch)] : [],
  );
  return serving.length === 0 ? NOTHING : new Set(serving);
}

function isAway({ contact, intervalMs }: ObservedHost, nowMs: number): boolean {
  return !contact || isOutOfContact(contact, intervalMs, nowMs);
}

const NONE_READY: Ready = new Set();

/** The networks that are ready, without a copy: a host may have thousands. */
function readyOf(attachments: ReadonlyMap<NetworkId, ObservedAttachment>): Ready {
  return {
    has: (networkId) => attachments.get(networkId)?.ready === true,
    size: attachments.size,
    *[Symbol.iterator]() {
      for (const [networkId, { ready }] of attachments) if (ready) yield networkId;
    },
  };
}

/** A deleted network of which nothing can come any more, but for what its addresses leave over. */
function isSpent({ deleted, placements, formerServers }: Network): boolean {
  return deleted === true && placements.length === 0 && formerServers.length === 0;
}

function whyKept(kept: readonly HostId[]): string {
  const some = kept.slice(0, NAMED_KEPT).join(', ');
  const more = kept.length > NAMED_KEPT ? `, and ${kept.length - NAMED_KEPT} more` : '';
  return `Silent hosts that keep their networks for now, because no more than one host in a hundred is replaced within a minute: ${some}${more}`;
}
