// What the planner looks at, where a test says nothing else.

import type { HostId, NetworkId, Revision, SubnetId, Uid, WallTime } from '../domain/ids.js';
import type { Network, Subnet } from '../domain/network.js';
import { withPlacement } from '../domain/placement.js';
import type { PlanHost } from '../domain/plan-host.js';

/** When everything was. */
export const WHEN = 0 as WallTime;

/** A host that is well, without networks. */
export function planHost(id: string, rest: Partial<PlanHost> = {}): PlanHost {
  return {
    hostId: id as HostId,
    uid: `uid-${id}` as Uid,
    managed: true,
    maintenance: false,
    failureDomain: '',
    liveness: 'up',
    steady: true,
    doubtful: false,
    contactMs: 0,
    mendedMs: Number.NEGATIVE_INFINITY,
    firstContactMs: Number.NEGATIVE_INFINITY,
    intervalMs: 1_000,
    heard: true,
    silentForMs: 0,
    connected: true,
    reachable: true,
    ready: new Set(),
    serving: new Set(),
    failing: new Set(),
    ...rest,
  };
}

/** A network that wants so many servers, placed on some hosts. */
export function placedNetwork(
  id: string,
  count: number,
  on: readonly string[] = [],
  rest: Partial<Network> = {},
): Network {
  const empty: Network = {
    networkId: id as NetworkId,
    uid: `uid-${id}` as Uid,
    displayName: '',
    ipamEnabled: true,
    dhcpServerCount: count,
    labels: {},
    createTime: WHEN,
    updateTime: WHEN,
    createdBy: '',
    // The planner asks only whether there is one.
    subnets: [{ subnetId: `${id}-1` as SubnetId } as Subnet],
    placements: [],
    formerServers: [],
    placementCounter: 0,
    holderEpoch: 1,
    revision: 1 as Revision,
    ...rest,
  };
  return on.reduce((all, each) => withPlacement(all, each as HostId, `uid-${each}` as Uid, WHEN), empty);
}
