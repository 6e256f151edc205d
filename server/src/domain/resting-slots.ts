// The released slots of a term, from the moment their release was seen to the moment they are free: first they wait to be
// cleared (reuse.ts), then for their time.
//
//   R1. Those of one network that the same hosts hold up wait in the order in which they were seen: while the first is
//       not cleared no other is looked at. So a million of them that wait cost nothing.
//   R2. It is fed by what the view shows, and forgets an address as soon as that shows something else there.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import { DueQueue } from './due-queue.js';
import type { NetworkId, ReservationId } from './ids.js';
import { isChainVouched, type SlotSummary } from './slot.js';

/** A released slot in this term. */
export interface RestingSlot {
  readonly networkId: NetworkId;
  readonly address: Ipv4;
  readonly reservationId: ReservationId;
  readonly mac: Mac;
  readonly chainCounter: number;
  /** When its release was seen; or the begin of the term, if that is later. */
  readonly seenMs: number;
  /** When the first release of its chain was seen in this term; undefined: it was before that. */
  readonly chainSeenMs: number | undefined;
  readonly reuseDelayS: number;
  readonly leaseTimeCeilingS: number;
  /** Undefined: not known yet. */
  readonly vouched: boolean | undefined;
  /** Undefined: not cleared yet. */
  readonly clearedMs: number | undefined;
}

/** A slot that was released, as far as that decides when it is free. */
export type Released = Pick<
  SlotSummary,
  | 'networkId'
  | 'address'
  | 'reservationId'
  | 'mac'
  | 'chainCounter'
  | 'chainSoFar'
  | 'vouched'
  | 'reuseDelayS'
  | 'leaseTimeCeilingS'
>;

const NEVER = Number.POSITIVE_INFINITY;

// A class, because there may be a million of them: objects of one shape take a third of the memory.
class Entry implements RestingSlot {
  readonly networkId: NetworkId;
  readonly address: Ipv4;
  readonly reservationId: ReservationId;
  readonly mac: Mac;
  readonly chainCounter: number;
  readonly seenMs: number;
  readonly chainSeenMs: number | undefined;
  reuseDelayS: number;
  leaseTimeCeilingS: number;
  vouched: boolean | undefined;
  clearedMs: number | undefined = undefined;
  /** Until then it is put off; Infinity: it waits to be cleared, or was taken. */
  dueMs = NEVER;
  isPresent = true;

  constructor(slot: Released, seenMs: number, chainSeenMs: number | undefined, vouched: boolean | undefined) {
    this.networkId = slot.networkId;
    this.address = slot.address;
    this.reservationId = slot.reservationId;
    this.mac = slot.mac;
    // As if it were the oldest: then every host counts.
    this.chainCounter = slot.chainCounter ?? 0;
    this.seenMs = seenMs;
    this.chainSeenMs = chainSeenMs;
    this.reuseDelayS = slot.reuseDelayS;
    this.leaseTimeCeilingS = slot.leaseTimeCeilingS;
    this.vouched = vouched;
  }
}

interface Line {
  readonly networkId: NetworkId;
  readonly chainCounter: number;
  readonly slots: Entry[];
  /** Those before it are done with. */
  first: number;
}

// What was returned to its MAC, and is remembered in case it is released again.
const MAX_RETURNED = 65_536;
const SHRINK_AT = 1_024;

/** The released slots of a term. */
export class RestingSlots {
  readonly #slots = new Map<NetworkId, Map<Ipv4, Entry>>();
  readonly #lines = new Map<NetworkId, Map<number, Line>>();
  readonly #due = new DueQueue<Entry>();
  /** When the first release of a chain that goes on was seen, by network and address. */
  readonly #returned = new Map<string, { readonly mac: Mac; readonly seenMs: number }>();

  /** A slot that rests; `isOld`: it was released before this term. */
  released(slot: Released, nowMs: number, isOld = false): void {
    const { networkId, address, reservationId, reuseDelayS, leaseTimeCeilingS } = slot;
    const known = this.#slots.get(networkId)?.get(address);
    // What no store says of a slot that it only sums up is found out when it matters.
    const vouched = slot.vouched === undefined ? undefined : isChainVouched({ ...slot, vouched: slot.vouched });
    if (known?.reservationId === reservationId) {
      this.#change(known, { vouched: vouched ?? known.vouched, reuseDelayS, leaseTimeCeilingS }, nowMs);
      return;
    }
    const chainSeenMs = isOld ? undefined : this.#chainSeenMs(slot, nowMs);
    if (known) known.isPresent = false;
    const added = new Entry(slot, nowMs, chainSeenMs, vouched);
    this.#put(added);
    const { chainCounter } = added;
    const lines = this.#lines.get(networkId) ?? new Map<number, Line>();
    this.#lines.set(networkId, lines);
    const line = lines.get(chainCounter) ?? { networkId, chainCounter, slots: [], first: 0 };
    lines.set(chainCounter, line);
    line.slots.push(added);
  }

