// Writes of slots, many at once: one unordered command that a majority journals. Members that lost are told apart by
// reading back what is in their way.
//
//   W1. A write that is repeated because its outcome is not known finds itself: what began a tenure by the id of that, any
//       other replacement by its own mark (`write`), a removal by the absence of what it removed.
//   W2. A write meets only the tenure it is about: the next one of its address begins with revision 1 again.
//   W3. History is written before the slot of its tenure is overwritten or deleted.

import type { Document } from 'mongodb';
import type { AuditEvent } from '../../domain/audit.js';
import type { NetworkId, Revision } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import type { EndedTenure, Slot } from '../../domain/slot.js';
import type { Metrics } from '../../ports/metrics.js';
import type { InsertOutcome, ReplaceOutcome, SlotStore, SlotWrite } from '../../ports/store.js';
import { writeAudited } from './audit.js';
import { Batcher } from './batcher.js';
import { endedDocument, readEnded, requestHash, slotDocument, slotId } from './documents.js';
import type { Conversation, Exchange, WriteReply } from './exchange.js';
import type { NetworkCache } from './network-cache.js';
import { findAll, type Obstacle, Obstacles, writeFence } from './read-back.js';

// Measured: smaller batches with more under way are slower, and wait longer (docs/adr/0013).
const INSERTS = { maxItems: 500, maxExchanges: 2 } as const;
const REPLACEMENTS = { maxItems: 250, maxExchanges: 2 } as const;
const REMOVALS = { maxItems: 500, maxExchanges: 1 } as const;
// A member that lost and finds nothing in its way any more is tried again; what was there just went.
const MAX_ROUNDS = 8;

/** What the writes of slots work with. */
export interface SlotWriteParts {
  readonly exchange: Exchange;
  readonly networks: NetworkCache;
  readonly metrics: Metrics;
  /** A mark that no other write has. */
  readonly newMark: () => string;
}

interface Replacement {
  readonly slot: Slot;
  readonly ended: EndedTenure | undefined;
  readonly mark: string;
}

interface Removal {
  readonly ended: EndedTenure;
  readonly revision: Revision;
}

/** The writes of slots. */
export interface SlotWrites extends Pick<SlotStore, 'insert' | 'replace' | 'amend' | 'free'> {
  /** Resolves when none is under way. */
  idle(): Promise<void>;
}

/** Serves the writes of slots. */
export function slotWrites(parts: SlotWriteParts): SlotWrites {
  const { exchange, metrics, newMark } = parts;
  const check = () => exchange.check();
  const counted = <Item, Answer>(operation: string, handle: (items: readonly Item[]) => Promise<readonly Answer[]>) => {
    return (items: readonly Item[]) => {
      metrics.observe('storeBatch', items.length, { operation });
      return handle(items);
    };
  };
  const inserts = new Batcher<Slot, SlotWrite<InsertOutcome>>({
    ...INSERTS,
    check,
    handle: counted('insert', (slots) => exchange.write('insert', (talk) => insertAll(parts, talk, slots))),
  });
  const replacements = new Batcher<Replacement, SlotWrite<ReplaceOutcome>>({
    ...REPLACEMENTS,
    check,
    handle: counted('replace', (items) => exchange.write('replace', (talk) => replaceAll(parts, talk, items))),
  });
  const removals = new Batcher<Removal, 'freed' | 'conflict'>({
    ...REMOVALS,
    check,
    handle: counted('free', (items) => exchange.write('free', (talk, attempt) => freeAll(talk, items, attempt))),
  });
  return {
    insert: (slot) => inserts.submit(slot),
    replace: (slot, ended) => replacements.submit({ slot, ended, mark: newMark() }),
    amend: (slot, event) => amend(parts, slot, event),
    free: (ended, revision) => removals.submit({ ended, revision }),
    async idle() {
      await Promise.all([inserts.idle(), replacements.idle(), removals.idle()]);
    },
  };
}

function written(slot: Slot): Slot {
  return { ...slot, revision: (slot.revision + 1) as Revision };
}

