// What the store said of every network while a test ran, looked at again and again, and what it may never have said.
//
//   H1. A network comes to no more placements than it wants (it has more for a while when it wants fewer), and has no host twice.
//   H2. A placement epoch belongs to one host for ever, and to none again once another took its place or it was withdrawn.
//   H3. Neither the count of placements nor the holder epoch falls.

import type { Document } from 'mongodb';
import { eventually } from './eventually.js';
import type { ReplicaSet } from './replica-set.js';

/** Who serves a network, as the store says. */
export interface StoredNetwork {
  readonly networkId: string;
  readonly revision: string;
  readonly holderEpoch: number;
  readonly counter: number;
  readonly wanted: number;
  /** `HOST EPOCH`. */
  readonly placements: readonly string[];
  readonly formerServers: readonly string[];
}

const LOOK_EVERY_MS = 25;

/** See the top of the file. */
export class NetworkHistory implements AsyncDisposable {
  readonly #set: ReplicaSet;
  readonly #database: string;
  readonly #looks: StoredNetwork[] = [];
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<unknown> = Promise.resolve();
  #isOver = false;

  private constructor(set: ReplicaSet, database: string) {
    this.#set = set;
    this.#database = database;
    this.#look();
  }

  /** Begins to look. */
  static start(set: ReplicaSet, database: string): NetworkHistory {
    return new NetworkHistory(set, database);
  }

  /** The networks as they are now. */
  now(): Promise<readonly StoredNetwork[]> {
    return eventually('the networks can be read', () => this.#read());
  }

  /** What was wrong so far. */
  async violations(): Promise<readonly string[]> {
    await this.now();
    if (this.#looks.length === 0) return ['nothing was seen'];
    return violationsOf(this.#looks);
  }

  #look(): void {
    if (this.#isOver) return;
    this.#looking = this.#read().then((networks) => {
      this.#looks.push(...(networks ?? []));
      this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS);
    });
  }

  /** What a majority has; undefined: there is no primary now. */
  async #read(): Promise<readonly StoredNetwork[] | undefined> {
    try {
      const primary = await this.#set.primary();
      const reply = await primary?.command(this.#database, {
        find: 'networks',
        sort: { _id: 1 },
        readConcern: { level: 'majority' },
        maxTimeMS: 1_000,
      });
      return reply && (reply['cursor'] as { firstBatch: Document[] }).firstBatch.map(storedNetwork);
    } catch {
      // It is being killed, or elected.
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }
}

/** Every breach of the rules above. Pure. */
export function violationsOf(looks: readonly StoredNetwork[]): readonly string[] {
  const violations = new Set<string>();
  const last = new Map<string, StoredNetwork>();
  const gone = new Map<string, Set<string>>();
  const hostOf = new Map<string, string>();
  for (const look of looks) {
    const { networkId, placements } = look;
    const before = last.get(networkId);
    const over = gone.get(networkId) ?? new Set<string>();
    gone.set(networkId, over);
    const wrong = (text: string) => violations.add(`${networkId}, revision ${look.revision}: ${text}`);
    const hosts = placements.map((each) => each.split(' ')[0]);
    const isExcess = (each?: StoredNetwork) => each?.wanted === look.wanted && each.placements.length > look.wanted;
    if (isExcess(look) && before?.wanted === look.wanted && !isExcess(before))
      wrong(`${placements.length} placements, ${look.wanted} wanted`);
    if (new Set(hosts).size !== hosts.length) wrong(`a host twice among ${placements.join(', ')}`);
    for (const placement of placements) {
      const [host = '', epoch] = placement.split(' ');
      const key = `${networkId} ${epoch}`;
      if ((hostOf.get(key) ?? host) !== host) wrong(`epoch ${epoch} was ${hostOf.get(key)}'s and is ${host}'s`);
      hostOf.set(key, host);
      if (over.has(placement)) wrong(`${placement} came back`);
    }
    for (const placement of before?.placements ?? []) if (!placements.includes(placement)) over.add(placement);
    if (before && look.counter < before.counter) wrong(`the counter fell from ${before.counter}`);
    if (before && look.holderEpoch < before.holderEpoch) wrong(`the holder epoch fell from ${before.holderEpoch}`);
    last.set(networkId, look);
  }
  return [...violations];
}

function storedNetwork(document: Document): StoredNetwork {
  const named = (field: string) =>
    ((document[field] ?? []) as Document[]).map((each) => `${String(each['host_id'])} ${String(each['epoch'])}`);
  return {
    networkId: String(document['_id']),
    revision: String(document['revision']),
    holderEpoch: Number(document['holder_epoch']),
    counter: Number(document['placement_counter']),
    wanted: Number(document['dhcp_server_count']),
    placements: named('placements'),
    formerServers: named('former_servers'),
  };
}
