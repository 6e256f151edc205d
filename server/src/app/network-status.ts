// A network as users see it: how many servers it has of those it wants, and why fewer.

import type { NetworkId, WallTime } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import { serversWanted } from '../domain/placement.js';
import type { Fleet } from './fleet.js';
import type { Manager } from './manager.js';

/** What is true of a network now. */
export interface NetworkStatus {
  readonly subnets: number;
  readonly serversWanted: number;
  readonly serversServing: number;
  readonly shortSince: Date | undefined;
  readonly shortReason: string;
}

/** What is true of a network now. */
export function networkStatus(fleet: Fleet, manager: Manager, network: Network): NetworkStatus {
  const wanted = serversWanted(network);
  const serving = fleet.serving(network).length;
  const short = serving < wanted;
  const since: WallTime | undefined = short ? manager.shortSince(network.networkId) : undefined;
  return {
    subnets: network.subnets.length,
    serversWanted: wanted,
    serversServing: serving,
    shortSince: since === undefined ? undefined : new Date(since),
    shortReason: short ? whyShort(fleet, network) : '',
  };
}

function whyShort(fleet: Fleet, network: Network): string {
  const { networkId, placements } = network;
  const waiting = placements.filter((each) => !fleet.serving(network).includes(each));
  const reasons = waiting.map(({ hostId }) => `${hostId}: ${whyNotServing(fleet, networkId, hostId)}`);
  const missing = serversWanted(network) - placements.length;
  if (missing > 0) reasons.push(`${missing} more wanted, and no other live host has the network on a ready interface`);
  return reasons.join('; ');
}

function whyNotServing(fleet: Fleet, networkId: NetworkId, hostId: Network['placements'][number]['hostId']): string {
  const now = fleet.look().get(hostId);
  if (!now) return 'Forgotten';
  if (now.liveness !== 'up') return `Is ${now.liveness}`;
  return now.observed?.tables.get(networkId)?.reason || 'Has not confirmed yet';
}
