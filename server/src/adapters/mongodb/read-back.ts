// What stands in the way of writes that lost: read back, and confirmed.
//
//   C1. What is read back is not what a primary remembers that was deposed: the conversation wrote something that a
//       majority took, and reads causally after that. A batch in which nothing could be written writes a fence first. An
//       engine may start a guest on the answer that a MAC holds an address; told by a deposed primary, that address may
//       be another's by now.

import type { Document, Long } from 'mongodb';
import type { EndedTenure, Slot } from '../../domain/slot.js';
import type { MacHolds, RequestKnown } from '../../ports/store.js';
import { cursorId } from './cursor-id.js';
import { readEnded, readSlot, requestHashes, slotId } from './documents.js';
import type { Conversation } from './exchange.js';

/** Makes what the conversation reads from now on the present. */
export async function writeFence(conversation: Conversation): Promise<void> {
  const updates = [{ q: { _id: 'fence' }, u: { $inc: { count: 1 } }, upsert: true }];
  await conversation.write({ update: 'settings', updates });
}

/** All documents of a collection that fit. */
export async function findAll(
  conversation: Conversation,
  collection: string,
  filter: Document,
  more: Document = {},
): Promise<readonly Document[]> {
  let reply = await conversation.read({ find: collection, filter, ...more });
  let cursor = reply['cursor'] as Cursor;
  const found = [...(cursor.firstBatch ?? [])];
  for (let id = cursorId(cursor.id); !id.isZero(); id = cursorId(cursor.id)) {
    reply = await conversation.run({ getMore: id, collection });
    cursor = reply['cursor'] as Cursor;
    found.push(...(cursor.nextBatch ?? []));
  }
  return found;
}

interface Cursor {
  readonly id: Long | number;
  readonly firstBatch?: readonly Document[];
  readonly nextBatch?: readonly Document[];
}

/** A slot as it was read back, and its document. */
export interface Obstacle {
  readonly slot: Slot;
  readonly document: Document;
}

/** The slots that have something to do with others. */
export class Obstacles {
  readonly #byId = new Map<string, Obstacle>();
  readonly #byMac = new Map<string, Slot>();
  readonly #byRequest = new Map<string, Slot | EndedTenure>();

  /** Reads whatever may stand in the way of these slots: at their addresses, of their MACs, of their requests. */
  static async of(conversation: Conversation, slots: readonly Slot[]): Promise<Obstacles> {
    const obstacles = new Obstacles();
    const requests = slots.flatMap(requestHashes);
    const byRequest = requests.length > 0 ? [{ request_keys: { $in: requests } }] : [];
    const filter = { $or: [{ _id: { $in: slots.map(slotId) } }, ...macFilters(slots), ...byRequest] };
    for (const document of await findAll(conversation, 'slots', filter)) obstacles.#add(document);
    if (requests.length > 0) {
      const ended = await findAll(conversation, 'history', { request_keys: { $in: requests } });
      for (const document of ended) obstacles.#addRequests(readEnded(document));
    }
    return obstacles;
  }

  #add(document: Document): void {
    const slot = readSlot(document);
    this.#byId.set(slotId(slot), { slot, document });
    if (slot.state === 'reserved') this.#byMac.set(macKey(slot), slot);
    // Over what history says: a tenure may be there already and not be over yet.
    for (const hash of requestHashes(slot)) this.#byRequest.set(hash, slot);
  }

  #addRequests(ended: EndedTenure): void {
    for (const hash of requestHashes(ended)) if (!this.#byRequest.has(hash)) this.#byRequest.set(hash, ended);
  }

  /** What is at the address of a slot. */
  at(slot: Slot): Obstacle | undefined {
    return this.#byId.get(slotId(slot));
  }

  /** The other tenure that a request of a slot made or released. */
  request(slot: Slot): RequestKnown | undefined {
    for (const hash of requestHashes(slot)) {
      const tenure = this.#byRequest.get(hash);
      if (tenure && tenure.reservationId !== slot.reservationId) return { kind: 'request-known', tenure };
    }
    return undefined;
  }

  /** The other address that the MAC of a slot holds. */
  mac(slot: Slot): MacHolds | undefined {
    const held = slot.state === 'reserved' ? this.#byMac.get(macKey(slot)) : undefined;
    return held && held.address !== slot.address ? { kind: 'mac-holds', slot: held } : undefined;
  }
}

function macFilters(slots: readonly Slot[]): readonly Document[] {
  const macs = new Map<string, string[]>();
  for (const { networkId, mac } of slots) macs.set(networkId, [...(macs.get(networkId) ?? []), mac]);
  return [...macs].map(([network_id, each]) => ({ network_id, family: 4, mac: { $in: each }, state: 'RESERVED' }));
}

function macKey({ networkId, mac }: Slot): string {
  return `${networkId} ${mac}`;
}
