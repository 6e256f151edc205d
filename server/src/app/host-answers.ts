// What the holder knows of who may still answer: what each host has taken in, and how long it has been silent.
//
//   A1. Silence is added up over holders: what is stored, in coarse steps rounded down, and what this term adds. Gaps
//       between holders count nothing. Who says hello is not silent any more before he is welcomed (hosts.ts).
//   A2. Every age begins with the term, and anew when this server was not sure for a while that it leads: what was stored of
//       a silence by then goes on, if nothing of that host was heard since.
//   A3. A fence that a hello ended does not count, however late the watch shows it: what was stored up to that hello is
//       known by its revision.
//   A4. Of a host that was forgotten, its entries in the networks go on; one that has its name by now does not speak for it.
//   A5. A host that did not meet this incarnation of the store may answer in any network, with tables that the store knows
//       nothing of. So it counts in all of them until it showed that it hears this server, for it dropped them at its
//       welcome; a hello does not show that. What is silent or fenced was so in this incarnation: an import forgets both.
//   A6. What is known of a host is kept until the view, which showed it, shows it no more: then it is not stored any more, and
//       nobody asks. One that the view does not show yet is no less known for that: its hello comes before its document.

import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, Revision, Uid, WallTime } from '../domain/ids.js';
import type { FormerServer, KeptOfHost, Network, Placement } from '../domain/network.js';
import { countedHosts, type HostAnswer, mayAnswerForMs } from '../domain/reuse.js';
import type { Context } from './context.js';
import type { KeyedQueue } from './keyed-queue.js';
import { inTurns } from './turns.js';

/** Since when a silence is counted in this term, and what is known from before. */
interface Silence {
  readonly fromMs: number;
  readonly beforeS: number;
}

// A silence that is being added up is stored so often: with S of a day, a dead host costs a few dozen writes.
const STEPS_OF_S = 24;
const LEAST_STEP_S = 60;
// Who is waited for is told by name; after an import that could be everybody.
const NAMED_EVERYWHERE = 10;
// After an import all hosts are written of once: some in each run, so that nothing else waits for long.
const MET_IN_A_RUN = 120;

/** What is known of the hosts in one term. */
export class HostAnswers {
  readonly #context: Context;
  readonly #epoch: number;
  readonly #writes: KeyedQueue;
  readonly #silences = new Map<Uid, Silence>();
  /** Of entries of hosts that were forgotten. */
  readonly #entrySilences = new Map<string, Silence>();
  readonly #fences = new Map<Uid, { readonly time: WallTime; readonly seenMs: number }>();
  /** Up to which revision a host was stored before its last hello of this term. */
  readonly #greetedAt = new Map<Uid, Revision>();
  /** All that may answer in any network, and others (A5). */
  readonly #everywhere = new Map<Uid, HostId>();
  /** The hosts that the view showed when those that are gone were looked for last. */
  #shown: ReadonlySet<Uid> = new Set();
  #sinceMs: number | undefined;

  /** `writes`: what is written of a host's silence, one after another. */
  constructor(context: Context, epoch: number, writes: KeyedQueue) {
    this.#context = context;
    this.#epoch = epoch;
    this.#writes = writes;
  }

