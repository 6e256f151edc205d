// The document that says which of several servers leads.

import type { Document } from 'mongodb';
import type { HolderRecord, HolderStore } from '../../ports/store.js';
import type { Conversation, Exchange } from './exchange.js';
import { findAll } from './read-back.js';

const ID = 'holder';

/** Serves the holder's record. */
export function holderStore(exchange: Exchange): HolderStore {
  return {
    kind: 'shared',
    get: () => exchange.read('get holder', read),
    take: (seen, mine) =>
      exchange.write('take lead', async (talk) => {
        const record: HolderRecord = { ...mine, epoch: (seen?.epoch ?? 0) + 1, beat: 0 };
        if (seen) await update(talk, { epoch: seen.epoch, beat: seen.beat }, toDocument(record));
        else await talk.write({ insert: 'settings', documents: [{ _id: ID, ...toDocument(record) }] });
        return read(talk);
      }),
    renew: ({ instance, epoch }) =>
      exchange.write('renew lead', async (talk) => {
        await update(talk, { instance, epoch }, { $inc: { beat: 1 } });
        return read(talk);
      }),
    giveUp: ({ instance, epoch }) =>
      exchange.write('give up lead', (talk) => update(talk, { instance, epoch }, { $set: { instance: '' } })),
  };
}

async function update(talk: Conversation, filter: Document, change: Document): Promise<void> {
  await talk.write({ update: 'settings', updates: [{ q: { _id: ID, ...filter }, u: change }] });
}

async function read(talk: Conversation): Promise<HolderRecord | undefined> {
  const [document] = await findAll(talk, 'settings', { _id: ID }, { limit: 1 });
  if (!document) return undefined;
  return {
    instance: document['instance'] as string,
    server: document['server'] as string,
    epoch: document['epoch'] as number,
    advertise: document['advertise'] as string,
    agentAdvertise: document['agent_advertise'] as string,
    beat: document['beat'] as number,
  };
}

function toDocument({ agentAdvertise, ...same }: HolderRecord): Document {
  return { ...same, agent_advertise: agentAdvertise };
}
