// What is provided, as it goes to agents, and what agents report, as the control plane reads it.

import type { HostAttachment } from '@leasehold/proto/ipam/v1/host';
import type { Assignment, SessionEpoch, TableState } from '@leasehold/proto/ipam/v1/session';
import { formatCidr, formatIpv4, parseResourceId } from '@leasehold/proto/values';
import { type FieldViolation, invalidField, invalidFields, type Result, success } from '../../domain/errors.js';
import type { HostId, NetworkId } from '../../domain/ids.js';
import type { Subnet } from '../../domain/network.js';
import { serviceAddress } from '../../domain/service-address.js';
import type { ObservedAttachment, ProvidedNetwork } from '../../ports/dhcp-provider.js';

/** A network to serve. */
export function toAssignment({ networkId, uid, subnets }: ProvidedNetwork): Assignment {
  return {
    networkUid: uid,
    serviceAddress: formatIpv4(serviceAddress(networkId)),
    subnets: subnets.map(toAssignedSubnet),
  };
}

function toAssignedSubnet(subnet: Subnet): Assignment['subnets'][number] {
  return {
    subnetId: subnet.subnetId,
    cidr: formatCidr(subnet.cidr),
    gateway: subnet.gateway === undefined ? '' : formatIpv4(subnet.gateway),
    dnsServers: subnet.dnsServers.map(formatIpv4),
    ntpServers: subnet.ntpServers.map(formatIpv4),
    domainName: subnet.domainName,
    domainSearch: [...subnet.domainSearch],
    mtu: subnet.mtu ?? 0,
    routes: subnet.routes.map(({ destination, nextHop }) => ({
      destination: formatCidr(destination),
      nextHop: formatIpv4(nextHop),
    })),
    options: subnet.options.map(({ code, value }) => ({ code, value })),
    leaseSeconds: subnet.leaseTimeS,
  };
}

/** Reads a host id. */
export function fromHostId(text: string): Result<HostId> {
  const parsed = parseResourceId(text);
  return parsed.ok ? success(text as HostId) : invalidField('host_id', parsed.problem);
}

/** Reads attachments; refused whole when one is malformed. */
export function fromAttachments(
  attachments: readonly HostAttachment[],
): Result<readonly (readonly [NetworkId, ObservedAttachment])[]> {
  const violations: FieldViolation[] = [];
  attachments.forEach(({ networkId, interface: name }, i) => {
    const id = parseResourceId(networkId);
    if (!id.ok) violations.push({ field: `attachments[${i}].network_id`, description: id.problem });
    if (!INTERFACE.test(name))
      violations.push({ field: `attachments[${i}].interface`, description: 'Not an interface name' });
  });
  if (violations.length > 0) return invalidFields(violations);
  return success(
    attachments.map(({ networkId, interface: name, ready, reason }) => [
      networkId as NetworkId,
      { interface: name, ready, reason: reason.slice(0, MAX_REASON) },
    ]),
  );
}

// IFNAMSIZ is 16 with the final zero; slashes and white space are what the kernel refuses.
const INTERFACE = /^[^\s/]{1,15}$/;
const MAX_REASON = 256;

/** Whether two session epochs are the same. */
export function sameEpoch(a: SessionEpoch | undefined, b: SessionEpoch): boolean {
  return a?.holderEpoch === b.holderEpoch && a.counter === b.counter;
}

/** Why an agent does not answer with a table, cut to what is worth keeping. */
export function reasonOf(state: TableState | undefined): string {
  return state?.reason.slice(0, MAX_REASON) ?? '';
}
