// The state of an embedded store at one moment: a read transaction of LMDB that is held open. The file grows while
// others write, so it is for readers that come to an end.

import { setImmediate } from 'node:timers/promises';
import type { Host } from '../../domain/host.js';
import type { NetworkId } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { SlotKey } from '../../domain/reservation-id.js';
import type { Snapshot } from '../../ports/store.js';
import type { ChangeLog } from './change-log.js';
import type { RowCodec } from './codec.js';
import { type Key, keyAfter, parseSlotKey, slotKey, slotRange } from './keys.js';
import { type Environment, holdMoment, type Moment, type Table, type Tables } from './tables.js';

// At about a microsecond each, this many hold the event loop for a few milliseconds.
const SUMMARIES_AT_ONCE = 5_000;
const SLOTS_AT_ONCE = 1_000;
const DOCUMENTS_AT_ONCE = 100;

/** Holds on to the present moment. */
export function takeSnapshot(env: Environment, tables: Tables, codec: RowCodec, log: ChangeLog): Snapshot {
  const moment = holdMoment(env);
  let isOpen = true;
  return {
    position: log.positionOf(moment),
    networks: () => documents<Network>(tables.networks, moment),
    hosts: () => documents<Host>(tables.hosts, moment),
    slots: (networkId) =>
      rows(tables.slots, moment, SLOTS_AT_ONCE, networkId, (place, text) => codec.decodeSlot(place, text)),
    summaries: (networkId) =>
      rows(tables.slots, moment, SUMMARIES_AT_ONCE, networkId, (place, text) => codec.summarize(place, text)),
    async close() {
      if (isOpen) moment.done();
      isOpen = false;
    },
  };
}

async function* documents<T>(table: Table, moment: Moment): AsyncGenerator<T> {
  let start: Key | undefined;
  for (;;) {
    const some = Array.from(table.range(DOCUMENTS_AT_ONCE, start, undefined, moment));
    for (const { value } of some) yield JSON.parse(value) as T;
    const last = some.at(-1);
    if (!last || some.length < DOCUMENTS_AT_ONCE) return;
    start = keyAfter(last.key.toString('latin1') as Key);
    await setImmediate();
  }
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
  // One string for all slots of a network: they come one network after another.
  let network: NetworkId | undefined;
  for (;;) {
    const batch: T[] = [];
    let last: SlotKey | undefined;
    for (const { key, value } of table.range(atOnce, start, range.end, moment)) {
      const parsed = parseSlotKey(key);
      if (parsed.networkId !== network) network = parsed.networkId;
      last = { networkId: network, address: parsed.address };
      batch.push(read(last, value));
    }
    if (batch.length > 0) yield batch;
    if (!last || batch.length < atOnce) return;
    start = keyAfter(slotKey(last.networkId, last.address));
    await setImmediate();
  }
}
