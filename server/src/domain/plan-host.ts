// A host as the planner, the brakes and a rebalance look at it.

import type { HostId, NetworkId, Uid } from './ids.js';
import type { Liveness } from './liveness.js';

/** A host as the planner needs it. */
export interface PlanHost {
  readonly hostId: HostId;
  readonly uid: Uid;
  readonly managed: boolean;
  readonly maintenance: boolean;
  readonly failureDomain: string;
  readonly liveness: Liveness;
  /** Whether it was up all the time lately: who just came back may be gone again soon. */
  readonly steady: boolean;
  /** It may be about to become suspect (`isQuiet`), or it and this server may not hear each other (contact.ts). */
  readonly doubtful: boolean;
  /** When it and this server heard each other last; -Infinity: never since this server leads. */
  readonly contactMs: number;
  /** When they last did again after a gap; -Infinity: there was none. */
  readonly mendedMs: number;
  /** When they first did since this server leads; -Infinity: they did not yet. */
  readonly firstContactMs: number;
  /** Whether it was heard since this server started, or stood still. */
  readonly heard: boolean;
  /** How long it has not been heard. */
  readonly silentForMs: number;
  /** Between its heartbeats, by what its agent was told. */
  readonly intervalMs: number;
  readonly connected: boolean;
  /** Whether its circuit breaker lets commands through. */
  readonly reachable: boolean;
  /** The networks it has on an interface that is up. */
  readonly ready: Ready;
  /** Network and epoch of the placements it confirmed, as `placementKey` makes them. */
  readonly serving: ReadonlySet<string>;
  /** The networks it was told to serve and did not confirm for so long that any other host had better try. */
  readonly failing: Pick<ReadonlySet<NetworkId>, 'has'>;
}

/** Some networks; `size` is how many there are at most. */
export type Ready = Pick<ReadonlySet<NetworkId>, 'has' | 'size'> & Iterable<NetworkId>;

/** Names a placement of a network. */
export function placementKey(networkId: NetworkId, epoch: number): string {
  return `${networkId} ${epoch}`;
}
