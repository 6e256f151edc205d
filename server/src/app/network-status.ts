// A network as users see it: how many servers it has of those it wants, and why fewer.

import type { WallTime } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import { serversWanted } from '../domain/placement.js';
import type { Context } from './context.js';
import type { Fleet } from './fleet.js';
import { knownElsewhere } from './known-elsewhere.js';
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
export function networkStatus(
  context: Pick<Context, 'view' | 'hosts' | 'lease'>,
  fleet: Fleet,
  manager: Manager | undefined,
  network: Network,
): NetworkStatus {
  const wanted = serversWanted(network);
  if (!manager) return unknownStatus(context, network, wanted);
  const serving = fleet.serving(network).length;
  const short = serving < wanted;
  const since: WallTime | undefined = short ? manager.shortSince(network.networkId) : undefined;
  return {
    subnets: network.subnets.length,
    serversWanted: wanted,
    serversServing: serving,
    shortSince: since === undefined ? undefined : new Date(since),
    shortReason: short ? whyShort(context, fleet, network) : '',
  };
}

function unknownStatus({ lease }: Pick<Context, 'lease'>, { subnets }: Network, wanted: number): NetworkStatus {
  const shortReason = wanted > 0 ? knownElsewhere(lease) : '';
  return { subnets: subnets.length, serversWanted: wanted, serversServing: 0, shortSince: undefined, shortReason };
}

function whyShort({ view, hosts }: Pick<Context, 'view' | 'hosts'>, fleet: Fleet, network: Network): string {
  const { networkId, placements } = network;
  const reasons = placements.flatMap(({ hostId, epoch }) => {
    if (fleet.isServing(hostId, networkId, epoch)) return [];
    const host = view.hosts.get(hostId);
    const liveness = host && fleet.lookAt(host).liveness;
    if (liveness !== 'up') return [`${hostId} is ${liveness ?? 'forgotten'}`];
    return [`${hostId}: ${hosts.table(hostId, networkId)?.reason || 'Has not confirmed yet'}`];
  });
  const missing = serversWanted(network) - placements.length;
  if (missing > 0) reasons.push(`${missing} more wanted, and no other live host has the network on a ready interface`);
  return reasons.join('; ');
}
