// What changed between two lists of attachments.

import type { HostAttachment } from '@leasehold/proto/ipam/v1/host';

/** As an AttachmentChange says it. */
export interface AttachmentDifference {
  readonly attachments: HostAttachment[];
  readonly detachedNetworkIds: string[];
}

/** What to tell somebody who knows `before`; `undefined`: nothing. */
export function difference(
  before: readonly HostAttachment[],
  now: readonly HostAttachment[],
): AttachmentDifference | undefined {
  // Asked twice a second, and mostly nothing changed.
  if (before.length === now.length && now.every((attachment, i) => isSameOne(attachment, before[i]))) return undefined;
  const known = new Map(before.map((attachment) => [attachment.networkId, attachment]));
  const present = new Set(now.map((attachment) => attachment.networkId));
  const attachments = now.filter((attachment) => !isSame(attachment, known.get(attachment.networkId)));
  const detachedNetworkIds = [...known.keys()].filter((networkId) => !present.has(networkId));
  return attachments.length + detachedNetworkIds.length > 0 ? { attachments, detachedNetworkIds } : undefined;
}

function isSameOne(a: HostAttachment, b: HostAttachment | undefined): boolean {
  return a.networkId === b?.networkId && isSame(a, b);
}

function isSame(a: HostAttachment, b: HostAttachment | undefined): boolean {
  if (a.interface !== b?.interface || a.ready !== b.ready || a.reason !== b.reason) return false;
  const [foreign, known] = [a.foreignDhcpServers, b.foreignDhcpServers];
  return (
    foreign.length === known.length &&
    foreign.every(({ address, mac }, i) => address === known[i]?.address && mac === known[i]?.mac)
  );
}
