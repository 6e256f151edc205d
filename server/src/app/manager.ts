// The manager: keeps `dhcp_server_count` hosts serving every network that is to be served.
//
//   M1. It reads the world and is never told what changed: timer and events only wake it. One run at a time.
//   M2. A placement is stored before the first byte of its assignment is sent: the deployment follows the view.
//   M3. It plans only networks that it claimed for this holder epoch (protocol.md §5.2), from what it then saw of them;
//       what it writes carries its epoch, and never overwrites what a higher one claimed.
//   M4. It serves one term of leading: it acts only while this server may act under the epoch of that term.

import { delay, type Timer } from '@leasehold/program/clock';
import {
  brakesNow,
  followMassSilence,
  isStall,
  type MassSilence,
  maybeMassSilence,
  recentLosses,
} from '../domain/brakes.js';
import type { HostId, NetworkId, WallTime } from '../domain/ids.js';
import { isQuiet, nextLivenessChangeMs } from '../domain/liveness.js';
import type { Network } from '../domain/network.js';
import { becomeFormer, serversWanted, withPlacement } from '../domain/placement.js';
import { type NetworkPlan, type Plan, type PlanHost, placementKey, plan } from '../domain/plan.js';
import type { Subscription } from '../ports/store.js';
import { Confirmations } from './confirmations.js';
import { type Context, wallTime } from './context.js';
import type { Deployment } from './deployment.js';
import type { Fleet, HostNow } from './fleet.js';
import { type Brake, RaisedBrakes } from './raised-brakes.js';

// Without any event the world is read again this often: what was missed is then missed no longer.
const IDLE_MS = 5_000;
// While most hosts may be falling silent, what to do about the first of them is asked again this often.
const UNSURE_MS = 100;
// A mark whose owner died must not keep a subnet closed; owners finish within a second.
const MARK_LIFETIME_MS = 30_000;
const STALL_SHOWN_MS = 60_000;
const PACE_MS = 20;
// Of ten thousand hosts a run takes 50 ms; it shall not take all the time there is while they come.
const PACE_RUNS = 4;
const MAX_PACE_MS = 500;
const CLAIM_AGAIN_MS = 500;

/** Keeps networks served. */
export class Manager {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #deployment: Deployment;
  readonly #brakes: RaisedBrakes;
  readonly #confirmations = new Confirmations();
  readonly #shortSince = new Map<NetworkId, WallTime>();
  readonly #marksSeenMs = new Map<NetworkId, { readonly operationId: string; readonly seenMs: number }>();
  #losses: ReadonlyMap<HostId, number> = new Map();
  #timer: Timer | undefined;
  #dueMs = 0;
  #agesRestartedMs: number | undefined;
  #massSilence: MassSilence | undefined;
  #isUnsure = false;
  #running: Promise<void> | undefined;
  #ranMs = Number.NEGATIVE_INFINITY;
  #paceMs = PACE_MS;
  #again = false;
  readonly #epoch: number;
  readonly #subscriptions: Subscription[] = [];
  readonly #stopping = new AbortController();

  /** `epoch`: of the term it serves. */
  constructor(context: Context, fleet: Fleet, deployment: Deployment, epoch: number) {
    this.#context = context;
    this.#fleet = fleet;
    this.#deployment = deployment;
    this.#epoch = epoch;
    this.#brakes = new RaisedBrakes(context.clock, context.log);
  }

  get #mayAct(): boolean {
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

  /** Claims the networks, tells the hosts, and manages from now on. */
  async start(): Promise<void> {
    const { view, hosts } = this.#context;
    await this.#claimAll();
    if (this.#stopping.signal.aborted) return;
    this.#deployment.start();
    this.#subscriptions.push(
      view.listen(({ kind }) => {
        if (kind !== 'slot' && kind !== 'slot-gone') this.wake();
      }),
      hosts.onChange(() => this.wake()),
      this.#fleet.onBreakerChange(() => this.wake()),
    );
    this.wake();
  }

  /** Ends after the run under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    for (const subscription of this.#subscriptions) subscription.close();
    this.#deployment.stop();
    await this.#running;
  }

  /** This server acts again after it was not sure that it leads: it heard nobody meanwhile that it may believe. */
  resume(): void {
    this.#fleet.restartAges();
    this.wake();
  }