async function insertAll(
  { networks }: SlotWriteParts,
  talk: Conversation,
  slots: readonly Slot[],
): Promise<readonly SlotWrite<InsertOutcome>[]> {
  const outcomes = new Map<Slot, InsertOutcome>();
  let open = slots;
  for (let round = 0; open.length > 0; round++) {
    if (round === MAX_ROUNDS) throw new Error('Slots cannot be inserted, and nothing is in their way');
    const documents = open.map((slot) => slotDocument(written(slot)));
    const reply = await talk.write({ insert: 'slots', documents, ordered: false });
    const lost = losers(open, reply);
    for (const slot of open) if (!lost.has(slot)) outcomes.set(slot, { kind: 'inserted', slot: written(slot) });
    if (lost.size > 0) await settleInserts(talk, [...lost], reply.n > 0, outcomes);
    open = open.filter((slot) => !outcomes.has(slot));
  }
  await findEarlier(talk, slots, outcomes, (slot) => slot);
  return answers(networks, talk, slots, outcomes);
}

/**
 * Finds the tenures that are over and that the requests of new ones made before: no index spans slots and history.
 * `began`: the slot, if an item begins a tenure.
 */
async function findEarlier<Item, Outcome extends { readonly kind: string }>(
  talk: Conversation,
  items: readonly Item[],
  outcomes: Map<Item, Outcome>,
  began: (item: Item) => Slot | undefined,
): Promise<void> {
  const wanted = new Map<string, Item>();
  for (const item of items) {
    const request = began(item)?.request;
    const isWritten = ['inserted', 'replaced'].includes(outcomes.get(item)?.kind ?? '');
    if (request && isWritten) wanted.set(requestHash(request), item);
  }
  if (wanted.size === 0) return;
  for (const document of await findAll(talk, 'history', { request_keys: { $in: [...wanted.keys()] } })) {
    const known = readEnded(document);
    const item = known.request && wanted.get(requestHash(known.request));
    const outcome = item && outcomes.get(item);
    if (outcome && began(item)?.reservationId !== known.reservationId) outcomes.set(item, { ...outcome, known });
  }
}

/** Finds out why inserts lost; those that find nothing in their way get no outcome. */
async function settleInserts(
  talk: Conversation,
  lost: readonly Slot[],
  isFenced: boolean,
  outcomes: Map<Slot, InsertOutcome>,
): Promise<void> {
  if (!isFenced) await writeFence(talk);
  const obstacles = await Obstacles.of(talk, lost);
  for (const slot of lost) {
    const there = obstacles.at(slot)?.slot;
    if (there?.reservationId === slot.reservationId) outcomes.set(slot, { kind: 'inserted', slot: there });
    else {
      const outcome =
        obstacles.request(slot) ?? (there && ({ kind: 'taken', slot: there } as const)) ?? obstacles.mac(slot);
      if (outcome) outcomes.set(slot, outcome);
    }
  }
}

async function replaceAll(
  { networks }: SlotWriteParts,
  talk: Conversation,
  items: readonly Replacement[],
): Promise<readonly SlotWrite<ReplaceOutcome>[]> {
  const ended = items.flatMap((item) => (item.ended ? [item.ended] : []));
  if (ended.length > 0) await writeHistory(talk, ended);
  const updates = items.map(({ slot, ended: before, mark }) => ({
    q: { _id: slotId(slot), revision: slot.revision, reservation_id: (before ?? slot).reservationId },
    u: slotDocument(written(slot), mark),
  }));
  const reply = await talk.write({ update: 'slots', updates, ordered: false });
  const lost = losers(items, reply);
  const outcomes = new Map<Replacement, ReplaceOutcome>();
  const isWhole = reply.n === items.length - lost.size;
  for (const item of items) {
    if (isWhole && !lost.has(item)) outcomes.set(item, { kind: 'replaced', slot: written(item.slot) });
  }
  const open = items.filter((item) => !outcomes.has(item));
  if (open.length > 0) await settleReplacements(talk, open, lost, reply.n > 0, outcomes);
  await findEarlier(talk, items, outcomes, ({ slot, ended: before }) => before && slot);
  return answers(networks, talk, items, outcomes, ({ slot }) => slot);
}

async function amend({ exchange, newMark }: SlotWriteParts, slot: Slot, event: AuditEvent): Promise<Slot | 'conflict'> {
  const [after, mark] = [written(slot), newMark()];
  const q = { _id: slotId(slot), revision: slot.revision, reservation_id: slot.reservationId };
  const command = { update: 'slots', updates: [{ q, u: slotDocument(after, mark) }] };
  const isDone = await exchange.write('amend', (talk) => writeAudited(talk, command, event, mark));
  return isDone ? after : 'conflict';
}

