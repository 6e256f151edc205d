// The slots of an embedded store, what each MAC has, the requests and the history: written together, so that they
// always agree.

import { setImmediate } from 'node:timers/promises';
import type { NetworkId, ReservationId, Revision } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { EndedTenure, Slot, Tenure } from '../../domain/slot.js';
import type { SlotStore } from '../../ports/store.js';
import { decodeEnded, decodeHeld, decodeSlot, encodeEnded, encodeHeld, encodeSlot } from './codec.js';
import type { GroupCommit } from './group-commit.js';
import { idKey, type Key, keyAfter, macKey, requestKey, slotKey, slotRange } from './keys.js';
import type { Tables } from './tables.js';

// At a few microseconds each, a batch holds the event loop for a few milliseconds.
const SCAN_BATCH = 1_000;

type RequestRow = readonly [slot: Key, reservationId: ReservationId];

/** Serves the slots. `currentNetwork` is a network as a job of the group commit has it to see. */
export function slotStore(
  tables: Tables,
  commit: GroupCommit,
  currentNetwork: (networkId: NetworkId) => Network | undefined,
): SlotStore {
  return { ...slotWrites(tables, commit, currentNetwork), ...slotReads(tables, commit) };
}

function slotWrites(
  tables: Tables,
  commit: GroupCommit,
  currentNetwork: (networkId: NetworkId) => Network | undefined,
): Pick<SlotStore, 'insert' | 'replace' | 'free'> {
  return {
    insert: (slot) =>
      commit.submit((changes) => {
        const network = currentNetwork(slot.networkId);
        const taken = currentSlot(tables, slotKey(slot.networkId, slot.address));
        if (taken) return { outcome: { kind: 'taken', slot: taken }, network };
        const held = otherReserved(tables, slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        const written = write(tables, slot, undefined);
        changes.push({ kind: 'slot', slot: written });
        return { outcome: { kind: 'inserted', slot: written }, network };
      }),
    replace: (slot, ended) =>
      commit.submit((changes) => {
        const network = currentNetwork(slot.networkId);
        const before = currentSlot(tables, slotKey(slot.networkId, slot.address));
        if (before?.revision !== slot.revision) return { outcome: { kind: 'conflict' }, network };
        const held = otherReserved(tables, slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        if (ended) writeEnded(tables, ended, before);
        const written = write(tables, slot, before);
        changes.push({ kind: 'slot', slot: written });
        return { outcome: { kind: 'replaced', slot: written }, network };
      }),
    free: (ended) =>
      commit.submit((changes) => {
        const { networkId, address, reservationId } = ended;
        const before = currentSlot(tables, slotKey(networkId, address));
        if (before?.state !== 'quarantined' || before.reservationId !== reservationId) return 'conflict';
        writeEnded(tables, ended, before);
        tables.slots.remove(slotKey(networkId, address));
        setHeld(tables, before, undefined);
        changes.push({ kind: 'slot-gone', networkId, address });
        return 'freed';
      }),
  };
}

function slotReads(tables: Tables, commit: GroupCommit): Omit<SlotStore, 'insert' | 'replace' | 'free'> {
  const durableSlot = (key: Key) => parse(decodeSlot, tables.slots.durable(key));
  const ended = (reservationId: ReservationId) => parse(decodeEnded, tables.history.durable(idKey(reservationId)));
  return {
    async get(networkId, address) {
      commit.check();
      return durableSlot(slotKey(networkId, address));
    },
    async findByMac(networkId, mac) {
      commit.check();
      const held = decodeHeld(tables.macs.durable(macKey(networkId, mac)));
      return held.map(({ address }) => durableSlot(slotKey(networkId, address))).filter((slot) => slot !== undefined);
    },
    async findByRequest(request) {
      commit.check();
      const text = tables.requests.durable(requestKey(request));
      if (text === undefined) return undefined;
      const [key, reservationId] = JSON.parse(text) as RequestRow;
      const slot = durableSlot(key);
      return slot?.reservationId === reservationId ? slot : ended(reservationId);
    },
    async getEnded(reservationId) {
      commit.check();
      return ended(reservationId);
    },
    async *scan(range) {
      let { start, end }: { start?: Key; end?: Key } = range ? slotRange(range.networkId, range.from, range.to) : {};
      for (;;) {
        commit.check();
        const batch = Array.from(tables.slots.range(SCAN_BATCH, start, end), ({ value }) => decodeSlot(value));
        const last = batch.at(-1);
        if (last === undefined) return;
        yield batch;
        start = keyAfter(slotKey(last.networkId, last.address));
        await setImmediate();
      }
    },
  };
}

function currentSlot(tables: Tables, key: Key): Slot | undefined {
  return parse(decodeSlot, tables.slots.get(key));
}

function parse<T>(decode: (text: string) => T, text: string | undefined): T | undefined {
  return text === undefined ? undefined : decode(text);
}

/** The slot that keeps the MAC of a slot from being reserved there: another one, RESERVED, in the same network. */
function otherReserved(tables: Tables, { networkId, address, mac, state }: Slot): Slot | undefined {
  if (state !== 'reserved') return undefined;
  const held = decodeHeld(tables.macs.get(macKey(networkId, mac)));
  const other = held.find((each) => each.reserved && each.address !== address);
  return other && currentSlot(tables, slotKey(networkId, other.address));
}

/** Writes a slot over what was there, and answers it with its new revision. */
function write(tables: Tables, slot: Slot, before: Slot | undefined): Slot {
  const written = { ...slot, revision: (slot.revision + 1) as Revision };
  tables.slots.put(slotKey(slot.networkId, slot.address), encodeSlot(written));
  if (before && before.mac !== slot.mac) setHeld(tables, before, undefined);
  if (before?.mac !== slot.mac || before.state !== slot.state) setHeld(tables, slot, slot.state === 'reserved');
  writeRequests(tables, slot, before);
  return written;
}

function writeEnded(tables: Tables, ended: EndedTenure, before: Slot): void {
  tables.history.put(idKey(ended.reservationId), encodeEnded(ended));
  writeRequests(tables, ended, before);
}

/** Notes what a MAC has at an address; `undefined`: nothing any more. */
function setHeld(tables: Tables, { networkId, mac, address }: Slot, reserved: boolean | undefined): void {
  const key = macKey(networkId, mac);
  const held = decodeHeld(tables.macs.get(key)).filter((each) => each.address !== address);
  if (reserved !== undefined) held.push({ address, reserved });
  if (held.length === 0) tables.macs.remove(key);
  else tables.macs.put(key, encodeHeld(held));
}

function writeRequests(tables: Tables, tenure: Tenure, before: Slot | undefined): void {
  // What the stored slot has of the same tenure is known already.
  const known = before?.reservationId === tenure.reservationId ? before : undefined;
  const row: RequestRow = [slotKey(tenure.networkId, tenure.address), tenure.reservationId];
  const { request, releaseRequest } = tenure;
  if (request && request.id !== known?.request?.id) tables.requests.put(requestKey(request), JSON.stringify(row));
  if (releaseRequest && releaseRequest.id !== known?.releaseRequest?.id) {
    tables.requests.put(requestKey(releaseRequest), JSON.stringify(row));
  }
}
