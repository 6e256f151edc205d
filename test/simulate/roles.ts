// Who a fault means: a schedule is drawn before anybody leads or serves, and what matters mostly befalls who does.

import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { Fault } from './schedule.js';

/** Stand in a fault for the name of whoever has that role when it begins. */
export const ROLES = {
  /** The server that leads, or did last. */
  leading: '@leading',
  /** A server that does not. */
  other: '@other',
  /** A host that serves a network. */
  serving: '@serving',
  /** A host that does not. */
  spare: '@spare',
} as const;

const SERVER_OF = '@server of ';

/** Stands in a fault for the host that serves a network, the first if there are several. */
export function serverOf(network: string): string {
  return `${SERVER_OF}${network}`;
}

/** Who is there. */
export interface Cast {
  readonly servers: readonly { readonly name: string; readonly isActing: boolean }[];
  readonly hosts: readonly { readonly hostId: string }[];
  readonly disk: Pick<MemoryDisk, 'holder' | 'networks'>;
}

/** A fault of those who have its roles now; undefined: nobody has one of them. */
export function withNames(fault: Fault, cast: Cast): Fault | undefined {
  const named = new Map([...namesIn(fault)].map((name) => [name, nameOf(name, cast)]));
  if ([...named.values()].includes(undefined)) return undefined;
  const of = (name: string) => named.get(name) ?? name;
  return {
    ...fault,
    ...('server' in fault && { server: of(fault.server) }),
    ...('host' in fault && { host: of(fault.host) }),
    ...('of' in fault && { of: fault.of.map(of), from: fault.from.map(of) }),
  };
}

function* namesIn(fault: Fault): Iterable<string> {
  if ('server' in fault) yield fault.server;
  if ('host' in fault) yield fault.host;
  if ('of' in fault) yield* [...fault.of, ...fault.from];
}

function nameOf(name: string, { servers, hosts, disk }: Cast): string | undefined {
  const leading = servers.find(({ isActing }) => isActing)?.name ?? disk.holder?.server;
  const placed = [...disk.networks.values()].flatMap(({ placements }) =>
    placements.map(({ hostId }): string => hostId),
  );
  if (name.startsWith(SERVER_OF)) {
    return disk.networks.get(name.slice(SERVER_OF.length) as NetworkId)?.placements[0]?.hostId;
  }
  switch (name) {
    case ROLES.leading:
      return leading;
    case ROLES.other:
      return servers.find((server) => server.name !== leading)?.name;
    case ROLES.serving:
      return placed[0];
    case ROLES.spare:
      return hosts.find(({ hostId }) => !placed.includes(hostId))?.hostId;
    default:
      return name;
  }
}
