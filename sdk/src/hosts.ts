// Hosts: what they look like to people, how they travel, and the calls about them.

import type { CallOptions, Calls } from './calls.js';
import type { Host as WireHost } from './gen/ipam/v1/host.js';
import {
  DeleteHostRequest,
  FenceHostRequest,
  GetHostRequest,
  ListHostsRequest,
  IpamServiceService as rpc,
  UpdateHostRequest,
} from './gen/ipam/v1/ipam_service.js';
import { List, type ListOptions } from './pages.js';
import { changedPaths, type GuardOptions, type Labels, message, nameOf, required } from './values.js';

const LIVENESS = { 1: 'up', 2: 'suspect', 3: 'down' } as const;

/** Whether a host is alive, as the holder sees it; unknown: not heard since the holder started. */
export type HostLiveness = (typeof LIVENESS)[keyof typeof LIVENESS] | 'unknown';

const BREAKER_STATES = { 1: 'closed', 2: 'open', 3: 'half-open' } as const;

/** State of a circuit breaker: calls pass, are refused at once, or one passes to try. */
export type BreakerState = (typeof BREAKER_STATES)[keyof typeof BREAKER_STATES] | 'unknown';

/** The state of a circuit breaker as people see it. */
export function toBreakerState(wire: number): BreakerState {
  return nameOf(BREAKER_STATES, wire);
}

/** A host that runs the agent. */
export interface Host {
  /** Given to the agent by `--host-id`. */
  readonly hostId: string;
  /** Made by the server: a forgotten host that returns has another. */
  readonly uid: string;
  readonly liveness: HostLiveness;
  /** Whether the manager may use it; false serves nothing any more. */
  readonly managed: boolean;
  /** True moves its placements away, make before break, and gives it no new ones. */
  readonly maintenance: boolean;
  /** Servers of a network are spread over these. Empty: none. */
  readonly failureDomain: string;
  readonly labels: Labels;
  /** The networks the host has on an interface, as last reported. */
  readonly attachments: readonly HostAttachment[];
  /** What answers DHCP on it. */
  readonly backend: string;
  readonly agentVersion: string;
  /** Undefined: not heard since the holder started. */
  readonly lastHeartbeatTime: Date | undefined;
  /** The circuit breaker around commands to it; only a host whose breaker is closed gets new placements. */
  readonly breaker: BreakerState;
  /** Somebody vouches that it is dead. Undefined: nobody does, or it was heard since. */
  readonly fence: HostFence | undefined;
  /** Hash of the settings, to guard an update or delete. */
  readonly etag: string;
  readonly createTime: Date;
  /** When its settings were last changed. */
  readonly updateTime: Date;
}

/** The word that a host is dead. */
export interface HostFence {
  /** How that is known. */
  readonly reason: string;
  readonly fencedBy: string;
  readonly time: Date;
}

/** A network that a host has on an interface. */
export interface HostAttachment {
  readonly networkId: string;
  /** Name of the interface on the host, usually a bridge. */
  readonly interface: string;
  /** Whether the interface is there and up. */
  readonly ready: boolean;
  /** Why it is not ready, for people. Empty when it is. */
  readonly reason: string;
  /** Other DHCP servers that the host noticed on the network in the last ten minutes. */
  readonly foreignDhcpServers: readonly ForeignDhcpServer[];
}

/** A DHCP server that is none of Leasehold: its guests may get any address. */
export interface ForeignDhcpServer {
  /** Its server identifier. */
  readonly address: string;
  /** Empty: a guest named it, and it was not seen itself. */
  readonly mac: string;
}

/** What can be changed of a host: a field that is present is set, an absent one stays. */
export interface HostChanges {
  readonly managed?: boolean | undefined;
  readonly maintenance?: boolean | undefined;
  readonly labels?: Labels | undefined;
}

/** Which hosts to list. */
export interface HostFilter {
  /** Only hosts that have this network attached. */
  readonly networkId?: string | undefined;
}

const PATHS: Readonly<Record<keyof HostChanges, string>> = {
  managed: 'managed',
  maintenance: 'maintenance',
  labels: 'labels',
};

/** The calls about hosts. A host appears when its agent first says hello. */
export class Hosts {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Answers one host. */
  async get(hostId: string, options?: CallOptions): Promise<Host> {
    const request = message(GetHostRequest, { hostId });
    const answer = await this.#calls.unary({ method: rpc.getHost, request, repeatable: true }, options);
    return toHost(answer.host);
  }

  /** Hosts by id, those of one network or all. */
  list(filter: HostFilter = {}, options?: ListOptions): List<Host> {
    return new List(async (pageToken) => {
      const request = message(ListHostsRequest, { ...filter, pageSize: options?.pageSize ?? 0, pageToken });
      const answer = await this.#calls.unary({ method: rpc.listHosts, request, repeatable: true }, options);
      return { items: answer.hosts.map(toHost), nextPageToken: answer.nextPageToken };
    });
  }

  /** Changes settings. With an `etag` it is not retried (see Networks.update). */
  async update(hostId: string, changes: HostChanges, options?: CallOptions & GuardOptions): Promise<Host> {
    const etag = options?.etag ?? '';
    const updateMask = changedPaths(changes, PATHS);
    const request = message(UpdateHostRequest, { host: { ...changes, hostId, etag }, updateMask });
    const answer = await this.#calls.unary({ method: rpc.updateHost, request, repeatable: etag === '' }, options);
    return toHost(answer.host);
  }

  /** Forgets a host that is not connected; what it may still answer stays known. Never retried. */
  async delete(hostId: string, options?: CallOptions & GuardOptions): Promise<void> {
    const request = message(DeleteHostRequest, { hostId, etag: options?.etag ?? '' });
    await this.#calls.unary({ method: rpc.deleteHost, request, repeatable: false }, options);
  }

  /**
   * Vouches that a host is dead and cannot answer any guest: addresses that wait only because it is silent wait no more. A
   * wrong word can give two guests one address. Refused while it is connected; it holds until the host is heard again.
   */
  async fence(hostId: string, reason: string, options?: CallOptions): Promise<Host> {
    const request = message(FenceHostRequest, { hostId, reason });
    const answer = await this.#calls.unary({ method: rpc.fenceHost, request, repeatable: true }, options);
    return toHost(answer.host);
  }
}

/** A host as people see it. */
export function toHost(answer: WireHost | undefined): Host {
  const wire = required(answer, 'host');
  return {
    hostId: wire.hostId,
    uid: wire.uid,
    liveness: nameOf(LIVENESS, wire.liveness),
    managed: required(wire.managed, 'host.managed'),
    maintenance: required(wire.maintenance, 'host.maintenance'),
    failureDomain: wire.failureDomain,
    labels: wire.labels,
    attachments: wire.attachments.map(({ networkId, interface: name, ready, reason, foreignDhcpServers }) => ({
      networkId,
      interface: name,
      ready,
      reason,
      foreignDhcpServers: foreignDhcpServers.map(({ address, mac }) => ({ address, mac })),
    })),
    backend: wire.backend,
    agentVersion: wire.agentVersion,
    lastHeartbeatTime: wire.lastHeartbeatTime,
    breaker: toBreakerState(wire.breaker),
    fence: wire.fence && {
      reason: wire.fence.reason,
      fencedBy: wire.fence.fencedBy,
      time: required(wire.fence.time, 'host.fence.time'),
    },
    etag: wire.etag,
    createTime: required(wire.createTime, 'host.create_time'),
    updateTime: required(wire.updateTime, 'host.update_time'),
  };
}
