// Whether the store is an older copy of itself, by what an agent knows of it (protocol.md §7).
//
//   H1. Asked only of a server that made sure, after the agent spoke, that it leads: a holder that was deposed and has not
//       noticed is no older copy.
//   H2. A session of this epoch can only have been begun by this server: a counter that it did not reach yet is of
//       another run, under the same number.
//   H3. A host that knew more once is refused whenever it names this incarnation, though the store come to a higher epoch by
//       being started: what it has would be replaced by what is older.

import type { HostId, WallTime } from './ids.js';

/** Why the control plane frees nothing and hands out nothing. Kept with the store, until that is imported. */
export interface HoldStill {
  /** For people. */
  readonly reason: string;
  readonly since: WallTime;
  /** The highest that a host knew: one that ends this is higher. */
  readonly incarnation: number;
  /** The hosts that knew more, as far as they are remembered. */
  readonly hostIds: readonly HostId[];
}

// They are read once a second.
const MAX_HOSTS = 10_000;

/** What is known together: the first reason, and all hosts. */
export function joined(before: HoldStill | undefined, because: HoldStill): HoldStill {
  if (!before) return because;
  const hostIds = [...new Set([...before.hostIds, ...because.hostIds])].slice(0, MAX_HOSTS);
  return { ...before, incarnation: Math.max(before.incarnation, because.incarnation), hostIds };
}

/** What an agent has seen of a store. */
export interface Seen {
  readonly storeUid: string;
  readonly incarnation: number;
  readonly holderEpoch: number;
  readonly counter: bigint;
}

/** Says by what a host knows more than the store does; undefined: it does not. `here`: the last session that was begun. */
export function whyOlder(hostId: HostId, seen: Seen | undefined, here: Seen): string | undefined {
  if (seen?.storeUid !== here.storeUid || seen.incarnation < here.incarnation) return undefined;
  if (seen.incarnation > here.incarnation) {
    const what = 'a server was started on the store that was left, or an old copy was restored';
    return `Host ${hostId} knows incarnation ${seen.incarnation} of this store, which has ${here.incarnation}: ${what}`;
  }
  const isLater = seen.holderEpoch === here.holderEpoch && seen.counter > here.counter;
  if (seen.holderEpoch <= here.holderEpoch && !isLater) return undefined;
  const [theirs, ours] = isLater
    ? [`session ${seen.holderEpoch}/${seen.counter}`, `${here.holderEpoch}/${here.counter}`]
    : [`holder epoch ${seen.holderEpoch}`, `${here.holderEpoch}`];
  return `Host ${hostId} knows ${theirs} of this store, which has come to ${ours}: an old copy was restored`;
}

/** Whether it is one of the hosts that knew more (H3). */
export function knewMore(hostId: HostId, seen: Seen | undefined, here: Seen, hostIds: readonly HostId[]): boolean {
  return seen?.storeUid === here.storeUid && seen.incarnation === here.incarnation && hostIds.includes(hostId);
}
