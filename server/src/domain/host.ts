// A host as stored. What changes every second (liveness, readiness) is not in it.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { HostId, NetworkId, Revision, Uid, WallTime } from './ids.js';
import type { Labels } from './network.js';

/** A host as stored. */
export interface Host {
  readonly hostId: HostId;
  readonly uid: Uid;
  readonly managed: boolean;
  readonly maintenance: boolean;
  readonly labels: Labels;
  readonly failureDomain: string;
  readonly backend: string;
  readonly agentVersion: string;
  /** As last reported; whether they are ready is only known of a connected host. */
  readonly attachments: readonly Attachment[];
  /**
   * Epoch of the holder that welcomed it last. Written before its first welcome in a term, so that what an older holder
   * still writes of its silence meets another revision.
   */
  readonly heardEpoch?: number;
  /**
   * The incarnation of the store that its agent is known to have met: of tables of before it has none any more. Absent: the
   * first. A host that has not met the present one may answer in any network (protocol.md §7).
   */
  readonly metIncarnation?: number;
  /** How long it was silent, added up over holders in coarse steps, in seconds. Absent once it was heard. */
  readonly silentForS?: number;
  /** Somebody vouches that it is dead. Absent once it was heard. */
  readonly fence?: Fence;
  readonly createTime: WallTime;
  readonly updateTime: WallTime;
  readonly revision: Revision;
}

/** The word that a host is dead. */
export interface Fence {
  readonly reason: string;
  readonly by: string;
  readonly time: WallTime;
}

/** A network that a host has on an interface. */
export interface Attachment {
  readonly networkId: NetworkId;
  readonly interface: string;
  /** Other DHCP servers that the host noticed there. */
  readonly foreignServers?: readonly ForeignServer[];
}

/** A DHCP server that is none of ours. */
export interface ForeignServer {
  /** Its server identifier. */
  readonly address: Ipv4;
  /** Undefined: a guest named it, and it was not seen itself. */
  readonly mac?: Mac;
}
