// The slots of an embedded store, and what each MAC has: written together with requests and history, so that they
// always agree.

import { setImmediate } from 'node:timers/promises';
import type { Mac } from '@leasehold/proto/values';
import type { Change } from '../../domain/change.js';
import type { NetworkId, Revision } from '../../domain/ids.js';
import type { SlotKey } from '../../domain/reservation-id.js';
import type { Slot } from '../../domain/slot.js';
import type { MomentFilter, SlotFilter, SlotPage, SlotStore } from '../../ports/store.js';
import { putEvent } from './audit.js';
import { decodeHeld, encodeHeld, isReservedRow, type RowCodec } from './codec.js';
import type { GroupCommit } from './group-commit.js';
import { type Key, keyAfter, macKey, parseSlotKey, slotKey, slotRange } from './keys.js';
import { newestOf } from './moments.js';
import type { EmbeddedNetworks } from './networks.js';
import type { Tables } from './tables.js';
import type { Tenures } from './tenures.js';

// How many slots one page looks at: a filter that fits few must not hold a call for the whole store.
const LOOKED_AT = 20_000;
// At a few microseconds each, this many hold the event loop for a few milliseconds.
const LOOKED_AT_ONCE = 1_000;

/** What the slots are served with. */
export interface SlotParts {
  readonly tables: Tables;
  readonly codec: RowCodec;
  readonly commit: GroupCommit;
  readonly tenures: Tenures;
  readonly networks: EmbeddedNetworks;
}

type SlotWrites = 'insert' | 'replace' | 'amend' | 'free';

/** Serves the slots. */
export function slotStore(parts: SlotParts): SlotStore {
  return { ...slotWrites(parts), ...slotReads(parts) };
}

