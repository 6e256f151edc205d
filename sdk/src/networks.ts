// Networks: what they look like to people, how they travel, and the calls about them.

import type { CallOptions, Calls } from './calls.js';
import {
  CreateNetworkRequest,
  DeleteNetworkRequest,
  GetNetworkRequest,
  ListNetworksRequest,
  IpamServiceService as rpc,
  UpdateNetworkRequest,
} from './gen/ipam/v1/ipam_service.js';
import type { Network as WireNetwork, NetworkStatus as WireNetworkStatus } from './gen/ipam/v1/network.js';
import { List, type ListOptions } from './pages.js';
import { type CreateOptions, changedPaths, type GuardOptions, type Labels, message, required } from './values.js';

/** A layer-2 network of the cluster whose addresses Leasehold manages. */
export interface Network {
  /** Unique for the whole installation. */
  readonly networkId: string;
  /** Made by the server: a deleted and re-created network has another. */
  readonly uid: string;
  /** For people. Empty: none. */
  readonly displayName: string;
  /** Whether Leasehold serves it; false keeps its reservations and refuses new ones. */
  readonly ipamEnabled: boolean;
  /** How many hosts shall serve DHCP, 0 to 16. */
  readonly dhcpServerCount: number;
  readonly labels: Labels;
  /** Hash of the settings, to guard an update or delete. */
  readonly etag: string;
  /** What is true now. Undefined: the server did not say. */
  readonly status: NetworkStatus | undefined;
  readonly createTime: Date;
  /** When its settings were last changed. */
  readonly updateTime: Date;
  readonly createdBy: string;
}

/** What is true of a network now, as the manager sees it. */
export interface NetworkStatus {
  readonly subnets: number;
  /** How many DHCP servers the manager wants; 0 while IPAM is disabled or there is no subnet. */
  readonly serversWanted: number;
  /** How many live hosts confirmed that they serve it. */
  readonly serversServing: number;
  /** Since when fewer serve than are wanted. Undefined: enough do. */
  readonly shortSince: Date | undefined;
  /** Why fewer serve than are wanted, for people. Empty: enough do. */
  readonly shortReason: string;
}

/** What can be changed of a network: a field that is present is set, also to empty; an absent one stays. */
export interface NetworkChanges {
  readonly displayName?: string | undefined;
  readonly ipamEnabled?: boolean | undefined;
  readonly dhcpServerCount?: number | undefined;
  readonly labels?: Labels | undefined;
}

/** A network to create. */
export interface NewNetwork extends NetworkChanges {
  /** `[a-z0-9]([a-z0-9._-]{0,62})`. Absent: the server makes a UUID. */
  readonly networkId?: string | undefined;
}

const PATHS: Readonly<Record<keyof NetworkChanges, string>> = {
  displayName: 'display_name',
  ipamEnabled: 'ipam_enabled',
  dhcpServerCount: 'dhcp_server_count',
  labels: 'labels',
};

/** The calls about networks. */
export class Networks {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Creates a network; one that exists with the same content is answered, with other content it is AlreadyExistsError. */
  async create(network: NewNetwork, options?: CallOptions & CreateOptions): Promise<Network> {
    const requestId = options?.requestId ?? (network.networkId ? '' : this.#calls.newRequestId());
    const request = message(CreateNetworkRequest, { network, requestId });
    const answer = await this.#calls.unary({ method: rpc.createNetwork, request, repeatable: true }, options);
    return toNetwork(answer.network);
  }

  /** Answers one network. */
  async get(networkId: string, options?: CallOptions): Promise<Network> {
    const request = message(GetNetworkRequest, { networkId });
    const answer = await this.#calls.unary({ method: rpc.getNetwork, request, repeatable: true }, options);
    return toNetwork(answer.network);
  }

  /** All networks, by id. */
  list(options?: ListOptions): List<Network> {
    return new List(async (pageToken) => {
      const request = message(ListNetworksRequest, { pageSize: options?.pageSize ?? 0, pageToken });
      const answer = await this.#calls.unary({ method: rpc.listNetworks, request, repeatable: true }, options);
      return { items: answer.networks.map(toNetwork), nextPageToken: answer.nextPageToken };
    });
  }

  /** Changes settings. With an `etag` it is not retried: an own success whose answer was lost would look like a conflict. */
  async update(networkId: string, changes: NetworkChanges, options?: CallOptions & GuardOptions): Promise<Network> {
    const etag = options?.etag ?? '';
    const updateMask = changedPaths(changes, PATHS);
    const request = message(UpdateNetworkRequest, { network: { ...changes, networkId, etag }, updateMask });
    const answer = await this.#calls.unary({ method: rpc.updateNetwork, request, repeatable: etag === '' }, options);
    return toNetwork(answer.network);
  }

  /** Deletes a network without subnets. Never retried: meanwhile the id may name another one. */
  async delete(networkId: string, options?: CallOptions & GuardOptions): Promise<void> {
    const request = message(DeleteNetworkRequest, { networkId, etag: options?.etag ?? '' });
    await this.#calls.unary({ method: rpc.deleteNetwork, request, repeatable: false }, options);
  }
}

/** A network as people see it. */
export function toNetwork(answer: WireNetwork | undefined): Network {
  const wire = required(answer, 'network');
  return {
    networkId: wire.networkId,
    uid: wire.uid,
    displayName: wire.displayName,
    ipamEnabled: required(wire.ipamEnabled, 'network.ipam_enabled'),
    dhcpServerCount: required(wire.dhcpServerCount, 'network.dhcp_server_count'),
    labels: wire.labels,
    etag: wire.etag,
    status: wire.status && toNetworkStatus(wire.status),
    createTime: required(wire.createTime, 'network.create_time'),
    updateTime: required(wire.updateTime, 'network.update_time'),
    createdBy: wire.createdBy,
  };
}

function toNetworkStatus(wire: WireNetworkStatus): NetworkStatus {
  return {
    subnets: wire.subnets,
    serversWanted: wire.serversWanted,
    serversServing: wire.serversServing,
    shortSince: wire.shortSince,
    shortReason: wire.shortReason,
  };
}
