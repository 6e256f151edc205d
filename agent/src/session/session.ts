// One session with the control plane, as a machine without clock, disk or network: messages in, actions out.
//
//   S1. A session epoch is on the disk before anything of its session is acted upon: `adopt` comes first, and what the
//       server says until `adopted()` waits.
//   S2. A session of a lower epoch than one that was seen is refused, within one incarnation of one store.
//   S3. Everything after the welcome carries the session's epoch; deliveries are numbered without gaps. Else it ends.
//   S4. A heartbeat counts as sent before it is handed to the network, the hello is heartbeat 0.
//   S5. What is dictated is within bounds, or the session ends: by an interval of no time an agent floods its server, by a
//       spread of years it never comes back.

import type { Duration } from '@leasehold/proto/google/protobuf/duration';
import type { Delivery, HeartbeatAck, PlacementKey, SessionResponse, Welcome } from '@leasehold/proto/ipam/v1/session';

/** Fencing number of a session: compared by `holderEpoch`, then `counter`. */
export interface Epoch {
  readonly holderEpoch: bigint;
  readonly counter: bigint;
}

/** Which store the agent follows, and the highest session epoch it saw there. */
export interface StoreIdentity {
  readonly storeUid: string;
  readonly incarnation: bigint;
  readonly highestEpoch: Epoch;
}

/** What the server dictates for the session, as it said it last. */
export interface SessionTerms {
  readonly epoch: Epoch;
  /** Between heartbeats. */
  readonly intervalMs: number;
  /** S: how long the agent may answer after the send of its last acknowledged heartbeat. */
  readonly authorityMs: number;
  /** How far to spread the first attempt after the stream broke. */
  readonly spreadMs: number;
}

/** What is to be done, in this order. */
export type SessionAction =
  /** Write the identity to disk, then call `adopted()`. `dropTables`: they are another store's, answer nobody from them. */
  | { readonly kind: 'adopt'; readonly identity: StoreIdentity; readonly dropTables: string | undefined }
  | { readonly kind: 'opened'; readonly terms: SessionTerms }
  /** Interval and spread are others from now on. */
  | { readonly kind: 'paced'; readonly terms: SessionTerms }
  /** A heartbeat was acknowledged. */
  | { readonly kind: 'acknowledged'; readonly sentMs: number; readonly placements: readonly PlacementKey[] }
  | { readonly kind: 'deliver'; readonly delivery: Delivery }
  | { readonly kind: 'close'; readonly reason: string };

type Phase =
  | { readonly kind: 'greeting' }
  | { readonly kind: 'adopting'; readonly terms: SessionTerms; readonly waiting: SessionResponse[] }
  | { readonly kind: 'open'; readonly terms: SessionTerms }
  | { readonly kind: 'closed' };

/** Compares two session epochs like numbers: negative, zero or positive. */
export function compareEpochs(a: Epoch, b: Epoch): number {
  if (a.holderEpoch !== b.holderEpoch) return a.holderEpoch < b.holderEpoch ? -1 : 1;
  return a.counter === b.counter ? 0 : a.counter < b.counter ? -1 : 1;
}

/** A session from its hello to its end. */
export class Session {
  #phase: Phase = { kind: 'greeting' };
  readonly #known: StoreIdentity | undefined;
  /** When the heartbeats from `#firstUnacknowledged` on were sent. */
  #sentMs: number[];
  #firstUnacknowledged = 0n;
  #delivered = 0n;

  /** `known`: what is on the disk. `helloSentMs`: taken before the hello is handed over. */
  constructor(known: StoreIdentity | undefined, helloSentMs: number) {
    this.#known = known;
    this.#sentMs = [helloSentMs];
  }

  /** The terms while the session is open. */
  get terms(): SessionTerms | undefined {
    return this.#phase.kind === 'open' ? this.#phase.terms : undefined;
  }

  /** The highest heartbeat that is acknowledged; the hello is 0. */
  get acknowledgedSequence(): bigint {
    return this.#firstUnacknowledged - 1n;
  }

  /** Takes the sequence of the next heartbeat, which is sent at `sentMs`. */
  nextHeartbeat(sentMs: number): bigint {
    return this.#firstUnacknowledged + BigInt(this.#sentMs.push(sentMs)) - 1n;
  }

  /** Takes a message of the server. */
  receive(response: SessionResponse): SessionAction[] {
    const phase = this.#phase;
    if (phase.kind === 'closed') return [];
    if (phase.kind === 'adopting') {
      phase.waiting.push(response);
      return [];
    }
    const message = response.message;
    if (phase.kind === 'greeting') {
      if (message?.$case !== 'welcome') return this.#close('Server spoke before its welcome');
      return this.#welcome(message.value);
    }
    switch (message?.$case) {
      case 'heartbeatAck':
        return this.#heartbeatAck(message.value, phase.terms);
      case 'delivery':
        return this.#delivery(message.value, phase.terms.epoch);
      case 'welcome':
        return this.#close('Server welcomed twice');
      default:
        // A newer server's message: what it means to say it must also say to agents that do not know it.
        return [];
    }
  }