  /** Makes it run soon; during a run: once more after it. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    this.#again = true;
    this.#running ??= this.#runWhileWoken().finally(() => {
      this.#running = undefined;
    });
  }

  async #runWhileWoken(): Promise<void> {
    const { clock } = this.#context;
    while (this.#again && !this.#stopping.signal.aborted) {
      // When hosts come by the thousand, one run for many of them, however far apart they come.
      const waitMs = this.#ranMs + this.#paceMs - clock.now();
      if (waitMs > 0) await delay(clock, waitMs, this.#stopping.signal);
      const beganMs = clock.now();
      this.#again = false;
      // Here, not in the timer: after a stall an event may come first, and would cancel the timer that tells.
      if (this.#timer) this.#noticeStall();
      this.#timer?.cancel();
      try {
        await this.manage();
      } catch (error) {
        this.#context.log.error('manager run failed', { error });
      }
      if (!this.#stopping.signal.aborted) this.#arm();
      this.#ranMs = clock.now();
      this.#paceMs = Math.max(PACE_MS, Math.min(MAX_PACE_MS, PACE_RUNS * (this.#ranMs - beganMs)));
    }
  }

  #arm(): void {
    const { clock } = this.#context;
    const now = clock.now();
    let dueMs = now + (this.#isUnsure ? UNSURE_MS : IDLE_MS);
    for (const { observed } of this.#fleet.look().values()) {
      if (!observed) continue;
      const change = nextLivenessChangeMs(observed, now);
      if (change !== undefined) dueMs = Math.min(dueMs, change);
    }
    this.#dueMs = dueMs;
    this.#timer = clock.after(dueMs - now, () => this.wake());
  }

  #noticeStall(): void {
    const { clock, log } = this.#context;
    const now = clock.now();
    const lateMs = now - this.#dueMs;
    if (!isStall(lateMs, this.#fleet.intervalMs, this.#agesRestartedMs, now)) return;
    this.#agesRestartedMs = now;
    this.#fleet.restartAges();
    log.warn('this server stalled, all hosts count as just heard', { lateMs: Math.round(lateMs) });
    this.#brakes.set('STALL', `This server stood still for ${Math.round(lateMs)} ms`);
  }

  /** One run: plans, writes, and tells. */
  async manage(): Promise<void> {
    if (!this.#mayAct) return;
    const { view, clock } = this.#context;
    const fleet = this.#fleet.look();
    const hosts = new Map([...fleet].map(([hostId, now]) => [hostId, this.#toPlanHost(now)]));
    this.#losses = recentLosses(this.#losses, clock.now());
    const silence = this.#noticeMassSilence(hosts);
    const held = silence || maybeMassSilence(hosts.values());
    this.#isUnsure = held && !silence && [...hosts.values()].some(({ liveness }) => liveness !== 'up');
    const planned = plan(view.networks.values(), hosts, brakesNow(hosts, held, this.#losses, clock.now()));
    this.#showBrakes(held, planned, fleet);
    const plans = new Map(planned.networks.map((each) => [each.networkId, each]));
    await Promise.all(
      [...view.networks.values()].map((network) => this.#execute(network, plans.get(network.networkId), hosts)),
    );
    this.#deployment.refresh();
    this.#confirmations.follow(view.networks, hosts, clock.now());
    this.#noteShort();
  }

  #toPlanHost({ host, observed, heard, silentForMs, liveness, breaker }: HostNow): PlanHost {
    const attachments = [...(observed?.attachments ?? [])];
    const tables = [...this.#context.hosts.tables(host.hostId)];
    return {
      hostId: host.hostId,
      uid: host.uid,
      managed: host.managed,
      maintenance: host.maintenance,
      failureDomain: host.failureDomain,
      liveness,
      quiet: !observed || isQuiet(observed, this.#context.clock.now()),
      heard,
      silentForMs,
      connected: observed?.connected ?? false,
      reachable: breaker === 'closed',
      ready: new Set(attachments.flatMap(([networkId, { ready }]) => (ready ? [networkId] : []))),
      serving: new Set(
        tables.flatMap(([networkId, { serving, placementEpoch }]) =>
          serving ? [placementKey(networkId, placementEpoch)] : [],
        ),
      ),
      failing: this.#confirmations.failing(this.#context.view.networks, host.hostId),
    };
  }

  /** Claims every network, and sees that in the view: then it also sees every slot that was written before. */
  async #claimAll(): Promise<void> {
    const { view, log, clock } = this.#context;
    const unclaimed = () => [...view.networks.values()].filter(({ holderEpoch }) => holderEpoch < this.#epoch);
    for (let networks = unclaimed(); networks.length > 0 && !this.#stopping.signal.aborted; networks = unclaimed()) {
      try {
        await Promise.all(networks.map((network) => this.#claim(network)));
      } catch (error) {
        log.warn('networks cannot be claimed yet', { error: String(error) });
      }
      if (unclaimed().length > 0) await delay(clock, CLAIM_AGAIN_MS, this.#stopping.signal);
    }
  }

  async #claim(network: Network): Promise<void> {
    const { store } = this.#context;
    let current: Network | undefined = network;
    while (current && current.holderEpoch < this.#epoch && this.#mayAct) {
      const written = await store.networks.put({ ...current, holderEpoch: this.#epoch });
      if (written !== 'conflict') return;
      current = await store.networks.get(network.networkId);
    }
  }

  // A conflict needs no repeat here: the view will show the newer document and wake the manager.
  async #execute(
    network: Network,
    planned: NetworkPlan | undefined,
    hosts: ReadonlyMap<HostId, PlanHost>,
  ): Promise<void> {
    const { store, view } = this.#context;
    if (!this.#mayAct || network.holderEpoch > this.#epoch) return;
    const after = this.#withoutOldMark(this.#withoutGoneFormers(this.#applied(network, planned, hosts)));
    if (isSpent(after) && view.occupancy(network.networkId).resting.size === 0) {
      await store.networks.remove(network);
    } else if (after !== network) {
      const written = await store.networks.put({ ...after, holderEpoch: this.#epoch });
      if (planned && written !== 'conflict') this.#logPlan(planned);
    }
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
    for (const { hostId, why } of planned.withdraw) {
      if (why === 'host down') this.#losses = new Map(this.#losses).set(hostId, clock.now());
    }
    return after;
  }

  /** A former server is over once its connected host has nothing of that placement any more. */
  #withoutGoneFormers(network: Network): Network {
    const { hosts } = this.#context;
    const formerServers = network.formerServers.filter(({ hostId, epoch }) => {
      if (!hosts.host(hostId)?.connected) return true;
      const table = hosts.table(hostId, network.networkId);
      return table !== undefined && (table.placementEpoch <= epoch || !table.serving);
    });
    return formerServers.length === network.formerServers.length ? network : { ...network, formerServers };
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

  #logPlan({ networkId, withdraw, place }: NetworkPlan): void {
    const { log } = this.#context;
    for (const { hostId, epoch, why } of withdraw) {
      log.info('placement withdrawn', { network: networkId, host: hostId, epoch, why });
    }
    for (const hostId of place) log.info('placement made', { network: networkId, host: hostId });
  }

  #noticeMassSilence(hosts: ReadonlyMap<HostId, PlanHost>): boolean {
    const silence = followMassSilence(this.#massSilence, hosts.values(), this.#context.clock.now());
    this.#massSilence = silence;
    const reason = silence && `${silence.hosts.size} of ${silence.managed} hosts fell silent at once`;
    this.#brakes.set('MASS_SILENCE', reason);
    return silence !== undefined;
  }

  #showBrakes(silence: boolean, { kept }: Plan, fleet: ReadonlyMap<HostId, HostNow>): void {
    const nowMs = this.#context.clock.now();
    const isKept = kept.length > 0 && !silence;
    this.#brakes.set('BUDGET', isKept ? `Kept for now: ${kept.slice(0, 5).join(', ')}` : undefined);
    const unheard = [...fleet.values()].filter(({ observed }) => observed === undefined).length;
    const isStarting = nowMs < this.#fleet.reconnectingUntilMs && unheard > 0;
    const starting = `This server has just started and did not hear ${unheard} hosts yet`;
    this.#brakes.set('START', isStarting ? starting : undefined);
    const stalledMs = this.#agesRestartedMs;
    if (stalledMs === undefined || nowMs - stalledMs >= STALL_SHOWN_MS) this.#brakes.set('STALL', undefined);
  }

  #noteShort(): void {
    const { networks } = this.#context.view;
    for (const networkId of this.#shortSince.keys()) if (!networks.has(networkId)) this.#shortSince.delete(networkId);
    for (const network of networks.values()) {
      const { networkId } = network;
      if (this.#fleet.serving(network).length >= serversWanted(network)) this.#shortSince.delete(networkId);
      else if (!this.#shortSince.has(networkId)) this.#shortSince.set(networkId, wallTime(this.#context));
    }
  }
}

/** A deleted network of which nothing can come any more, but for resting addresses. */
function isSpent({ deleted, placements, formerServers }: Network): boolean {
  return deleted === true && placements.length === 0 && formerServers.length === 0;
}
