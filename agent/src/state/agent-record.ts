// The one record of the agent as a whole: whose tables it has, the highest session epoch, and its authority.
//
// JSON for people in the first line, its SHA-256 in the second. Numbers beyond 2^53 are decimal strings.

import type { StoreIdentity } from '../session/session.js';
import { sha256 } from './records.js';

/** What must survive a restart besides the tables. */
export interface AgentRecord {
  readonly identity: StoreIdentity;
  /** The boot in which `authority` means something. */
  readonly bootId: string;
  /** By network. Never later than the true authority. */
  readonly authority: ReadonlyMap<string, StoredAuthority>;
}

/** Authority of one placement. */
export interface StoredAuthority {
  readonly placementEpoch: bigint;
  /** Milliseconds since boot. */
  readonly untilMs: number;
}

/** Writes a record. */
export function encodeAgentRecord({ identity, bootId, authority }: AgentRecord): Buffer {
  const json = JSON.stringify({
    format: 1,
    storeUid: identity.storeUid,
    incarnation: String(identity.incarnation),
    holderEpoch: String(identity.highestEpoch.holderEpoch),
    counter: String(identity.highestEpoch.counter),
    bootId,
    authority: [...authority].map(([networkId, { placementEpoch, untilMs }]) => ({
      networkId,
      placementEpoch: String(placementEpoch),
      untilMs,
    })),
  });
  return Buffer.from(`${json}\n${sha256(Buffer.from(json)).toString('hex')}\n`);
}

interface Stored {
  readonly storeUid: string;
  readonly incarnation: string;
  readonly holderEpoch: string;
  readonly counter: string;
  readonly bootId: string;
  readonly authority: readonly {
    readonly networkId: string;
    readonly placementEpoch: string;
    readonly untilMs: number;
  }[];
}

/** Reads a record; `undefined` when it is not as it was written. */
export function decodeAgentRecord(bytes: Buffer): AgentRecord | undefined {
  const [json = '', checksum, rest] = bytes.toString('utf8').split('\n');
  if (checksum !== sha256(Buffer.from(json)).toString('hex') || rest !== '') return undefined;
  // The checksum holds: this is what an agent wrote.
  const stored = JSON.parse(json) as Stored;
  const highestEpoch = { holderEpoch: BigInt(stored.holderEpoch), counter: BigInt(stored.counter) };
  return {
    identity: { storeUid: stored.storeUid, incarnation: BigInt(stored.incarnation), highestEpoch },
    bootId: stored.bootId,
    authority: new Map(
      stored.authority.map(({ networkId, placementEpoch, untilMs }) => [
        networkId,
        { placementEpoch: BigInt(placementEpoch), untilMs },
      ]),
    ),
  };
}