  /** The identity is on the disk: goes on with what the server said meanwhile. */
  adopted(): SessionAction[] {
    const phase = this.#phase;
    if (phase.kind !== 'adopting') return [];
    this.#phase = { kind: 'open', terms: phase.terms };
    const actions: SessionAction[] = [{ kind: 'opened', terms: phase.terms }, ...this.#acknowledge(0n, [])];
    for (const response of phase.waiting) actions.push(...this.receive(response));
    return actions;
  }

  #welcome(welcome: Welcome): SessionAction[] {
    const epoch = welcome.sessionEpoch;
    const intervalMs = toMs(welcome.heartbeatInterval);
    const authorityMs = toMs(welcome.authority);
    const spreadMs = toMs(welcome.reconnectSpread);
    if (!epoch || intervalMs <= 0 || authorityMs <= 0 || welcome.storeUid === '') {
      return this.#close('Welcome lacks its epoch, interval, authority or store');
    }
    const terms = { epoch, intervalMs, authorityMs, spreadMs };
    const refusal = (this.#known && refuse(this.#known, welcome, epoch)) ?? outOfBounds(terms);
    if (refusal) return this.#close(refusal);
    this.#phase = { kind: 'adopting', terms, waiting: [] };
    const identity = { storeUid: welcome.storeUid, incarnation: welcome.incarnation, highestEpoch: epoch };
    return [{ kind: 'adopt', identity, dropTables: this.#known && whyFresh(this.#known, welcome) }];
  }

  #heartbeatAck(ack: HeartbeatAck, terms: SessionTerms): SessionAction[] {
    if (!isOf(terms.epoch, ack.sessionEpoch)) return this.#close('Heartbeat acknowledged for another session');
    if (ack.sequence >= this.#firstUnacknowledged + BigInt(this.#sentMs.length)) {
      return this.#close('Heartbeat acknowledged that was never sent');
    }
    const acknowledged = this.#acknowledge(ack.sequence, ack.placements);
    // What a later one said holds.
    return acknowledged.length > 0 ? [...this.#pace(ack, terms), ...acknowledged] : [];
  }

  #pace(ack: HeartbeatAck, before: SessionTerms): SessionAction[] {
    const intervalMs = toMs(ack.heartbeatInterval) || before.intervalMs;
    const spreadMs = ack.reconnectSpread ? toMs(ack.reconnectSpread) : before.spreadMs;
    if (intervalMs === before.intervalMs && spreadMs === before.spreadMs) return [];
    const terms = { ...before, intervalMs, spreadMs };
    const refusal = outOfBounds(terms);
    if (refusal) return this.#close(refusal);
    this.#phase = { kind: 'open', terms };
    return [{ kind: 'paced', terms }];
  }

  #acknowledge(sequence: bigint, placements: readonly PlacementKey[]): SessionAction[] {
    const index = Number(sequence - this.#firstUnacknowledged);
    const sentMs = this.#sentMs[index];
    // Below the first: acknowledged already, and a later one counted more.
    if (sentMs === undefined) return [];
    this.#sentMs = this.#sentMs.slice(index + 1);
    this.#firstUnacknowledged = sequence + 1n;
    return [{ kind: 'acknowledged', sentMs, placements }];
  }

  #delivery(delivery: Delivery, epoch: Epoch): SessionAction[] {
    if (!isOf(epoch, delivery.sessionEpoch)) return this.#close('Delivery of another session');
    if (delivery.sequence !== this.#delivered + 1n) {
      return this.#close(`Delivery ${delivery.sequence} came after ${this.#delivered}`);
    }
    this.#delivered = delivery.sequence;
    return [{ kind: 'deliver', delivery }];
  }

  #close(reason: string): SessionAction[] {
    this.#phase = { kind: 'closed' };
    return [{ kind: 'close', reason }];
  }
}

function refuse(known: StoreIdentity, welcome: Welcome, epoch: Epoch): string | undefined {
  if (welcome.storeUid !== known.storeUid || welcome.incarnation > known.incarnation) return undefined;
  if (welcome.incarnation < known.incarnation) {
    return `Server has incarnation ${welcome.incarnation} of the store, ${known.incarnation} was seen`;
  }
  if (compareEpochs(epoch, known.highestEpoch) >= 0) return undefined;
  return `Server began session ${format(epoch)}, ${format(known.highestEpoch)} was seen: it lost the lead, or its store is an old copy`;
}

function whyFresh(known: StoreIdentity, welcome: Welcome): string | undefined {
  if (welcome.storeUid !== known.storeUid)
    return `Server has another store: ${welcome.storeUid}, not ${known.storeUid}`;
  if (welcome.incarnation === known.incarnation) return undefined;
  return `Store has a new incarnation: ${welcome.incarnation} after ${known.incarnation}`;
}

function isOf(epoch: Epoch, other: Epoch | undefined): boolean {
  return other !== undefined && compareEpochs(epoch, other) === 0;
}

function format(epoch: Epoch): string {
  return `${epoch.holderEpoch}/${epoch.counter}`;
}

// The pace of as many hosts as there will be is a few minutes; authority is a week at most.
const LONGEST_PACE_MS = 3_600_000;
const SHORTEST_INTERVAL_MS = 100;
const LONGEST_AUTHORITY_MS = 7 * 86_400_000;

/** Why an agent cannot go by this; undefined: it can (S5). */
function outOfBounds({ intervalMs, authorityMs, spreadMs }: SessionTerms): string | undefined {
  const isWithin = (ms: number, least: number, most: number) => ms >= least && ms <= most;
  if (!isWithin(intervalMs, SHORTEST_INTERVAL_MS, LONGEST_PACE_MS))
    return `Heartbeat interval of ${intervalMs} ms dictated`;
  if (!isWithin(spreadMs, 0, LONGEST_PACE_MS)) return `Reconnect spread of ${spreadMs} ms dictated`;
  return isWithin(authorityMs, 1, LONGEST_AUTHORITY_MS) ? undefined : `Authority of ${authorityMs} ms dictated`;
}

function toMs(duration: Duration | undefined): number {
  return duration ? Number(duration.seconds) * 1_000 + duration.nanos / 1e6 : 0;
}
