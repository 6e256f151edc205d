// Placements as users see them: wanted ones and former servers, with what their hosts confirmed.

import type { Result } from '../domain/errors.js';
import type { HostId, NetworkId, WallTime } from '../domain/ids.js';
import type { FormerServer, Network, Placement } from '../domain/network.js';
import type { Context } from './context.js';
import type { Fleet, HostNow } from './fleet.js';
import { isServing } from './fleet.js';
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
  readonly #view: Context['view'];
  readonly #fleet: Fleet;

  constructor({ view }: Pick<Context, 'view'>, fleet: Fleet) {
    this.#view = view;
    this.#fleet = fleet;
  }

  /** Lists placements by network and host. */
  list(filter: PlacementFilter, page: PageRequest): Result<Page<PlacementView>> {
    const hosts = this.#fleet.look();
    const views: PlacementView[] = [];
    for (const network of this.#view.networks.values()) {
      if (filter.networkId !== undefined && network.networkId !== filter.networkId) continue;
      for (const placement of network.placements) views.push(wanted(network, placement, hosts));
      for (const former of network.formerServers) views.push(leaving(network, former, hosts));
    }
    const found = views.filter(({ hostId }) => filter.hostId === undefined || hostId === filter.hostId);
    return pageOf(['placements', filter], found, positionOf, page);
  }
}

// Epochs are padded, so that they sort as numbers.
function positionOf({ networkId, hostId, epoch }: PlacementView): string {
  return `${networkId} ${hostId} ${String(epoch).padStart(16, '0')}`;
}

type HostsNow = ReadonlyMap<HostId, HostNow>;

function wanted({ networkId }: Network, { hostId, epoch, since }: Placement, hosts: HostsNow): PlacementView {
  const now = hosts.get(hostId);
  const state = now && isServing(now, networkId, epoch) ? 'serving' : 'assigned';
  return { networkId, hostId, epoch, state, since, ...confirmed(now, networkId, epoch) };
}

function leaving({ networkId }: Network, { hostId, epoch, since }: FormerServer, hosts: HostsNow): PlacementView {
  const now = hosts.get(hostId);
  const state = now?.observed?.connected && now.liveness === 'up' ? 'withdrawing' : 'former';
  return { networkId, hostId, epoch, state, since, ...confirmed(now, networkId, epoch) };
}

function confirmed(now: HostNow | undefined, networkId: NetworkId, epoch: number) {
  const table = now?.observed?.tables.get(networkId);
  if (table?.placementEpoch !== epoch) return { pendingChanges: 0, syncedTime: undefined };
  return { pendingChanges: table.pendingChanges, syncedTime: table.syncedTime };
}