function slotWrites(parts: SlotParts): Pick<SlotStore, SlotWrites> {
  const { tables, commit, tenures, networks } = parts;
  return {
    insert: (slot) =>
      commit.submit((changes) => {
        const network = networks.current(slot.networkId);
        const known = tenures.knownByOther(slot, undefined);
        if (known) return { outcome: { kind: 'request-known', tenure: known }, network };
        const taken = currentSlot(parts, slot);
        if (taken) return { outcome: { kind: 'taken', slot: taken }, network };
        const held = otherReserved(parts, slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        return { outcome: { kind: 'inserted', slot: write(parts, slot, undefined, changes) }, network };
      }),
    replace: (slot, ended) =>
      commit.submit((changes) => {
        const network = networks.current(slot.networkId);
        const before = currentSlot(parts, slot);
        const { reservationId } = ended ?? slot;
        const isStill = before?.revision === slot.revision && before.reservationId === reservationId;
        if (!isStill) return { outcome: { kind: 'conflict' }, network };
        const known = tenures.knownByOther(slot, before);
        if (known) return { outcome: { kind: 'request-known', tenure: known }, network };
        const held = otherReserved(parts, slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        if (ended) tenures.putEnded(ended, before);
        return { outcome: { kind: 'replaced', slot: write(parts, slot, before, changes) }, network };
      }),
    amend: (slot, event) =>
      commit.submit((changes) => {
        const before = currentSlot(parts, slot);
        if (before?.revision !== slot.revision || before.reservationId !== slot.reservationId) return 'conflict';
        putEvent(tables, event);
        return write(parts, slot, before, changes);
      }),
    free: (ended, revision) =>
      commit.submit((changes) => {
        const before = currentSlot(parts, ended);
        const isStill = before?.revision === revision && before.reservationId === ended.reservationId;
        if (!isStill || before.state !== 'quarantined') return 'conflict';
        const { networkId, address } = before;
        tenures.putEnded(ended, before);
        tables.slots.remove(slotKey(networkId, address));
        setHeld(tables, before, undefined);
        changes.push({ kind: 'slot-gone', networkId, address, before });
        return 'freed';
      }),
  };
}

function slotReads(parts: SlotParts): Omit<SlotStore, SlotWrites> {
  const { tables, codec, commit, tenures, networks } = parts;
  const get: SlotStore['get'] = async (networkId, address) => {
    commit.check();
    const text = tables.slots.durable(slotKey(networkId, address));
    return text === undefined ? undefined : codec.decodeSlot({ networkId, address }, text);
  };
  const ofMac = (networkId: NetworkId, mac: Mac): readonly Slot[] =>
    decodeHeld(tables.macs.durable(macKey(networkId, mac))).flatMap(({ address }) => {
      const text = tables.slots.durable(slotKey(networkId, address));
      return text === undefined ? [] : [codec.decodeSlot({ networkId, address }, text)];
    });
  return {
    get,
    // No other server writes here.
    getConfirmed: get,
    async findByMac(networkId, mac) {
      commit.check();
      return ofMac(networkId, mac);
    },
    async findByRequest(request) {
      commit.check();
      return tenures.byRequest(request, 'durable');
    },
    async list(filter, after, limit) {
      const { mac, networkId } = filter;
      if (mac === undefined) return listByKey(parts, filter, after, limit);
      commit.check();
      const all = (networkId === undefined ? networks.ids() : [networkId]).flatMap((each) => ofMac(each, mac));
      const rest = all.filter((slot) => fits(slot, filter) && (!after || isAfter(slot, after)));
      const slots = rest.slice(0, limit);
      return { slots, next: rest.length > limit ? slots.at(-1) : undefined };
    },
    async count(networkId, from, to) {
      commit.check();
      const { start, end } = slotRange(networkId, from, to);
      return tables.slots.count(start, end);
    },
    newest: (filter, after, limit, signal) => newestOf(batches(parts, filter), filter, after, limit, signal),
  };
}

/** Every slot, or those of a network, that may have had the moment: some at a time, as each time shows them. */
function* batches(
  { tables, codec, commit }: SlotParts,
  { moment, networkId }: MomentFilter,
): Generator<readonly Slot[]> {
  const range: { readonly start?: Key; readonly end?: Key } = networkId === undefined ? {} : slotRange(networkId);
  let start = range.start;
  for (;;) {
    commit.check();
    const rows = Array.from(tables.slots.range(LOOKED_AT_ONCE, start, range.end));
    const wanted = moment === 'createTime' ? rows : rows.filter(({ value }) => !isReservedRow(value));
    yield wanted.map(({ key, value }) => codec.decodeSlot(parseSlotKey(key), value));
    const last = rows.at(-1);
    if (!last || rows.length < LOOKED_AT_ONCE) return;
    start = keyAfter(last.key);
  }
}

async function listByKey(
  { tables, codec, commit }: SlotParts,
  filter: SlotFilter,
  after: SlotKey | undefined,
  limit: number,
): Promise<SlotPage> {
  const range: { readonly start?: Key; readonly end?: Key } =
    filter.networkId === undefined ? {} : slotRange(filter.networkId, filter.from, filter.to);
  const found: Slot[] = [];
  const seeks = seeker(filter);
  let last = after;
  for (let lookedAt = 0; lookedAt < LOOKED_AT; lookedAt += LOOKED_AT_ONCE) {
    commit.check();
    const next = last && keyAfter(slotKey(last.networkId, last.address));
    const start = next !== undefined && (range.start === undefined || next > range.start) ? next : range.start;
    let seen = 0;
    for (const { key, value } of tables.slots.range(LOOKED_AT_ONCE, start, range.end)) {
      seen++;
      last = parseSlotKey(key);
      if (!seeks(value)) continue;
      const slot = codec.decodeSlot(last, value);
      if (fits(slot, filter)) found.push(slot);
      if (found.length === limit) return { slots: found, next: last };
    }
    if (seen < LOOKED_AT_ONCE) return { slots: found, next: undefined };
    await setImmediate();
  }
  return { slots: found, next: last };
}

/** Whether a row may fit, without parsing it: an owner stands in it as JSON prints it. */
function seeker({ owner }: SlotFilter): (row: string) => boolean {
  if (owner === undefined) return () => true;
  const printed = JSON.stringify(owner);
  return (row) => row.includes(printed);
}

function fits(slot: Slot, { from, to, subnetId, mac, owner, state }: SlotFilter): boolean {
  return (
    (from === undefined || slot.address >= from) &&
    (to === undefined || slot.address <= to) &&
    (subnetId === undefined || slot.subnetId === subnetId) &&
    (mac === undefined || slot.mac === mac) &&
    (owner === undefined || slot.owner === owner) &&
    (state === undefined || slot.state === state)
  );
}

function isAfter(slot: SlotKey, after: SlotKey): boolean {
  if (slot.networkId !== after.networkId) return slot.networkId > after.networkId;
  return slot.address > after.address;
}

function currentSlot({ tables, codec }: SlotParts, { networkId, address }: SlotKey): Slot | undefined {
  const text = tables.slots.get(slotKey(networkId, address));
  return text === undefined ? undefined : codec.decodeSlot({ networkId, address }, text);
}

/** The slot that keeps the MAC of a slot from being reserved there: another one, RESERVED, in the same network. */
function otherReserved(parts: SlotParts, { networkId, address, mac, state }: Slot): Slot | undefined {
  if (state !== 'reserved') return undefined;
  const held = decodeHeld(parts.tables.macs.get(macKey(networkId, mac)));
  const other = held.find((each) => each.reserved && each.address !== address);
  return other && currentSlot(parts, { networkId, address: other.address });
}

/** Writes a slot over what was there, and answers it with its new revision. */
function write({ tables, codec, tenures }: SlotParts, slot: Slot, before: Slot | undefined, changes: Change[]): Slot {
  const written = { ...slot, revision: (slot.revision + 1) as Revision };
  tables.slots.put(slotKey(slot.networkId, slot.address), codec.encodeForPlace(written));
  if (before && before.mac !== slot.mac) setHeld(tables, before, undefined);
  if (before?.mac !== slot.mac || before.state !== slot.state) setHeld(tables, slot, slot.state === 'reserved');
  tenures.putRequests(slot, before);
  changes.push({ kind: 'slot', slot: written, ...(before && { before }) });
  return written;
}

/** Notes what a MAC has at an address; `undefined`: nothing any more. */
export function setHeld(tables: Tables, { networkId, mac, address }: Slot, reserved: boolean | undefined): void {
  const key = macKey(networkId, mac);
  const held = decodeHeld(tables.macs.get(key)).filter((each) => each.address !== address);
  if (reserved !== undefined) held.push({ address, reserved });
  if (held.length === 0) tables.macs.remove(key);
  else tables.macs.put(key, encodeHeld(held));
}
