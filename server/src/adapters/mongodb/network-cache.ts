// The networks' documents as they stand after a write of slots (protocol.md §2.2): asked for with every batch, and
// hardly ever another than before. So first only which write they are of is read, and the rest only if that is new.

import type { Document } from 'mongodb';
import type { NetworkId } from '../../domain/ids.js';
import type { Network } from '../../domain/network.js';
import { readNetwork } from './documents.js';
import type { Conversation } from './exchange.js';

interface Known {
  readonly write: string;
  readonly network: Network;
}

/** Networks by the write that made them what they are. */
export class NetworkCache {
  readonly #known = new Map<NetworkId, Known>();

  /** The networks as they stand after what the conversation wrote; those that do not exist are not in it. */
  async after(conversation: Conversation, networkIds: Iterable<NetworkId>): Promise<ReadonlyMap<NetworkId, Network>> {
    const ids = [...new Set(networkIds)];
    const found = new Map<NetworkId, Network>();
    const unknown: NetworkId[] = [];
    for (const { _id, write } of await find(conversation, ids, { write: 1 })) {
      const known = this.#known.get(_id as NetworkId);
      if (known && known.write === write) found.set(_id as NetworkId, known.network);
      else unknown.push(_id as NetworkId);
    }
    if (unknown.length === 0) return found;
    for (const document of await find(conversation, unknown, undefined)) {
      const network = readNetwork(document);
      found.set(network.networkId, network);
      this.#known.set(network.networkId, { write: document['write'] as string, network });
    }
    return found;
  }

  /** It is not there any more. */
  forget(networkId: NetworkId): void {
    this.#known.delete(networkId);
  }
}

async function find(
  conversation: Conversation,
  ids: readonly NetworkId[],
  projection: Document | undefined,
): Promise<readonly Document[]> {
  const reply = await conversation.read({
    find: 'networks',
    filter: { _id: { $in: ids } },
    ...(projection ? { projection } : {}),
    batchSize: ids.length + 1,
  });
  return (reply['cursor'] as { firstBatch: Document[] }).firstBatch;
}
