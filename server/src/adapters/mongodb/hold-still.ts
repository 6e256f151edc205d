// That the store is an older copy of itself: a field of the settings.

import type { Document } from 'mongodb';
import type { HoldStill } from '../../domain/hold-still.js';
import type { HostId, WallTime } from '../../domain/ids.js';
import type { HoldStillStore } from '../../ports/store.js';
import type { Conversation, Exchange } from './exchange.js';
import { findAll } from './read-back.js';

const ID = 'settings';

/** Serves it. */
export function holdStillStore(exchange: Exchange): HoldStillStore {
  return {
    get: () => exchange.read('get hold still', read),
    begin: (because) =>
      exchange.write('hold still', async (talk) => {
        const { reason, since, incarnation, hostIds } = because;
        const first = {
          q: { _id: ID, hold_still: { $exists: false } },
          u: { $set: { hold_still: { reason, since } } },
        };
        const add = { $addToSet: { 'hold_still.host_ids': { $each: hostIds } } };
        const more = { q: { _id: ID }, u: { $max: { 'hold_still.incarnation': incarnation }, ...add } };
        await talk.write({ update: 'settings', updates: [first, more] });
        return (await read(talk)) ?? because;
      }),
  };
}

async function read(talk: Conversation): Promise<HoldStill | undefined> {
  const [document] = await findAll(talk, 'settings', { _id: ID }, { limit: 1 });
  return document && toHoldStill(document);
}

/** Reads it from the settings. */
export function toHoldStill(settings: Document): HoldStill | undefined {
  const stored = settings['hold_still'] as Document | undefined;
  if (!stored) return undefined;
  const { reason, since, incarnation, host_ids: hostIds } = stored;
  return {
    reason: reason as string,
    since: since as WallTime,
    incarnation: incarnation as number,
    hostIds: hostIds as readonly HostId[],
  };
}
