// The slots of an embedded store, what each MAC has, the requests and the history: written together, so that they
// always agree.

import { setImmediate } from 'node:timers/promises';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId, ReservationId, Revision } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { EndedTenure, Slot, Tenure } from '../../domain/slot.js';
import type { SlotStore } from '../../ports/store.js';
import { decodeEnded, decodeHeld, decodeSlot, encodeEnded, encodeHeld, encodeSlot } from './codec.js';
import type { Databases } from './databases.js';
import type { GroupCommit } from './group-commit.js';
import { idKey, macKey, parseSlotKey, requestKey, slotKey } from './keys.js';

const LAST_ADDRESS = 0xffffffff as Ipv4;
// At 3 µs each, a batch holds the event loop for a few milliseconds.
const SCAN_BATCH = 1_000;

type RequestRow = readonly [networkId: NetworkId, address: Ipv4, reservationId: ReservationId];

/** Serves the slots. */
export function slotStore(
  databases: Databases,
  commit: GroupCommit,
  currentNetwork: (networkId: NetworkId) => Network | undefined,
): SlotStore {
  const table = new SlotTable(databases);
  return {
    insert: async (slot) => {
      if (slot.revision !== 0) throw new Error(`Insert of a slot with revision ${slot.revision}`);
      return commit.submit((changes) => {
        const network = currentNetwork(slot.networkId);
        const taken = table.read(slot.networkId, slot.address);
        if (taken) return { outcome: { kind: 'taken', slot: taken }, network };
        const held = table.otherReserved(slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        const written = table.write(slot, undefined);
        changes.push({ kind: 'slot', slot: written });
        return { outcome: { kind: 'inserted', slot: written }, network };
      });
    },
    replace: (slot, ended) =>
      commit.submit((changes) => {
        const network = currentNetwork(slot.networkId);
        const before = table.read(slot.networkId, slot.address);
        if (before === undefined || before.revision !== slot.revision)
          return { outcome: { kind: 'conflict' }, network };
        const held = table.otherReserved(slot);
        if (held) return { outcome: { kind: 'mac-holds', slot: held }, network };
        if (ended) table.writeEnded(ended, before);
        const written = table.write(slot, before);
        changes.push({ kind: 'slot', slot: written });
        return { outcome: { kind: 'replaced', slot: written }, network };
      }),
    free: (ended) =>
      commit.submit((changes) => {
        const before = table.read(ended.networkId, ended.address);
        if (before?.state !== 'quarantined' || before.reservationId !== ended.reservationId) return 'conflict';
        table.writeEnded(ended, before);
        table.remove(before);
        changes.push({ kind: 'slot-gone', networkId: ended.networkId, address: ended.address });
        return 'freed';
      }),
    async get(networkId, address) {
      commit.check();
      return table.read(networkId, address);
    },
    async findByMac(networkId, mac) {
      commit.check();
      return table.readHeld(networkId, mac);
    },
    async findByRequest(key) {
      commit.check();
      return table.readRequested(key);
    },
    async getEnded(reservationId) {
      commit.check();
      return table.readEnded(reservationId);
    },
    async *scan(range) {
      let start = range && slotKey(range.networkId, range.from ?? (0 as Ipv4));
      const end = range && after(slotKey(range.networkId, range.to ?? LAST_ADDRESS));
      for (;;) {
        commit.check();
        const batch = table.readRange(start, end);
        const last = batch.at(-1);
        if (last === undefined) return;
        yield batch;
        if (batch.length < SCAN_BATCH) return;
        start = after(slotKey(last.networkId, last.address));
        await setImmediate();
      }
    },
  };
}

class SlotTable {
  readonly #slots: Databases['slots'];
  readonly #macs: Databases['macs'];
  readonly #requests: Databases['requests'];
  readonly #history: Databases['history'];

  constructor({ slots, macs, requests, history }: Databases) {
    this.#slots = slots;
    this.#macs = macs;
    this.#requests = requests;
    this.#history = history;
  }

  read(networkId: NetworkId, address: Ipv4): Slot | undefined {
    const text = this.#slots.get(slotKey(networkId, address));
    return text === undefined ? undefined : decodeSlot(networkId, address, text);
  }

  readEnded(reservationId: ReservationId): EndedTenure | undefined {
    const text = this.#history.get(idKey(reservationId));
    return text === undefined ? undefined : decodeEnded(text);
  }

  readRequested(key: Parameters<SlotStore['findByRequest']>[0]): Slot | EndedTenure | undefined {
    const text = this.#requests.get(requestKey(key));
    if (text === undefined) return undefined;
    const [networkId, address, reservationId] = JSON.parse(text) as RequestRow;
    const slot = this.read(networkId, address);
    return slot?.reservationId === reservationId ? slot : this.readEnded(reservationId);
  }

  readHeld(networkId: NetworkId, mac: Mac): Slot[] {
    const held = decodeHeld(this.#macs.get(macKey(networkId, mac)));
    return held.map(({ address }) => this.read(networkId, address)).filter((slot) => slot !== undefined);
  }

  readRange(start: Buffer | undefined, end: Buffer | undefined): Slot[] {
    const found: Slot[] = [];
    const range = { ...(start && { start }), ...(end && { end }), limit: SCAN_BATCH };
    for (const { key, value } of this.#slots.getRange(range)) {
      const { networkId, address } = parseSlotKey(key);
      found.push(decodeSlot(networkId, address, value));
    }
    return found;
  }

  /** The slot that keeps the MAC of a slot from being reserved there: another one, RESERVED, in the same network. */
  otherReserved({ networkId, address, mac, state }: Slot): Slot | undefined {
    if (state !== 'reserved') return undefined;
    const held = decodeHeld(this.#macs.get(macKey(networkId, mac)));
    const other = held.find((each) => each.reserved && each.address !== address);
    return other && this.read(networkId, other.address);
  }

  /** Writes a slot over what was there, and answers it with its new revision. */
  write(slot: Slot, before: Slot | undefined): Slot {
    const written = { ...slot, revision: (slot.revision + 1) as Revision };
    this.#slots.putSync(slotKey(slot.networkId, slot.address), encodeSlot(written));
    if (before && before.mac !== slot.mac) this.#setHeld(before, undefined);
    if (before?.mac !== slot.mac || before.state !== slot.state) this.#setHeld(slot, slot.state === 'reserved');
    this.#writeRequests(slot, before);
    return written;
  }

  remove(slot: Slot): void {
    this.#slots.removeSync(slotKey(slot.networkId, slot.address));
    this.#setHeld(slot, undefined);
  }

  writeEnded(ended: EndedTenure, before: Slot): void {
    this.#history.putSync(idKey(ended.reservationId), encodeEnded(ended));
    this.#writeRequests(ended, before);
  }

  #setHeld({ networkId, mac, address }: Slot, reserved: boolean | undefined): void {
    const key = macKey(networkId, mac);
    const held = decodeHeld(this.#macs.get(key)).filter((each) => each.address !== address);
    if (reserved !== undefined) held.push({ address, reserved });
    if (held.length === 0) this.#macs.removeSync(key);
    else this.#macs.putSync(key, encodeHeld(held.sort((a, b) => a.address - b.address)));
  }

  // What the stored slot has of the same tenure is known already.
  #writeRequests(tenure: Tenure, before: Slot | undefined): void {
    const known = before?.reservationId === tenure.reservationId ? before : undefined;
    const row: RequestRow = [tenure.networkId, tenure.address, tenure.reservationId];
    for (const key of [
      known?.request ? undefined : tenure.request,
      known?.releaseRequest?.id === tenure.releaseRequest?.id ? undefined : tenure.releaseRequest,
    ]) {
      if (key) this.#requests.putSync(requestKey(key), JSON.stringify(row));
    }
  }
}

/** The key right after another. */
function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}
