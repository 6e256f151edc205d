// Calls by way of the SDK.

import { connect, type Leasehold } from '@leasehold/sdk';
import { type Api, type Driver, type PageOf, toAuditLine } from './api.js';

/** The SDK. */
export const SDK_DRIVER: Driver = {
  name: 'the SDK',
  connect: (address) => apiOf(connect({ server: address, timeoutMs: 30_000 })),
};

function apiOf(leasehold: Leasehold): Api {
  const { networks, subnets, reservations, hosts, placements, audit, raw } = leasehold;
  return {
    raw,
    createNetwork: (network, requestId) => networks.create(network, { requestId }),
    getNetwork: (networkId) => networks.get(networkId),
    listNetworks: (page) => networks.list(size(page)).page(page?.pageToken),
    updateNetwork: (networkId, changes, etag) => networks.update(networkId, changes, { etag }),
    deleteNetwork: (networkId, etag) => networks.delete(networkId, { etag }),
    createSubnet: (subnet, requestId) => subnets.create(subnet, { requestId }),
    getSubnet: (subnetId) => subnets.get(subnetId),
    listSubnets: (filter, page) => subnets.list(filter, size(page)).page(page?.pageToken),
    updateSubnet: (subnetId, changes, etag) => subnets.update(subnetId, changes, { etag }),
    deleteSubnet: (subnetId, etag) => subnets.delete(subnetId, { etag }),
    reserve: (request) => reservations.reserve(request),
    reserveMany: (requests, waitReady) => reservations.reserveMany(requests, { waitReady }),
    release: (request) => reservations.release(request),
    releaseMany: (requests) => reservations.releaseMany(requests),
    getReservation: (key) => reservations.get(key),
    listReservations: (filter, page) => reservations.list(filter, size(page)).page(page?.pageToken),
    updateReservation: (key, changes, etag) => reservations.update(key, changes, { etag }),
    history: (filter, page) => reservations.history(filter, size(page)).page(page?.pageToken),
    audit: async (networkId, page) => {
      const { items, nextPageToken } = await audit.list({ networkId }, size(page)).page(page?.pageToken);
      return { items: items.map(toAuditLine), nextPageToken };
    },
    getHost: (hostId) => hosts.get(hostId),
    listHosts: (networkId, page) => hosts.list({ networkId }, size(page)).page(page?.pageToken),
    updateHost: (hostId, changes, etag) => hosts.update(hostId, changes, { etag }),
    deleteHost: (hostId, etag) => hosts.delete(hostId, { etag }),
    fenceHost: (hostId, reason) => hosts.fence(hostId, reason),
    listPlacements: (filter, page) => placements.list(filter, size(page)).page(page?.pageToken),
    rebalance: (networkId, validateOnly) => placements.rebalance({ networkId, validateOnly }),
    watch: (options) => leasehold.watch(options),
    status: () => leasehold.status(),
    close: () => leasehold.close(),
  };
}

function size(page: PageOf | undefined) {
  return { pageSize: page?.pageSize };
}
