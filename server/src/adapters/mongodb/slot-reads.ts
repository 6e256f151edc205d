// Reads of slots. Those of many callers share an exchange; those that must be of the present write a fence first.

import type { Mac } from '@leasehold/proto/values';
import type { Document } from 'mongodb';
import type { NetworkId } from '../../domain/ids.js';
import type { SlotKey } from '../../domain/reservation-id.js';
import type { EndedTenure, RequestKey, Slot } from '../../domain/slot.js';
import type { SlotFilter, SlotStore } from '../../ports/store.js';
import { Batcher } from './batcher.js';
import { readEnded, readSlot, requestHash, requestHashes, slotId } from './documents.js';
import type { Conversation, Exchange } from './exchange.js';
import { byMoment, unlessTooLong } from './moments.js';
import { findAll, writeFence } from './read-back.js';

const READS = { maxItems: 500, maxExchanges: 2 } as const;

/** Serves the reads of slots. */
export function slotReads(exchange: Exchange): Omit<SlotStore, 'insert' | 'replace' | 'amend' | 'free'> {
  const check = () => exchange.check();
  const gets = new Batcher<SlotKey, Slot | undefined>({
    ...READS,
    check,
    handle: (keys) => exchange.read('get', (talk) => getAll(talk, keys)),
  });
  const confirmedGets = new Batcher<SlotKey, Slot | undefined>({
    ...READS,
    check,
    handle: (keys) =>
      exchange.read('get confirmed', async (talk) => {
        await writeFence(talk);
        return getAll(talk, keys);
      }),
  });
  const macs = new Batcher<MacKey, readonly Slot[]>({
    ...READS,
    check,
    handle: (keys) =>
      exchange.read('find macs', async (talk) => {
        await writeFence(talk);
        return findMacs(talk, keys);
      }),
  });
  const requests = new Batcher<RequestKey, Slot | EndedTenure | undefined>({
    ...READS,
    check,
    handle: (keys) => exchange.read('find requests', (talk) => findRequests(talk, keys)),
  });
  return {
    get: (networkId, address) => gets.submit({ networkId, address }),
    getConfirmed: (networkId, address) => confirmedGets.submit({ networkId, address }),
    findByMac: (networkId, mac) => macs.submit({ networkId, mac }),
    findByRequest: (key) => requests.submit(key),
    list: (filter, after, limit) =>
      exchange.read('list', async (talk) => {
        const wanted = await toFilter(talk, filter, after);
        const found = await findAll(talk, 'slots', wanted, { sort: { _id: 1 }, limit: limit + 1 });
        const slots = found.slice(0, limit).map(readSlot);
        return { slots, next: found.length > limit ? slots.at(-1) : undefined };
      }),
    count: (networkId, from, to) =>
      exchange.read('count', async (talk) => {
        const range = { $gte: slotId({ networkId, address: from }), $lte: slotId({ networkId, address: to }) };
        const reply = await talk.read({ count: 'slots', query: { _id: range } });
        return reply['n'] as number;
      }),
    newest: (filter, after, limit) =>
      exchange.read('newest', async (talk) => {
        const { networkId } = filter;
        const wanted = byMoment(filter, after, 'reservation_id', limit);
        const where = networkId === undefined ? {} : keyRange(networkId, undefined, undefined);
        const found = await unlessTooLong(findAll(talk, 'slots', { ...where, ...wanted.filter }, wanted.more));
        return found === 'too-long' ? found : found.map(readSlot);
      }),
  };
}

async function getAll(talk: Conversation, keys: readonly SlotKey[]): Promise<readonly (Slot | undefined)[]> {
  const ids = keys.map(slotId);
  const found = await findAll(talk, 'slots', { _id: { $in: [...new Set(ids)] } });
  const byId = new Map(found.map((document) => [document['_id'] as string, document]));
  return ids.map((id) => {
    const document = byId.get(id);
    return document && readSlot(document);
  });
}