async function settleReplacements(
  talk: Conversation,
  open: readonly Replacement[],
  lost: ReadonlySet<Replacement>,
  isFenced: boolean,
  outcomes: Map<Replacement, ReplaceOutcome>,
): Promise<void> {
  if (!isFenced && lost.size > 0) await writeFence(talk);
  const obstacles = await Obstacles.of(
    talk,
    open.map(({ slot }) => slot),
  );
  for (const item of open) {
    const there = obstacles.at(item.slot);
    const obstacle = lost.has(item) ? (obstacles.request(item.slot) ?? obstacles.mac(item.slot)) : undefined;
    if (there && isOurs(item, there)) outcomes.set(item, { kind: 'replaced', slot: there.slot });
    else outcomes.set(item, obstacle ?? { kind: 'conflict' });
  }
}

function isOurs({ slot, ended, mark }: Replacement, there: Obstacle): boolean {
  const beganTenure = ended !== undefined && there.slot.reservationId === slot.reservationId;
  return beganTenure || there.document['write'] === mark;
}

async function freeAll(
  talk: Conversation,
  items: readonly Removal[],
  attempt: number,
): Promise<readonly ('freed' | 'conflict')[]> {
  const ids = items.map(({ ended }) => slotId(ended));
  const before = await standing(talk, { _id: { $in: ids }, state: 'QUARANTINED' });
  // History must not tell of the end of what goes on.
  const going = items.filter(({ ended, revision }) => {
    const there = before.get(slotId(ended));
    return there?.['revision'] === revision && there['reservation_id'] === ended.reservationId;
  });
  if (going.length > 0) {
    await writeHistory(
      talk,
      going.map(({ ended }) => ended),
    );
    const deletes = going.map(({ ended, revision }) => ({
      q: { _id: slotId(ended), revision, reservation_id: ended.reservationId, state: 'QUARANTINED' },
      limit: 1,
    }));
    await talk.write({ delete: 'slots', deletes, ordered: false });
  }
  const after = await standing(talk, { _id: { $in: ids } });
  // What an earlier attempt removed is in history, and was not there any more when this one looked.
  const over = attempt > 1 ? await inHistory(talk, items) : new Set<string>();
  return items.map((item) => {
    const isGone = going.includes(item) || over.has(item.ended.reservationId);
    return isGone && !after.has(slotId(item.ended)) ? 'freed' : 'conflict';
  });
}

async function inHistory(talk: Conversation, items: readonly Removal[]): Promise<ReadonlySet<string>> {
  const filter = { _id: { $in: items.map(({ ended }) => ended.reservationId) } };
  const found = await findAll(talk, 'history', filter, { projection: { _id: 1 } });
  return new Set(found.map(({ _id }) => _id as string));
}

async function standing(talk: Conversation, filter: Document): Promise<ReadonlyMap<string, Document>> {
  const found = await findAll(talk, 'slots', filter, { projection: { revision: 1, reservation_id: 1 } });
  return new Map(found.map((document) => [document['_id'] as string, document]));
}

async function writeHistory(talk: Conversation, ended: readonly EndedTenure[]): Promise<void> {
  const updates = ended.map((tenure) => ({
    q: { _id: tenure.reservationId },
    u: endedDocument(tenure),
    upsert: true,
  }));
  await talk.write({ update: 'history', updates, ordered: false });
}

/** The members that a command could not write, because something else has what is unique. */
function losers<Item>(items: readonly Item[], { writeErrors = [] }: WriteReply): ReadonlySet<Item> {
  return new Set(writeErrors.map(({ index }) => items[index] as Item));
}

/** Each outcome with the network as it stands after the write. */
async function answers<Item, Outcome>(
  networks: NetworkCache,
  talk: Conversation,
  items: readonly Item[],
  outcomes: ReadonlyMap<Item, Outcome>,
  slotOf: (item: Item) => { readonly networkId: NetworkId } = (item) => item as { readonly networkId: NetworkId },
): Promise<readonly SlotWrite<Outcome>[]> {
  const after: ReadonlyMap<NetworkId, Network> = await networks.after(
    talk,
    items.map((item) => slotOf(item).networkId),
  );
  return items.map((item) => ({
    outcome: outcomes.get(item) as Outcome,
    network: after.get(slotOf(item).networkId),
  }));
}
