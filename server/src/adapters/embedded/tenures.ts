// What is kept of tenures beside their slots: the history, its indexes, and which request made or released which.

import type { ReservationId } from '../../domain/ids.js';
import type { EndedTenure, RequestKey, Slot, Tenure } from '../../domain/slot.js';
import type { RowCodec } from './codec.js';
import { endKey, historyKey, historyPrefix, idKey, type Key, parseSlotKey, requestKey, slotKey } from './keys.js';
import type { Tables } from './tables.js';

type RequestRow = readonly [slot: Key, reservationId: ReservationId];

/** Reads and stages what is kept of tenures. `get` sees what is staged, `durable` only what is flushed. */
export class Tenures {
  readonly #tables: Tables;
  readonly #codec: RowCodec;

  constructor(tables: Tables, codec: RowCodec) {
    this.#tables = tables;
    this.#codec = codec;
  }

  /** An ended tenure. */
  ended(reservationId: ReservationId, see: 'get' | 'durable'): EndedTenure | undefined {
    const text = this.#tables.history[see](idKey(reservationId));
    return text === undefined ? undefined : this.#codec.decodeEnded(text);
  }

  /** The tenure that a request made or released. */
  byRequest(request: RequestKey, see: 'get' | 'durable'): Slot | EndedTenure | undefined {
    const text = this.#tables.requests[see](requestKey(request));
    if (text === undefined) return undefined;
    const [key, reservationId] = JSON.parse(text) as RequestRow;
    const slotText = this.#tables.slots[see](key);
    const slot = slotText === undefined ? undefined : this.#codec.decodeSlot(parseSlotKey(key), slotText);
    const tenure = slot?.reservationId === reservationId ? slot : this.ended(reservationId, see);
    // What was given back keeps its slot, and not its request; the row stays until another tenure has it.
    return tenure && requestsOf(tenure).some((each) => isSame(each, request)) ? tenure : undefined;
  }

  /** Another tenure that a request of this one made or released. `before`: the slot in its place, whose requests are known. */
  knownByOther(tenure: Tenure, before: Slot | undefined): Slot | EndedTenure | undefined {
    for (const request of newRequests(tenure, before)) {
      const known = this.byRequest(request, 'get');
      if (known && known.reservationId !== tenure.reservationId) return known;
    }
    return undefined;
  }

  /** Stages the requests of a tenure. `before`: the slot in its place, whose requests are known. */
  putRequests(tenure: Tenure, before: Slot | undefined): void {
    const requests = newRequests(tenure, before);
    if (requests.length === 0) return;
    const row: RequestRow = [slotKey(tenure.networkId, tenure.address), tenure.reservationId];
    for (const request of requests) this.#tables.requests.put(requestKey(request), JSON.stringify(row));
  }

  /** Stages an ended tenure. `before`: the slot that it had, whose requests are known. */
  putEnded(ended: EndedTenure, before: Slot | undefined): void {
    const earlier = this.ended(ended.reservationId, 'get');
    if (earlier) this.#removeFromIndex(earlier);
    this.#tables.history.put(idKey(ended.reservationId), this.#codec.encodeEnded(ended));
    for (const key of indexKeys(ended)) this.#tables.past.put(key, '');
    this.putRequests(ended, before);
  }

  /** Stages what the index lacks of an ended tenure that an older server wrote. */
  putMoments(ended: EndedTenure): void {
    for (const key of momentKeys(ended)) this.#tables.past.put(key, '');
  }

  /** Stages that an ended tenure, and its requests, are forgotten. */
  forget(ended: EndedTenure): void {
    this.#tables.history.remove(idKey(ended.reservationId));
    this.#removeFromIndex(ended);
    for (const request of requestsOf(ended)) this.#tables.requests.remove(requestKey(request));
  }

  #removeFromIndex(ended: EndedTenure): void {
    for (const key of indexKeys(ended)) this.#tables.past.remove(key);
  }
}

function indexKeys(ended: EndedTenure): readonly Key[] {
  const { subnetId, address, mac, owner, createTime, endTime, reservationId } = ended;
  const prefixes = [historyPrefix.place(subnetId, address), historyPrefix.mac(mac)];
  if (owner !== '') prefixes.push(historyPrefix.owner(owner));
  return [
    ...prefixes.map((each) => historyKey(each, createTime, reservationId)),
    endKey(endTime, reservationId),
    ...momentKeys(ended),
  ];
}

function momentKeys({ createTime, releaseTime, reservationId }: EndedTenure): readonly Key[] {
  const created = historyKey(historyPrefix.moment('createTime'), createTime, reservationId);
  if (releaseTime === undefined) return [created];
  return [created, historyKey(historyPrefix.moment('releaseTime'), releaseTime, reservationId)];
}

function requestsOf({ request, releaseRequest }: Tenure): readonly RequestKey[] {
  return [request, releaseRequest].filter((key) => key !== undefined);
}

function isSame(a: RequestKey, b: RequestKey): boolean {
  return a.caller === b.caller && a.rpc === b.rpc && a.id === b.id;
}

/** The requests of a tenure that the slot in its place does not have. */
function newRequests(tenure: Tenure, before: Slot | undefined): readonly RequestKey[] {
  const known = before?.reservationId === tenure.reservationId ? requestsOf(before) : [];
  return requestsOf(tenure).filter(({ rpc, id }) => !known.some((each) => each.rpc === rpc && each.id === id));
}