/** A MAC in a network. */
interface MacKey {
  readonly networkId: NetworkId;
  readonly mac: Mac;
}

async function findMacs(talk: Conversation, keys: readonly MacKey[]): Promise<readonly (readonly Slot[])[]> {
  const byNetwork = new Map<NetworkId, Set<Mac>>();
  for (const { networkId, mac } of keys) {
    byNetwork.set(networkId, (byNetwork.get(networkId) ?? new Set()).add(mac));
  }
  const filters = [...byNetwork].flatMap(([network_id, each]) => stateFilters({ network_id, mac: { $in: [...each] } }));
  const found = (await findAll(talk, 'slots', { $or: filters }, { sort: { _id: 1 } })).map(readSlot);
  const byMac = new Map<string, Slot[]>();
  for (const slot of found) byMac.set(macKey(slot), [...(byMac.get(macKey(slot)) ?? []), slot]);
  return keys.map((key) => byMac.get(macKey(key)) ?? []);
}

function macKey({ networkId, mac }: MacKey): string {
  return `${networkId} ${mac}`;
}

/** As the indexes of MACs find them: each is of one state. */
function stateFilters(ofMacs: Document): readonly Document[] {
  return [
    { ...ofMacs, family: 4, state: 'RESERVED' },
    { ...ofMacs, state: 'QUARANTINED' },
  ];
}

async function findRequests(
  talk: Conversation,
  keys: readonly RequestKey[],
): Promise<readonly (Slot | EndedTenure | undefined)[]> {
  const hashes = keys.map(requestHash);
  const filter = { request_keys: { $in: hashes } };
  let slots = await findAll(talk, 'slots', filter);
  if (slots.length > 0) {
    await writeFence(talk);
    slots = await findAll(talk, 'slots', filter);
  }
  const found = new Map<string, Slot | EndedTenure>();
  for (const tenure of (await findAll(talk, 'history', filter)).map(readEnded)) {
    for (const hash of requestHashes(tenure)) found.set(hash, tenure);
  }
  for (const slot of slots.map(readSlot)) for (const hash of requestHashes(slot)) found.set(hash, slot);
  return hashes.map((hash) => found.get(hash));
}

/** The slots that fit, as the indexes find them. */
async function toFilter(talk: Conversation, filter: SlotFilter, after: SlotKey | undefined): Promise<Document> {
  const { networkId, from, to, subnetId, mac, owner, state } = filter;
  const conditions: Document[] = [];
  if (networkId !== undefined) conditions.push(keyRange(networkId, from, to));
  else if (from !== undefined || to !== undefined) {
    conditions.push({ address: { ...(from !== undefined && { $gte: from }), ...(to !== undefined && { $lte: to }) } });
  }
  if (after) conditions.push({ _id: { $gt: slotId(after) } });
  if (subnetId !== undefined) conditions.push({ subnet_id: subnetId });
  if (owner !== undefined) conditions.push({ owner });
  if (state !== undefined) conditions.push({ state: state === 'reserved' ? 'RESERVED' : 'QUARANTINED' });
  if (mac !== undefined) conditions.push(await ofMac(talk, networkId, mac));
  return conditions.length === 0 ? {} : { $and: conditions };
}

function keyRange(networkId: NetworkId, from: SlotFilter['from'], to: SlotFilter['to']): Document {
  const first = { networkId, address: from ?? (0 as never) };
  const last = { networkId, address: to ?? (0xffffffff as never) };
  return { _id: { $gte: slotId(first), $lte: slotId(last) } };
}

/** The indexes of MACs begin with the network. */
async function ofMac(talk: Conversation, networkId: NetworkId | undefined, mac: string): Promise<Document> {
  const networks =
    networkId === undefined
      ? (await findAll(talk, 'networks', {}, { projection: { _id: 1 } })).map(({ _id }) => _id as NetworkId)
      : [networkId];
  return { $or: stateFilters({ network_id: { $in: networks }, mac }) };
}
