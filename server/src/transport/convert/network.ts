// Networks between wire and domain.

import type { CreateNetworkRequest, UpdateNetworkRequest } from '@leasehold/proto/ipam/v1/ipam_service';
import type { Network as WireNetwork } from '@leasehold/proto/ipam/v1/network';
import type { NetworkStatus } from '../../app/network-status.js';
import type { NetworkSettings } from '../../app/networks.js';
import type { AuditedNetwork } from '../../domain/audit.js';
import { invalidField, type Result } from '../../domain/errors.js';
import { networkEtag } from '../../domain/etag.js';
import type { NetworkId } from '../../domain/ids.js';
import { Fields } from './fields.js';

const MAX_SERVERS = 16;
const MAX_DISPLAY_NAME = 255;

/** A network to create; without an id the server makes one. */
export interface NetworkDraft {
  readonly networkId: NetworkId | undefined;
  readonly settings: NetworkSettings;
}

/** Reads CreateNetworkRequest. */
export function fromCreateNetwork({ network, requestId }: CreateNetworkRequest): Result<NetworkDraft> {
  if (!network) return invalidField('network', 'Required');
  const fields = new Fields();
  fields.requestId(requestId);
  const networkId = fields.optionalId<NetworkId>('network.network_id', network.networkId);
  return fields.result({ networkId, settings: readSettings(fields, network) });
}

function readSettings(fields: Fields, network: WireNetwork): NetworkSettings {
  const dhcpServerCount = network.dhcpServerCount ?? 1;
  if (dhcpServerCount > MAX_SERVERS)
    fields.wrong('network.dhcp_server_count', `${dhcpServerCount} is over ${MAX_SERVERS}`);
  return {
    displayName: fields.text('network.display_name', network.displayName, MAX_DISPLAY_NAME),
    ipamEnabled: network.ipamEnabled ?? true,
    dhcpServerCount,
    labels: fields.labels('network.labels', network.labels),
  };
}

const PATHS = {
  display_name: 'displayName',
  ipam_enabled: 'ipamEnabled',
  dhcp_server_count: 'dhcpServerCount',
  labels: 'labels',
} as const satisfies Record<string, keyof NetworkSettings>;

const PATH_NAMES = Object.keys(PATHS) as (keyof typeof PATHS)[];

/** Reads UpdateNetworkRequest. */
export function fromUpdateNetwork({ network, updateMask }: UpdateNetworkRequest): Result<{
  readonly networkId: NetworkId;
  readonly patch: Partial<NetworkSettings>;
  readonly etag: string;
}> {
  if (!network) return invalidField('network', 'Required');
  const fields = new Fields();
  const networkId = fields.id<NetworkId>('network.network_id', network.networkId);
  const settings = readSettings(fields, network);
  const paths = fields.mask(updateMask, PATH_NAMES) ?? PATH_NAMES.filter((path) => isSet(network, path));
  const patch = Object.fromEntries(paths.map((path) => [PATHS[path], settings[PATHS[path]]]));
  return fields.result({ networkId, patch, etag: network.etag });
}

function isSet(network: WireNetwork, path: keyof typeof PATHS): boolean {
  const value = network[PATHS[path]];
  return typeof value === 'object' ? Object.keys(value).length > 0 : value !== undefined && value !== '';
}

/** Writes a network; without a status only what is stored of it. */
export function toWireNetwork(network: AuditedNetwork, status?: NetworkStatus): WireNetwork {
  return {
    networkId: network.networkId,
    uid: network.uid,
    displayName: network.displayName,
    ipamEnabled: network.ipamEnabled,
    dhcpServerCount: network.dhcpServerCount,
    labels: { ...network.labels },
    etag: networkEtag(network),
    status: status && { ...status },
    createTime: new Date(network.createTime),
    updateTime: new Date(network.updateTime),
    createdBy: network.createdBy,
  };
}
