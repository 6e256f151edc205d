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
import { invalidPageToken, type Result, success } from '../domain/errors.js';
import type { ReservationId, WallTime } from '../domain/ids.js';
import { parseReservationId } from '../domain/reservation-id.js';
import type { EndedTenure, Slot } from '../domain/slot.js';
import type { AuditFilter, AuditPage, MomentFilter, Store } from '../ports/store.js';
import type { Context } from './context.js';
import { makeToken, type Page, type PageRequest, pageSize, readToken } from './paging.js';

/** Lists events, the newest first. */
export async function listAudit(
  { store }: Pick<Context, 'store'>,
  filter: AuditFilter,
  page: PageRequest,
): Promise<Result<Page<AuditEvent>>> {
  const list = ['audit', filter];
  const token = readToken(list, page.token);
  if (!token.ok) return token;
  const after = token.value === undefined ? undefined : parsePosition(token.value);
  if (token.value !== undefined && !after) return invalidPageToken();
  const size = pageSize(page);
  const ofTenures = await listTenures(store, filter, after, size);
  const { events, next } = merged([await store.audit.list(filter, after, size), ...ofTenures]);
  const items = events.slice(0, size);
  const last = events.length > size ? items.at(-1) : next;
  return success({ items, nextToken: last ? makeToken(list, formatPosition(last)) : '' });
}

/** What the sources have in common: in order, each event once, as far as all of them tell. */
function merged(pages: readonly AuditPage[]): AuditPage {
  const [next] = pages.flatMap((page) => page.next ?? []).sort(inAuditOrder);
  const byId = new Map(pages.flatMap(({ events }) => events).map((event) => [event.eventId, event]));
  const events = [...byId.values()].filter((event) => !next || inAuditOrder(event, next) <= 0).sort(inAuditOrder);
  return { events, next };
}

async function listTenures(
  store: Store,
  filter: AuditFilter,
  after: AuditKey | undefined,
  size: number,
): Promise<readonly AuditPage[]> {
  const { kind, resourceId, ...rest } = filter;
  if (kind !== undefined && kind !== 'reservation') return [];
  if (resourceId !== undefined) return [await eventsOfOne(store, resourceId as ReservationId, filter, after)];
  const pages: AuditPage[] = [];
  for (const moment of MOMENTS) pages.push(await newestSlots(store, { moment, ...rest }, after, size));
  for (const moment of MOMENTS) pages.push(await newestEnded(store, { moment, ...rest }, after, size));
  return pages;
}

const MOMENTS: readonly TenureMoment[] = ['createTime', 'releaseTime'];

async function newestSlots(
  { slots }: Store,
  filter: MomentFilter,
  after: AuditKey | undefined,
  size: number,
): Promise<AuditPage> {
  const { moment } = filter;
  const found = await slots.newest(filter, after && afterInMoment(moment, after), size + 1);
  const events = eventsOf(moment, found);
  return { events, next: found.length > size ? events.at(-1) : undefined };
}

async function newestEnded(
  { history }: Store,
  filter: MomentFilter,
  after: AuditKey | undefined,
  size: number,
): Promise<AuditPage> {
  const { moment } = filter;
  const { tenures, next } = await history.newest(filter, after && afterInMoment(moment, after), size);
  return { events: eventsOf(moment, tenures), next: next && { time: next.time, eventId: momentEventId(moment, next) } };
}

function eventsOf(moment: TenureMoment, tenures: readonly (Slot | EndedTenure)[]): readonly AuditEvent[] {
  return tenures.flatMap((tenure) => momentEvent(moment, tenure) ?? []);
}

/** The events of one tenure, of which there are few. */
async function eventsOfOne(
  { slots, history }: Store,
  reservationId: ReservationId,
  { networkId, caller, since, until }: AuditFilter,
  after: AuditKey | undefined,
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
