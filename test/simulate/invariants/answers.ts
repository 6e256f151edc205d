// What hosts would answer if they were asked now, as their gates and tables show it.
//
//   A1  A host lets nobody be answered for longer than what reached it allows.
//   S4  While a host may answer X for one MAC, nobody reserved X for another.

import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import type { NetworkId } from '@leasehold/server/domain/ids';
import type { HostNode } from '../host-node.js';
import type { AuthorityReckoning } from './authority.js';

// Sums of fractions of milliseconds.
const ROUNDING_MS = 1e-3;

/** What is wrong with until when a host lets guests be answered; undefined: nothing. */
export function wrongAuthorityOf(host: HostNode, authority: AuthorityReckoning): string | undefined {
  for (const { networkId, gate } of host.served) {
    if (gate.standing() === 'silent') continue;
    const moreMs = gate.untilMs() - authority.untilMs(host.hostId, networkId);
    if (moreMs > ROUNDING_MS) return `${host.hostId} would answer in ${networkId} for ${moreMs} ms more than it may`;
    if (!authority.mayAnswer(host.hostId, networkId))
      return `${host.hostId} would answer in ${networkId} without authority`;
  }
  return undefined;
}

/** What is wrong with what a host may answer now; undefined: nothing. */
export function wrongAnswerOf(host: HostNode, disk: MemoryDisk): string | undefined {
  for (const { networkId, table, gate } of host.served) {
    if (table.size === 0 || gate.standing() === 'silent') continue;
    for (const { entry } of table.leases()) {
      const problem = wrong(disk, networkId, entry.address, entry.mac);
      if (problem) return `${host.hostId} ${problem}`;
    }
  }
  return undefined;
}

/** The same, of one address that was just reserved. */
export function wrongAnswerAt(
  host: HostNode,
  disk: MemoryDisk,
  networkId: NetworkId,
  address: Ipv4,
): string | undefined {
  for (const served of host.served) {
    const entry = served.networkId === networkId ? served.table.at(address) : undefined;
    if (!entry || served.gate.standing() === 'silent') continue;
    const problem = wrong(disk, networkId, address, entry.mac);
    if (problem) return `${host.hostId} ${problem}`;
  }
  return undefined;
}

/** What is wrong with freeing an address now: while a host may answer it, nobody else may have it. */
export function wrongFreedAt(host: HostNode, networkId: NetworkId, address: Ipv4): string | undefined {
  for (const served of host.served) {
    const lease = served.networkId === networkId ? served.table.at(address) : undefined;
    if (!lease || served.gate.standing() === 'silent') continue;
    return `${host.hostId} may answer ${formatIpv4(address)} of ${networkId} for ${lease.mac}, and it is free`;
  }
  return undefined;
}

function wrong(disk: MemoryDisk, networkId: string, address: Ipv4, mac: string): string | undefined {
  const slot = disk.slot(networkId as NetworkId, address);
  if (slot?.state !== 'reserved' || slot.mac === mac) return undefined;
  return `may answer ${formatIpv4(address)} of ${networkId} for ${mac}, and it is reserved for ${slot.mac}`;
}
