// Who a fault means: a schedule is drawn before anybody leads or serves, and what matters mostly befalls who does.

import type { MemoryDisk } from '../fakes/memory-disk.js';
import type { Fault } from './schedule.js';

/** Stand in a fault for the name of whoever has that role when it begins. */
export const ROLES = {
  /** The server that leads, or did last. */
  leading: '@leading',
  /** A server that does not. */
  other: '@other',
  /** A host that serves a network. */
  serving: '@serving',
} as const;

/** Who is there. */
export interface Cast {
  readonly servers: readonly { readonly name: string; readonly isActing: boolean }[];
  readonly hosts: readonly { readonly hostId: string }[];
  readonly disk: Pick<MemoryDisk, 'holder' | 'networks'>;
}

/** A fault of those who have its roles now. */
export function withNames(fault: Fault, cast: Cast): Fault {
  const named = (name: string) => nameOf(name, cast);
  return {
    ...fault,
    ...('server' in fault && { server: named(fault.server) }),
    ...('host' in fault && { host: named(fault.host) }),
    ...('of' in fault && { of: fault.of.map(named), from: fault.from.map(named) }),
  };
}

function nameOf(name: string, { servers, hosts, disk }: Cast): string {
  const leading = servers.find(({ isActing }) => isActing)?.name ?? disk.holder?.server ?? servers[0]?.name;
  switch (name) {
    case ROLES.leading:
      return leading ?? name;
    case ROLES.other:
      return servers.find((server) => server.name !== leading)?.name ?? name;
    case ROLES.serving: {
      const [network] = disk.networks.values();
      return network?.placements[0]?.hostId ?? hosts[0]?.hostId ?? name;
    }
    default:
      return name;
  }
}
