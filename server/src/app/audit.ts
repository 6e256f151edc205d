// Who changed what: the events that were stored with changes of settings, beside those that follow from tenures, which go
// on in slots and are over in history.
//
//   Q1. An event is listed once: slots are read before history, and a tenure that is found in both is one.
//   Q2. Each source gives the first events after the key; what lies beyond the end of one that has more is left for the next
//       page, whatever the others have there.

import {
  type AuditEvent,
  type AuditKey,
  afterInMoment,
  inAuditOrder,
  momentEvent,
  momentEventId,
  type TenureMoment,
} from '../domain/audit.js';
import { filterTooBroad, invalidPageToken, type Result, rateLimited, success } from '../domain/errors.js';
import type { ReservationId, WallTime } from '../domain/ids.js';
import { parseReservationId } from '../domain/reservation-id.js';
import type { EndedTenure, Slot } from '../domain/slot.js';
import type { AuditFilter, AuditPage, MomentFilter, Store } from '../ports/store.js';
import type { Call, Context } from './context.js';
import { makeToken, type Page, type PageRequest, pageSize, readToken } from './paging.js';

// Each takes a processor, or the database, for seconds: reserving must not wait for those who look back.
const MAX_SCANS = 2;

/** Lists events. */
export class Audit {
  readonly #store: Store;
  #scans = 0;

  constructor({ store }: Pick<Context, 'store'>) {
    this.#store = store;
  }

  /** One page, the newest first. */
  async list(
    filter: AuditFilter,
    page: PageRequest,
    { signal }: Pick<Call, 'signal'>,
  ): Promise<Result<Page<AuditEvent>>> {
    const list = ['audit', filter];
    const token = readToken(list, page.token);
    if (!token.ok) return token;
    const after = token.value === undefined ? undefined : parsePosition(token.value);
    if (token.value !== undefined && !after) return invalidPageToken();
    const size = pageSize(page);
    const ofTenures = await this.#listTenures({ filter, after, size, signal });
    if (!ofTenures.ok) return ofTenures;
    const { events, next } = merged([await this.#store.audit.list(filter, after, size), ...ofTenures.value]);
    const items = events.slice(0, size);
    const last = events.length > size ? items.at(-1) : next;
    return success({ items, nextToken: last ? makeToken(list, formatPosition(last)) : '' });
  }

  async #listTenures(wanted: Wanted): Promise<Result<readonly AuditPage[]>> {
    const { kind, resourceId, networkId } = wanted.filter;
    if (kind !== undefined && kind !== 'reservation') return success([]);
    if (resourceId !== undefined) return success([await eventsOfOne(this.#store, resourceId as ReservationId, wanted)]);
    if (networkId !== undefined) return scan(this.#store, wanted);
    if (this.#scans >= MAX_SCANS) {
      return rateLimited(`This server looks at all reservations for ${MAX_SCANS} others already: set network_id`);
    }
    this.#scans++;
    try {
      return await scan(this.#store, wanted);
    } finally {
      this.#scans--;
    }
  }
}

/** What a page shall have. */
interface Wanted {
  readonly filter: AuditFilter;
  readonly after: AuditKey | undefined;
  readonly size: number;
  readonly signal: AbortSignal;
}

/** What the sources have in common: in order, each event once, as far as all of them tell. */
function merged(pages: readonly AuditPage[]): AuditPage {
  const [next] = pages.flatMap((page) => page.next ?? []).sort(inAuditOrder);
  const byId = new Map(pages.flatMap(({ events }) => events).map((event) => [event.eventId, event]));
  const events = [...byId.values()].filter((event) => !next || inAuditOrder(event, next) <= 0).sort(inAuditOrder);
  return { events, next };
}

async function scan(store: Store, wanted: Wanted): Promise<Result<readonly AuditPage[]>> {
  const pages: AuditPage[] = [];
  for (const source of [newestSlots, newestEnded]) {
    for (const moment of MOMENTS) {
      const page = wanted.signal.aborted ? 'too-long' : await source(store, moment, wanted);
      if (page === 'too-long') return filterTooBroad();
      pages.push(page);
    }
  }
  return success(pages);
}

const MOMENTS: readonly TenureMoment[] = ['createTime', 'releaseTime'];

async function newestSlots(
  { slots }: Store,
  moment: TenureMoment,
  { filter, after, size, signal }: Wanted,
): Promise<AuditPage | 'too-long'> {
  const key = after && afterInMoment(moment, after);
  const found = await slots.newest(ofMoment(moment, filter), key, size + 1, signal);
  if (found === 'too-long') return found;
  // The last one may be one that has no event.
  const last = found.length > size ? found.at(-1) : undefined;
  const time = last?.[moment];
  const next = last && time !== undefined ? { time, eventId: momentEventId(moment, last) } : undefined;
  return { events: eventsOf(moment, found), next };
}

async function newestEnded(
  { history }: Store,
  moment: TenureMoment,
  { filter, after, size }: Wanted,
): Promise<AuditPage | 'too-long'> {
  const page = await history.newest(ofMoment(moment, filter), after && afterInMoment(moment, after), size);
  if (page === 'too-long') return page;
  const { tenures, next } = page;
  return { events: eventsOf(moment, tenures), next: next && { time: next.time, eventId: momentEventId(moment, next) } };
}

function ofMoment(moment: TenureMoment, { networkId, caller, since, until }: AuditFilter): MomentFilter {
  return { moment, networkId, caller, since, until };
}

function eventsOf(moment: TenureMoment, tenures: readonly (Slot | EndedTenure)[]): readonly AuditEvent[] {
  return tenures.flatMap((tenure) => momentEvent(moment, tenure) ?? []);
}

/** The events of one tenure, of which there are few. */
async function eventsOfOne(
  { slots, history }: Store,
  reservationId: ReservationId,
  { filter: { networkId, caller, since, until }, after }: Wanted,
): Promise<AuditPage> {
  const place = parseReservationId(reservationId);
  const slot = place && (await slots.get(place.networkId, place.address));
  const tenure = slot?.reservationId === reservationId ? slot : await history.get(reservationId);
  const events = MOMENTS.flatMap((moment) => (tenure ? eventsOf(moment, [tenure]) : [])).filter(
    (event) =>
      (networkId === undefined || event.networkId === networkId) &&
      (caller === undefined || event.caller === caller) &&
      (since === undefined || event.time >= since) &&
      (until === undefined || event.time < until) &&
      (!after || inAuditOrder(after, event) < 0),
  );
  return { events, next: undefined };
}

function formatPosition({ time, eventId }: AuditKey): string {
  return `${time}/${eventId}`;
}

function parsePosition(text: string): AuditKey | undefined {
  const [, time, eventId] = /^([0-9]{1,15})\/(.+)$/s.exec(text) ?? [];
  return time === undefined || eventId === undefined ? undefined : { time: Number(time) as WallTime, eventId };
}
