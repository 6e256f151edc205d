// Placements as users see them: wanted ones and former servers, with what their hosts confirmed.

import type { Result } from '../domain/errors.js';
import type { HostId, NetworkId, WallTime } from '../domain/ids.js';
import type { FormerServer, Network, Placement } from '../domain/network.js';
import type { Context } from './context.js';
import type { Fleet } from './fleet.js';
import { type Page, type PageRequest, pageOf } from './paging.js';

/** A placement now. */
export interface PlacementView {
  readonly networkId: NetworkId;
  readonly hostId: HostId;
  readonly epoch: number;
  readonly state: 'assigned' | 'serving' | 'withdrawing' | 'former';
  readonly pendingChanges: number;
  readonly syncedTime: number | undefined;
  readonly since: WallTime;
}

/** Which placements to list; what is undefined does not matter. */
export interface PlacementFilter {
  readonly networkId: NetworkId | undefined;
  readonly hostId: HostId | undefined;
}

/** The use case. */
export class Placements {
  readonly #context: Pick<Context, 'view' | 'hosts'>;
  readonly #fleet: Fleet;

  constructor(context: Pick<Context, 'view' | 'hosts'>, fleet: Fleet) {
    this.#context = context;
    this.#fleet = fleet;
  }

  /** Lists placements by network and host. */
  list(filter: PlacementFilter, page: PageRequest): Result<Page<PlacementView>> {
    const { networks } = this.#context.view;
    const wanted = filter.networkId === undefined ? [...networks.values()] : [networks.get(filter.networkId)];
    const views = wanted.flatMap((network) =>
      network
        ? [
            ...network.placements.map((each) => this.#wanted(network, each)),
            ...network.formerServers.map((each) => this.#leaving(network, each)),
          ]
        : [],
    );
    const found = views.filter(({ hostId }) => filter.hostId === undefined || hostId === filter.hostId);
    return pageOf(['placements', filter], found, positionOf, page);
  }

  #wanted({ networkId }: Network, { hostId, epoch, since }: Placement): PlacementView {
    const state = this.#fleet.isServing(hostId, networkId, epoch) ? 'serving' : 'assigned';
    return { networkId, hostId, epoch, state, since, ...this.#confirmed(hostId, networkId, epoch) };
  }

  #leaving({ networkId }: Network, { hostId, epoch, since }: FormerServer): PlacementView {
    const host = this.#context.view.hosts.get(hostId);
    const now = host && this.#fleet.lookAt(host);
    const state = now?.observed?.connected && now.liveness === 'up' ? 'withdrawing' : 'former';
    return { networkId, hostId, epoch, state, since, ...this.#confirmed(hostId, networkId, epoch) };
  }

  #confirmed(hostId: HostId, networkId: NetworkId, epoch: number) {
    const table = this.#context.hosts.table(hostId, networkId);
    if (table?.placementEpoch !== epoch) return { pendingChanges: 0, syncedTime: undefined };
    return { pendingChanges: table.pendingChanges, syncedTime: table.syncedTime };
  }
}

// Epochs are padded, so that they sort as numbers.
function positionOf({ networkId, hostId, epoch }: PlacementView): string {
  return `${networkId} ${hostId} ${String(epoch).padStart(16, '0')}`;
}
