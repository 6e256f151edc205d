// Placements: what they look like to people, how they travel, and the calls about them.

import type { CallOptions, Calls } from './calls.js';
import {
  ListPlacementsRequest,
  RebalancePlacementsRequest,
  IpamServiceService as rpc,
} from './gen/ipam/v1/ipam_service.js';
import type { Placement as WirePlacement } from './gen/ipam/v1/placement.js';
import { List, type ListOptions } from './pages.js';
import { message, nameOf, required } from './values.js';

const STATES = { 1: 'assigned', 2: 'serving', 3: 'withdrawing', 4: 'former' } as const;

/** Where a placement is in its life: wanted, wanted and confirmed, being stopped, or unwanted on a host that is away. */
export type PlacementState = (typeof STATES)[keyof typeof STATES] | 'unknown';

/** A host that serves a network, shall serve it, or may still answer for it. */
export interface Placement {
  readonly networkId: string;
  readonly hostId: string;
  /** Fencing number: grows with every new placement of the network. */
  readonly epoch: number;
  readonly state: PlacementState;
  /** Changes sent to the host that it did not confirm yet. */
  readonly pendingChanges: number;
  /** When it last confirmed everything. Undefined: never since the holder started. */
  readonly syncedTime: Date | undefined;
  /** When it was placed; for withdrawing and former when it stopped being wanted. */
  readonly since: Date;
}

/** Which placements to list. The filters go together. */
export interface PlacementFilter {
  readonly networkId?: string | undefined;
  readonly hostId?: string | undefined;
}

/** A placement that moves from one host to another, make before break. */
export interface PlacementMove {
  readonly networkId: string;
  /** The host that served. */
  readonly fromHostId: string;
  /** The host that serves instead. */
  readonly toHostId: string;
}

/** What to rebalance. */
export interface RebalanceOptions {
  /** Only placements of this network; those of the others count all the same. */
  readonly networkId?: string | undefined;
  /** Move nothing, and answer the moves it would make. */
  readonly validateOnly?: boolean | undefined;
}

/** The calls about placements. */
export class Placements {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Placements by network and host. */
  list(filter: PlacementFilter = {}, options?: ListOptions): List<Placement> {
    return new List(async (pageToken) => {
      const request = message(ListPlacementsRequest, { ...filter, pageSize: options?.pageSize ?? 0, pageToken });
      const answer = await this.#calls.unary({ method: rpc.listPlacements, request, repeatable: true }, options);
      return { items: answer.placements.map(toPlacement), nextPageToken: answer.nextPageToken };
    });
  }

  /**
   * Evens out who serves what, over failure domains and hosts, and answers what was moved. Only with `validateOnly` it is
   * retried: the answer to a repetition would leave out what was moved before.
   */
  async rebalance(what: RebalanceOptions = {}, options?: CallOptions): Promise<PlacementMove[]> {
    const { networkId = '', validateOnly = false } = what;
    const request = message(RebalancePlacementsRequest, { networkId, validateOnly });
    const call = { method: rpc.rebalancePlacements, request, repeatable: validateOnly };
    return (await this.#calls.unary(call, options)).moves.map(toMove);
  }
}

/** A move as people see it. */
function toMove({ networkId, fromHostId, toHostId }: PlacementMove): PlacementMove {
  return { networkId, fromHostId, toHostId };
}

/** A placement as people see it. */
export function toPlacement(wire: WirePlacement): Placement {
  return {
    networkId: wire.networkId,
    hostId: wire.hostId,
    epoch: Number(wire.epoch),
    state: nameOf(STATES, wire.state),
    pendingChanges: wire.pendingChanges,
    syncedTime: wire.syncedTime,
    since: required(wire.since, 'placement.since'),
  };
}