  /** The view holds all that earlier holders wrote: counts from now on. Before that nobody is silent. */
  begin(): void {
    const { view, hosts, clock } = this.#context;
    this.#sinceMs = clock.now();
    for (const host of view.hosts.values()) {
      const { hostId, uid, silentForS = 0 } = host;
      // What this term stored at its hello the view may not show yet.
      this.#count(uid, hosts.lastSignMs(hostId) === undefined ? silentForS : 0);
      if (!this.#hasMet(host)) this.#everywhere.set(uid, hostId);
    }
    this.#shown = this.#uidsInView();
  }

  /** Every age begins anew. */
  restart(): void {
    if (this.#sinceMs === undefined) return;
    const { view, clock } = this.#context;
    this.#sinceMs = clock.now();
    for (const host of view.hosts.values()) {
      // The view may show what was stored before a hello.
      this.#count(host.uid, Math.min(host.silentForS ?? 0, Math.floor(this.#totalS(this.#silenceOf(host)))));
      if (!this.#hasMet(host)) this.#everywhere.set(host.uid, host.hostId);
    }
    // Theirs are in the view: nothing else is written of them.
    this.#entrySilences.clear();
  }

  /** A host that was stored so says hello. To be called before that is written: whether it was may never be known. */
  greeted(host: Host): void {
    const { hostId, uid, revision } = host;
    // Of one that was not stored nobody can have written anything before.
    if (revision > 0) this.#greetedAt.set(uid, revision);
    if (!this.#hasMet(host)) this.#everywhere.set(uid, hostId);
  }

  #count(uid: Uid, beforeS: number): Silence {
    const silence = { fromMs: this.#context.clock.now(), beforeS };
    this.#silences.set(uid, silence);
    return silence;
  }

  /** What the hosts that may hold a tenure of a chain have said. */
  of(network: Network | undefined, chainCounter: number): readonly HostAnswer[] {
    const everywhere = this.#answersEverywhere();
    if (!network) return everywhere;
    const own = countedHosts(network, chainCounter).map((entry) => this.answer(network.networkId, entry));
    return [...own, ...everywhere];
  }

  /** Some of those that may answer in any network now. */
  #answersEverywhere(): readonly HostAnswer[] {
    const { view, clock } = this.#context;
    const answers: HostAnswer[] = [];
    for (const [uid, hostId] of this.#everywhere) {
      if (answers.length === NAMED_EVERYWHERE) break;
      const host = view.hosts.get(hostId);
      const silencedMs = host?.uid === uid ? this.#silencedEverywhereMs(host) : undefined;
      // Whoever says hello again is added again.
      if (silencedMs !== undefined && silencedMs <= clock.now()) this.#everywhere.delete(uid);
      else if (silencedMs !== undefined) {
        answers.push({ hostId, takenInMs: Number.NEGATIVE_INFINITY, silencedMs });
      }
    }
    return answers;
  }

  /** Whether a host may answer in networks that do not know it. */
  mayAnswerAnywhere(host: Host): boolean {
    return this.#silencedEverywhereMs(host) > this.#context.clock.now();
  }

  #silencedEverywhereMs(host: Host): number {
    if (this.#hasMet(host) || this.#hasShown(host)) return Number.NEGATIVE_INFINITY;
    return this.#silencedMs(host, this.#context.store.settings.authorityCeilingS);
  }

  #hasMet({ metIncarnation = 1 }: Host): boolean {
    return metIncarnation >= this.#context.store.settings.incarnation;
  }

  /** Whether it showed that it hears this server: then it was welcomed, and dropped what it had before. */
  #hasShown({ hostId }: Host): boolean {
    return this.#context.hosts.host(hostId)?.contact?.isShown === true;
  }

  /** What the host of a placement, or of a former one, has said. */
  answer(networkId: NetworkId, entry: Placement | FormerServer): HostAnswer {
    const { hostId } = entry;
    if (this.#sinceMs === undefined) {
      return { hostId, takenInMs: Number.NEGATIVE_INFINITY, silencedMs: Number.POSITIVE_INFINITY };
    }
    const { view, hosts, store } = this.#context;
    const host = view.hosts.get(hostId);
    const { authorityCeilingS } = store.settings;
    const ceilingS = 'counter' in entry ? Math.max(entry.authorityCeilingS, authorityCeilingS) : authorityCeilingS;
    if (host?.uid !== entry.hostUid) {
      return { hostId, takenInMs: Number.NEGATIVE_INFINITY, silencedMs: this.#forgottenMs(networkId, entry, ceilingS) };
    }
    return { hostId, takenInMs: hosts.takenInMs(hostId, networkId), silencedMs: this.#silencedMs(host, ceilingS) };
  }

  /** From when on a host cannot answer any more. */
  #silencedMs(host: Host, ceilingS: number): number {
    if (this.#context.hosts.isPresent(host.hostId)) return Number.POSITIVE_INFINITY;
    const fencedMs = this.#fencedMs(host);
    if (fencedMs !== undefined) return fencedMs;
    const { fromMs, beforeS } = this.#silenceOf(host);
    return fromMs + mayAnswerForMs(ceilingS) - beforeS * 1_000;
  }

  #silenceOf({ hostId, uid }: Host): Silence {
    const known = this.#silences.get(uid);
    const signMs = this.#context.hosts.lastSignMs(hostId);
    if (known && (signMs === undefined || signMs < known.fromMs)) return known;
    // One that appeared in this term was heard in it; that may be forgotten, with a host that had its name before.
    return signMs === undefined ? this.#count(uid, 0) : { fromMs: signMs, beforeS: 0 };
  }

  /** When this server saw that a host was fenced, unless it gave a sign of life since. */
  #fencedMs({ hostId, uid, fence, revision }: Host): number | undefined {
    if (!fence || revision <= (this.#greetedAt.get(uid) ?? Number.NEGATIVE_INFINITY)) return undefined;
    let seen = this.#fences.get(uid);
    if (seen?.time !== fence.time) {
      seen = { time: fence.time, seenMs: this.#context.clock.now() };
      this.#fences.set(uid, seen);
    }
    const signMs = this.#context.hosts.lastSignMs(hostId) ?? Number.NEGATIVE_INFINITY;
    return signMs < seen.seenMs ? seen.seenMs : undefined;
  }

  #forgottenMs(networkId: NetworkId, entry: Placement | FormerServer, ceilingS: number): number {
    const { fromMs, beforeS } = this.#forgotten(networkId, entry);
    return 'fenced' in entry && entry.fenced ? fromMs : fromMs + mayAnswerForMs(ceilingS) - beforeS * 1_000;
  }

  #forgotten(networkId: NetworkId, entry: Placement | FormerServer): Silence {
    const key = entryKey(networkId, entry);
    let silence = this.#entrySilences.get(key);
    if (!silence) {
      const beforeS = ('silentForS' in entry && entry.silentForS) || 0;
      silence = { fromMs: this.#context.clock.now(), beforeS };
      this.#entrySilences.set(key, silence);
    }
    return silence;
  }

  /** For how long a host is known to be silent, and whether it is fenced: for entries that outlive it. */
  silenceOf(host: Host): KeptOfHost {
    if (this.#sinceMs === undefined) return {};
    const silentForS = Math.floor(this.#totalS(this.#silenceOf(host)));
    return { silentForS, ...(this.#fencedMs(host) !== undefined ? { fenced: true } : {}) };
  }

  #totalS({ fromMs, beforeS }: Silence): number {
    return beforeS + (this.#context.clock.now() - fromMs) / 1_000;
  }

  /** Stores silences that have grown by a step, and who has met this incarnation. */
  async store(): Promise<void> {
    if (this.#sinceMs === undefined) return;
    const { view } = this.#context;
    this.#dropGoneHosts();
    this.#dropGoneEntries();
    const awaited = new Set<Uid>();
    for (const network of view.networks.values()) {
      for (const { hostUid } of [...network.placements, ...network.formerServers]) awaited.add(hostUid);
      await this.#storeForgotten(network);
    }
    const met: HostId[] = [];
    for (const host of [...view.hosts.values()]) {
      const { hostId, uid } = host;
      if (!this.#hasMet(host) && this.#hasShown(host)) met.push(hostId);
      else if (awaited.has(uid) || !this.#hasMet(host)) {
        await this.#writes.run(hostId, () => this.#storeSilence(view.hosts.get(hostId)));
      }
    }
    await inTurns(met.slice(0, MET_IN_A_RUN), (each) =>
      this.#writes.run(each, () => this.#storeMet(view.hosts.get(each))),
    );
  }

  #dropGoneHosts(): void {
    const present = this.#uidsInView();
    for (const uid of this.#shown) {
      if (present.has(uid)) continue;
      for (const known of [this.#silences, this.#fences, this.#greetedAt, this.#everywhere]) known.delete(uid);
    }
    this.#shown = present;
  }

  #uidsInView(): ReadonlySet<Uid> {
    return new Set([...this.#context.view.hosts.values()].map(({ uid }) => uid));
  }

  /** One that the view shows again after all begins anew, with what is stored of it. */
  #dropGoneEntries(): void {
    if (this.#entrySilences.size === 0) return;
    const present = new Set<string>();
    for (const { networkId, placements, formerServers } of this.#context.view.networks.values()) {
      for (const entry of [...placements, ...formerServers]) present.add(entryKey(networkId, entry));
    }
    for (const key of this.#entrySilences.keys()) if (!present.has(key)) this.#entrySilences.delete(key);
  }

  // Another revision: the next run looks again.
  async #storeMet(host: Host | undefined): Promise<void> {
    const { store, lease } = this.#context;
    if (!host || !this.#hasShown(host) || lease.epoch !== this.#epoch) return;
    await store.hosts.put({ ...host, metIncarnation: store.settings.incarnation });
  }

  async #storeSilence(host: Host | undefined): Promise<void> {
    const { store, hosts, lease } = this.#context;
    if (!host || hosts.isPresent(host.hostId) || lease.epoch !== this.#epoch) return;
    const silentForS = this.#steps(this.#silenceOf(host));
    if (silentForS <= (host.silentForS ?? 0)) return;
    // Another revision: it said hello, or something else changed. The next run looks again.
    await store.hosts.put({ ...host, silentForS });
  }

  async #storeForgotten(network: Network): Promise<void> {
    const { store, view, lease } = this.#context;
    const { networkId } = network;
    const grown = new Map<FormerServer, number>();
    for (const former of network.formerServers) {
      if (view.hosts.get(former.hostId)?.uid === former.hostUid) continue;
      const silentForS = this.#steps(this.#forgotten(networkId, former));
      if (silentForS > (former.silentForS ?? 0)) grown.set(former, silentForS);
    }
    if (grown.size === 0 || lease.epoch !== this.#epoch) return;
    const formerServers = network.formerServers.map((former) => {
      const silentForS = grown.get(former);
      return silentForS === undefined ? former : { ...former, silentForS };
    });
    await store.networks.put({ ...network, formerServers });
  }

  #steps(silence: Silence): number {
    const { authorityCeilingS } = this.#context.store.settings;
    const stepS = Math.max(LEAST_STEP_S, Math.floor(authorityCeilingS / STEPS_OF_S));
    // What is known from before has been stored already, and need not be a whole number of today's steps.
    const addedS = this.#totalS(silence) - silence.beforeS;
    return silence.beforeS + Math.floor(addedS / stepS) * stepS;
  }
}

function entryKey(networkId: NetworkId, { hostUid, epoch }: Placement | FormerServer): string {
  return `${networkId} ${hostUid} ${epoch}`;
}
