// Who had an address, and which addresses a MAC or an owner had: what goes on, from the slots, beside what is over, from
// the history.
//
//   Y1. A tenure is listed once: one that is in history and still in its slot, because its end is not finished, goes on.

import { invalidPageToken, type Result, success } from '../domain/errors.js';
import type { NetworkId, ReservationId, SubnetId, WallTime } from '../domain/ids.js';
import type { EndedTenure, Slot, Tenure } from '../domain/slot.js';
import type { HistoryFilter, HistoryKey, SlotFilter, SlotPage } from '../ports/store.js';
import { type Context, wallTime } from './context.js';
import { makeToken, type Page, type PageRequest, pageSize, readToken } from './paging.js';
import { Periodic } from './periodic.js';

/** Lists tenures, the newest first. */
export async function listHistory(
  context: Pick<Context, 'store' | 'view'>,
  filter: HistoryFilter,
  page: PageRequest,
): Promise<Result<Page<Slot | EndedTenure>>> {
  const list = ['history', filter];
  const token = readToken(list, page.token);
  if (!token.ok) return token;
  const after = token.value === undefined ? undefined : parsePosition(token.value);
  if (token.value !== undefined && !after) return invalidPageToken();
  const size = pageSize(page);
  const living = (await findLiving(context, filter)).filter((tenure) => !after || isAfter(tenure, after));
  const ended = await context.store.history.list(filter, after, size);
  const over = ended.tenures.filter(
    ({ reservationId }) => !living.some((each) => each.reservationId === reservationId),
  );
  // What goes on may be older than all of this page of history: then it belongs to a later one.
  const shown = living.filter((tenure) => !ended.next || !isAfter(tenure, ended.next));
  const all = [...shown, ...over].sort(newestFirst);
  const items = all.slice(0, size);
  const last = all.length > size ? items.at(-1) : ended.next;
  return success({ items, nextToken: last ? makeToken(list, formatPosition(last)) : '' });
}

// One address, or the addresses of one MAC or owner: few, compared to a page.
async function findLiving(context: Pick<Context, 'store' | 'view'>, filter: HistoryFilter): Promise<readonly Slot[]> {
  const { place, mac, owner, networkId, createdBefore } = filter;
  const where = place && { from: place.address, to: place.address, subnetId: place.subnetId };
  const networks = place ? await networksOf(context, place.subnetId) : [networkId];
  const found: Slot[] = [];
  for (const each of networks) {
    if (networkId !== undefined && each !== networkId) continue;
    found.push(...(await listAll(context, { ...where, networkId: each, mac, owner })));
  }
  return found.filter(({ createTime }) => createdBefore === undefined || createTime < createdBefore);
}

/** Where a subnet is; of one that is gone an address may rest in any network. */
async function networksOf(
  { store, view }: Pick<Context, 'store' | 'view'>,
  subnetId: SubnetId,
): Promise<readonly NetworkId[]> {
  const network = await store.networks.findBySubnet(subnetId);
  return network ? [network.networkId] : [...view.networks.keys()];
}

async function listAll({ store }: Pick<Context, 'store'>, filter: SlotFilter): Promise<readonly Slot[]> {
  const found: Slot[] = [];
  let page: SlotPage = { slots: [], next: undefined };
  do {
    page = await store.slots.list(filter, page.next, LIVING_AT_ONCE);
    found.push(...page.slots);
  } while (page.next);
  return found;
}

const LIVING_AT_ONCE = 1_000;

function newestFirst(a: HistoryKey, b: HistoryKey): number {
  if (a.createTime !== b.createTime) return b.createTime - a.createTime;
  return a.reservationId < b.reservationId ? -1 : a.reservationId > b.reservationId ? 1 : 0;
}

function isAfter(tenure: Tenure, key: HistoryKey): boolean {
  return newestFirst(key, tenure) < 0;
}

function formatPosition({ createTime, reservationId }: HistoryKey): string {
  return `${createTime}/${reservationId}`;
}

function parsePosition(text: string): HistoryKey | undefined {
  const [, time, reservationId] = /^([0-9]{1,15})\/(.+)$/s.exec(text) ?? [];
  if (time === undefined || reservationId === undefined) return undefined;
  return { createTime: Number(time) as WallTime, reservationId: reservationId as ReservationId };
}

const PRUNE_EVERY_MS = 60_000;
const PRUNED_AT_ONCE = 500;

/** Forgets ended tenures and audit events when their time is over, during one term of leading. */
export class HistoryPruner {
  readonly #context: Context;
  readonly #epoch: number;
  readonly #retentionMs: number;
  readonly #periodic: Periodic;

  constructor(context: Context, epoch: number, retentionMs: number) {
    this.#context = context;
    this.#epoch = epoch;
    this.#retentionMs = retentionMs;
    this.#periodic = new Periodic(context.clock, PRUNE_EVERY_MS, () =>
      this.prune().catch((error: unknown) => context.log.warn('history was not pruned', { error: String(error) })),
    );
  }

  /** Runs every minute from now on. */
  start(): void {
    this.#periodic.start();
  }

  /** Ends after the run under way. */
  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  /** One run. */
  async prune(): Promise<void> {
    const { store, metrics } = this.#context;
    const before = (wallTime(this.#context) - this.#retentionMs) as WallTime;
    await this.#pruneAll(async () => {
      const pruned = await store.history.prune(before, PRUNED_AT_ONCE);
      if (pruned > 0) metrics.count('historyPruned', {}, pruned);
      return pruned;
    });
    await this.#pruneAll(() => store.audit.prune(before, PRUNED_AT_ONCE));
  }

  async #pruneAll(some: () => Promise<number>): Promise<void> {
    let pruned = PRUNED_AT_ONCE;
    while (pruned === PRUNED_AT_ONCE && this.#mayGoOn) pruned = await some();
  }

  get #mayGoOn(): boolean {
    return this.#context.lease.epoch === this.#epoch && !this.#periodic.isStopped;
  }
}
