// The etag of a resource: a hash of its settings, and of nothing else, so that a failover or a heartbeat never makes an
// engine's update fail.

import { hash as digest } from 'node:crypto';
import type { AuditedHost, AuditedNetwork, AuditedTenure } from './audit.js';
import type { Subnet } from './network.js';

function hash(settings: unknown): string {
  return digest('sha256', JSON.stringify(settings), 'base64url').slice(0, 16);
}

// Keys in a fixed order: two documents with the same labels have the same etag whatever order they came in.
function sorted(labels: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Etag of a network's own settings; its subnets have their own. */
export function networkEtag(network: AuditedNetwork): string {
  const { uid, displayName, ipamEnabled, dhcpServerCount, labels } = network;
  return hash([uid, displayName, ipamEnabled, dhcpServerCount, sorted(labels)]);
}

// Documents never change in place, and the manager asks for the same subnets with every run.
const subnetEtags = new WeakMap<Subnet, string>();

/** Etag of a subnet's settings. */
export function subnetEtag(subnet: Subnet): string {
  const known = subnetEtags.get(subnet);
  if (known !== undefined) return known;
  const { createTime: _c, updateTime: _u, createdBy: _b, leaseTimeCeilingS: _l, labels, ...settings } = subnet;
  const etag = hash([Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)), sorted(labels)]);
  subnetEtags.set(subnet, etag);
  return etag;
}

/** Etag of what a reservation's update may change. */
export function reservationEtag(tenure: AuditedTenure): string {
  return hash([tenure.reservationId, tenure.hostname, tenure.owner, sorted(tenure.labels), tenure.options]);
}

/** Etag of a host's settings. */
export function hostEtag(host: AuditedHost): string {
  return hash([host.uid, host.managed, host.maintenance, sorted(host.labels)]);
}
