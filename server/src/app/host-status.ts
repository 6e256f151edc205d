// A host as users see it: stored settings beside what its session shows.

import type { ForeignServer, Host } from '../domain/host.js';
import type { NetworkId } from '../domain/ids.js';
import type { BreakerState } from '../ports/breaker.js';
import type { ObservedHost } from '../ports/dhcp-provider.js';
import type { Context } from './context.js';
import type { Fleet, HostNow } from './fleet.js';
import { knownElsewhere } from './known-elsewhere.js';

/** What is true of a host now. */
export interface HostStatus {
  /**
   * `unknown`: this server does not lead; or it began to, or stood still, and has not heard the host since, for not long
   * enough to call it down.
   */
  readonly liveness: 'unknown' | 'up' | 'suspect' | 'down';
  readonly lastHeardTime: Date | undefined;
  readonly breaker: BreakerState;
  readonly attachments: readonly {
    readonly networkId: NetworkId;
    readonly interface: string;
    readonly ready: boolean;
    readonly reason: string;
    readonly foreignServers: readonly ForeignServer[];
  }[];
}

/** The same of its liveness alone, which is all that counting needs. */
export function hostLiveness({ lease }: Pick<Context, 'lease'>, fleet: Fleet, host: Host): HostStatus['liveness'] {
  return lease.isSelf ? knownLiveness(fleet.lookAt(host)) : 'unknown';
}

/** And of its breaker. */
export function hostBreaker({ lease }: Pick<Context, 'lease'>, fleet: Fleet, host: Host): BreakerState {
  return lease.isSelf ? fleet.lookAt(host).breaker : 'closed';
}

function knownLiveness({ heard, liveness }: HostNow): HostStatus['liveness'] {
  return heard || liveness === 'down' ? liveness : 'unknown';
}

/** What is true of a host now. */
export function hostStatus({ clock, lease }: Pick<Context, 'clock' | 'lease'>, fleet: Fleet, host: Host): HostStatus {
  if (!lease.isSelf) {
    const reason = knownElsewhere(lease);
    const attachments = attachmentsOf(undefined, host).map((stored) => ({ ...stored, reason }));
    return { liveness: 'unknown', lastHeardTime: undefined, breaker: 'closed', attachments };
  }
  const now = fleet.lookAt(host);
  const { observed, breaker } = now;
  const heardAgoMs = observed && clock.now() - observed.lastHeardMs;
  const connected = observed?.connected ?? false;
  const attachments = attachmentsOf(observed, host).map((seen) => ({
    ...seen,
    ready: connected && seen.ready,
    reason: connected ? seen.reason : 'The agent is not connected',
  }));
  return {
    liveness: knownLiveness(now),
    lastHeardTime: heardAgoMs === undefined ? undefined : new Date(clock.wallTime().getTime() - heardAgoMs),
    breaker,
    attachments,
  };
}

/** The networks a host has, as last reported: by its sessions, for what is stored of it may be a moment older. */
export function attachmentsOf(observed: ObservedHost | undefined, host: Host): HostStatus['attachments'] {
  if (observed) return [...observed.attachments].map(([networkId, attachment]) => ({ networkId, ...attachment }));
  return host.attachments.map((attachment) => ({ foreignServers: [], ...attachment, ready: false, reason: '' }));
}
