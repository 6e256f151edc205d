// The first words of an agent.

import type { HostAttachment } from '@leasehold/proto/ipam/v1/host';
import { Hello, type SessionRequest, type TableState } from '@leasehold/proto/ipam/v1/session';
import type { StoreIdentity } from './session.js';

// A part may have 1,000; a server takes 256 KiB, and ids, uids and reasons can make an entry 300 bytes.
const ENTRIES_PER_PART = 500;

/** Who the agent is. */
export interface AgentDescription {
  readonly hostId: string;
  /** Random, one per process. */
  readonly agentInstance: string;
  readonly bootId: string;
  readonly agentVersion: string;
  readonly backend: string;
  /** Empty: unknown. */
  readonly failureDomain: string;
}

/** A hello in as many parts as it takes. */
export function helloParts(
  agent: AgentDescription,
  known: StoreIdentity | undefined,
  attachments: readonly HostAttachment[],
  tables: readonly TableState[],
): SessionRequest[] {
  const first = {
    ...agent,
    storeUid: known?.storeUid ?? '',
    incarnation: known?.incarnation ?? 0n,
    ...(known && { highestEpoch: known.highestEpoch }),
  };
  const parts = Math.max(1, Math.ceil((attachments.length + tables.length) / ENTRIES_PER_PART));
  return Array.from({ length: parts }, (_, i) => {
    const start = i * ENTRIES_PER_PART;
    const end = start + ENTRIES_PER_PART;
    const tablesFrom = (at: number) => Math.max(0, at - attachments.length);
    const value = Hello.fromPartial({
      ...(i === 0 ? first : { hostId: agent.hostId }),
      attachments: attachments.slice(start, end),
      tables: tables.slice(tablesFrom(start), tablesFrom(end)),
      last: i === parts - 1,
    });
    return { message: { $case: 'hello', value } };
  });
}
