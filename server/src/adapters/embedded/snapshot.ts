// The state of an embedded store at one moment: a read transaction of LMDB that is held open. The file grows while
// others write, so it is for readers that come to an end.

import { setImmediate } from 'node:timers/promises';
import type { Host } from '../../domain/host.js';
import type { NetworkId } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { SlotKey } from '../../domain/reservation-id.js';
import type { Slot } from '../../domain/slot.js';
import type { Snapshot } from '../../ports/store.js';
import type { ChangeLog } from './change-log.js';
import type { RowCodec } from './codec.js';
import { addressIn, isSlotKeyOf, type Key, keyAfter, parseSlotKey, slotKey, slotPrefix, slotRange } from './keys.js';
import { type Environment, holdMoment, type Moment, type Table, type Tables } from './tables.js';

// At about a microsecond each, this many hold the event loop for a few milliseconds.
const SUMMARIES_AT_ONCE = 2_000;
const SLOTS_AT_ONCE = 1_000;
const VALUES_AT_ONCE = 100;

/** Holds on to the present moment. */
export function takeSnapshot(env: Environment, tables: Tables, codec: RowCodec, log: ChangeLog): Snapshot {
  const moment = holdMoment(env);
  let isOpen = true;
  return {
    position: log.positionOf(moment),
    networks: () => documents<Network>(tables.networks, moment),
    hosts: () => documents<Host>(tables.hosts, moment),
    slots: (networkId) => slotsOf(tables, codec, moment, networkId),
    summaries: (networkId) =>
      rows(tables.slots, moment, SUMMARIES_AT_ONCE, networkId, (place, text) => codec.summarize(place, text)),
    async close() {
      if (isOpen) moment.done();
      isOpen = false;
    },
  };
}

async function* documents<T>(table: Table, moment: Moment): AsyncGenerator<T> {
  for await (const some of values(table, moment, (text) => JSON.parse(text) as T)) yield* some;
}

/** The values of a table as of a moment, in batches. */
export async function* values<T>(
  table: Table,
  moment: Moment,
  read: (text: string) => T,
): AsyncGenerator<readonly T[]> {
  let start: Key | undefined;
  for (;;) {
    const some = Array.from(table.range(VALUES_AT_ONCE, start, undefined, moment));
    if (some.length > 0) yield some.map(({ value }) => read(value));
    const last = some.at(-1);
    if (!last || some.length < VALUES_AT_ONCE) return;
    start = keyAfter(last.key);
    await setImmediate();
  }
}

/** The slots as of a moment, in batches; of one network when it is given. */
export function slotsOf(tables: Tables, codec: RowCodec, moment: Moment, networkId?: NetworkId) {
  return rows(tables.slots, moment, SLOTS_AT_ONCE, networkId, (place, text): Slot => codec.decodeSlot(place, text));
}

async function* rows<T>(
  table: Table,
  moment: Moment,
  atOnce: number,
  networkId: NetworkId | undefined,
  read: (place: SlotKey, text: string) => T,
): AsyncGenerator<readonly T[]> {
  const range: { start?: Key; end?: Key } = networkId === undefined ? {} : slotRange(networkId);
  let { start } = range;
  // One string for all slots of a network, and of its keys only the address is read: they come one network after another.
  let network: NetworkId | undefined;
  let prefix = '';
  for (;;) {
    const batch: T[] = [];
    let last: SlotKey | undefined;
    for (const { key, value } of table.range(atOnce, start, range.end, moment)) {
      if (network === undefined || !isSlotKeyOf(prefix, key)) {
        network = parseSlotKey(key).networkId;
        prefix = slotPrefix(network);
      }
      last = { networkId: network, address: addressIn(key) };
      batch.push(read(last, value));
    }
    if (batch.length > 0) yield batch;
    if (!last || batch.length < atOnce) return;
    start = keyAfter(slotKey(last.networkId, last.address));
    await setImmediate();
  }
}
