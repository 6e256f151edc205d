// Where the sessions report what their agents say of their hosts.

import type { Host } from '../domain/host.js';

/** What an agent says of its host. */
export type HostReport = Pick<Host, 'hostId' | 'attachments' | 'failureDomain' | 'backend' | 'agentVersion'>;

/** Knows every host that was ever heard. */
export interface HostDirectory {
  /**
   * The host said hello to the holder of an epoch: stores the report, and that the host is heard. Rejects when a holder of
   * a higher epoch has heard it.
   */
  greeted(report: HostReport, epoch: number): Promise<void>;
  /** Stores the report, if it is new; resolves when it is durable. The host may get placements from then on. */
  reported(report: HostReport): Promise<void>;
}