  #chainSeenMs({ networkId, address, mac, vouched, chainSoFar }: Released, nowMs: number): number | undefined {
    // Who does not say whether it is vouched for does not say either whether it is the first of its chain.
    if (vouched !== undefined && chainSoFar === undefined) return nowMs;
    const before = this.#returned.get(key(networkId, address));
    return before?.mac === mac ? before.seenMs : undefined;
  }

  #change(
    known: Entry,
    change: Pick<RestingSlot, 'vouched' | 'reuseDelayS' | 'leaseTimeCeilingS'>,
    nowMs: number,
  ): void {
    if (known.vouched === change.vouched && known.leaseTimeCeilingS === change.leaseTimeCeilingS) return;
    Object.assign(known, change);
    // Earlier than it was put off to, or later: whoever takes it looks.
    if (known.clearedMs !== undefined) this.#putOff(known, nowMs);
  }

  #put(slot: Entry): void {
    const inNetwork = this.#slots.get(slot.networkId) ?? new Map<Ipv4, Entry>();
    this.#slots.set(slot.networkId, inNetwork.set(slot.address, slot));
  }

  /** The address rests no more: its MAC has it again, if that is given. */
  gone(networkId: NetworkId, address: Ipv4, mac?: Mac): void {
    const known = this.#slots.get(networkId)?.get(address);
    if (!known && this.#returned.size === 0) return;
    const place = key(networkId, address);
    if (!known) {
      if (mac === undefined || this.#returned.get(place)?.mac !== mac) this.#returned.delete(place);
      return;
    }
    known.isPresent = false;
    const inNetwork = this.#slots.get(networkId);
    inNetwork?.delete(address);
    if (inNetwork?.size === 0) this.#slots.delete(networkId);
    this.#returned.delete(place);
    if (mac !== known.mac || known.chainSeenMs === undefined) return;
    this.#returned.set(place, { mac, seenMs: known.chainSeenMs });
    if (this.#returned.size <= MAX_RETURNED) return;
    const oldest = this.#returned.keys().next();
    if (!oldest.done) this.#returned.delete(oldest.value);
  }

  /** A slot that rests. */
  get(networkId: NetworkId, address: Ipv4): RestingSlot | undefined {
    return this.#slots.get(networkId)?.get(address);
  }

  /** Those of a network. */
  of(networkId: NetworkId): Iterable<RestingSlot> {
    return this.#slots.get(networkId)?.values() ?? [];
  }

  /**
   * Clears what was seen before the moment that `beforeMs` says for a network and a counter; of millions, after a change of
   * the holder, some `limit` at a time.
   */
  clear(
    beforeMs: (networkId: NetworkId, chainCounter: number) => number,
    nowMs: number,
    limit = Number.POSITIVE_INFINITY,
  ): void {
    let room = limit;
    for (const [networkId, lines] of this.#lines) {
      for (const line of lines.values()) {
        const limitMs = this.#head(line) && beforeMs(line.networkId, line.chainCounter);
        if (limitMs === undefined) lines.delete(line.chainCounter);
        else room = this.#clearLine(line, limitMs, nowMs, room);
      }
      if (lines.size === 0) this.#lines.delete(networkId);
    }
  }

  /** Clears the beginning of a line; answers how many more may be cleared. */
  #clearLine(line: Line, limitMs: number, nowMs: number, limit: number): number {
    let room = limit;
    for (let slot = this.#head(line); slot && slot.seenMs < limitMs && room > 0; slot = this.#head(line)) {
      room--;
      line.first++;
      slot.clearedMs = nowMs;
      this.#putOff(slot, Math.max(nowMs, slot.seenMs + slot.reuseDelayS * 1_000));
    }
    if (line.first >= SHRINK_AT && line.first * 2 > line.slots.length) {
      line.slots.splice(0, line.first);
      line.first = 0;
    }
    return room;
  }

  /** The first of a line that still waits. */
  #head(line: Line): Entry | undefined {
    let slot = line.slots[line.first];
    while (slot && !slot.isPresent) slot = line.slots[++line.first];
    return slot;
  }

  /** Takes up to `limit` slots that were put off until now, or were just cleared. */
  takeDue(nowMs: number, limit: number): readonly RestingSlot[] {
    const due: Entry[] = [];
    while (due.length < limit) {
      const slot = this.#due.take(nowMs);
      if (!slot) break;
      // It was put off to another time since, or taken already.
      if (slot.dueMs > nowMs || !slot.isPresent) continue;
      slot.dueMs = NEVER;
      due.push(slot);
    }
    return due;
  }

  /** Puts one that was taken off until then; `vouched`: what was found out. */
  putOff(slot: RestingSlot, untilMs: number, vouched = slot.vouched): void {
    const entry = this.#slots.get(slot.networkId)?.get(slot.address);
    if (entry !== slot) return;
    entry.vouched = vouched;
    this.#putOff(entry, untilMs);
  }

  #putOff(entry: Entry, untilMs: number): void {
    entry.dueMs = untilMs;
    this.#due.add(entry, untilMs);
  }
}

function key(networkId: NetworkId, address: Ipv4): string {
  return `${networkId} ${address}`;
}
